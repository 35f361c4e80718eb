"""What every task came to: collected while the run goes on, put in order and written at its end."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from llava_model.generate_data.prompts import Kind
from llava_model.generate_data.quality import Reason
from llava_model.generate_data.report import Totals
from llava_model.generate_data.samples import Made, SampleMaker
from llava_model.generate_data.tasks import Outcome, SampleTask

TRAIN, HELD_OUT = "train.json", "held_out.json"
_ALL_DIFFERENT: frozenset[Kind] = frozenset({"conversation", "detail", "complex"})
"""Kinds of which no two samples should say the same; two pages may well answer a question alike."""


class Book:
    """`kept` gives the outcome of a task that this run did not come to, if earlier runs have all its replies."""

    def __init__(self, maker: SampleMaker, kept: Callable[[SampleTask], Outcome | None]) -> None:
        self._maker, self._kept = maker, kept
        self._made: dict[str, Made] = {}
        self._failed: dict[str, str] = {}
        self._seen: set[int] = set()
        self.totals = Totals()

    def add(self, task: SampleTask, outcome: Outcome) -> None:
        """A task is done; its sample is made and judged at once, while others wait for the server."""
        self._made[task.name] = self._maker.make(task, outcome)

    def fail(self, task: SampleTask, reason: str) -> None:
        """The server brought nothing for it."""
        self._failed[task.name] = reason

    def write(self, tasks: Sequence[SampleTask], out: Path) -> tuple[Path, ...]:
        """Each file whole; a held-out file of an earlier run does not stay where nothing is held out now."""
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
        """One line of JSON, or nothing and the reason counted."""
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
        """Of samples with the same words the first is kept, in the order of the tasks."""
        if made.dropped is None and task.kind in _ALL_DIFFERENT:
            if made.words in self._seen:
                return "duplicate"
            self._seen.add(made.words)
        return made.dropped


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
