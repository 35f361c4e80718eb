"""Is there anything written in a picture? An answer from its pixels in a few milliseconds, before a network is asked.

Letters are small dark (or light) strokes that stand side by side, alike in height and on one baseline.
A black-hat (top-hat) filter takes the strokes out. Connected pieces of a letter's shape are kept, each is linked
to its right-hand neighbour, and the letters in runs are counted; the same along the other axis finds
pages that lie on their side. Grass, gravel and leaves make many pieces and hardly any runs.

    has_text   twenty letters in runs of five or more: a page, a receipt, a screenshot
    has_word   four letters in a row that are printed in one colour on another: a sign, a number plate, a label

Measured rates and times: docs/LOG.md.

Legend: H W pixels; N pieces; a piece is its left x, top y, width w, height h.
"""

from collections.abc import Iterator
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


def has_text(grey: Grey) -> bool:
    """True when there are lines of print; `grey` is (H, W), about `SIDE` long."""
    return letters_in_runs(grey, enough=LETTERS_FOR_TEXT) >= LETTERS_FOR_TEXT


def has_word(grey: Grey) -> bool:
    """True when at least one word may stand somewhere; large letters are found in a copy of half the size."""
    return any(_a_word_stands_in(each) for each in (grey, at_most(grey, max(1, max(grey.shape) // 2))))


def letters_in_runs(grey: Grey, *, enough: int = 1 << 30) -> int:
    """The most letters that stand in runs, over both polarities and both directions; stops at `enough`."""
    most = 0
    for operation in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
        x, y, w, h = _letter_pieces(grey, operation)
        if len(x) >= LETTERS_FOR_TEXT:
            most = max(most, _in_runs(x, y, w, h))
            if most < enough:
                most = max(most, _in_runs(y, x, h, w))
        if most >= enough:
            break
    return most


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
    letter &= (area >= 0.12 * w * h) & (area <= 0.92 * w * h) & (long <= 12 * short)
    x, y, w, h = (each[letter][:_MOST_SHAPES].astype(np.float32) for each in (x, y, w, h))
    return x, y, w, h


def _in_runs(x: Numbers, y: Numbers, w: Numbers, h: Numbers) -> int:
    """Letters in runs of at least `_RUN` along x."""
    x, y, w, h = _tall(x, y, w, h)
    length = _run_lengths(x, _next_letters(x, y, w, h))
    in_runs = int(length[length >= _RUN].sum())
    in_long_runs = int(length[length >= _LONG_RUN].sum())
    return in_runs if in_runs >= _LETTERS_AMONG_PIECES * len(x) or in_long_runs >= 16 else in_long_runs


def _tall(x: Numbers, y: Numbers, w: Numbers, h: Numbers) -> Pieces:
    tall = (h >= 4) & (h <= 48) & (w <= 4 * h)
    return x[tall], y[tall], w[tall], h[tall]


def _run_lengths(x: Numbers, following: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
    """For each piece the letters of the run that it begins, 0 for all others."""
    length = np.ones(len(x), np.int32)
    for piece in np.argsort(-x, kind="stable"):
        if following[piece] >= 0:
            length[piece] += length[following[piece]]
    length[following[following >= 0]] = 0  # only a run's first piece counts it
    return length


def _a_word_stands_in(grey: Grey) -> bool:
    for operation in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
        x, y, w, h = _letter_pieces(grey, operation)
        if any(_is_word(grey, each) for each in _words(x, y, w, h)):
            return True
        if any(_is_word(grey.T, each) for each in _words(y, x, h, w)):
            return True
    return False


def _words(x: Numbers, y: Numbers, w: Numbers, h: Numbers) -> Iterator[Pieces]:
    """The letters of each run of `_WORD` and more along x, the longest runs first."""
    x, y, w, h = _tall(x, y, w, h)
    if len(x) < _WORD:
        return
    following = _next_letters(x, y, w, h)
    length = _run_lengths(x, following)
    for first in np.argsort(-length, kind="stable")[:_MOST_WORDS]:
        if length[first] < _WORD:
            return
        run = [int(first)]
        while following[run[-1]] >= 0:
            run.append(int(following[run[-1]]))
        yield x[run], y[run], w[run], h[run]


def _is_word(grey: Grey, letters: Pieces) -> bool:
    """On one baseline, which may slope, and ink of one tone on paper of another."""
    x, y, w, h = letters
    bottom = y + h
    slope, start = np.polyfit(x, bottom, 1)
    if np.abs(bottom - (start + slope * x)).mean() > _LEVEL * h.max():
        return False
    left, right, top, low = int(x.min()), int((x + w).max()), int(y.min()), int(bottom.max())
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
