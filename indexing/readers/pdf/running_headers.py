"""Running headers, footers and page numbers: what stands in the same place on most pages of a document.

Cautious by rule: only whole lines at the very top or bottom, in letters no larger than the body's, with
a gap to the text, the same words at the same height; and numbers only where they count with the pages.
A last line whose number counts with the pages is a footer at any height: programs that print web pages end
a page where its text ends. A page whose upper lines all repeat (a form, a copy) keeps them, and so do pages
of nothing else.
"""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from indexing.readers.reading_order import Piece, levels

FEWEST_PAGES = 3
_MOST_SAMPLES = 16
_MOST_LINES = 3
_ZONE = 0.16
_SHARE = 0.33  # less than half: left and right pages may differ, and a front matter has none
_SHARE_OF_LAST = 0.5
_MOST_NUMBERS = 4
_SAME_HEIGHT = 0.006
_NUMBER = re.compile(r"\d{1,6}")

_Line = Sequence[Piece]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningHeaders:
    """Running headers and footers: the texts that most pages share, and their heights."""

    places: frozenset[tuple[str, int]] = frozenset()
    last: frozenset[str] = frozenset()
    """Last lines of pages with a number that counts with them."""

    def without(self, pieces: Sequence[Piece], number: int) -> tuple[Piece, ...]:
        """What is left of page `number`."""
        if not (self.places or self.last) or not pieces:
            return tuple(pieces)
        lines = levels(pieces)
        if self.last.intersection(_counted_last(lines, number)):
            return self.without([piece for line in lines[:-1] for piece in line], number)
        size = statistics.median(piece.size for piece in pieces)
        taken = [
            *self._edge(lines, number, size=size, is_top=True),
            *self._edge(lines[::-1], number, size=size, is_top=False),
        ]
        gone = {id(piece) for line in taken for piece in line}
        return tuple(piece for piece in pieces if id(piece) not in gone)

    def _edge(self, lines: Sequence[_Line], number: int, *, size: float, is_top: bool) -> Sequence[_Line]:
        """Lines from the edge on that repeat, up to a gap."""
        repeated = list(takewhile(lambda line: self._repeats(line, number, size), lines))
        if len(repeated) > _MOST_LINES:
            return []
        while repeated and not _is_outside(repeated, lines, is_top=is_top):
            repeated.pop()
        return repeated

    def _repeats(self, line: _Line, number: int, size: float) -> bool:
        if sum(1 for piece in line if _NUMBER.fullmatch(piece.text)) > 1:
            return False  # a row of a table
        return all(piece.size <= 1.1 * size and self.places & set(_places(piece, number)) for piece in line)


def sampled(count: int) -> list[int]:
    """The numbers of the pages to compare, counted from 1: all, or neighbours from all over the document."""
    if count <= _MOST_SAMPLES:
        return list(range(1, count + 1))
    pairs = _MOST_SAMPLES // 2
    firsts = [1 + (count - 2) * pair // (pairs - 1) for pair in range(pairs)]
    return sorted({number for first in firsts for number in (first, first + 1)})


def running_headers(pages: Sequence[tuple[int, Sequence[Piece]]]) -> RunningHeaders:
    """What repeats on the sampled pages, given by number and pieces; nothing when there are too few."""
    if len(pages) < FEWEST_PAGES:
        return RunningHeaders()
    seen: Counter[tuple[str, int]] = Counter()
    last: Counter[str] = Counter()
    for number, pieces in pages:
        seen.update({place for piece in pieces for place in _places(piece, number)})
        last.update(set(_counted_last(levels(pieces), number)))
    enough, most = (max(FEWEST_PAGES, share * len(pages)) for share in (_SHARE, _SHARE_OF_LAST))
    found = RunningHeaders(
        places=frozenset(place for place, count in seen.items() if count >= enough),
        last=frozenset(text for text, count in last.items() if count >= most),
    )
    emptied = sum(1 for number, pieces in pages if not found.without(pieces, number))
    return RunningHeaders() if 2 * emptied > len(pages) else found


def _counted_last(lines: Sequence[_Line], number: int) -> list[str]:
    """The page's last line, if it is one piece, with each of its numbers less the page's."""
    return _counted(lines[-1][0].text, number) if lines and len(lines[-1]) == 1 else []


def _counted(text: str, number: int) -> list[str]:
    """The text with one of its numbers less the page's, for each of the last few."""
    found = list(_NUMBER.finditer(text))[-_MOST_NUMBERS:]
    return [f"{text[: each.start()]}\0{int(each[0]) - number}\0{text[each.end() :]}" for each in found]


def _places(piece: Piece, number: int) -> Iterator[tuple[str, int]]:
    """Its words, and its words with a number less the page's, each at its height (and half a step off)."""
    height = (piece.box[1] + piece.box[3]) / 2 / _SAME_HEIGHT
    texts = [piece.text, *_counted(piece.text, number)]
    for text in texts if not _NUMBER.fullmatch(piece.text) else texts[1:]:
        yield text, 2 * int(height)
        yield text, 2 * int(height + 0.5) - 1


def _is_outside(edge: Sequence[_Line], lines: Sequence[_Line], *, is_top: bool) -> bool:
    """Near the page's edge, and further from the next line than a line is high."""
    last = edge[-1]
    if not all(piece.box[3] <= _ZONE if is_top else piece.box[1] >= 1 - _ZONE for piece in last):
        return False
    if len(edge) == len(lines):
        return True
    gaps = [max(one.box[1] - two.box[3], two.box[1] - one.box[3]) for one in last for two in lines[len(edge)]]
    return min(gaps) >= 1.2 * max(piece.height for piece in last)
