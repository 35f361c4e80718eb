"""One picture and one kind of data: what is asked, and what the replies amount to.

Everything here follows from the item, the prompts and the replies alone. So a run that was killed is gone through
again from its start, with the kept replies instead of the model, and arrives at exactly where it was.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llava_model.chat_client import ChatReply
from llava_model.generate_data.context import Item, digest, render
from llava_model.generate_data.formats import Declined, Exchange, Malformed, Parsed, parse_reply
from llava_model.generate_data.prompts import Kind, Prompts

REPLY_TOKENS: Mapping[Kind, int] = {"conversation": 900, "detail": 600, "complex": 500, "reading": 800}
"""The longest reply that is asked for."""

_REMINDER = (
    "Your reply could not be used: {reason}. Write it again, complete, exactly in the form that was asked for, "
    "and nothing else."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleTask:
    """One sample that is to be made: a picture, and the kind of data about it."""

    item: Item
    kind: Kind

    @property
    def name(self) -> str:
        """The sample's id."""
        return f"{self.item.id}-{self.kind}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a task came to. Without `exchanges`, `refused` or `reason` says why."""

    exchanges: tuple[Exchange, ...] = ()
    repaired: bool = False
    refused: bool = False
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """How the model is asked, all of it part of every request."""

    prompts: Prompts
    temperature: float = 0.7
    seed: int = 0
    attempts: int = 3
    """How often one task is asked for when its replies are refusals or cannot be read."""


def outcome_of(task: SampleTask, asking: Asking, ask: Callable[[Mapping[str, Any]], ChatReply]) -> Outcome:
    """`ask` gives the reply to a request, kept or new."""
    if task.kind == "brief":
        return _brief(task)
    first = asking.prompts.messages(task.kind, render(task.item))
    messages, refused, reason = first, False, ""
    for attempt in range(asking.attempts):
        reply = ask(_request(messages, task, asking, attempt))
        parsed = _parsed(task.kind, reply)
        match parsed:
            case Parsed():
                return Outcome(exchanges=parsed.exchanges, repaired=parsed.repaired or (attempt > 0 and not refused))
            case Declined():
                refused, reason, messages = True, parsed.words, first
            case Malformed():
                refused, reason = False, parsed.reason
                told = {"role": "user", "content": _REMINDER.format(reason=reason)}
                messages = [*first, {"role": "assistant", "content": reply.text}, told]
    return Outcome(refused=refused, reason=reason)


def draw(task: SampleTask, seed: int, what: str) -> int:
    """A number that depends on the picture's content and the seed alone, not on the order of work."""
    mark = f"{seed}\0{digest(task.item)}\0{task.kind}\0{what}"
    return int.from_bytes(hashlib.sha256(mark.encode("utf-8", "backslashreplace")).digest()[:4]) >> 1


def _request(messages: list[dict[str, str]], task: SampleTask, asking: Asking, attempt: int) -> dict[str, Any]:
    return {
        "messages": messages,
        "temperature": asking.temperature,
        "max_tokens": REPLY_TOKENS[task.kind],
        "seed": draw(task, asking.seed, f"attempt {attempt}"),
    }


def _parsed(kind: Kind, reply: ChatReply) -> Parsed | Declined | Malformed:
    if reply.finish == "content_filter":
        return Declined(words="withheld by the server's content filter")
    return parse_reply(kind, reply.text, cut=reply.finish == "length")


def _brief(task: SampleTask) -> Outcome:
    """The picture's own caption is the answer."""
    if not task.item.captions:
        return Outcome(reason="the picture has no caption")
    return Outcome(exchanges=(Exchange(question="", answer=task.item.captions[0]),))
