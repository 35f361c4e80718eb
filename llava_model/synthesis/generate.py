"""Items in, a folder of training data out: the steps of this package in their order, and the report of a run.

    <out>/train.json        LLaVA's JSON, one array
    <out>/held_out.json     the same of held-out items, if there are any
    <out>/replies.jsonl     every reply; the same command goes on from here
    <out>/report.json       what was made, left out and spent

The files are written whole or not at all, at the end of every run, finished or stopped.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llava_model.chat_client import WRITER, ChatClient, ChatReply, ChatServer, Usage
from llava_model.errors import GenerationError
from llava_model.synthesis.prompts import WRITTEN, Kind, Prompts
from llava_model.synthesis.quality import Judge, Reason, runs
from llava_model.synthesis.runner import Budget, BudgetSpentError, Limits, Patience, ReplyLedger, Runner, key_of
from llava_model.synthesis.samples import REFUSAL, Asking, Made, Outcome, SampleMaker, SampleTask, outcome_of
from llava_model.synthesis.sources import Item, PictureSource, SourceProblem


@dataclass(kw_only=True, slots=True)
class Totals:
    """Counts and ids, in the order of the tasks."""

    made: Counter[str] = field(default_factory=Counter)
    by_file: dict[str, int] = field(default_factory=dict)
    dropped: dict[Reason, list[str]] = field(default_factory=dict)
    dropped_exchanges: Counter[Reason] = field(default_factory=Counter)
    repaired: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationProgress:
    """`done` of `total` samples, earlier runs included; `usage` and `cost` of the whole folder."""

    done: int
    total: int
    usage: Usage
    cost: float


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationReport:
    """The state of the folder after a run. Ids are of samples, except in `problems` (of pictures)."""

    files: tuple[Path, ...]
    totals: Totals
    problems: Sequence[SourceProblem]
    requests: int
    """Sent by this run."""
    kept_replies: int
    """Taken from earlier runs instead of asking."""
    usage: Usage
    """Of all runs in the folder."""
    cost: float
    seconds: float
    stopped: str = ""
    """Why the run ended early: "budget", or what the server said."""

    @property
    def samples(self) -> int:
        """How many samples were made."""
        return self.totals.made.total()

    @property
    def is_clean(self) -> bool:
        """Whether everything was made and the input had no fault."""
        return not (self.totals.failed or self.totals.left or self.problems or self.stopped)

    def document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "made": self.samples,
            "made_by_kind": dict(self.totals.made),
            "files": {str(path): self.totals.by_file[path.name] for path in self.files},
            "dropped": {reason: {"count": len(ids), "ids": list(ids)} for reason, ids in self.totals.dropped.items()},
            "dropped_exchanges": dict(self.totals.dropped_exchanges),
            "repaired": {"count": len(self.totals.repaired), "ids": list(self.totals.repaired)},
            "refused": {"count": len(self.totals.refused), "ids": list(self.totals.refused)},
            "failed": [{"id": name, "reason": reason} for name, reason in self.totals.failed.items()],
            "left": len(self.totals.left),
            "problems": [{"kind": one.kind, "id": one.id, "reason": one.reason} for one in self.problems],
            "requests": self.requests,
            "kept_replies": self.kept_replies,
            "tokens": {
                "in": self.usage.tokens_in,
                "out": self.usage.tokens_out,
                "total": self.usage.tokens,
                "estimated": self.usage.estimated,
            },
            "cost": round(self.cost, 6),
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
        }

    def line(self) -> str:
        """The report on one line."""
        about = "about " if self.usage.estimated else ""
        parts = [
            f"{self.samples:,} samples made",
            f"{sum(map(len, self.totals.dropped.values())):,} dropped"
            + _listed({reason: len(ids) for reason, ids in self.totals.dropped.items()}),
            f"{len(self.totals.repaired):,} repaired",
            f"{len(self.totals.refused):,} refused",
            f"{len(self.totals.failed):,} failed",
            *([f"{len(self.totals.left):,} left"] if self.totals.left else []),
            f"{about}{self.usage.tokens:,} tokens",
            *([f"cost {about}{self.cost:.4f}"] if self.cost else []),
        ]
        return ", ".join(parts)


def _listed(counts: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{count:,} {name}' for name, count in counts.items())})" if counts else ""


TRAIN, HELD_OUT = "train.json", "held_out.json"
_ALL_DIFFERENT: frozenset[Kind] = frozenset({"conversation", "detail", "complex"})
"""Kinds in which a repeated text is dropped. Other kinds may repeat: two pages can give the same answer."""


class SampleCollector:
    """Collects the outcome of every task during a run, and writes the samples in order at its end.

    `kept` gives the outcome of a task that this run did not come to, if earlier runs have all its replies.
    """

    def __init__(self, maker: SampleMaker, kept: Callable[[SampleTask], Outcome | None]) -> None:
        self._maker, self._kept = maker, kept
        self._made: dict[str, Made] = {}
        self._failed: dict[str, str] = {}
        self._seen: set[int] = set()
        self.totals = Totals()

    def add(self, task: SampleTask, outcome: Outcome) -> None:
        """Take the outcome of a task. Its sample is made and judged at once, while other tasks wait for the server."""
        self._made[task.name] = self._maker.make(task, outcome)

    def fail(self, task: SampleTask, reason: str) -> None:
        """Note that the server gave no reply for this task."""
        self._failed[task.name] = reason

    def write(self, tasks: Sequence[SampleTask], out: Path) -> tuple[Path, ...]:
        """Write each file whole; remove an earlier run's held-out file if nothing is held out now."""
        records: dict[str, list[str]] = {TRAIN: []}
        for task in tasks:
            record = self._record(task)
            if record is not None:
                records.setdefault(HELD_OUT if task.item.held_out else TRAIN, []).append(record)
        for name, lines in records.items():
            write_whole(out / name, ["[\n", ",\n".join(lines), "\n]"])
            self.totals.by_file[name] = len(lines)
        if HELD_OUT not in records:
            (out / HELD_OUT).unlink(missing_ok=True)
        return tuple(out / name for name in records)

    def _record(self, task: SampleTask) -> str | None:
        """One line of JSON; None if there is no sample, with its reason counted."""
        totals, made = self.totals, self._made.get(task.name)
        if made is None and task.name not in self._failed:
            outcome = self._kept(task)
            made = self._maker.make(task, outcome) if outcome is not None else None
        if made is None:
            if task.name in self._failed:
                totals.failed[task.name] = self._failed[task.name]
            else:
                totals.left.append(task.name)
            return None
        if made.refused:
            totals.refused.append(task.name)
        elif made.failure:
            totals.failed[task.name] = made.failure
        elif (reason := self._objection(task, made)) is not None:
            totals.dropped.setdefault(reason, []).append(task.name)
        else:
            totals.made[task.kind] += 1
            totals.dropped_exchanges.update(made.dropped_exchanges)
            totals.repaired += [task.name] if made.repaired else []
            return made.record
        return None

    def _objection(self, task: SampleTask, made: Made) -> Reason | None:
        """Why the sample is dropped, or None. Of samples with the same words the first task's is kept."""
        if made.dropped is None and task.kind in _ALL_DIFFERENT:
            if made.words in self._seen:
                return "duplicate"
            self._seen.add(made.words)
        return made.dropped


def write_whole(path: Path, pieces: Iterable[str]) -> None:
    """Write the whole file to the disk; on a failure the old file stays as it was."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for piece in pieces:
                file.write(piece)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


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
        collector = SampleCollector(_maker(prompts, settings), kept.outcome)
        asked = (
            _ask(tasks, asking, settings, writer, ledger, budget, collector, on_progress) if writer else _RunCounts()
        )
        files = collector.write(tasks, out)
        report = GenerationReport(
            files=files,
            totals=collector.totals,
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
    """The counts of a run of requests. The replies are in the ledger."""

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
    collector: SampleCollector,
    on_progress: OnProgress,
) -> _RunCounts:
    with ChatClient(writer, settings.concurrency) as client:
        runner = Runner(
            client, ledger, budget, asking,
            concurrency=settings.concurrency, patience=settings.patience,
        )  # fmt: skip
        for ended, done in enumerate(runner.run(tasks), 1):
            if done.outcome is not None:
                collector.add(done.task, done.outcome)
            else:
                collector.fail(done.task, done.failure)
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
    """A maker whose filter refuses replies that repeat a prompt's system message."""
    forbidden = {kind: frozenset(runs(prompts.systems[kind])) for kind in WRITTEN}
    judge = Judge(language=settings.language, instructions=forbidden)
    return SampleMaker(prompts=prompts, judge=judge, seed=settings.seed, refusal=settings.refusal)
