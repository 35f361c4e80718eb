"""One picture and one kind of data → what is asked for it → a record in LLaVA's JSON, or the reason why not.

    {"id": "33-conversation", "image": "33.jpg", "conversations": [
        {"from": "human", "value": "<image>\\nHow many dogs are there?"}, {"from": "gpt", "value": "Two."}, …]}

Everything here depends on the item, the prompts and the replies alone. So a killed run is repeated from its start, with
the kept replies instead of the model, and arrives at exactly the state in which it was killed.

A record passes `llavero model validate`. Of the kind "reading" it also says which regions answer which turn
(`evidence`), and which turns cannot be answered (`unanswerable`); LLaVA's code ignores both.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_model.chat_client import ChatReply
from llava_model.data.samples import parse_sample
from llava_model.errors import BadSampleError
from llava_model.model.config import IMAGE_TOKEN
from llava_model.synthesis.prompts import Declined, Exchange, Kind, Malformed, Parsed, Prompts, parse_reply
from llava_model.synthesis.quality import Judge, Reason
from llava_model.synthesis.sources import Box, Item, digest, render, written_box

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
    """The result of a task. Without `exchanges`, `refused` or `reason` says why."""

    exchanges: tuple[Exchange, ...] = ()
    repaired: bool = False
    refused: bool = False
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """The settings that are part of every request."""

    prompts: Prompts
    temperature: float = 0.7
    seed: int = 0
    attempts: int = 3
    """How many times a task is asked for if its replies are refusals or cannot be read."""


def outcome_of(task: SampleTask, asking: Asking, ask: Callable[[Mapping[str, Any]], ChatReply]) -> Outcome:
    """Ask for one task until a reply can be read. `ask` gives the reply to a request, kept or new."""
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


REFUSAL = "This cannot be seen in the picture."


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What became of one task: a record as a line of JSON, or why there is none."""

    record: str = ""
    words: int = 0
    """A digest of the answers, to find two samples that say the same."""
    repaired: bool = False
    refused: bool = False
    failure: str = ""
    dropped: Reason | None = None
    dropped_exchanges: tuple[Reason, ...] = ()
    """Reasons for questions and answers that were taken out of a record."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleMaker:
    """Makes one run's records, in any order."""

    prompts: Prompts
    judge: Judge
    seed: int = 0
    refusal: str = REFUSAL
    """What is taught as the answer to a question that the picture does not answer."""

    def make(self, task: SampleTask, outcome: Outcome) -> Made:
        """Filter the exchanges and write the record."""
        if not outcome.exchanges:
            return Made(refused=outcome.refused, failure=outcome.reason)
        judged = self.judge.judge(task.kind, task.item, self._asked(task, outcome.exchanges))
        if not judged.kept:
            return Made(dropped=judged.dropped[0] if judged.dropped else "empty")
        record = self._record(task, judged.kept)
        try:
            parse_sample(record, root=Path("pictures"), position=0)
        except BadSampleError:
            return Made(dropped="invalid")
        return Made(
            record=json.dumps(record, ensure_ascii=False),
            words=_digest([turn["value"] for turn in record["conversations"] if turn["from"] == "gpt"]),
            repaired=outcome.repaired,
            dropped_exchanges=tuple(judged.dropped),
        )

    def _asked(self, task: SampleTask, exchanges: Sequence[Exchange]) -> list[Exchange]:
        """The exchanges, with a question from our list for a description."""
        questions = self.prompts.questions.get(task.kind)
        if questions is None:
            return list(exchanges)
        question = questions[draw(task, self.seed, "question") % len(questions)]
        return [Exchange(question=question, answer=one.answer) for one in exchanges]

    def _record(self, task: SampleTask, kept: Sequence[Exchange]) -> dict[str, Any]:
        turns: list[dict[str, str]] = []
        more: dict[str, list[Any]] = {"evidence": [], "unanswerable": []}
        shown = False
        for exchange in kept:
            answer = self.refusal if task.kind == "reading" and exchange.is_unanswerable else exchange.answer
            turns += [{"from": "human", "value": exchange.question}, {"from": "gpt", "value": answer}]
            if task.kind == "reading":
                evidence = _evidence(task.item, exchange, len(turns) - 1)
                more["unanswerable" if exchange.is_unanswerable else "evidence"] += [evidence]
                if not shown and evidence["boxes"]:
                    turns += self._where(task, evidence["boxes"])
                    shown = True
        before = draw(task, self.seed, "place") % 2
        first = turns[0]["value"]
        turns[0]["value"] = f"{IMAGE_TOKEN}\n{first}" if before else f"{first}\n{IMAGE_TOKEN}"
        extra: Mapping[str, Any] = more if task.kind == "reading" else {}
        return {"id": task.name, "image": task.item.image, "conversations": turns, **extra}

    def _where(self, task: SampleTask, boxes: Sequence[Box]) -> list[dict[str, str]]:
        """Two more turns, which teach the model to say where the answer stands."""
        questions = self.prompts.questions["where"]
        question = questions[draw(task, self.seed, "where") % len(questions)]
        return [{"from": "human", "value": question}, {"from": "gpt", "value": written_box(_bounding_box(boxes))}]


def _evidence(item: Item, exchange: Exchange, turn: int) -> dict[str, Any]:
    """The lines and boxes that answer. `turn` is the number of the answer's turn, from 0."""
    if exchange.is_unanswerable:
        return {"turn": turn, "boxes": [], "lines": []}
    lines = [item.lines[number - 1] for number in exchange.lines]
    return {
        "turn": turn,
        "boxes": [list(line.box) for line in lines if line.box is not None],
        "lines": [line.text for line in lines],
    }


def _bounding_box(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _digest(answers: Sequence[str]) -> int:
    """A digest of the answers; case and white space do not count."""
    words = "\0".join(" ".join(answer.casefold().split()) for answer in answers)
    return int.from_bytes(hashlib.blake2b(words.encode("utf-8", "backslashreplace"), digest_size=16).digest())
