"""A chunk → the sentences, rows and lines in it, and which of them speak to a question.

A passage is what a person would quote: a sentence of prose, one row of a table, one row of a receipt
(OCR finds `TOTAL` and `9.00` as two lines; side by side they are one row). It knows the lines it came from, hence
the boxes to mark on the page. Small models answer well from a handful of the right passages and badly from
everything, so the prompt is made of passages and the citations quote them.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from indexing.records import Box, Chunk, Line
from rag.rerank import likeness
from rag.terms import content_terms, fold, is_date, is_number, sentences


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """One quotable piece of a chunk. `quote` is as it stands in the source, `text` is how a model reads it."""

    quote: str
    text: str
    lines: tuple[Line, ...] = ()

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where it stands on its page; empty where the format has no geometry."""
        return tuple(line.box for line in self.lines if line.box is not None)

    @property
    def terms(self) -> frozenset[str]:
        """Its content words, numbers and dates."""
        return _terms(self.text)


@lru_cache(maxsize=8192)
def _terms(text: str) -> frozenset[str]:
    return frozenset(content_terms(text))


@lru_cache(maxsize=512)
def passages(chunk: Chunk) -> tuple[Passage, ...]:
    """Every passage of the chunk in reading order; none is empty."""
    if chunk.kind == "table" or _looks_like_table(chunk.text):
        return _table_rows(chunk)
    located = _locate(chunk.text, chunk.lines)
    found = []
    for start, end in sentences(chunk.text):
        quote = chunk.text[start:end].strip()
        lines = tuple(line for line, (begin, stop) in located if begin < end and start < stop)
        found.append(Passage(quote=quote, text=" ".join(quote.split()), lines=lines))
    return tuple(_joined_rows(found))


def _locate(text: str, lines: Sequence[Line]) -> list[tuple[Line, tuple[int, int]]]:
    """Where each line stands in the chunk's text; lines whose words were changed on the way are left out."""
    located = []
    position = 0
    for line in lines:
        words = line.text.strip().rstrip("-\u2010\u00ad")  # the hyphen of a word that went on in the next line
        start = text.find(words, position) if words else -1
        if start >= 0:
            position = start + len(words)
            located.append((line, (start, position)))
    return located


def _joined_rows(found: Sequence[Passage]) -> list[Passage]:
    """Put neighbours side by side on the page into one row."""
    rows: list[Passage] = []
    for passage in found:
        if rows and _same_row(rows[-1], passage):
            last = rows[-1]
            rows[-1] = Passage(
                quote=f"{last.quote} {passage.quote}",
                text=f"{last.text} {passage.text}",
                lines=(*last.lines, *passage.lines),
            )
        else:
            rows.append(passage)
    return rows


def _same_row(left: Passage, right: Passage) -> bool:
    if not left.boxes or not right.boxes or left.lines[-1] is right.lines[0]:
        return False
    (x0, y0, x1, y1), (u0, v0, u1, v1) = left.boxes[-1], right.boxes[0]
    overlap = min(y1, v1) - max(y0, v0)
    return len(right.lines) == 1 and u0 > x0 and u1 > x1 and overlap > 0.5 * min(y1 - y0, v1 - v0)


_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$")


def _looks_like_table(text: str) -> bool:
    return any(_RULE.match(line) and "|" in line for line in text.splitlines()[:4])


def _table_rows(chunk: Chunk) -> tuple[Passage, ...]:
    """Each row with its column names spelled out: `Aurora 500: Price 329 EUR, Weight 6.1 kg`."""
    written = [line for line in chunk.text.splitlines() if line.strip()]
    rule = next((i for i, line in enumerate(written) if _RULE.match(line)), None)
    header = _cells(written[rule - 1]) if rule else []
    found = []
    for i, line in enumerate(written):
        if rule is not None and i in (rule - 1, rule):
            continue
        text = _spelled_out(header, _cells(line)) if rule is not None and i > rule and "|" in line else line
        if any(sign.isalnum() for sign in text):
            found.append(Passage(quote=line.strip(), text=text.strip(), lines=_lines_of_row(_cells(line), chunk.lines)))
    return tuple(found)


def _cells(row: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def _spelled_out(header: Sequence[str], cells: Sequence[str]) -> str:
    named = [f"{header[i]} {cell}".strip() if i < len(header) else cell for i, cell in enumerate(cells) if i and cell]
    return f"{cells[0]}: {', '.join(named)}" if cells[0] and named else ", ".join([*cells[:1], *named]).strip(", ")


def _lines_of_row(cells: Sequence[str], lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines that hold a row's words: those beside the line that holds most of them."""
    wanted = {fold(cell) for cell in cells if cell}
    if not wanted or not lines:
        return ()
    row = fold(" ".join(cells))
    held = [line for line in lines if fold(line.text.strip()) in wanted or fold(line.text.strip()) in row]
    whole = [line for line in held if len(line.text) >= 0.8 * len(row)]
    if whole:
        return (whole[0],)
    first = next((line for line in held if line.box is not None and fold(line.text.strip()) == fold(cells[0])), None)
    if first is None or first.box is None:
        return tuple(held[: len(cells)])
    top, bottom = first.box[1], first.box[3]
    return tuple(
        line
        for line in held
        if line.box is not None and min(bottom, line.box[3]) - max(top, line.box[1]) > 0.5 * (bottom - top)
    )


_WANTS_DATE = re.compile(r"\b(when|date|day|year|month|deadline|until|since|opened|founded|issued|due)\b", re.I)
_WANTS_FREQUENCY = re.compile(r"\b(how often|how regularly|how frequently)\b", re.IGNORECASE)
_FREQUENCY = re.compile(
    r"\b(every|each|daily|weekly|monthly|yearly|annually|hourly|once|twice|times? (?:a|per)|"
    r"per (?:day|week|month|year)|never|always)\b",
    re.IGNORECASE,
)
_WANTS_NUMBER = re.compile(
    r"\b(how (many|much|big|long|heavy|old|high|tall|wide|far|fast|large|hot|loud)|what (percentage|share)|"
    r"number|total|price|cost|fee|weight|amount|sum|temperature|capacity|size|percent|code|phone|telephone|time)\b",
    re.I,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A passage of one chunk and what it added when it was chosen; `hit` and `place` are positions from 0."""

    hit: int
    place: int
    gain: float
    passage: Passage


# A word that an earlier choice holds still counts for this much in a later one: a second line with "total" may be
# the right one, but the line with the company's name should not be followed by more lines with that name.
_SAID_ALREADY = 0.3
_WHOLE_QUESTION = 0.9
_GIVEN = 0.3
_FURTHER_DOWN = 0.001


def choose(
    question: str, chunks: Sequence[Chunk], *, most: int, least_gain: float, later_chunk: float = 0.04
) -> list[Chosen]:
    """The passages (of the chunks, best chunk first) that together hold most of the question, best first.

    Greedy: each time the passage that adds most. It adds the rarity of the question's words it holds, less where
    they were held already, and something for what the question asks for: a number, a date. Words of a chunk's
    title count for little in its passages. Each chunk further down costs `later_chunk`. Ends after `most`
    passages, or when less than `least_gain` (0..1) is added.
    """
    rivals = [(h, p, each) for h, chunk in enumerate(chunks) for p, each in enumerate(passages(chunk))]
    rivals = [rival for rival in rivals if not _is_heading(rival[2], chunks[rival[0]])] or rivals
    wanted = content_terms(question)
    said: dict[str, float] = {}
    chosen: list[Chosen] = []
    held = {(h, p): _likenesses(wanted, passage, chunks[h]) for h, p, passage in rivals}
    weights = _weights(wanted, list(held.values()))
    bonus = {(h, p): _affinity(question, passage) for h, p, passage in rivals}
    while rivals and len(chosen) < most:
        gains = [
            sum(weights[t] * like * (_SAID_ALREADY if said.get(t, 0) >= like else 1) for t, like in held[h, p].items())
            + bonus[h, p]
            - later_chunk * h
            - _FURTHER_DOWN * min(p, 40)
            for h, p, _ in rivals
        ]
        best = max(range(len(rivals)), key=lambda i: gains[i])
        if chosen and (gains[best] < least_gain or _says_it_all(chosen[0], weights, bonus)):
            break
        h, p, passage = rivals.pop(best)
        chosen.append(Chosen(hit=h, place=p, gain=gains[best], passage=passage))
        for term, like in held[h, p].items():
            said[term] = max(said.get(term, 0.0), like)
    return _with_what_they_announce(chosen, chunks)


def _is_heading(passage: Passage, chunk: Chunk) -> bool:
    """The title or the last heading, which open a chunk's text and are shown above it anyway."""
    return passage.text.casefold() in (chunk.title.casefold(), chunk.heading.rsplit(" › ", 1)[-1].casefold())


def _says_it_all(first: Chosen, weights: Mapping[str, float], bonus: Mapping[tuple[int, int], float]) -> bool:
    """One passage holds the whole question and what it asks for: the next would only offer other numbers."""
    share = sum(weights[term] * like for term, like in _likenesses(list(weights), first.passage).items())
    return share >= _WHOLE_QUESTION and bonus[first.hit, first.place] > 0


def _weights(wanted: Sequence[str], held: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Rarity of each wanted term among passages that hold so much of each, adding up to 1; terms that no passage
    itself holds have no say."""
    counts = Counter(term for each in held for term, like in each.items() if like > _GIVEN)
    raw = {term: math.log1p(len(held) / counts[term]) if counts[term] else 0.0 for term in wanted}
    total = sum(raw.values()) or 1.0
    return {term: weight / total for term, weight in raw.items()}


def _likenesses(wanted: Sequence[str], passage: Passage, chunk: Chunk | None = None) -> dict[str, float]:
    """How far the passage holds each term; what its chunk's title holds is given, and counts for little."""
    given = _terms(f"{chunk.title} {chunk.heading}") if chunk else frozenset[str]()
    found = {term: likeness(term, passage.terms) or (_GIVEN if term in given else 0.0) for term in wanted}
    return {term: like for term, like in found.items() if like}


def _with_what_they_announce(chosen: Sequence[Chosen], chunks: Sequence[Chunk]) -> list[Chosen]:
    """After a passage like `Total:` the next one, which holds what it announces."""
    have = {(each.hit, each.place) for each in chosen}
    result: list[Chosen] = []
    for each in chosen:
        result.append(each)
        following = passages(chunks[each.hit])[each.place + 1 : each.place + 2]
        announces = each.passage.text.rstrip().endswith(":")
        if following and announces and (each.hit, each.place + 1) not in have:
            result.append(Chosen(hit=each.hit, place=each.place + 1, gain=each.gain, passage=following[0]))
            have.add((each.hit, each.place + 1))
    return result


def _affinity(question: str, passage: Passage) -> float:
    asked = set(content_terms(question))
    new = passage.terms - asked
    if _WANTS_FREQUENCY.search(question):
        return 0.2 if _FREQUENCY.search(passage.text) else 0.0
    if _WANTS_DATE.search(question):
        return 0.2 if any(is_date(term) for term in new) else 0.1 if any(_is_year(term) for term in new) else 0.0
    if _WANTS_NUMBER.search(question):
        return 0.12 if any(is_number(term) and not is_date(term) for term in new) else 0.0
    return 0.0


def _is_year(term: str) -> bool:
    return len(term) == 4 and term.isdigit() and 1000 <= int(term) <= 2199


def most_telling(question: str, among: Sequence[Passage]) -> int | None:
    """The place of the passage to quote in answer to the question: one with the number or date that is asked for,
    if there is any, and among those the one that holds most of the question."""
    wanted = content_terms(question)
    held = [_likenesses(wanted, passage) for passage in among]
    weights = _weights(wanted, held)

    def worth(place: int) -> tuple[float, float, int]:
        share = sum(weights[term] * like for term, like in held[place].items())
        return (_affinity(question, among[place]) if share else 0.0, share, -place)

    return max(range(len(among)), key=worth, default=None)


def in_reading_order(chosen: Iterable[Chosen]) -> list[Chosen]:
    """By chunk, then by place in the chunk."""
    return sorted(chosen, key=lambda each: (each.hit, each.place))
