"""Items in, a folder of training data out: here the steps of this package are tied together.

    <out>/train.json        LLaVA's JSON, one array
    <out>/held_out.json     the same of held-out items, if there are any
    <out>/replies.jsonl     every reply; the same command goes on from here
    <out>/report.json       what was made, left out and spent

The files are written whole or not at all, at the end of every run, finished or stopped.
"""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llava_model.chat_client import WRITER, ChatClient, ChatReply, ChatServer
from llava_model.errors import GenerationError
from llava_model.synthesis.book import Book, GenerationProgress, GenerationReport, write_whole
from llava_model.synthesis.ledger import Budget, Limits, ReplyLedger, key_of
from llava_model.synthesis.prompts import WRITTEN, Item, Kind, Prompts
from llava_model.synthesis.quality import Judge, runs
from llava_model.synthesis.runner import BudgetSpentError, Patience, Runner
from llava_model.synthesis.samples import REFUSAL, Asking, Outcome, SampleMaker, SampleTask, outcome_of
from llava_model.synthesis.sources import PictureSource

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
