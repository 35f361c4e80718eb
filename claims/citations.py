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

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from claims.passages import Passage, passages
from claims.settings import CitationSettings
from claims.support import Verifier, coverage, is_quoted, is_shortened, keeps_values, read
from indexing.objects.words import is_named
from indexing.records import Box, Chunk

State = Literal["quoted", "supported", "unchecked"]
Judge = Callable[[str, str, Chunk], float]
"""(question, sentence, source) → how surely the sentence answers the question as the source says, 0..1. The source is
its chunk with the words of the quote alone."""

_OPENING, _CLOSING, _STOPS = "［【〔[", "］】〕]", ".!?。！？…؟।"
_BRACKET = re.compile(
    rf"[\[{_OPENING[:-1]}][ \t]*(?:evidence[ \t]*)?\^?(\d[\d.,;:/ \t–—-]*)(?:[\]{_CLOSING[:-1]}]|\s*\Z)", re.IGNORECASE
)  # with what a prompt of ours calls its evidence; or the answer was cut off there
_WIDEST_RANGE = 20
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
    for plain, named in _claims(_in_square_brackets(text.strip(), check.markers)):
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
    marked = "".join(_with_markers(plain, [each.marker for each in found]) for plain, found in said).strip()
    return Cited(text=marked, citations=_merged([each for _, found in said for each in found]), notes=tuple(notes))


def _in_square_brackets(text: str, markers: Set[int]) -> str:
    """Small models also end with "(2)": that is a marker where there is evidence of that number."""
    body = text.rstrip(_STOPS + " ")
    head, bracket, number = body.removesuffix(")").rpartition("(")
    if not (body.endswith(")") and bracket and number.isdecimal() and int(number) in markers):
        return text
    return f"{head}[{number}]{text[len(body) :]}"


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


@lru_cache(maxsize=512)
def _runs(chunk: Chunk) -> tuple[tuple[Passage, ...], ...]:
    """Every passage, and neighbours that may be one sentence broken over lines: the first does not end with a stop."""
    every = passages(chunk)
    if not every:
        return ((Passage(quote="", text=""),),)
    found = [(each,) for each in every]
    runs: list[tuple[Passage, ...]] = [*found]
    for start in range(len(every) if chunk.kind != "table" else 0):
        for stop in range(start + 2, min(start + _MOST_LINES, len(every)) + 1):
            if _is_ended(every[stop - 2].quote.rstrip()):
                break
            runs.append(every[start:stop])
    return tuple(runs)


def _claims(text: str) -> Iterator[tuple[str, list[int]]]:
    """Each sentence without its markers, with the numbers that these named. A marker alone belongs to the sentence
    before it."""
    waiting: tuple[str, list[int]] | None = None
    for start, end in _sentences(text):
        plain, named = take_markers(text[start:end])
        if waiting and not read(plain):
            waiting = (waiting[0] + plain, list(dict.fromkeys([*waiting[1], *named])))
            continue
        if waiting:
            yield waiting
        waiting = (plain, named)
    if waiting:
        yield waiting


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each line, and in it of each sentence: a stop, its quotes and markers, a blank, no small
    letter."""
    start = at = 0
    while at < len(text):
        sign, at = text[at], at + 1
        if sign != "\n" and sign not in _STOPS:
            continue
        if sign != "\n" and not _is_ended(text[start:at]):
            continue
        end = _after_marks(text, at)
        rest = text[end:].lstrip()[:1]
        blank = end == len(text) or text[end].isspace() or sign in "。！？"
        if sign == "\n" or (blank and not rest.islower()):
            yield start, end
            start = at = end
    if text[start:].strip():
        yield start, len(text)


def _is_ended(text: str) -> bool:
    """Whether it ends with a stop that ends a sentence: not after one letter, a day's number, or two letters with a
    capital ("B.", "4.", "Dr.")."""
    if text[-1:] not in _STOPS or not text:
        return False
    word = (text[:-1].rsplit(maxsplit=1)[-1:] or [""])[0]
    return text[-1] != "." or len(word) > 2 or not (len(word) < 2 or word.isdecimal() or word[0].isupper())


def _after_marks(text: str, at: int) -> int:
    """Behind the quotes, brackets and markers that follow a stop."""
    while at < len(text) and (text[at] in "\"'”’»)*" or text[at] in _CLOSING or text[at] in _STOPS):
        at += 1
    blanks = len(text[at:]) - len(text[at:].lstrip(" \t"))
    marker = _BRACKET.match(text, at + blanks)
    return _after_marks(text, marker.end()) if marker else at


def take_markers(text: str) -> tuple[str, list[int]]:
    """The text without its markers, and the numbers they name, each once, in order.

    >>> take_markers("It holds 1.8 litres [1, 3][Evidence 2].")
    ('It holds 1.8 litres.', [1, 3, 2])
    """
    numbers: list[int] = []
    text, at = _without_torn(text), 0
    while match := _BRACKET.search(text, at):
        named = _listed(match.group(1))
        last = not any(sign.isalnum() for sign in text[match.end() :])
        if named is None and not last:  # "[18:25]": no marker
            at = match.start() + 1
            continue
        numbers += named or []  # at the end small models also bracket the number that they just wrote
        before, after = text[: match.start()], text[match.end() :]
        if not after or not after[0].isalnum():
            before = before.rstrip(" \t")
        text, at = _without_torn(before + after), 0  # again: taking one out can close the gap in another, as in "[1[2]"
    return text, list(dict.fromkeys(numbers))


def _without_torn(text: str) -> str:
    """Without a bracket that opens at the end: it would take the next sentence's first number for its own."""
    body = text.rstrip()
    if body[-1:] and body[-1] in _OPENING:
        return body.rstrip(_OPENING + " \t\n") + text[len(body) :]
    return text


def _listed(written: str) -> list[int] | None:
    """The numbers of "1, 3-5"; None where it lists none, as in "18:25"."""
    listed: list[int] = []
    for part in written.replace(";", ",").split(","):
        ends = [end.strip() for end in part.replace("–", "-").replace("—", "-").split("-")]
        if not all(end.isdecimal() and len(end) < 3 for end in ends):
            return None
        first, last = int(ends[0]), int(ends[-1])
        listed += range(first, last + 1) if first <= last < first + _WIDEST_RANGE else map(int, ends)
    return listed


def _with_markers(plain: str, markers: Sequence[int]) -> str:
    """Put the markers in front of the full stop: `It opens on 2 May [1].`"""
    if not markers:
        return plain
    written = "".join(f"[{marker}]" for marker in dict.fromkeys(markers))
    body = plain.rstrip()
    bare = body.rstrip("\"'”’»)]*")
    cut = len(bare.rstrip(_STOPS)) if bare[-1:] and bare[-1] in _STOPS else len(body)
    return f"{body[:cut].rstrip()} {written}{body[cut:]}{plain[len(body) :]}"


def _merged(citations: Sequence[Citation]) -> tuple[Citation, ...]:
    """The same words of the same evidence once, with the weakest state of the sentences they stand under."""
    merged: dict[tuple[int, str], Citation] = {}
    for each in citations:
        first = merged.get((each.marker, each.quote))
        if first is None or (first.verified and not each.verified):
            merged[each.marker, each.quote] = each
    return tuple(merged.values())
