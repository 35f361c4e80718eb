"""Markers in an answer → what they point at: file, page, boxes, and the words that support the sentence.

For every sentence and every marker in it the passages of that evidence which hold most of the sentence are its
quote, and their lines are the boxes. `verified` is strict: **every content word of the sentence is in the quote, in
the evidence's title or in its file's name, and every number and date of the sentence is in the quote itself**
(words folded and stemmed by `rag.terms`; one letter off in a long word counts as found, in a number never), and a
sentence that denies something has a quote that denies something.

A model's marker is not taken on trust. One that names no evidence is dropped. A sentence whose marker
names evidence without its claim, while exactly one other evidence clearly holds it, gets that other marker; so
does a sentence without any marker. Both are marked as attributed by Llavero, not by the model.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from indexing.records import Box, Chunk
from rag.choosing import most_telling
from rag.passages import Passage, passages
from rag.prompt import Evidence
from rag.settings import AnswerSettings
from rag.terms import content_terms, is_number, near, sentences

_NUMBERS = r"\d{1,2}(?:[ \t]*[,;][ \t]*\d{1,2}|[ \t]*[-–—][ \t]*\d{1,2})*"
_CLOSED = r"(?:[\]］】〕]|(?=\s*\Z))"  # or the answer was cut off there
_MARKER = re.compile(rf"[\[［【〔][ \t]*(?:evidence[ \t]*)?\^?({_NUMBERS})[ \t]*{_CLOSED}", re.IGNORECASE)
_FAILED_MARKER = re.compile(r"\s*\[[\d.,:/ -]+\](?=\W*$)")  # small models also bracket the number they just wrote
_TORN_MARKER = re.compile(r"[\[［【〔\s]*[\[［【〔](?=\s*$)")  # would take the next sentence's first number for its own
_YES_OR_NO = re.compile(r"\s*(?:is|are|was|were|do|does|did|has|have|had|can|could|may|will)\b", re.IGNORECASE)
_DENIES = re.compile(r"\b(?:not?|never|none|nobody|nothing|neither|nor|cannot|without)\b|n[’']t\b", re.IGNORECASE)
_PICTURE_WORDS = "picture photo photograph image drawing"  # what any picture may be called
_MOST_PASSAGES = 3
_LEAST_SHARE = 0.5  # of all content words; the question's own may be missing where what is new is there
_WIDEST_RANGE = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Citation:
    """One source of one sentence."""

    marker: int
    path: str
    page: int | None
    boxes: tuple[Box, ...]  # of the supporting lines; of the whole chunk where it has no lines
    quote: str  # the supporting words as they stand in the source
    verified: bool
    support: float = 1.0  # 0..1: share of the sentence's content words found in the source
    attributed_by: Literal["model", "llavero"] = "model"
    sentence: str = ""  # what it supports, without markers
    chunk_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cited:
    """An answer with its markers in one writing, `[1][3]`, and what they point at."""

    text: str
    citations: tuple[Citation, ...]
    notes: tuple[str, ...] = ()  # markers that were dropped or changed
    supported: bool = True  # False: no claim of the text stands in any evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class Support:
    """How far one evidence bears a sentence out."""

    quote: tuple[Passage, ...]
    share: float  # of the sentence's content words
    new_share: float  # of those that the question did not already hold; naming the file is something new
    numbers: bool  # all numbers are in the quote
    denies_alone: bool = False  # the sentence says "not", the quote does not

    @property
    def verified(self) -> bool:
        """See the module's docstring."""
        return bool(self.quote) and self.share == 1.0 and self.numbers and not self.denies_alone

    def clear(self, share: float) -> bool:
        """Enough to put a marker where the model put none."""
        return bool(self.quote) and self.numbers and self.new_share >= share and self.share >= _LEAST_SHARE


def cite(text: str, evidence: Sequence[Evidence], *, question: str, settings: AnswerSettings) -> Cited:
    """The answer with its citations. `question` is what was asked: repeating it proves nothing,
    unless it can be answered by yes."""
    asked = frozenset[str]() if _YES_OR_NO.match(question) else frozenset(content_terms(question))
    known = {each.marker: each for each in evidence}
    text = text.strip()
    pieces: list[str] = []
    citations: list[Citation] = []
    notes: list[str] = []
    for start, end in sentences(text):
        plain, named = take_markers(text[start:end])
        wrong = [number for number in named if number not in known]
        notes += [f"The model named evidence [{number}], which there is not." for number in wrong]
        found = _of_sentence(plain, [n for n in named if n in known], known, asked, settings, notes)
        citations += found
        pieces.append(_with_markers(plain, [each.marker for each in found]))
    if not any(each.support > 0 for each in citations):
        notes.append("No evidence holds what the answer says; it is shown without sources.")
        bare = take_markers("".join(take_markers(piece)[0] for piece in pieces))[0].strip()
        return Cited(text=bare, citations=(), notes=tuple(notes), supported=False)
    text = re.sub(r"(?<=\S)[ \t]{2,}(?=\S)", " ", "".join(pieces)).strip()
    return Cited(text=text, citations=_merged(citations), notes=tuple(notes))


def take_markers(text: str) -> tuple[str, list[int]]:
    """The text without its markers, and the numbers they name, each once, in order.

    >>> take_markers("It holds 1.8 litres [1, 3][Evidence 2].")
    ('It holds 1.8 litres.', [1, 3, 2])
    """
    numbers: list[int] = []
    plain = _TORN_MARKER.sub("", text)
    while _MARKER.search(plain):  # again: taking one out can close the gap in another, as in "[1[2]"
        numbers += [number for match in _MARKER.finditer(plain) for number in _listed(match.group(1))]
        plain = _TORN_MARKER.sub("", _MARKER.sub("", plain))
    plain = _FAILED_MARKER.sub("", plain)
    plain = re.sub(r"[ \t]+(?=[.,;:!?](?:\s|$))", "", plain)
    return re.sub(r"[ \t]{2,}", " ", plain), list(dict.fromkeys(numbers))


def _listed(numbers: str) -> list[int]:
    listed: list[int] = []
    for part in re.split(r"[,;]", numbers):
        ends = [int(number) for number in re.findall(r"\d+", part)]
        first, last = ends[0], ends[-1]
        listed += range(first, last + 1) if first <= last < first + _WIDEST_RANGE else ends
    return listed


def support(sentence: str, chunk: Chunk, asked: frozenset[str] = frozenset()) -> Support:
    """The passages of the chunk, at most three, that together hold most of the sentence."""
    nameless = _without_names(sentence, chunk)
    claimed = content_terms(nameless)
    if not claimed:
        return Support(quote=(), share=0.0, new_share=0.0, numbers=True)
    kind = _PICTURE_WORDS if chunk.kind in ("image", "figure", "page") else ""
    given = frozenset(content_terms(f"{chunk.title} {chunk.heading} {kind}"))
    quote = _quote(claimed, chunk)
    held = frozenset[str]().union(*(passage.terms for passage in quote))
    found = [t for t in claimed if t in held or near(t, held) or (not is_number(t) and t in given)]
    new = [term for term in claimed if term not in asked]
    return Support(
        quote=quote,
        share=len(found) / len(claimed),
        new_share=sum(term in found for term in new) / len(new) if new else float(nameless != sentence),
        numbers=all(term in held for term in claimed if is_number(term)),
        denies_alone=bool(_DENIES.search(sentence)) and not any(_DENIES.search(each.quote) for each in quote),
    )


def _without_names(sentence: str, chunk: Chunk) -> str:
    """Naming the file is no claim about what it says, and the number in its name is none either."""
    path = PurePath(chunk.path)
    for name in sorted({path.name, path.stem, path.stem.replace("_", " ")} - {""}, key=len, reverse=True):
        sentence = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", sentence, flags=re.IGNORECASE)
    return sentence


def _quote(claimed: Sequence[str], chunk: Chunk) -> tuple[Passage, ...]:
    """Greedy cover of the claimed terms; numbers weigh double. In reading order."""
    rest = {term: 2.0 if is_number(term) else 1.0 for term in claimed}
    everything = passages(chunk)
    chosen: list[int] = []
    while rest and len(chosen) < _MOST_PASSAGES:
        gains = [sum(weight for term, weight in rest.items() if _holds(passage, term)) for passage in everything]
        best = max(range(len(everything)), key=lambda i: (gains[i], -i), default=-1)
        if best < 0 or not gains[best]:
            break
        chosen.append(best)
        rest = {term: weight for term, weight in rest.items() if not _holds(everything[best], term)}
    return tuple(everything[i] for i in sorted(chosen))


def _holds(passage: Passage, term: str) -> bool:
    return term in passage.terms or near(term, passage.terms)


def _of_sentence(
    plain: str,
    named: Sequence[int],
    known: dict[int, Evidence],
    asked: frozenset[str],
    settings: AnswerSettings,
    notes: list[str],
) -> list[Citation]:
    """The citations of one sentence: the model's where they hold, else the one evidence that clearly does."""
    supports = {marker: support(plain, each.hit.chunk, asked) for marker, each in known.items()}
    held = [n for n in named if supports[n].numbers and supports[n].new_share > 0]
    if held:
        return [_citation(n, known[n], supports[n], plain, "model") for n in held]
    clear = [n for n, each in supports.items() if each.clear(settings.attributed_share)]
    if len(clear) == 1:
        if named:
            notes.append(f"A sentence marked [{named[0]}] stands in evidence [{clear[0]}]; its marker was changed.")
        return [_citation(clear[0], known[clear[0]], supports[clear[0]], plain, "llavero")]
    return [_citation(n, known[n], supports[n], plain, "model", bears=False) for n in named]


def _citation(
    marker: int,
    evidence: Evidence,
    found: Support,
    sentence: str,
    by: Literal["model", "llavero"],
    *,
    bears: bool = True,
) -> Citation:
    chunk = evidence.hit.chunk
    quoted = found.quote or evidence.shown[:1]
    boxes = tuple(dict.fromkeys(box for passage in quoted for box in passage.boxes))
    return Citation(
        marker=marker,
        path=chunk.path,
        page=chunk.page,
        boxes=boxes or ((chunk.box,) if chunk.box else ()),
        quote=" … ".join(passage.quote for passage in quoted),
        verified=bears and found.verified,
        support=found.share if bears else 0.0,
        attributed_by=by,
        sentence=sentence.strip(),
        chunk_id=chunk.id,
    )


def _with_markers(plain: str, markers: Sequence[int]) -> str:
    """Put the markers in front of the full stop: `It opens on 2 May [1].`"""
    if not markers:
        return plain
    written = "".join(f"[{marker}]" for marker in dict.fromkeys(markers))
    body = plain.rstrip()
    tail = plain[len(body) :]
    stop = re.search(r"[.!?。！？]+[\"'”’)\]]*$", body)
    cut = stop.start() if stop else len(body)
    return f"{body[:cut].rstrip()} {written}{body[cut:]}{tail}"


def _merged(citations: Sequence[Citation]) -> tuple[Citation, ...]:
    """The same words of the same evidence once; verified only if that holds for each sentence they bear."""
    merged: dict[tuple[int, str], Citation] = {}
    for each in citations:
        first = merged.get((each.marker, each.quote))
        if first is None or (first.verified and not each.verified):
            merged[each.marker, each.quote] = each
    return tuple(merged.values())


def source_line(evidence: Sequence[Evidence], *, question: str) -> Citation | None:
    """The shown passage that speaks most to the question, in the source's own words; None without any words.

    A weak model may write a poor sentence about the right line: the line itself can always be shown.
    """
    shown = [(each, passage) for each in evidence for passage in each.shown]
    best = most_telling(question, [passage for _, passage in shown])
    if best is None:
        return None
    owner, passage = shown[best]
    found = Support(quote=(passage,), share=1.0, new_share=1.0, numbers=True)
    return _citation(owner.marker, owner, found, passage.text, "llavero")
