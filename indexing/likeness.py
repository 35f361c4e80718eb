"""Which pictures are nearly the same: resized, recompressed, a little cropped, brighter or darker.

    likeness(pixels, words)         what is kept of a picture: 24 × 24 grey values, its tints, a mark of its words
    Likenesses(kept).add(x, value)  those of the pictures before that look like x

Two pictures are compared by the correlation of their grey values, at its best over cuts of up to a tenth on each side
of one of them; their tints have to be much the same. A 64-bit DCT hash (phash of ImageHash), whole against whole, is a
tenth of the size and misses a third of the pictures of which five per cent were cut off
(docs/howto/near-duplicates.md).

Pictures without detail (blank, a plain colour, one soft gradient) are like each other and like nothing: nothing is
kept of them. Pictures full of words look alike without being so, such as two invoices of one firm: they also have to
hold the same numbers and mostly the same words.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]

SIDE = 24
ALIKE = 0.95
"""Least correlation of two pictures that are nearly the same."""
_TINTS = 3
_SAME_TINT = 10.0
"""Of 255: how far the two colour values (Cr, Cb) of 3 × 3 parts may lie from each other, on average."""
_LEAST_DETAIL = 5.0
"""Of 255: how far the grey values lie from the best curved surface through them, on average."""
_COARSE = 8
_LOOKS = (
    (0.0, 0.0, 0.0, 0.0), (0.05, 0.05, 0.05, 0.05), (0.08, 0.0, 0.0, 0.0), (0.0, 0.08, 0.0, 0.0), (0.0, 0.0, 0.08, 0.0),
    (0.0, 0.0, 0.0, 0.08),
)  # fmt: skip
"""What is cut off at the left, top, right and lower side for the first comparison."""
_WORTH_A_LOOK = 0.85
"""Least correlation of 8 × 8 grey values of two pictures that are compared at all: 0.5 % of all pairs."""
_CUTS = (0.0, 0.025, 0.05, 0.075, 0.1)
_EXACT = 16
"""So many of the likeliest windows are compared exactly."""
_WORD = re.compile(r"\w+")
_FEW_WORDS = 3
_SKETCH = 12
"""So many of the smallest hashes of its words are kept."""
_SAME_WORDS = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class _Words:
    """What is kept of a picture's words."""

    count: int
    numbers: str  # a digest of all words with digits, whatever their order
    sketch: frozenset[str]

    def fit(self, other: "_Words") -> bool:
        """The same words, but for what OCR reads differently in a smaller copy."""
        if min(self.count, other.count) < _FEW_WORDS:
            return max(self.count, other.count) < 2 * _FEW_WORDS
        least = sorted(self.sketch | other.sketch)[:_SKETCH]
        both = sum(each in self.sketch and each in other.sketch for each in least)
        return self.numbers == other.numbers and both >= _SAME_WORDS * len(least)


def likeness(pixels: Grey, words: Sequence[str] = ()) -> str:
    """What is kept of an upright picture, (H, W, 3) RGB, and of the lines of words in it; "" for one without detail."""
    small_HWC = cv2.cvtColor(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2YCrCb)
    small_HW = np.ascontiguousarray(small_HWC[:, :, 0])
    if _detail(small_HW.astype(np.float32)) < _LEAST_DETAIL:
        return ""
    tint_HWC = cv2.resize(small_HWC[:, :, 1:], (_TINTS, _TINTS), interpolation=cv2.INTER_AREA)
    kept = base64.b64encode(small_HW.tobytes() + tint_HWC.tobytes()).decode()
    return f"{kept} {_written(words)}"


def _detail(small_HW: Vectors) -> float:
    surface_HWP = _surface()
    flat = small_HW.reshape(-1)
    fitted, *_ = np.linalg.lstsq(surface_HWP, flat, rcond=None)
    return float(np.std(flat - surface_HWP @ fitted))


@cache
def _surface() -> Vectors:
    """1, x, y, x², xy, y² at each place."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j].reshape(2, -1)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1).astype(np.float32)


def _written(lines: Sequence[str]) -> str:
    words = [word.casefold() for line in lines for word in _WORD.findall(line)]
    numbers = sorted(word for word in words if any(map(str.isdigit, word)))
    sketch = sorted({_digest(word, 4) for word in words})[:_SKETCH]
    return f"{len(words)} {_digest(' '.join(numbers), 12)} {''.join(sketch)}"


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:length]


_MOST_LOOKED_AT, _MOST_LINKS = 200, 20
"""Pictures that one is compared with closely, and linked to; ten thousand frames of one camera become a chain."""


class Likenesses:
    """Pictures by what is kept of them, each compared with all that were added before it.

    1.6 kB and about 2 µs a picture: 8 × 8 grey values of each, whole and cut, say which are worth a closer look.
    """

    def __init__(self, kept: Mapping[str, str] | None = None) -> None:
        """`kept`: a picture's name (any) → what `likeness` has said of it. They are not compared with each other."""
        self._names: list[str] = []
        self._words: list[_Words] = []
        self._tints_ND = np.empty((0, 2 * _TINTS**2), np.float32)
        self._small_ND = np.empty((0, SIDE * SIDE), np.uint8)
        self._coarse_NVD = np.empty((0, len(_LOOKS), _COARSE * _COARSE), np.float32)
        for name, value in (kept or {}).items():
            if (found := _parsed(value)) is not None:
                self._keep(name, found)

    def add(self, name: str, value: str) -> tuple[str, ...]:
        """Keep a picture → the others that are nearly the same, the most alike first. What makes no sense (of another
        version) is passed over."""
        found = _parsed(value)
        if found is None:
            return ()
        near = tuple(other for other in self._ranked(found) if other != name)[:_MOST_LINKS]
        self._keep(name, found)
        return near

    def near(self, value: str) -> tuple[str, ...]:
        """The same without keeping it."""
        found = _parsed(value)
        return () if found is None else self._ranked(found)

    def _ranked(self, kept: "_Kept") -> tuple[str, ...]:
        found = sorted(self._near(kept), key=lambda pair: (-pair[0], pair[1]))
        return tuple(dict.fromkeys(other for _, other in found))

    def _keep(self, name: str, kept: "_Kept") -> None:
        place = len(self._names)
        if place == len(self._small_ND):
            more = max(64, place)
            self._small_ND = np.concatenate([self._small_ND, np.zeros((more, SIDE * SIDE), np.uint8)])
            self._tints_ND = np.concatenate([self._tints_ND, np.zeros((more, 2 * _TINTS**2), np.float32)])
            empty = np.zeros((more, *self._coarse_NVD.shape[1:]), np.float32)
            self._coarse_NVD = np.concatenate([self._coarse_NVD, empty])
        self._small_ND[place], self._coarse_NVD[place] = kept.small_HW.reshape(-1), _coarse(kept.small_HW)
        self._tints_ND[place] = kept.tints_D
        self._names.append(name)
        self._words.append(kept.words)

    def _near(self, kept: "_Kept") -> Iterator[tuple[float, str]]:
        """Correlation and name of each that is nearly the same."""
        count = len(self._names)
        coarse_VD, all_NVD = _coarse(kept.small_HW), self._coarse_NVD[:count]
        scores_N = np.maximum(
            (all_NVD[:, 0] @ coarse_VD.T).max(axis=1, initial=-1), (all_NVD @ coarse_VD[0]).max(axis=1)
        )
        same_tint_N = np.abs(self._tints_ND[:count] - kept.tints_D).mean(axis=1) <= _SAME_TINT
        candidates_N = np.flatnonzero((scores_N >= _WORTH_A_LOOK) & same_tint_N)
        if len(candidates_N) > _MOST_LOOKED_AT:
            likeliest_N = np.argpartition(-scores_N[candidates_N], _MOST_LOOKED_AT)[:_MOST_LOOKED_AT]
            candidates_N = candidates_N[likeliest_N]
        places = [each for each in candidates_N.tolist() if kept.words.fit(self._words[each])]
        if not places:
            return
        for place, score in zip(places, correlations(kept.small_HW, self._small_ND[places]), strict=True):
            if score >= ALIKE:
                yield float(score), self._names[place]


def correlations(small_HW: Grey, others_ND: Grey) -> Vectors:
    """How alike a picture is to each of the others, -1..1: at its best over cuts of either of the two.

    The picture is cut once in all ways. Cutting another one and comparing it with the picture is a product with the
    picture stretched back, so that the others themselves are not cut.
    """
    cutters_VSS = _cutters()
    picture_HW, others = small_HW.astype(np.float32), others_ND.astype(np.float32)
    windows_WD = _units(_both_ways(cutters_VSS, picture_HW))
    whole_D = _units(picture_HW.reshape(1, -1))[0]
    cut = (windows_WD @ _units(others).T).max(axis=0)
    backwards_VSS = cutters_VSS.transpose(0, 2, 1)
    products_WN = _both_ways(backwards_VSS, whole_D.reshape(SIDE, SIDE)) @ others.T
    variances_WN = _means() @ (others**2).T - (_means() @ others.T) ** 2  # too large where neighbours were mixed
    stretched_WN = products_WN / np.sqrt(np.maximum(variances_WN, 1.0) * SIDE**2)
    best_NK = np.argpartition(-stretched_WN, _EXACT, axis=0)[:_EXACT].T
    exact = [
        max(float(_units(_window(other.reshape(SIDE, SIDE), int(each)))[0] @ whole_D) for each in windows)
        for other, windows in zip(others, best_NK, strict=True)
    ]
    best: Vectors = np.maximum(cut, np.asarray(exact, np.float32))
    return best


@cache
def _means() -> Vectors:
    """How much each pixel counts in the mean of each window, (W, D)."""
    return _both_ways(_cutters().transpose(0, 2, 1), np.full((SIDE, SIDE), 1 / SIDE**2, np.float32))


def _both_ways(matrices_VSS: Vectors, picture_HW: Vectors) -> Vectors:
    """The picture with each of the matrices along y and each along x, (V × V, D)."""
    rows_VHW = matrices_VSS @ picture_HW
    both_VVHW = np.einsum("vhw,uxw->vuhx", rows_VHW, matrices_VSS, optimize=True)
    return np.asarray(both_VVHW.reshape(len(matrices_VSS) ** 2, -1), np.float32)


def _window(picture_HW: Vectors, window: int) -> Vectors:
    y, x = divmod(window, len(_cutters()))
    return np.asarray((_cutters()[y] @ picture_HW @ _cutters()[x].T).reshape(1, -1), np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    small_HW: Grey
    tints_D: Vectors
    words: _Words


def _parsed(value: str) -> _Kept | None:
    try:
        pixels, count, numbers, *sketch = value.split(" ")
        values = np.frombuffer(base64.b64decode(pixels, validate=True), np.uint8)
        small_HW = values[: SIDE**2].reshape(SIDE, SIDE)
        tints_D = values[SIDE**2 :].reshape(2 * _TINTS**2).astype(np.float32)
        marks = "".join(sketch)
        parts = frozenset(marks[start : start + 4] for start in range(0, len(marks), 4))
        words = _Words(count=int(count), numbers=numbers, sketch=parts)
    except ValueError:  # of another version
        return None
    return _Kept(small_HW=small_HW, tints_D=tints_D, words=words)


def _coarse(small_HW: Grey) -> Vectors:
    """The picture whole and with each of the cuts in `_LOOKS`, (V, D), of unit length."""
    picture_HW = small_HW.astype(np.float32)
    looks = [
        cv2.resize(
            _cutter(top, low) @ picture_HW @ _cutter(left, right).T, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA
        )
        for left, top, right, low in _LOOKS
    ]
    return _units(np.stack(looks).reshape(len(_LOOKS), -1))


def _units(vectors_ND: npt.NDArray[np.generic]) -> Vectors:
    centred = vectors_ND.astype(np.float32)
    centred -= centred.mean(axis=-1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=-1, keepdims=True)
    units: Vectors = (centred / np.maximum(lengths, 1e-6)).astype(np.float32)
    return units


@cache
def _cutters() -> Vectors:
    """For each pair of cuts a matrix that takes a line of `SIDE` values and stretches what is left to `SIDE` again."""
    return np.stack([_cutter(before, after) for before, after in product(_CUTS, _CUTS)])


def _cutter(before: float, after: float) -> Vectors:
    edges = np.linspace(before * SIDE, (1 - after) * SIDE, SIDE + 1)
    places = np.clip((edges[1:] + edges[:-1]) / 2 - 0.5, 0, SIDE - 1)
    left = np.minimum(places.astype(int), SIDE - 2)
    matrix = np.zeros((SIDE, SIDE), np.float32)
    rows = np.arange(SIDE)
    matrix[rows, left] = 1 - (places - left)
    matrix[rows, left + 1] = places - left
    return matrix
