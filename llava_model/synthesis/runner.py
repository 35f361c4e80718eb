"""Ask one server for many samples at once, within a budget, and keep every reply.

    Runner        requests side by side: back-off with jitter, Retry-After, and a stop that loses nothing
    Budget        what may be spent in tokens and money, counted before and after every request
    ReplyLedger   every reply that was paid for, by what was asked: an interrupted run goes on from it

`replies.jsonl` grows by whole lines and by one writer at a time:

    {"sent": "<key>", "in": 900, "out": 700}                       before a request: what it may cost at worst
    {"key": "<key>", "text": "…", "finish": "stop", "in": 871, "out": 212, "estimated": false}
    {"key": "<key>", "error": "HTTP 500 …", "in": 0, "out": 0, "estimated": false}    it brought nothing

A key is a digest of everything in the request, so a changed prompt, model or picture is asked anew and an unchanged one
never is. A request without its second line was under way when the process died; its worst case counts as spent.
"""

import hashlib
import json
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from llava_model.chat_client import ChatClient, ChatReply, NoReply, Usage, worst_case
from llava_model.errors import GenerationError, GenerationInUseError, JudgeError, SourceError, WriterError
from llava_model.jsonl_log import BadLineError, JsonlLog, LogInUseError
from llava_model.synthesis.samples import Asking, Outcome, SampleTask, outcome_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a run may spend; None is no limit. Prices are for a million tokens, in the currency of `max_cost`."""

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
        """What this usage costs, in the currency of the prices."""
        return (usage.tokens_in * self.price_in + usage.tokens_out * self.price_out) / 1_000_000

    def allow(self, usage: Usage) -> bool:
        """Whether so much may be spent altogether."""
        return (self.max_tokens_total is None or usage.tokens <= self.max_tokens_total) and (
            self.max_cost is None or self.cost(usage) <= self.max_cost
        )


class Budget:
    """What may be spent, shared by all requests of a run; `spent` begins with what earlier runs in the folder spent.

    A request is begun only if its worst case (the estimate of its prompt, and the longest reply) still fits, together
    with what was spent and what is under way. So the limit is exceeded by no more than the estimates were too low.
    """

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
        """Reserve the worst case, as soon as it fits → True; False, and nothing is reserved, if it can never fit."""
        with self._changed:
            while not self.limits.allow(self._spent + self._reserved + worst):
                if self._reserved.tokens == 0 or not self.limits.allow(self._spent + worst):
                    return False
                self._changed.wait()
            self._reserved = self._reserved + worst
            return True

    def settle(self, worst: Usage, actual: Usage) -> None:
        """Book what a finished request really cost, and free the rest of its reservation."""
        with self._changed:
            self._reserved = self._reserved - worst
            self._spent = self._spent + actual
            self._changed.notify_all()


def key_of(request: Mapping[str, Any]) -> str:
    """A digest of everything that is sent, 40 hex digits."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()[:40]


class ReplyLedger:
    """Every reply that was paid for. Open with `with`; safe to use from several threads.

    Raises GenerationInUseError, SourceError, OSError.
    """

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
        """Note that a request is about to be sent."""
        self._log.append({"sent": key, "in": worst.tokens_in, "out": worst.tokens_out})

    def replied(self, key: str, reply: ChatReply) -> None:
        """Keep the reply to a request."""
        record = {"key": key, "text": reply.text, "finish": reply.finish, **_counts(reply.usage)}
        self._places[key] = self._log.append(record)

    def failed(self, key: str, reason: str, usage: Usage) -> None:
        """Note that a request brought no reply, and what it may have cost."""
        self._log.append({"key": key, "error": reason, **_counts(usage)})

    def _read(self, record: Mapping[str, Any], place: int) -> None:
        if "sent" in record:
            lost = self._waiting.pop(
                record["sent"], None
            )  # the same request was sent before a crash: its cost counts as spent
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


class BudgetSpentError(Exception):
    """Not a fault: the limit is reached, and nothing more is sent. Never leaves this package."""


class _StoppedError(Exception):
    """Another task found a reason to stop."""


class _FailedError(Exception):
    """This task cannot be done; the others go on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How often and how long a failing server is tried again."""

    tries: int = 6
    """How many times a request is sent that times out or meets a fault of the server."""
    first_wait_seconds: float = 1.0
    """Doubled after every try, then drawn between half of it and all of it."""
    longest_wait_seconds: float = 60.0
    """The most that a doubled wait, or a server's own Retry-After, may be."""
    give_up_after: int = 5
    """The run stops when so many tasks in a row have failed: the server is not there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """One finished task: its outcome, or why it failed."""

    task: SampleTask
    outcome: Outcome | None
    failure: str = ""


class Runner:
    """One run over tasks. Iterate `run()`; afterwards `stopped` has the error that ended it early, if any."""

    def __init__(
        self,
        client: ChatClient,
        ledger: ReplyLedger,
        budget: Budget,
        asking: Asking,
        *,
        concurrency: int,
        patience: Patience | None = None,
    ) -> None:
        self._client, self._ledger, self._budget, self._asking = client, ledger, budget, asking
        self._concurrency, self._patience = concurrency, patience or Patience()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._failed_in_a_row = 0
        self.requests = 0
        """Requests sent in this run, with or without a reply."""
        self.kept = 0
        """Replies taken from earlier runs."""
        self.stopped: BudgetSpentError | WriterError | None = None

    def run(self, tasks: Sequence[SampleTask]) -> Iterator[Done]:
        """Do the tasks, and yield each as it ends. Raises OSError (a full disk)."""
        waiting, running = deque(tasks), dict[Future[Outcome], SampleTask]()
        failure: BaseException | None = None
        with ThreadPoolExecutor(max_workers=self._concurrency, thread_name_prefix="generate") as pool:
            try:
                while (waiting and not self._stop.is_set()) or running:
                    while waiting and not self._stop.is_set() and len(running) < 2 * self._concurrency:
                        task = waiting.popleft()
                        running[pool.submit(outcome_of, task, self._asking, self._reply)] = task
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        task = running.pop(done)
                        try:
                            yield Done(task=task, outcome=done.result())
                        except _FailedError as error:
                            yield Done(task=task, outcome=None, failure=str(error))
                        except _StoppedError:
                            pass
                        except (BudgetSpentError, WriterError) as error:
                            self.stopped = self.stopped or error
                            self._stop.set()
                        except OSError as error:
                            failure = error
                            self._stop.set()
            finally:
                self._stop.set()
        if failure is not None:
            raise failure

    # -- in the workers' threads ------------------------------------------------------------------------------------

    def _reply(self, request: Mapping[str, Any]) -> ChatReply:
        key = key_of({"model": self._client.server.model, **request})
        kept = self._ledger.get(key)
        if kept is not None:
            with self._lock:
                self.kept += 1
            return kept
        return self._ask(key, request)

    def _ask(self, key: str, request: Mapping[str, Any]) -> ChatReply:
        tries, wait_seconds = 0, self._patience.first_wait_seconds
        while True:
            self._pause()
            answer = self._send(key, request)
            if isinstance(answer, ChatReply):
                self._failed_in_a_row = 0
                return answer
            if answer.hopeless:
                raise self._gone(answer.reason)
            if not answer.again:
                raise _FailedError(answer.reason)
            if answer.wait_seconds is not None:
                self._hold(answer)  # waiting as long as the server asks uses up no try
                continue
            tries += 1
            if tries >= self._patience.tries:
                raise self._given_up(answer.reason)
            self._sleep(random.uniform(wait_seconds / 2, wait_seconds))
            wait_seconds = min(2 * wait_seconds, self._patience.longest_wait_seconds)

    def _send(self, key: str, request: Mapping[str, Any]) -> ChatReply | NoReply:
        worst = worst_case(request)
        if not self._budget.reserve(worst):
            raise BudgetSpentError
        if self._stop.is_set():
            self._budget.settle(worst, worst - worst)
            raise _StoppedError
        usage = worst
        try:
            self._ledger.sent(key, worst)
            with self._lock:
                self.requests += 1
            answer = self._client.send(request)
            usage = answer.usage
            if isinstance(answer, ChatReply):
                self._ledger.replied(key, answer)
            else:
                self._ledger.failed(key, answer.reason, usage)
        except OSError:
            self._stop.set()  # a full disk: further replies could not be kept
            raise
        finally:
            self._budget.settle(worst, usage)
        return answer

    def _hold(self, answer: NoReply) -> None:
        """Make all workers wait: a server that is too busy for one is too busy for all."""
        seconds = answer.wait_seconds or 0.0
        if seconds > self._patience.longest_wait_seconds:
            raise self._gone(f"it asks to wait {seconds:,.0f} s ({answer.reason})")
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def _pause(self) -> None:
        """Wait until the server may be asked again; the threads do not all end their wait at the same moment."""
        late = random.random()
        while (left := self._not_before - time.monotonic()) > 0:
            self._sleep(left + late * min(0.5, left / 4))

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _StoppedError

    def _given_up(self, reason: str) -> Exception:
        with self._lock:
            self._failed_in_a_row += 1
            many = self._failed_in_a_row >= self._patience.give_up_after
        return self._gone(reason) if many else _FailedError(reason)

    def _gone(self, reason: str) -> JudgeError | WriterError:
        self._stop.set()
        error = self._client.server.silent(reason)
        error.add_note("What it has written is kept; the same command goes on from there.")
        return error
