"""Items in, a folder of training data out: here the steps of this package are tied together.

    <out>/train.json        LLaVA's JSON, one array
    <out>/held_out.json     the same of held-out items, if there are any
    <out>/replies.jsonl     every reply; the same command goes on from here
    <out>/report.json       what was made, left out and spent

The files are written whole or not at all, at the end of every run, finished or stopped.
"""

import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llava_model.chat_client import WRITER, ChatClient, ChatReply, ChatServer, NoReply, worst_case
from llava_model.errors import GenerationError, JudgeError, WriterError
from llava_model.synthesis.book import Book, GenerationProgress, GenerationReport, write_whole
from llava_model.synthesis.ledger import Budget, Limits, ReplyLedger, key_of
from llava_model.synthesis.prompts import WRITTEN, Item, Kind, Prompts
from llava_model.synthesis.quality import Judge, runs
from llava_model.synthesis.samples import REFUSAL, Asking, Outcome, SampleMaker, SampleTask, outcome_of
from llava_model.synthesis.sources import PictureSource

# ---
# Many tasks at once against one server: back-off with jitter, Retry-After, budget, and a stop that loses nothing.
# ---


class BudgetSpentError(Exception):
    """Not a fault: the limit is reached, and nothing more is sent. Never leaves this package."""


class _StoppedError(Exception):
    """Another task found a reason to stop."""


class _FailedError(Exception):
    """This task cannot be done; the others go on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a server in trouble is waited for."""

    tries: int = 6
    """How often a request is sent that times out or meets a fault of the server."""
    first_wait_seconds: float = 1.0
    """Doubled after every try, then drawn between half of it and all of it."""
    longest_wait_seconds: float = 60.0
    """The most that a doubled wait, or a server's own Retry-After, may be."""
    give_up_after: int = 5
    """So many tasks in a row that the server failed: it is not there, and the run stops."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """One finished task: its outcome, or why it failed."""

    task: SampleTask
    outcome: Outcome | None
    failure: str = ""


class Runner:
    """One run over tasks. Iterate `run()`; what it raised for stopping stands in `stopped` afterwards."""

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
        """Sent in this run, vain ones included."""
        self.kept = 0
        """Replies that were there from before."""
        self.stopped: BudgetSpentError | WriterError | None = None

    def run(self, tasks: Sequence[SampleTask]) -> Iterator[Done]:
        """Each task that comes to an end, in the order in which they do. Raises OSError (a full disk)."""
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
                self._hold(answer)  # the server says when: no try is used up
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
            self._stop.set()  # a full disk: what is asked for now could not be kept
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
        """Until the server wants to be asked again, and not all at the same moment."""
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


OnProgress = Callable[[GenerationProgress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationSettings:
    """How the data are made."""

    kinds: tuple[Kind, ...] = ("conversation", "detail", "complex")
    count: int | None = None
    """Use so many pictures, drawn by the seed; None for all."""
    seed: int = 0
    language: str = "en"
    temperature: float = 0.7
    concurrency: int = 8
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    refusal: str = REFUSAL

    def __post_init__(self) -> None:
        if not self.kinds or self.concurrency < 1 or (self.count is not None and self.count < 1):
            raise GenerationError("at least one kind, one picture and one request at a time are needed")


def generate(
    source: PictureSource,
    writer: ChatServer | None,
    out: Path,
    prompts: Prompts,
    settings: GenerationSettings,
    *,
    on_progress: OnProgress = lambda progress: None,
) -> GenerationReport:
    """Ask for what `out` does not hold yet, and write it all down. Only the kind "brief" needs no writer.

    A server that does not answer, or a spent budget, ends the run early: `GenerationReport.stopped`. Raises
    WriterError, GenerationInUseError, SourceError (a damaged ledger), MissingPackageError, OSError.
    """
    began = time.monotonic()
    tasks = plan(source.items, settings)
    if writer is None and any(kind in WRITTEN for kind in settings.kinds):
        raise WRITER.unnamed("--endpoint")
    asking = Asking(prompts=prompts, temperature=settings.temperature, seed=settings.seed)
    with ReplyLedger(out) as ledger:
        budget = Budget(settings.limits, ledger.spent)
        kept = _KeptReplies(asking, ledger, writer.model if writer else "")
        book = Book(_maker(prompts, settings), kept.outcome)
        asked = _ask(tasks, asking, settings, writer, ledger, budget, book, on_progress) if writer else _RunCounts()
        files = book.write(tasks, out)
        report = GenerationReport(
            files=files,
            totals=book.totals,
            problems=source.problems,
            requests=asked.requests,
            kept_replies=asked.kept,
            usage=budget.spent,
            cost=settings.limits.cost(budget.spent),
            seconds=time.monotonic() - began,
            stopped=asked.stopped,
        )
        write_whole(out / "report.json", [json.dumps(report.document(), ensure_ascii=False, indent=1)])
    return report


@dataclass(frozen=True, kw_only=True, slots=True)
class _RunCounts:
    """What a run of requests came to; the replies are in the ledger."""

    requests: int = 0
    kept: int = 0
    stopped: str = ""


def _ask(
    tasks: Sequence[SampleTask],
    asking: Asking,
    settings: GenerationSettings,
    writer: ChatServer,
    ledger: ReplyLedger,
    budget: Budget,
    book: Book,
    on_progress: OnProgress,
) -> _RunCounts:
    with ChatClient(writer, settings.concurrency) as client:
        runner = Runner(
            client, ledger, budget, asking,
            concurrency=settings.concurrency, patience=settings.patience,
        )  # fmt: skip
        for ended, done in enumerate(runner.run(tasks), 1):
            if done.outcome is not None:
                book.add(done.task, done.outcome)
            else:
                book.fail(done.task, done.failure)
            spent = budget.spent
            on_progress(GenerationProgress(done=ended, total=len(tasks), usage=spent, cost=settings.limits.cost(spent)))
    stopped = "budget" if isinstance(runner.stopped, BudgetSpentError) else str(runner.stopped or "")
    return _RunCounts(requests=runner.requests, kept=runner.kept, stopped=stopped)


class _KeptReplies:
    """Outcomes of tasks that this run did not reach, made from the replies of earlier runs."""

    def __init__(self, asking: Asking, ledger: ReplyLedger, model: str) -> None:
        self._asking, self._ledger, self._model = asking, ledger, model

    def outcome(self, task: SampleTask) -> Outcome | None:
        """None where a reply is missing."""
        try:
            return outcome_of(task, self._asking, self._reply)
        except LookupError:
            return None

    def _reply(self, request: Mapping[str, Any]) -> ChatReply:
        reply = self._ledger.get(key_of({"model": self._model, **request}))
        if reply is None:
            raise LookupError
        return reply


def plan(items: Sequence[Item], settings: GenerationSettings) -> list[SampleTask]:
    """One task for each picture and kind, in the order of the pictures. A kind needs something to be made of.

    `count` pictures are drawn from those that at least one kind can be made of.
    """
    chosen = [item for item in items if any(_fits(item, kind) for kind in settings.kinds)]
    if settings.count is not None and settings.count < len(chosen):
        places = random.Random(settings.seed).sample(range(len(chosen)), settings.count)
        chosen = [chosen[place] for place in sorted(places)]
    return [SampleTask(item=item, kind=kind) for item in chosen for kind in settings.kinds if _fits(item, kind)]


def _fits(item: Item, kind: Kind) -> bool:
    if kind == "brief":
        return bool(item.captions)
    if kind == "reading":
        return bool(item.lines or item.tables)
    return bool(item.captions or item.regions or item.tables or item.lines)


def _maker(prompts: Prompts, settings: GenerationSettings) -> SampleMaker:
    """Of a prompt, what stands in its system message must not come back."""
    forbidden = {kind: frozenset(runs(prompts.systems[kind])) for kind in WRITTEN}
    judge = Judge(language=settings.language, instructions=forbidden)
    return SampleMaker(prompts=prompts, judge=judge, seed=settings.seed, refusal=settings.refusal)
