"""The results of checking a training set: findings with sample and reason, and counts."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FindingKind = Literal[
    "file", "sample", "picture", "untrainable", "too-long", "duplicate-id", "duplicate-content", "leaked-picture",
    "leaked-answer", "lookalike", "same-words", "unchecked",
]  # fmt: skip

MEANINGS: dict[FindingKind, str] = {
    "file": "files that cannot be read as samples, or hold none",
    "sample": "records that are no usable sample",
    "picture": "samples with a missing or broken picture",
    "untrainable": "samples that would train nothing or cannot be written as a conversation",
    "too-long": "samples longer than the limit",
    "duplicate-id": "samples whose id came before",
    "duplicate-content": "samples whose pictures and words came before",
    "leaked-picture": "samples with a picture of the evaluation",
    "leaked-answer": "samples with a question and answer of the evaluation",
    "lookalike": "samples with a picture that looks like one of the evaluation",
    "same-words": "samples with words of the evaluation about another picture",
    "unchecked": "parts of the evaluation that could not be read, so nothing was compared with them",
}

WARNINGS: frozenset[FindingKind] = frozenset({"lookalike", "same-words", "unchecked"})
"""These may be intended. Findings of every other kind are problems."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationFinding:
    """`reason` completes "sample X …". `id` and `position` are None if the finding is about a whole file."""

    kind: FindingKind
    file: Path
    reason: str
    id: str | None = None
    position: int | None = None

    @property
    def is_problem(self) -> bool:
        """Whether the set should be corrected before training."""
        return self.kind not in WARNINGS


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenCounts:
    """Lengths of the tokenised samples, pictures included."""

    samples: int
    total: int
    learned: int
    shortest: int
    median: int
    p95: int
    longest: int
    histogram: tuple[tuple[int, int, int], ...]
    """(from, below, samples); each range is twice as wide as the one before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileCounts:
    """One file of the set."""

    path: Path
    samples: int
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationReport:
    """`samples` counts all records, the other counts are of readable samples."""

    files: tuple[FileCounts, ...]
    samples: int
    turns: int
    pictures: int
    distinct_pictures: int
    text_only: int
    pictures_per_sample: dict[int, int]
    tokens: TokenCounts | None
    findings: tuple[ValidationFinding, ...]
    seconds: float

    @property
    def problems(self) -> tuple[ValidationFinding, ...]:
        """What should be corrected."""
        return tuple(finding for finding in self.findings if finding.is_problem)

    @property
    def warnings(self) -> tuple[ValidationFinding, ...]:
        """What a person should look at."""
        return tuple(finding for finding in self.findings if not finding.is_problem)

    def by_kind(self) -> Counter[FindingKind]:
        """How many findings of each kind."""
        return Counter(finding.kind for finding in self.findings)
