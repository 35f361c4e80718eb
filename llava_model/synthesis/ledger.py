"""Every reply that was paid for, by what was asked: the file from which an interrupted run goes on.

`replies.jsonl` grows by whole lines and by one writer at a time:

    {"sent": "<key>", "in": 900, "out": 700}                       before a request: what it may cost at worst
    {"key": "<key>", "text": "…", "finish": "stop", "in": 871, "out": 212, "estimated": false}
    {"key": "<key>", "error": "HTTP 500 …", "in": 0, "out": 0, "estimated": false}    it brought nothing

A key is a digest of everything in the request, so that a changed prompt, model or picture asks anew and an unchanged
one never does. A request without its second line was under way when the process died; its worst case counts as spent.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from llava_model.chat_client import ChatReply, Usage
from llava_model.errors import GenerationError, GenerationInUseError, SourceError
from llava_model.jsonl_log import BadLineError, JsonlLog, LogInUseError

# ---
# What may be spent in tokens and money, counted before and after every request.
#
# A request is begun only if its worst case (the prompt's estimate and the longest reply) still fits beside what was
# spent and what is under way. So the limit can be passed only by as much as the estimates of prompts were too low.
# ---


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """None is no limit. Prices are for a million tokens, in whatever money `max_cost` is in."""

    max_tokens_total: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0

    def __post_init__(self) -> None:
        if self.max_cost is not None and not (self.price_in > 0 or self.price_out > 0):
            missing = GenerationError(f"a cost limit of {self.max_cost:g} cannot be kept without prices")
            missing.add_note("Give them for a million tokens: --price-in and --price-out.")
            raise missing
        if min(self.price_in, self.price_out, self.max_cost or 0, self.max_tokens_total or 0) < 0:
            raise GenerationError("prices and limits cannot be below 0")

    def cost(self, usage: Usage) -> float:
        """In the money of the prices."""
        return (usage.tokens_in * self.price_in + usage.tokens_out * self.price_out) / 1_000_000

    def allow(self, usage: Usage) -> bool:
        """Whether so much may be spent altogether."""
        return (self.max_tokens_total is None or usage.tokens <= self.max_tokens_total) and (
            self.max_cost is None or self.cost(usage) <= self.max_cost
        )


class Budget:
    """Shared by all requests of a run; `spent` begins with what earlier runs in the folder spent."""

    def __init__(self, limits: Limits, spent: Usage | None = None) -> None:
        self.limits = limits
        self._spent, self._reserved = spent or Usage(), Usage()
        self._changed = threading.Condition()

    @property
    def spent(self) -> Usage:
        """What is known to be spent."""
        with self._changed:
            return self._spent

    def reserve(self, worst: Usage) -> bool:
        """Wait until the worst case fits or can never fit; False then, and nothing is reserved."""
        with self._changed:
            while not self.limits.allow(self._spent + self._reserved + worst):
                if self._reserved.tokens == 0 or not self.limits.allow(self._spent + worst):
                    return False
                self._changed.wait()
            self._reserved = self._reserved + worst
            return True

    def settle(self, worst: Usage, actual: Usage) -> None:
        """The request is over; free what it did not need."""
        with self._changed:
            self._reserved = self._reserved - worst
            self._spent = self._spent + actual
            self._changed.notify_all()


def key_of(request: Mapping[str, Any]) -> str:
    """40 hex digits of everything that is sent."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()[:40]


class ReplyLedger:
    """Open with `with`; safe to use from several threads. Raises GenerationInUseError, SourceError, OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "replies.jsonl"
        self._log = JsonlLog(self.path, folder / "replies.lock.json")
        self._places: dict[str, int] = {}
        self._waiting: dict[str, Usage] = {}
        self.spent = Usage()
        """By all runs in this folder up to its opening."""

    def __enter__(self) -> Self:
        try:
            self._log.open(self._read)
        except LogInUseError as error:
            raise GenerationInUseError(self.folder, str(error)) from None
        except BadLineError as error:
            raise SourceError(self.path, f"line {error.number} is none that this command wrote") from None
        for usage in self._waiting.values():
            self.spent += usage
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def get(self, key: str) -> ChatReply | None:
        """The reply to a request, if there was one."""
        place = self._places.get(key)
        if place is None:
            return None
        record = self._log.record_at(place)
        return ChatReply(text=record["text"], finish=str(record["finish"]), usage=_usage(record))

    def sent(self, key: str, worst: Usage) -> None:
        """A request is about to be sent."""
        self._log.append({"sent": key, "in": worst.tokens_in, "out": worst.tokens_out})

    def replied(self, key: str, reply: ChatReply) -> None:
        """It brought this."""
        record = {"key": key, "text": reply.text, "finish": reply.finish, **_counts(reply.usage)}
        self._places[key] = self._log.append(record)

    def failed(self, key: str, reason: str, usage: Usage) -> None:
        """It brought nothing, and cost perhaps something."""
        self._log.append({"key": key, "error": reason, **_counts(usage)})

    def _read(self, record: Mapping[str, Any], place: int) -> None:
        if "sent" in record:
            lost = self._waiting.pop(record["sent"], None)  # asked again after a crash: the first one is spent
            self.spent += lost or Usage()
            worst = Usage(tokens_in=int(record["in"]), tokens_out=int(record["out"]), estimated=True)
            self._waiting[record["sent"]] = worst
            return
        self._waiting.pop(record["key"], None)
        self.spent += _usage(record)
        if isinstance(record.get("text"), str):
            self._places[record["key"]] = place


def _counts(usage: Usage) -> dict[str, Any]:
    return {"in": usage.tokens_in, "out": usage.tokens_out, "estimated": usage.estimated}


def _usage(record: Mapping[str, Any]) -> Usage:
    return Usage(tokens_in=int(record["in"]), tokens_out=int(record["out"]), estimated=bool(record["estimated"]))
