"""Pages that stand in a PDF more than once."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from indexing.readers.output import pixels_of
from indexing.records import Note

_MOST_NAMED = 10


class Repeats:
    """Pages that stand in a PDF more than once are read once; how often they stand there becomes a note.

    A page tree can name one page object any number of times. PDFium does not say which object a page is, but it changes
    the object when asked to: a page that was read gets a size of its own, and where that size turns up again, so does
    the page. Two objects that look alike are known by their pixels and their text.
    """

    def __init__(self, document: Any) -> None:
        self._document = document
        self._mark = float(secrets.randbelow(1 << 22) + (1 << 22))
        """Longer side, in points, of the pages that were read; whoever wrote the file cannot have known it."""
        self._looks: dict[bytes, int] = {}
        self._times: Counter[int] = Counter()
        self._last = 0, ""  # number and look of a page

    def is_read(self, number: int) -> int | None:
        """The page that is the same object as this one and was read; costs no more than a look at its size."""
        sides = sorted(self._document.get_page_size(number - 1))
        return round(sides[0]) if sides[1] == self._mark else None

    def mark(self, page: Any, number: int) -> None:
        """The page has been read, and is not going to be again."""
        page.set_mediabox(0, 0, self._mark, number)
        page.set_cropbox(0, 0, self._mark, number)

    def looks_like(self, image: Image.Image, words: Sequence[tuple[str, object]], number: int) -> int | None:
        """The page before this one with the same pixels and the same `words`, given with their places."""
        digest = hashlib.blake2b(np.ascontiguousarray(pixels_of(image)).data, digest_size=16)
        digest.update(repr((image.size, list(words))).encode())
        self._last = number, digest.hexdigest()
        first = self._looks.setdefault(digest.digest(), number)
        return None if first == number else first

    def look_of(self, number: int) -> str:
        """What the page is known by, where it was the last one that was looked at; "" for another."""
        return self._last[1] if self._last[0] == number else ""

    def know(self, look: str, number: int) -> None:
        """A page that an earlier run has looked at."""
        if look:
            self._looks.setdefault(bytes.fromhex(look), number)

    def count(self, first: int) -> None:
        """The page stands there once more."""
        self._times[first] += 1

    def notes(self) -> list[Note]:
        """For each page that stands there more than once; a long list is cut and counted."""
        told = [
            Note(f"page {number} stands {times + 1:,} times and was read once", kind="page", place=f"page {number}")
            for number, times in self._named()
        ]
        if more := len(self._times) - len(told):
            told.append(Note(f"and {more:,} more pages stand there several times", kind="page", number=more))
        return told

    def _named(self) -> list[tuple[int, int]]:
        return sorted(self._times.most_common(_MOST_NAMED))
