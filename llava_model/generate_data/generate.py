"""The whole of it: items in, a folder of training data out.

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

from llava_model.errors import GenerationError
from llava_model.generate_data.budget import Budget, Limits
from llava_model.generate_data.client import Client, Writer, no_writer
from llava_model.generate_data.context import Item
from llava_model.generate_data.ledger import Reply, ReplyLedger, key_of
from llava_model.generate_data.prompts import WRITTEN, Kind, Prompts
from llava_model.generate_data.quality import Judge, runs
from llava_model.generate_data.report import Progress, Report
from llava_model.generate_data.runner import BudgetSpentError, Patience, Runner
from llava_model.generate_data.samples import REFUSAL, SampleMaker
from llava_model.generate_data.sources import Source
from llava_model.generate_data.tasks import Asking, Outcome, Task, outcome_of

OnProgress = Callable[[Progress], None]
TRAIN, HELD_OUT = "train.json", "held_out.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
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


class _NotAskedError(Exception):
    """The ledger has no reply for this yet."""


def generate(
    source: Source,
    writer: Writer | None,
    out: Path,
    prompts: Prompts,
    settings: Settings,
    *,
    on_progress: OnProgress = lambda progress: None,
) -> Report:
    """Ask for what `out` does not hold yet, and write it all down. Only the kind "brief" needs no writer.

    A server that does not answer, or a spent budget, ends the run early: `Report.stopped`. Raises
    WriterError, GenerationInUseError, SourceError (a damaged ledger), MissingPackageError, OSError.
    """
    began = time.monotonic()
    tasks = plan(source.items, settings)
    if writer is None and any(kind in WRITTEN for kind in settings.kinds):
        raise no_writer("--endpoint")
    asking = Asking(prompts=prompts, temperature=settings.temperature, seed=settings.seed)
    with ReplyLedger(out) as ledger:
        budget = Budget(settings.limits, ledger.spent)
        asked = _asked(tasks, asking, settings, writer, ledger, budget, on_progress)
        model = writer.model if writer else ""
        book = _Book(asking, ledger, model, _maker(prompts, settings), asked.failures)
        files, by_file = book.write(tasks, out)
        report = Report(
            files=files,
            made=book.made,
            made_by_file=by_file,
            dropped=book.maker.drops.samples,
            dropped_exchanges=book.maker.drops.exchanges,
            repaired=book.repaired,
            refused=book.refused,
            failed=book.failed,
            left=book.left,
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
class _Asked:
    """What a run of requests came to; the replies are in the ledger."""

    failures: Mapping[str, str] = field(default_factory=dict)
    requests: int = 0
    kept: int = 0
    stopped: str = ""


def _asked(
    tasks: Sequence[Task],
    asking: Asking,
    settings: Settings,
    writer: Writer | None,
    ledger: ReplyLedger,
    budget: Budget,
    on_progress: OnProgress,
) -> _Asked:
    if writer is None:
        return _Asked()
    failures: dict[str, str] = {}
    with Client(writer, settings.concurrency) as client:
        runner = Runner(
            client, ledger, budget, asking,
            concurrency=settings.concurrency, patience=settings.patience,
        )  # fmt: skip
        for ended, done in enumerate(runner.run(tasks), 1):
            if done.outcome is None:
                failures[done.task.name] = done.failure
            spent = budget.spent
            on_progress(Progress(done=ended, total=len(tasks), usage=spent, cost=settings.limits.cost(spent)))
    stopped = "budget" if isinstance(runner.stopped, BudgetSpentError) else str(runner.stopped or "")
    return _Asked(failures=failures, requests=runner.requests, kept=runner.kept, stopped=stopped)


def plan(items: Sequence[Item], settings: Settings) -> list[Task]:
    """One task for each picture and kind, in the order of the pictures. A kind needs something to be made of."""
    chosen = list(items)
    if settings.count is not None and settings.count < len(chosen):
        places = random.Random(settings.seed).sample(range(len(chosen)), settings.count)
        chosen = [chosen[place] for place in sorted(places)]
    return [Task(item=item, kind=kind) for item in chosen for kind in settings.kinds if _fits(item, kind)]


def write_whole(path: Path, pieces: Iterable[str]) -> None:
    """All of it on the disk under its name, or the old file as it was."""
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


def _fits(item: Item, kind: Kind) -> bool:
    if kind == "brief":
        return bool(item.captions)
    if kind == "reading":
        return bool(item.lines or item.tables)
    return bool(item.captions or item.regions or item.tables or item.lines)


def _maker(prompts: Prompts, settings: Settings) -> SampleMaker:
    """Of a prompt, what stands in its system message must not come back."""
    forbidden = {kind: frozenset(runs(prompts.systems[kind])) for kind in WRITTEN}
    judge = Judge(language=settings.language, instructions=forbidden)
    return SampleMaker(prompts=prompts, judge=judge, seed=settings.seed, refusal=settings.refusal)


class _Book:
    """Goes through all tasks once more, with kept replies alone, and writes what they come to."""

    def __init__(
        self, asking: Asking, ledger: ReplyLedger, model: str, maker: SampleMaker, failures: Mapping[str, str]
    ) -> None:
        self._asking, self._ledger, self._model, self._failures = asking, ledger, model, failures
        self.maker = maker
        self.made: Counter[str] = Counter()
        self.repaired: list[str] = []
        self.refused: list[str] = []
        self.failed: dict[str, str] = {}
        self.left: list[str] = []

    def write(self, tasks: Sequence[Task], out: Path) -> tuple[tuple[Path, ...], dict[str, int]]:
        """The files, and how many samples each holds; a held-out file of an earlier run does not stay."""
        records: dict[str, list[str]] = {TRAIN: []}
        for task in tasks:
            record = self._record(task)
            if record is not None:
                name = HELD_OUT if task.item.held_out else TRAIN
                records.setdefault(name, []).append(json.dumps(record, ensure_ascii=False))
        for name, lines in records.items():
            write_whole(out / name, ["[\n", ",\n".join(lines), "\n]"])
        if HELD_OUT not in records:
            (out / HELD_OUT).unlink(missing_ok=True)
        return tuple(out / name for name in records), {name: len(lines) for name, lines in records.items()}

    def _record(self, task: Task) -> dict[str, Any] | None:
        try:
            outcome = outcome_of(task, self._asking, self._kept)
        except _NotAskedError:
            if task.name in self._failures:
                self.failed[task.name] = self._failures[task.name]
            else:
                self.left.append(task.name)
            return None
        if not outcome.exchanges:
            self._without(task, outcome)
            return None
        record = self.maker.make(task, outcome)
        if record is not None:
            self.made[task.kind] += 1
            if outcome.repaired:
                self.repaired.append(task.name)
        return record

    def _without(self, task: Task, outcome: Outcome) -> None:
        if outcome.refused:
            self.refused.append(task.name)
        else:
            self.failed[task.name] = outcome.reason

    def _kept(self, request: Mapping[str, Any]) -> Reply:
        reply = self._ledger.get(key_of({"model": self._model, **request}))
        if reply is None:
            raise _NotAskedError
        return reply
