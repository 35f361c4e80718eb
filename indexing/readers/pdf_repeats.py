"""Pages that stand in a PDF more than once are read once; how often they stand there is told.

A page tree can name one page object any number of times. PDFium does not say which object a page is, but it changes
the object when asked to: a page that was read gets a size of its own, and where that size turns up again, so does the
page. Two objects that look alike are known by their pixels and their text.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from indexing.readers.layout import Piece

_MOST_NAMED = 10


class Repeats:
    """What was read so far, by page number."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._mark = float(secrets.randbelow(1 << 22) + (1 << 22))
        """Longer side, in points, of the pages that were read; whoever wrote the file cannot have known it."""
        self._looks: dict[bytes, int] = {}
        self._times: Counter[int] = Counter()

    def is_read(self, number: int) -> int | None:
        """The page that is the same object as this one and was read; costs no more than a look at its size."""
        sides = sorted(self._document.get_page_size(number - 1))
        return round(sides[0]) if sides[1] == self._mark else None

    def mark(self, page: Any, number: int) -> None:
        """The page has been read, and is not going to be again."""
        page.set_mediabox(0, 0, self._mark, number)
        page.set_cropbox(0, 0, self._mark, number)

    def looks_like(self, image: Image.Image, pieces: Sequence[Piece], number: int) -> int | None:
        """The page before this one with the same pixels and words."""
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16)
        digest.update(repr((image.size, [(piece.text, piece.box) for piece in pieces])).encode())
        first = self._looks.setdefault(digest.digest(), number)
        return None if first == number else first

    def count(self, first: int) -> None:
        """Here it stands again."""
        self._times[first] += 1

    def notes(self) -> list[str]:
        """For each page that stands there more than once; a long list is cut and counted."""
        told = [f"page {number} stands {times + 1:,} times and was read once" for number, times in self._named()]
        more = len(self._times) - len(told)
        return [*told, f"and {more:,} more pages stand there several times"] if more else told

    def _named(self) -> list[tuple[int, int]]:
        return sorted(self._times.most_common(_MOST_NAMED))
