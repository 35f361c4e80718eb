"""Is there text to read in this picture? An answer in a few milliseconds, before OCR costs half a second.

Letters are small dark (or light) strokes that stand side by side, alike in height and on one baseline.
A black-hat (top-hat) filter takes the strokes out. Connected pieces of a letter's shape are kept, each is linked
to its right-hand neighbour, and letters in runs of five or more are counted; the same along the other axis finds
pages that lie on their side. Grass, gravel and leaves make many pieces and hardly
any runs. Measured rates and times: docs/LOG.md.

Legend: N pieces; a piece is its left x, top y, width w, height h.
"""

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

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
_MOST_PIECES = 4_000
_NEIGHBOURS = 4
_BAND = 12.0

Grey = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float32]


def has_text(grey: Grey) -> bool:
    """True when OCR is worth its time; `grey` is (H, W), about `SIDE` long."""
    return letters_in_runs(grey, enough=LETTERS_FOR_TEXT) >= LETTERS_FOR_TEXT


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


def _letter_pieces(grey: Grey, operation: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
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
    x, y, w, h = (each[letter][:_MOST_PIECES].astype(np.float32) for each in (x, y, w, h))
    return x, y, w, h


def _in_runs(x: Numbers, y: Numbers, w: Numbers, h: Numbers) -> int:
    """Letters in runs of at least `_RUN` along x."""
    tall = (h >= 4) & (h <= 48) & (w <= 4 * h)
    x, y, w, h = x[tall], y[tall], w[tall], h[tall]
    following = _next_letters(x, y, w, h)
    length = np.ones(len(x), np.int32)
    for piece in np.argsort(-x, kind="stable"):
        if following[piece] >= 0:
            length[piece] += length[following[piece]]
    length[following[following >= 0]] = 0  # only a run's first piece counts it
    in_runs = int(length[length >= _RUN].sum())
    in_long_runs = int(length[length >= _LONG_RUN].sum())
    return in_runs if in_runs >= _LETTERS_AMONG_PIECES * len(x) or in_long_runs >= 16 else in_long_runs


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
