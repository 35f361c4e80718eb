"""A benchmark's figures, and what was wrong with the files they come from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

ProblemKind = Literal["missing", "extra", "duplicate", "unreadable", "unparsed", "mismatch", "incomplete"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A fault in the files that changes the figures. `ids` are all questions, reviews or lines that have it."""

    kind: ProblemKind
    message: str
    ids: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {"kind": self.kind, "message": self.message, "count": len(self.ids), "ids": list(self.ids)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What one file scores. `values` holds the benchmark's own figures (percentages 0–100 unless named otherwise)."""

    benchmark: str
    values: Mapping[str, Any]
    headline: float | None
    """The one number that a comparison shows; None where none can be given."""
    n: int
    interval: tuple[float, float] | None = None
    """95 %, of the headline."""
    notes: Sequence[str] = ()
    problems: Sequence[Problem] = field(default_factory=tuple)

    def document(self) -> dict[str, Any]:
        """For JSON: the benchmark's figures first."""
        return {
            "benchmark": self.benchmark,
            **self.values,
            "n": self.n,
            "interval": list(self.interval) if self.interval else None,
            "notes": list(self.notes),
            "problems": [problem.document() for problem in self.problems],
        }


def percent(part: float, whole: float) -> float | None:
    """None where there is nothing to divide by: an empty group has no percentage, not 0."""
    return 100 * part / whole if whole else None


def id_problem(kind: ProblemKind, ids: Iterable[object], message: str) -> list[Problem]:
    """One problem for all these ids, or none; `{n}` in the message is their number."""
    names = tuple(str(one) for one in ids)
    return [Problem(kind=kind, message=message.format(n=len(names)), ids=names)] if names else []
