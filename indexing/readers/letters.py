"""Is there anything written in a picture? An answer from its pixels in a few milliseconds, before a network is asked.

Letters are small dark (or light) strokes that stand side by side, alike in height and on one baseline.
A black-hat (top-hat) filter takes the strokes out. Connected pieces of a letter's shape are kept, each is linked
to its right-hand neighbour, and the letters in runs are counted; the same along the other axis finds
pages that lie on their side. Grass, gravel and leaves make many pieces and hardly any runs.

    text     twenty letters in runs of five or more: a page, a receipt, a screenshot
    a word   four letters in a row that are printed in one colour on another: a sign, a number plate, a label

Measured rates and times: docs/LOG.md.

Legend: H W pixels; N pieces; a piece is its left x, top y, width w, height h.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from indexing.readers.output import at_most

SIDE = 640
"""Longer side that the grey picture should have: letters of a full page are 4–6 pixels high then."""
LETTERS_FOR_TEXT = 20
"""So many letters in runs, and OCR is asked."""
_RUN = 5
_LONG_RUN = 8
_LETTERS_AMONG_PIECES = 0.15
"""A smaller share of letters among all pieces is foliage or gravel, unless some of the runs are long."""
_STROKE = 15
_LEAST_CONTRAST = 28
_MOST_SHAPES = 4_000
_NEIGHBOURS = 4
_BAND = 12.0
_WORD = 4
"""Letters in a row that make a word: STOP, EXIT."""
_TWO_TONES = 0.75
"""Share of a word's variance that a split into ink and paper explains (Otsu's criterion). Of 400 photographs 52 in 100
have four strokes in a row, 26 in 100 four that pass this; of 140 sign-like pictures 97 and 95."""
_LEVEL = 0.1
"""How far a word's letters may stand off its baseline on average, as a share of their height."""
_MOST_WORDS = 60
"""Words that are looked at for their tones in one direction, the longest first."""

Grey = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float32]
Pieces = tuple[Numbers, Numbers, Numbers, Numbers]


@dataclass(frozen=True, kw_only=True, slots=True)
class LikelyWord:
    """Letters in a row, printed in one colour on another; a picture of leaves has such, too."""

    box: tuple[float, float, float, float]
    """Around them, as fractions of the picture."""
    height: float
    """Of the highest letter, as a fraction of the picture's longer side."""
    lies_on_its_side: bool
    letters: int


class Strokes:
    """The strokes of a grey picture, (H, W) and about `SIDE` long; each polarity is taken out once."""

    def __init__(self, grey: Grey) -> None:
        self._grey = grey
        self._pieces: dict[int, Pieces] = {}
        self._runs: dict[tuple[int, bool], _Runs] = {}

    def make_text(self) -> bool:
        """True when there are lines of print."""
        return self.letters_in_runs(enough=LETTERS_FOR_TEXT) >= LETTERS_FOR_TEXT

    def letters_in_runs(self, *, enough: int = 1 << 30) -> int:
        """The most letters that stand in runs, over both polarities and both directions; stops at `enough`."""
        most = 0
        for runs in self._all_runs():
            if len(runs.following) >= LETTERS_FOR_TEXT:
                most = max(most, _in_runs(runs))
            if most >= enough:
                break
        return most

    def likely_words(self) -> list[LikelyWord]:
        """Where a word may stand, the longest first; large letters are found in a copy of half the size."""
        half = at_most(self._grey, max(1, max(self._grey.shape) // 2))
        found = [*self._likely_words(), *Strokes(half)._likely_words()]
        return sorted(found, key=lambda word: -word.letters)

    def _likely_words(self) -> Iterator[LikelyWord]:
        height, width = self._grey.shape
        for runs in self._all_runs():
            for letters in _words(runs):
                if _is_word(self._grey.T if runs.lie else self._grey, letters):
                    start, top, end, low = _around(letters)
                    x0, y0, x1, y1 = (top, start, low, end) if runs.lie else (start, top, end, low)
                    yield LikelyWord(
                        box=(x0 / width, y0 / height, x1 / width, y1 / height),
                        height=float(letters[3].max()) / max(height, width),
                        lies_on_its_side=runs.lie,
                        letters=len(letters[0]),
                    )

    def _all_runs(self) -> Iterator["_Runs"]:
        """Of dark strokes along x and along y, then of light ones."""
        for operation in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
            for lie in (False, True):
                if (operation, lie) not in self._runs:
                    if operation not in self._pieces:
                        self._pieces[operation] = _letter_pieces(self._grey, operation)
                    x, y, w, h = self._pieces[operation]
                    self._runs[operation, lie] = _runs_of((y, x, h, w) if lie else (x, y, w, h), lie=lie)
                yield self._runs[operation, lie]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Runs:
    """Pieces as high as letters, and which of them stands behind which."""

    pieces: Pieces
    """With x along the runs."""
    following: npt.NDArray[np.intp]
    """For each piece the next letter's place, or -1."""
    length: npt.NDArray[np.int32]
    """For each piece the letters of the run that it begins, 0 for all others."""
    lie: bool


def letters_in_runs(grey: Grey, *, enough: int = 1 << 30) -> int:
    """How many letters of a picture stand in runs; stops at `enough`."""
    return Strokes(grey).letters_in_runs(enough=enough)


def _letter_pieces(grey: Grey, operation: int) -> Pieces:
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_STROKE, _STROKE))
    strokes = cv2.morphologyEx(grey, operation, kernel)
    otsu, _ = cv2.threshold(strokes, 0, 255, cv2.THRESH_OTSU)
    _, mask = cv2.threshold(strokes, max(otsu, _LEAST_CONTRAST), 255, cv2.THRESH_BINARY)
    # 16-bit labels take a third of the time, and each piece begins with a white pixel that has a black one to its left
    beginnings = cv2.countNonZero(cv2.subtract(mask[:, 1:], mask[:, :-1])) + cv2.countNonZero(mask[:, :1])
    labels = cv2.CV_16U if beginnings < 1 << 16 else cv2.CV_32S
    _, _, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(mask, 8, labels, cv2.CCL_SPAGHETTI)
    x, y, w, h, area = cast(npt.NDArray[np.int32], stats)[1:].T
    short, long = np.minimum(w, h), np.maximum(w, h)
    letter = (long >= 4) & (long <= 64) & (short >= 2) & (short <= 48) & (area >= 8)
    hollow = (area <= 0.92 * w * h) | (long >= 3 * short)  # an I is a bar
    letter &= (area >= 0.12 * w * h) & hollow & (long <= 12 * short)
    x, y, w, h = (each[letter][:_MOST_SHAPES].astype(np.float32) for each in (x, y, w, h))
    return x, y, w, h


def _runs_of(pieces: Pieces, *, lie: bool) -> _Runs:
    x, y, w, h = pieces
    tall = (h >= 4) & (h <= 48) & (w <= 4 * h)
    x, y, w, h = (each[tall] for each in (x, y, w, h))
    following = _next_letters(x, y, w, h)
    length = np.ones(len(x), np.int32)
    for piece in np.argsort(-x, kind="stable"):
        if following[piece] >= 0:
            length[piece] += length[following[piece]]
    length[following[following >= 0]] = 0
    return _Runs(pieces=(x, y, w, h), following=following, length=length, lie=lie)


def _in_runs(runs: _Runs) -> int:
    """Letters in runs of at least `_RUN`."""
    length = runs.length
    in_runs = int(length[length >= _RUN].sum())
    in_long_runs = int(length[length >= _LONG_RUN].sum())
    return in_runs if in_runs >= _LETTERS_AMONG_PIECES * len(length) or in_long_runs >= 16 else in_long_runs


def _words(runs: _Runs) -> Iterator[Pieces]:
    """The letters of each run of `_WORD` and more, the longest runs first."""
    x, y, w, h = runs.pieces
    for first in np.argsort(-runs.length, kind="stable")[:_MOST_WORDS]:
        if runs.length[first] < _WORD:
            return
        run = [int(first)]
        while runs.following[run[-1]] >= 0:
            run.append(int(runs.following[run[-1]]))
        yield x[run], y[run], w[run], h[run]


def _around(letters: Pieces) -> tuple[int, int, int, int]:
    x, y, w, h = letters
    return int(x.min()), int(y.min()), int((x + w).max()), int((y + h).max())


def _is_word(grey: Grey, letters: Pieces) -> bool:
    """On one baseline, which may slope, and ink of one tone on paper of another."""
    x, y, _, h = letters
    bottom = y + h
    slope, start = np.polyfit(x, bottom, 1)
    if np.abs(bottom - (start + slope * x)).mean() > _LEVEL * h.max():
        return False
    left, top, right, low = _around(letters)
    return _two_tones(grey[top:low, left:right]) >= _TWO_TONES


def _two_tones(region: Grey) -> float:
    """Otsu's criterion, 0..1: the variance between the two sides of the best threshold over all variance."""
    region = np.ascontiguousarray(region)
    threshold, _ = cv2.threshold(region, 0, 255, cv2.THRESH_OTSU)
    values = region.ravel().astype(np.float32)
    light = values > threshold
    share = float(light.mean())
    variance = float(values.var())
    if variance == 0 or share in (0.0, 1.0):
        return 0.0
    return share * (1 - share) * float(values[light].mean() - values[~light].mean()) ** 2 / variance


def _next_letters(x: Numbers, y: Numbers, w: Numbers, h: Numbers) -> npt.NDArray[np.intp]:
    """For each piece the nearest one to its right that looks like the next letter, or -1.

    Pieces are compared with a few neighbours in bands of equal baseline; a second set of bands, shifted
    by half, finds neighbours that the first one parts.
    """
    nearest = np.full(len(x), np.inf, np.float32)
    following = np.full(len(x), -1, np.intp)
    bottom, right = y + h, x + w
    for shift in (0.0, _BAND / 2):
        order = np.lexsort((x, np.floor((bottom + shift) / _BAND)))
        for step in range(1, min(_NEIGHBOURS, len(x) - 1) + 1):
            here, there = order[:-step], order[step:]
            gap = x[there] - right[here]
            tallest = np.maximum(h[here], h[there])
            alike = (gap < 1.2 * tallest) & (gap > -0.3 * tallest) & (x[there] > x[here])
            alike &= np.minimum(h[here], h[there]) > 0.55 * tallest
            alike &= np.abs(bottom[here] - bottom[there]) < 0.3 * tallest
            alike &= gap < nearest[here]
            nearest[here[alike]] = gap[alike]
            following[here[alike]] = there[alike]
    return following
