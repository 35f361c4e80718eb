"""Check a training set before hours are spent on it. Nothing is changed.

    report = validate([Path("train.jsonl")], against=[Path("test.jsonl")], encoder=encoder, max_tokens=2048)
    report.problems          # each with file, sample and reason

files → records → samples (ids, content, tokens) → pictures (opened and decoded, each path once) → findings
"""

import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from llava_model.data.leakage import (
    EvaluationSet,
    FileCounts,
    FindingKind,
    TokenCounts,
    ValidationFinding,
    ValidationReport,
)
from llava_model.data.pictures import PictureFacts, examine_all
from llava_model.data.sample_file import SampleFile
from llava_model.data.samples import EncodedSample, Sample, SampleEncoder
from llava_model.errors import BadSampleError, BadSampleFileError, LlavaError, MissingFileError
from llava_model.text.tokenize import PromptEncoder

_FIRST_RANGE = 64


class TokenCheck:
    """Encodes each sample as training does, but without cutting it, and keeps its length."""

    def __init__(self, encoder: PromptEncoder, *, max_tokens: int | None) -> None:
        self._encoder = SampleEncoder(encoder, max_tokens=sys.maxsize)
        self._image_token_id, self._max_tokens = encoder.image_token_id, max_tokens
        self._lengths: list[int] = []
        self._learned_tokens = 0

    def check(self, sample: Sample) -> Iterator[tuple[FindingKind, str]]:
        """Findings about one sample, as (kind, reason)."""
        try:
            encoded = self._encoder.encode(sample)
        except BadSampleError as error:
            yield "untrainable", error.reason
            return
        except LlavaError as error:
            yield "untrainable", f"cannot be written as a conversation: {error}"
            return
        self._lengths.append(len(encoded.ids))
        self._learned_tokens += encoded.targets
        if self._max_tokens is not None and len(encoded.ids) > self._max_tokens:
            yield from self._too_long(encoded, self._max_tokens)

    def _too_long(self, sample: EncodedSample, limit: int) -> Iterator[tuple[FindingKind, str]]:
        cut = sample.ids[limit:].count(self._image_token_id)
        lost = f"{cut} of its picture tokens" if cut else "words only"
        yield "too-long", f"has {len(sample.ids)} tokens, the limit is {limit}; a cut would take {lost}"
        if not any(sample.learned[1:limit]):
            yield "untrainable", f"would train nothing when it is cut at {limit} tokens"

    def counts(self) -> TokenCounts | None:
        """None if no sample could be tokenised."""
        if not self._lengths:
            return None
        lengths = np.array(self._lengths)
        return TokenCounts(
            samples=len(lengths),
            total=int(lengths.sum()),
            learned=self._learned_tokens,
            shortest=int(lengths.min()),
            median=int(np.median(lengths)),
            p95=int(np.percentile(lengths, 95)),
            longest=int(lengths.max()),
            histogram=_histogram(lengths),
        )


def _histogram(lengths: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    edges = [0, _FIRST_RANGE]
    while edges[-1] <= lengths.max():
        edges.append(2 * edges[-1])
    counts, _ = np.histogram(lengths, bins=np.array(edges) - 0.5)
    ranges = list(zip(edges, edges[1:], counts.tolist(), strict=False))
    first = next(number for number, (_, _, count) in enumerate(ranges) if count)
    return tuple(ranges[first:])


Step = Literal["reading", "samples", "pictures"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationProgress:
    """`done` of `total` bytes (reading), samples or pictures, after `seconds` of this step."""

    step: Step
    done: int
    total: int
    seconds: float


OnProgress = Callable[[ValidationProgress], None]


def validate(
    files: Sequence[Path],
    *,
    image_root: Path | None = None,
    against: Sequence[Path] = (),
    against_root: Path | None = None,
    encoder: PromptEncoder | None = None,
    max_tokens: int | None = None,
    threads: int | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> ValidationReport:
    """Check every sample and every picture.

    `image_root` defaults to each file's folder, `against_root` to `image_root`. Without an `encoder` tokens are not
    checked. Raises MissingFileError if one of the files is missing; everything else that is wrong is a finding.
    """
    for path in (*files, *against):
        if not path.is_file():
            raise MissingFileError(path, "file of samples")
    check = None
    if encoder is not None:
        check = TokenCheck(encoder, max_tokens=max_tokens)
    validation = _Validation(check, threads or min(16, os.cpu_count() or 1), on_progress)
    validation.read_evaluation_set(against, against_root or image_root)
    validation.check_training_set(files, image_root)
    return validation.report()


class _Validation:
    """The state of one validation."""

    def __init__(self, check: TokenCheck | None, threads: int, on_progress: OnProgress) -> None:
        self._began = time.monotonic()
        self._check, self._threads, self._on_progress = check, threads, on_progress
        self._evaluation: EvaluationSet | None = None
        self._files: list[SampleFile] = []
        self._findings: list[ValidationFinding] = []
        self._ids: dict[str, tuple[int, int]] = {}
        self._contents: dict[bytes, tuple[int, int]] = {}
        self._users: dict[Path, list[tuple[int, int]]] = {}
        self._suspects: list[tuple[int, int]] = []  # samples that ask as the evaluation does
        self._per_sample: Counter[int] = Counter()
        self._turns = 0

    def read_evaluation_set(self, paths: Sequence[Path], root: Path | None) -> None:
        """Read what must not be in the training set."""
        if not paths:
            return
        evaluation = self._evaluation = EvaluationSet()
        for file in self._opened(paths, root, "unchecked"):
            for position in range(len(file)):
                try:
                    sample = file.parsed(position)
                except BadSampleError as error:
                    self._find("unchecked", file.path, error.reason, error.sample, position)
                    continue
                evaluation.add(sample, f"sample '{sample.id}' in '{file.path}'")
        facts = {}
        for path, outcome in self._examined(list(evaluation.pictures)):
            if isinstance(outcome, str):
                name = evaluation.pictures[path]
                self._find("unchecked", path, f"cannot be read ({outcome}), so {name} was not looked for")
            else:
                facts[path] = outcome
        evaluation.add_facts(facts)

    def check_training_set(self, paths: Sequence[Path], root: Path | None) -> None:
        """Check all samples, then each picture once."""
        self._files = self._opened(paths, root, "file")
        total, done, began = sum(map(len, self._files)), 0, time.monotonic()
        for number, file in enumerate(self._files):
            if not len(file):
                self._find("file", file.path, "holds no samples")
            for position in range(len(file)):
                self._check_sample(number, position)
                done += 1
                self._report("samples", done, total, began)
        self._check_pictures()

    def report(self) -> ValidationReport:
        """The findings and counts."""
        counts = [FileCounts(path=file.path, samples=len(file), fingerprint=file.fingerprint) for file in self._files]
        return ValidationReport(
            files=tuple(counts),
            samples=sum(file.samples for file in counts),
            turns=self._turns,
            pictures=sum(pictures * samples for pictures, samples in self._per_sample.items()),
            distinct_pictures=len(self._users),
            text_only=self._per_sample[0],
            pictures_per_sample=dict(sorted(self._per_sample.items())),
            tokens=self._check.counts() if self._check else None,
            findings=tuple(self._findings),
            seconds=time.monotonic() - self._began,
        )

    def _opened(self, paths: Sequence[Path], root: Path | None, kind: FindingKind) -> list[SampleFile]:
        files = []
        for path in paths:
            began = time.monotonic()

            def show(done: int, total: int, began: float = began) -> None:
                self._report("reading", done, total, began)

            try:
                files.append(SampleFile.open(path, image_root=root, on_progress=show))
            except BadSampleFileError as error:
                self._find(kind, path, error.reason)
        return files

    def _check_sample(self, number: int, position: int) -> None:
        file = self._files[number]
        try:
            sample = file.parsed(position)
        except BadSampleError as error:
            self._find("sample", file.path, error.reason, error.sample, position)
            return
        self._turns += len(sample.messages)
        self._per_sample[len(sample.images)] += 1
        for path in dict.fromkeys(sample.images):
            self._users.setdefault(path, []).append((number, position))
        self._find_duplicates(sample, number, position)
        if self._check:
            for kind, reason in self._check.check(sample):
                self._find(kind, file.path, reason, sample.id, position)
        if self._evaluation and self._evaluation.asks_like(sample):
            self._suspects.append((number, position))

    def _find_duplicates(self, sample: Sample, number: int, position: int) -> None:
        path, here = self._files[number].path, (number, position)
        first = self._ids.setdefault(sample.id, here) if sample.id != f"#{position}" else here
        if first != here:
            self._find("duplicate-id", path, f"has the id of {self._place(first)}", sample.id, position)
        first = self._contents.setdefault(_content(sample), here)
        if first != here:
            reason = f"says the same about the same pictures as {self._place(first)}"
            self._find("duplicate-content", path, reason, sample.id, position)

    def _check_pictures(self) -> None:
        digests: dict[Path, bytes] = {}
        for path, outcome in self._examined(list(self._users)):
            if isinstance(outcome, str):
                self._find_for_users(path, "picture", f"has an unusable picture, {outcome}: '{path}'")
                continue
            if self._evaluation:
                digests[path] = outcome.digest
                found = self._evaluation.picture_found(outcome)
                if found:
                    self._find_for_users(path, found[0], f"has the picture '{path}', which {found[1]}")
        for number, position in self._suspects if self._evaluation else ():
            sample = self._files[number][position]
            assert self._evaluation is not None
            for kind, reason in self._evaluation.words_found(sample, digests.get):
                self._find(kind, self._files[number].path, reason, sample.id, position)

    def _examined(self, paths: Sequence[Path]) -> Iterator[tuple[Path, PictureFacts | str]]:
        began = time.monotonic()
        outcomes = examine_all(paths, with_look=self._evaluation is not None, threads=self._threads)
        for done, (path, outcome) in enumerate(zip(paths, outcomes, strict=True), 1):
            self._report("pictures", done, len(paths), began)
            yield path, outcome

    def _find_for_users(self, path: Path, kind: FindingKind, reason: str) -> None:
        for number, position in self._users[path]:
            sample = self._files[number][position]
            self._find(kind, self._files[number].path, reason, sample.id, position)

    def _find(
        self, kind: FindingKind, file: Path, reason: str, sample: str | None = None, position: int | None = None
    ) -> None:
        self._findings.append(ValidationFinding(kind=kind, file=file, reason=reason, id=sample, position=position))

    def _place(self, first: tuple[int, int]) -> str:
        return f"#{first[1]} in '{self._files[first[0]].path}'"

    def _report(self, step: Step, done: int, total: int, began: float) -> None:
        seconds = time.monotonic() - began
        self._on_progress(ValidationProgress(step=step, done=done, total=total, seconds=seconds))


def _content(sample: Sample) -> bytes:
    parts = [str(sample.independent), *map(str, sample.images)]
    parts += [f"{message.role}\0{part}" for message in sample.messages for part in message.parts]
    return hashlib.blake2b("\1".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).digest()
