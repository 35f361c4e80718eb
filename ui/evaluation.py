"""Questions with known answers, asked of an open library: for `llavero eval` and for clients of the service."""

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui.documents import Document

if TYPE_CHECKING:
    from evaluation.questions import KnownQuestion, Task
    from evaluation.records import Record
    from indexing.store.protocol import Filter
    from llava_model.serving.engine import Turn
    from rag.events import Event
    from ui.workbench import Workbench


def searching(bench: "Workbench", k: int) -> "Callable[[KnownQuestion], Record]":
    """Asks the search alone."""
    from evaluation.records import search_record
    from rag.retrieve import SearchRequest

    def ask(question: "KnownQuestion") -> "Record":
        request = SearchRequest(text=question.question, k=k, filter=all_but(bench, question.hidden))
        return search_record(question, bench.search(request))

    return ask


def asking(bench: "Workbench", k: int, *, attacks: bool = False) -> "Callable[[KnownQuestion], Record]":
    """Asks the model, after the earlier questions of the same conversation."""
    from evaluation.records import answer_record, attack_record

    def events(question: "KnownQuestion") -> "Iterator[Event]":
        chosen = all_but(bench, question.hidden)
        history: list[Turn] = []
        for earlier in question.previous:
            *_, answer = bench.ask(earlier, history=tuple(history), k=k, filter=chosen)
            history += bench.as_history(earlier, answer)  # type: ignore[arg-type]  # the last event is the answer
        yield from bench.ask(question.question, history=tuple(history), k=k, filter=chosen)

    scored = attack_record if attacks else answer_record
    return lambda question: scored(question, events(question))


def all_but(bench: "Workbench", hidden: Sequence[str]) -> "Filter":
    """A filter that lets every file pass but the hidden ones. Filters can only name what they want, so this one names
    all the others: search, answer and whatever else is asked of the store see a library without these files."""
    from evaluation.scores import same_file
    from indexing.store.protocol import EVERYTHING, Filter

    if not hidden:
        return EVERYTHING
    paths = [str(entry.path) for entry in bench.files() if entry.state == "indexed"]
    for source in hidden:
        if not any(same_file(path, source) for path in paths):
            raise FileNotFoundError(errno.ENOENT, "a file that should be hidden is not in the library", source)
    kept = [path for path in paths if not any(same_file(path, source) for source in hidden)]
    return Filter(where=tuple(("path", path) for path in kept or ["/"]))


def evaluation_document(
    task: "Task",
    records: "Sequence[Record]",
    settings: Mapping[str, Any],
    before: "Sequence[Record] | None" = None,
) -> Document:
    """Figures with their intervals, what differs from the records of another run, and every record."""
    from evaluation.comparison import compared
    from evaluation.figures import figures, risk_coverage

    return {
        "task": task,
        "questions": len(records),
        **settings,
        "figures": [asdict(one) for one in figures(task, records)],
        "differences": [asdict(one) for one in compared(task, records, before)] if before is not None else [],
        "curve": risk_coverage(records)[0] if task == "refusal" else [],
        "results": list(records),
    }


def evaluate_for_client(
    bench: "Workbench",
    asked: Document,
    log: Path,
    on_count: Callable[[int, int], None],
    before: "Sequence[Record] | None" = None,
) -> Document:
    """A client's run: `task`, `questions`, `k` and `search_only` → what `evaluation_document` makes of it. Records are
    kept in `log`; a run that was killed is called again with the same one."""
    from evaluation.question_files import question_of
    from evaluation.records import ask_all
    from llava_model.benchmarks.records import AnswerLog

    task, k = asked["task"], asked["k"]
    questions = [question_of(each) for each in asked["questions"]]
    by_search = task == "retrieval" or asked["search_only"]
    ask = searching(bench, k) if by_search else asking(bench, k, attacks=task == "attacks")
    settings = {"task": task, "k": k, "kit": bench.kit.name, "asked": "the search" if by_search else "the model"}
    with AnswerLog(log, settings) as kept:
        records = ask_all(questions, ask, kept, on_count)
    return evaluation_document(task, records, settings, before)
