"""What a check of a training set finds, and whether the set contains parts of an evaluation set.

`EvaluationSet` looks for the same picture byte for byte, for pictures that look the same, and for the same question
with the same answer. Many pictures get the same question, so equal words count as a leak only without pictures or about
the same picture; about another picture they are a warning.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from llava_model.data.pictures import Looks, PictureFacts
from llava_model.data.samples import Sample

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


Facts = Mapping[Path, PictureFacts]
DigestOf = Callable[[Path], bytes | None]


@dataclass(kw_only=True, slots=True)
class _EvaluationQuestion:
    """One question with its answer: the first sample that asks it, and the pictures it is asked about."""

    sample: str
    without_picture: bool = False
    pictures: set[Path] = field(default_factory=set)


class EvaluationSet:
    """What must not be in the training set. Add all samples first, then the facts about their pictures."""

    def __init__(self) -> None:
        self.pictures: dict[Path, str] = {}
        self._asked: dict[bytes, _EvaluationQuestion] = {}
        self._by_digest: dict[bytes, Path] = {}
        self._digests: dict[Path, bytes] = {}
        self._looks = Looks(())

    def add(self, sample: Sample, name: str) -> None:
        """Add a sample, which findings call `name`."""
        for path in sample.images:
            self.pictures.setdefault(path, name)
        for words in _words(sample):
            asked = self._asked.setdefault(words, _EvaluationQuestion(sample=name))
            asked.pictures.update(sample.images)
            asked.without_picture |= not sample.images

    def add_facts(self, facts: Facts) -> None:
        """Add what is known of the pictures that could be read."""
        self._digests = {path: fact.digest for path, fact in facts.items()}
        self._by_digest = {digest: path for path, digest in self._digests.items()}
        self._looks = Looks((path, fact.look) for path, fact in facts.items() if fact.look)

    def asks_like(self, sample: Sample) -> bool:
        """Whether any question and answer of the sample is one of the evaluation's."""
        return any(words in self._asked for words in _words(sample))

    def words_found(self, sample: Sample, digest_of: DigestOf) -> Iterator[tuple[FindingKind, str]]:
        """At most one finding about the sample's words, the worst."""
        shared = [self._asked[words] for words in _words(sample) if words in self._asked]
        own = {digest_of(path) for path in sample.images}
        for asked in shared:
            same_picture = own & {self._digests.get(path) for path in asked.pictures} - {None}
            if same_picture or (asked.without_picture and not sample.images):
                yield "leaked-answer", f"asks and answers as {asked.sample} does"
                return
        if shared:
            yield "same-words", f"asks and answers as {shared[0].sample} does, about another picture"

    def picture_found(self, facts: PictureFacts) -> tuple[FindingKind, str] | None:
        """The finding for a training picture that is one of the evaluation's, or looks like one."""
        if (same := self._by_digest.get(facts.digest)) is not None:
            return "leaked-picture", f"is the picture '{same}' of {self.pictures[same]}"
        if facts.look is not None and (alike := self._looks.nearest(facts.look)) is not None:
            return "lookalike", f"looks like the picture '{alike}' of {self.pictures[alike]}"
        return None


def _words(sample: Sample) -> Iterable[bytes]:
    """A digest of each question with its answer; pictures, case and white space do not count."""
    question = ""
    for message in sample.messages:
        said = " ".join("".join(part for part in message.parts if isinstance(part, str)).casefold().split())
        if message.role == "user":
            question = said
        elif message.role == "assistant":
            yield hashlib.blake2b(f"{question}\0{said}".encode(), digest_size=16).digest()
