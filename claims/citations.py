"""Markers in an answer → what they point at: file, page, boxes, the source's words, and how far these bear it out.

quoted      the sentence, or the short answer, is the source's, up to form
supported   one passage entails it: the same values on the same things
unchecked   neither could be shown

A tick has conditions that hold in any language (`claims.support`): every number, date and unit of the sentence stands
in the one passage, read in one way only. Where words or their order differ, a learned verifier decides
(`claims.verifier`); without one only clauses may be left out. Then a judge, the language model itself, reads the quote
alone: where it says that this is no answer, or would not surely say the same again (it had only echoed the question,
taken another row's value, or guessed), the tick is lost. What a recogniser said of a picture is never ticked: it is
"recognised as".

A model's marker is not taken on trust. One that names no evidence is dropped. A sentence whose marker names evidence
that does not bear it out, while exactly one other does, gets that other marker; so does a sentence without any.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from claims.markers import claims_of, in_square_brackets, is_ended, take_markers, with_markers
from claims.passages import Passage, passages
from claims.settings import CitationSettings
from claims.support import Verifier, coverage, is_quoted, is_shortened, keeps_values
from claims.tokens import read
from indexing.objects.words import is_named
from indexing.records import Box, Chunk

State = Literal["quoted", "supported", "unchecked"]
Judge = Callable[[str, str, Chunk], float]
"""(question, sentence, source) → how surely the sentence answers the question as the source says, 0..1. The source is
its chunk with the words of the quote alone."""

_MOST_LINES = 3  # that one sentence runs over
_LEAST_COVERAGE = 0.5  # of a sentence, by a passage that is shown with it although it was not checked


@dataclass(frozen=True, kw_only=True, slots=True)
class Citation:
    """One source of one sentence."""

    marker: int
    path: str
    page: int | None
    boxes: tuple[Box, ...]  # of the quote's lines; of the whole chunk where it has no lines
    quote: str  # the words as they stand in the source
    state: State
    support: float = 1.0  # 0..1: 1 for a quotation, else the verifier's probability, else the share of words found
    recognised: bool = False  # the quote is what a recogniser said of a picture
    attributed_by: Literal["model", "llavero"] = "model"
    sentence: str = ""  # what it stands under, without markers
    chunk_id: str = ""
    heading: str = ""  # what the quote stands under; in a mail or an archive it begins with the file's name

    @property
    def verified(self) -> bool:
        """Whether it gets a tick."""
        return self.state != "unchecked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cited:
    """An answer with its markers in one writing, `[1][3]`, and what they point at."""

    text: str
    citations: tuple[Citation, ...]
    notes: tuple[str, ...] = ()  # markers that were dropped or changed
    supported: bool = True  # False: no evidence holds anything that the text says


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """One passage of one evidence, or neighbouring lines of it that may be one sentence."""

    marker: int
    chunk: Chunk
    passages: tuple[Passage, ...]

    @property
    def text(self) -> str:
        return "\n".join(each.text for each in self.passages)

    @property
    def recognised(self) -> bool:
        """A picture's words that stand nowhere in it."""
        return self.chunk.kind == "image" and not any(each.lines for each in self.passages)

    @property
    def alone(self) -> Chunk:
        """The chunk as if it held nothing else."""
        return replace(self.chunk, kind="text", text=self.text, lines=(), regions=())

    def with_title(self, claim: str) -> str:
        """What the verifier reads: the title and heading come first where the claim takes words from them."""
        titled = ". ".join(part for part in (self.chunk.title, self.chunk.heading, self.text) if part)
        return titled if coverage(claim, titled) > coverage(claim, self.text) else self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class _Finding:
    """How far one evidence bears a sentence out."""

    source: _Source
    state: State
    support: float


def cite(
    text: str,
    evidence: Mapping[int, Chunk],
    *,
    question: str,
    verifier: Verifier | None,
    judge: Judge | None,
    settings: CitationSettings,
) -> Cited:
    """The answer with its citations. `evidence` is what its markers name, `question` what was asked, "" where nothing
    was. Without a verifier only quotations and shortened ones are ticked; without a judge it is not checked whether the
    text answers."""
    check = _Check(evidence=evidence, question=question, verifier=verifier, judge=judge, settings=settings)
    notes: list[str] = []
    said: list[tuple[str, list[Citation]]] = []
    holds = False
    for plain, named in claims_of(in_square_brackets(text.strip(), check.markers)):
        wrong = [number for number in named if number not in check.markers]
        notes += [f"The model named evidence [{number}], which there is not." for number in wrong]
        known = [number for number in named if number in check.markers]
        citations = check.citations(plain, known, notes)
        holds = holds or any(each.verified or check.holds_something(plain, each.marker) for each in citations)
        said.append((plain, citations))
    if not holds:
        notes.append("No evidence holds what the answer says; it is shown without sources.")
        bare = take_markers("".join(plain for plain, _ in said))[0].strip()
        return Cited(text=bare, citations=(), notes=tuple(notes), supported=False)
    marked = "".join(with_markers(plain, [each.marker for each in found]) for plain, found in said).strip()
    return Cited(text=marked, citations=_merged([each for _, found in said for each in found]), notes=tuple(notes))


class _Check:
    """What an answer is held against."""

    def __init__(
        self,
        *,
        evidence: Mapping[int, Chunk],
        question: str,
        verifier: Verifier | None,
        judge: Judge | None,
        settings: CitationSettings,
    ) -> None:
        self.markers = evidence.keys()
        self._question, self._verifier, self._judge, self._settings = question, verifier, judge, settings
        self._sources = [
            _Source(marker=marker, chunk=chunk, passages=run)
            for marker, chunk in evidence.items()
            for run in _runs(chunk)
        ]

    def citations(self, claim: str, named: Sequence[int], notes: list[str]) -> list[Citation]:
        """Of one sentence: the model's where one of them bears it out, else the one evidence that does."""
        if not read(claim):
            return []
        findings = self._findings(claim)
        good = [number for number in named if findings[number].state != "unchecked"]
        others = [number for number, each in findings.items() if each.state != "unchecked"]
        if not good and len(others) == 1:
            if named:
                notes.append(
                    f"A sentence marked [{named[0]}] stands in evidence [{others[0]}]; its marker was changed."
                )
            return [_citation(claim, findings[others[0]], "llavero")]
        return [_citation(claim, findings[number], "model") for number in named if number in findings]

    def holds_something(self, claim: str, marker: int) -> bool:
        """Whether evidence that was not found to bear the claim out has to do with it: it holds most of its words,
        or a value, a name or a longer word that was not in the question."""
        asked = {token.text for token in read(self._question)}
        told = [token for token in read(claim) if token.text not in asked]
        told = [token for token in told if token.is_value or token.is_name or len(token.text) > 3]
        for source in self._sources:
            if source.marker == marker:
                words = {token.text for token in read(source.text)}
                if any(token.text in words for token in told):
                    return True
                if coverage(claim, source.text) >= _LEAST_COVERAGE and keeps_values(claim, source.text):
                    return True
        return False

    def _findings(self, claim: str) -> dict[int, _Finding]:
        """The best finding of every evidence that has any words."""
        found = [self._looked_at(claim, source) for source in self._sources]
        waiting = [each for each in found if self._is_open(claim, each)]
        waiting.sort(key=lambda each: -each.support)
        waiting = waiting[: self._settings.most_pairs] if self._verifier else []
        pairs = [(claim, each.source.with_title(claim)) for each in waiting]
        values = self._verifier.probabilities(pairs) if self._verifier and pairs else []
        for each, value in zip(waiting, values, strict=True):
            if value >= self._settings.least_support:
                found[found.index(each)] = replace(each, state="supported", support=value)
        best: dict[int, _Finding] = {}
        for each in sorted(found, key=self._rank):
            best.setdefault(each.source.marker, each)
        return {number: self._judged(claim, each) for number, each in best.items()}

    def _looked_at(self, claim: str, source: _Source) -> _Finding:
        """What can be told without a verifier."""
        state: State = "unchecked"
        if not source.recognised and is_quoted(claim, source.text):
            state = "quoted"
        elif not source.recognised and keeps_values(claim, source.text) and is_shortened(claim, source.text):
            state = "supported"
        share = 1.0 if state != "unchecked" else coverage(claim, source.text)
        return _Finding(source=source, state=state, support=share)

    def _is_open(self, claim: str, found: _Finding) -> bool:
        """Whether the verifier is to be asked."""
        if found.state != "unchecked" or found.source.recognised or len(read(claim)) < 2:
            return False
        return keeps_values(claim, found.source.with_title(claim))

    def _rank(self, found: _Finding) -> tuple[float, ...]:
        """Ticked before unticked, the surest, then what speaks most to the question, then the shortest."""
        ticked = found.state != "unchecked"
        asked = coverage(self._question, found.source.text) if self._question else 0.0
        return (-ticked, -found.support, -asked, len(found.source.passages))

    def _judged(self, claim: str, found: _Finding) -> _Finding:
        if found.state == "unchecked" or self._judge is None or not self._question.strip():
            return found
        answers = self._judge(self._question, claim.strip(), found.source.alone)
        return found if answers >= self._settings.least_answer else replace(found, state="unchecked", support=answers)


def _citation(claim: str, found: _Finding, by: Literal["model", "llavero"]) -> Citation:
    chunk = found.source.chunk
    boxes = tuple(dict.fromkeys(box for passage in found.source.passages for box in passage.boxes))
    return Citation(
        marker=found.source.marker,
        path=chunk.path,
        page=chunk.page,
        boxes=boxes or _regions(claim, chunk) or ((chunk.box,) if chunk.box else ()),
        quote=" ".join(passage.quote for passage in found.source.passages),
        state=found.state,
        support=found.support,
        recognised=found.source.recognised,
        attributed_by=by,
        sentence=claim.strip(),
        chunk_id=chunk.id,
        heading=chunk.heading,
    )


def _regions(claim: str, chunk: Chunk) -> tuple[Box, ...]:
    """Of a picture: where the things are that the claim names."""
    return tuple(region.box for region in chunk.regions if region.box is not None and is_named(region.text, claim))


@lru_cache
def _runs(chunk: Chunk) -> tuple[tuple[Passage, ...], ...]:
    """Every passage, and neighbours that may be one sentence broken over lines: the first does not end with a stop."""
    every = passages(chunk)
    if not every:
        return ((Passage(quote="", text=""),),)
    found = [(each,) for each in every]
    runs: list[tuple[Passage, ...]] = [*found]
    for start in range(len(every) if chunk.kind != "table" else 0):
        for stop in range(start + 2, min(start + _MOST_LINES, len(every)) + 1):
            if is_ended(every[stop - 2].quote.rstrip()):
                break
            runs.append(every[start:stop])
    return tuple(runs)


def _merged(citations: Sequence[Citation]) -> tuple[Citation, ...]:
    """The same words of the same evidence once, with the weakest state of the sentences they stand under."""
    merged: dict[tuple[int, str], Citation] = {}
    for each in citations:
        first = merged.get((each.marker, each.quote))
        if first is None or (first.verified and not each.verified):
            merged[each.marker, each.quote] = each
    return tuple(merged.values())
