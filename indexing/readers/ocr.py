"""Words in pictures: is there text at all (`has_text`), and which words stand where (`read_words`, by RapidOCR).

A page that lies on its side or stands on its head is turned first: boxes belong to the upright page,
which is also the one that readers keep. Pieces that stand side by side become one line (`TOTAL` with
its amount), except across the gutter of a page with columns of prose.

Legend: H W pixels, C colours (RGB); a quad is four corners (x, y) in pixels, clockwise from top left.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

from indexing.readers.output import at_most
from indexing.readers.reading_order import Piece, paragraphs, reading_order
from indexing.records import Block, Line

# -- is there text to read in this picture? An answer in a few milliseconds, before OCR costs half a second ---
#
# Letters are small dark (or light) strokes that stand side by side, alike in height and on one baseline.
# A black-hat (top-hat) filter takes the strokes out. Connected pieces of a letter's shape are kept, each is linked
# to its right-hand neighbour, and letters in runs of five or more are counted; the same along the other axis finds
# pages that lie on their side. Grass, gravel and leaves make many pieces and hardly
# any runs. Measured rates and times: docs/LOG.md.
#
# Legend: N pieces; a piece is its left x, top y, width w, height h.

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
    x, y, w, h = (each[letter][:_MOST_SHAPES].astype(np.float32) for each in (x, y, w, h))
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


Pixels = npt.NDArray[np.uint8]
Quad = npt.NDArray[np.float32]
Turn = Literal[0, 90, 180, 270]

_SIDE = 1280
"""Longer side for the detector. On 10 of the receipts: 960 finds 87.6 % of the words in 0.17 s of CPU,
1280 88.7 % in 0.26 s, 1600 88.6 % in 0.41 s; the wheel's own setting 89.0 % in 0.59 s."""
_LOOK_SIDE = 480
"""For a first look, 36 ms of CPU. In pictures that pass text detection it finds 0–1 lines (once 3) in photographs of
foliage, gravel or fur, and at least 4 in each scan, receipt and screenshot of the test collections."""
_LEAST_LINES = 3
_LEAST_SCORE = 0.5
_SAMPLES = 5
_MOST_PIECES = 3_000
tiny_is_zero = False
"""Whether numbers below 1e-38 count as zero. The detector's weights hold so many of them that some processors take four
times as long for it (136 ms a look instead of 36). ONNX Runtime sets this for all that the thread computes from the
process's first session on, so only a reader's process turns it on, where nothing else is computed."""
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class OcrText:
    """What is written on a page, in reading order."""

    lines: tuple[Line, ...]
    """All lines, boxes as fractions of the upright page."""
    groups: tuple[tuple[Line, ...], ...]
    """The same lines, gathered into paragraphs or blocks of rows."""
    turned: Turn
    """Degrees counter-clockwise that turn the picture upright (as PIL's `rotate` counts)."""
    left_out: int = 0
    """Pieces of text over the limit for one picture, which were not read."""

    def blocks(self, *, page: int | None) -> tuple[Block, ...]:
        """One text block for each group; line breaks are kept, they mean something on a receipt."""
        return tuple(
            Block(kind="text", text="\n".join(line.text for line in group), page=page, lines=group)
            for group in self.groups
        )


def read_words(image_HWC: Pixels) -> OcrText:
    """Detect, turn upright if need be, recognise. A picture without words has no lines."""
    with _lock:
        quads = _detect(image_HWC)
        turned: Turn = 0
        if quads:
            turned = _turn(image_HWC, quads)
        if turned:
            image_HWC = np.ascontiguousarray(np.rot90(image_HWC, turned // 90))
            quads = _detect(image_HWC)
        pieces = _recognise(image_HWC, quads[:_MOST_PIECES])
    regions = reading_order(pieces)
    groups = tuple(
        tuple(Line(text=row.text, box=row.box) for row in group) for region in regions for group in paragraphs(region)
    )
    return OcrText(
        lines=tuple(line for group in groups for line in group),
        groups=groups,
        turned=turned,
        left_out=max(0, len(quads) - _MOST_PIECES),
    )


def looks_written(image_HWC: Pixels) -> bool:
    """Does the detector's network see lines in a small copy? The whole reading takes ten times as long."""
    height, width = image_HWC.shape[:2]
    if max(height, width) < _LOOK_SIDE or 16 * min(height, width) < max(height, width):
        return True  # too small or too flat for less than the whole reading
    scale = _LOOK_SIDE / max(height, width)
    size = [max(32, 32 * round(side * scale / 32)) for side in (width, height)]  # the network halves five times
    small_HWC = cv2.resize(at_most(image_HWC, 2 * _LOOK_SIDE), size, interpolation=cv2.INTER_AREA)
    input_1CHW = (small_HWC[None, :, :, ::-1].transpose(0, 3, 1, 2) / np.float32(127.5) - 1).astype(np.float32)
    text_HW = np.asarray(_detector().run(None, {"x": input_1CHW})[0])[0, 0]
    _, _, stats, _ = cv2.connectedComponentsWithStats((text_HW > 0.3).astype(np.uint8))
    wide, high = stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]
    short, long = np.minimum(wide, high), np.maximum(wide, high)
    return int(((long >= 12) & (long >= 2 * short) & (short <= 48)).sum()) >= _LEAST_LINES


@cache
def _detector() -> Any:
    """RapidOCR's detection network by itself: it is loaded in a fifth of the time that all of RapidOCR takes."""
    return _session("*_det_*.onnx")


@cache
def _session(pattern: str) -> Any:
    """One of the wheel's networks, on one thread."""
    import onnxruntime
    import rapidocr

    models = Path(str(rapidocr.__file__)).parent / "models"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if tiny_is_zero:
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
    (network,) = models.glob(pattern)
    return onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])


@cache
def _engine() -> Any:
    """One engine for the process, one thread: the pool runs as many workers as there are cores."""
    if tiny_is_zero:
        _session("*_cls_*.onnx")  # the smallest: the first session decides
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Det.limit_side_len": _SIDE,
            "Det.limit_type": "max",
            # one line at a time: no padding to the longest line, which costs time and words
            "Rec.rec_batch_num": 1,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _detect(image_HWC: Pixels) -> list[Quad]:
    """Text lines as quads in pixels of `image_HWC`; small pictures are enlarged for the detector."""
    height, width = image_HWC.shape[:2]
    if min(height, width) < 8:
        return []
    scale = max(1.0, min(3.0, 640 / max(height, width)))
    seen = np.ascontiguousarray(image_HWC[:, :, ::-1])
    if scale > 1:
        seen = _bytes(cv2.resize(seen, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
    # a letterbox of white: the detector misses lines that touch the border, and very flat pictures
    border = 16 if width < 8 * height else max(16, round(width * scale / 8))
    framed = cv2.copyMakeBorder(np.ascontiguousarray(seen), border, border, 16, 16, cv2.BORDER_REPLICATE)
    boxes = _boxes(_bytes(framed))
    offset = np.array([16, border], np.float32)
    return [
        np.clip((np.asarray(box, np.float32) - offset) / scale, 0, [width, height]).astype(np.float32) for box in boxes
    ]


def _boxes(image_HWC: Pixels) -> npt.NDArray[Any]:
    """Quads of the text lines in a BGR picture, (N, 4, 2); RapidOCR calls it an error when there are none."""
    from rapidocr.main import RapidOCRError

    try:
        _, found = _engine().detect_and_crop(image_HWC, {})
    except RapidOCRError:
        return np.empty((0, 4, 2), np.float32)
    return np.asarray(found.boxes)


def _turn(image_HWC: Pixels, quads: Sequence[Quad]) -> Turn:
    """Which way is up: most lines' long side decides between lying and standing, the recogniser the rest."""
    sizes = [_size(quad) for quad in quads]
    telling = [(w, h) for w, h in sizes if max(w, h) > 1.5 * min(w, h)]
    upright = sum(w for w, h in telling if w > h)
    lying = sum(h for w, h in telling if h > w)
    if not telling:
        return 0
    longest = sorted(range(len(quads)), key=lambda each: -max(sizes[each]))
    samples = [each for each in longest if (sizes[each][1] > sizes[each][0]) == (lying > upright)][:_SAMPLES]
    crops = [_crop(image_HWC, quads[each]) for each in samples]
    if lying > upright:
        left, right = ([np.ascontiguousarray(np.rot90(crop, k)) for crop in crops] for k in (1, 3))
        return 90 if _legibility(left) >= _legibility(right) else 270
    if not _looks_upside_down(crops):
        return 0
    turned = [np.ascontiguousarray(np.rot90(crop, 2)) for crop in crops]
    return 180 if _legibility(turned) > 1.1 * _legibility(crops) else 0


def _looks_upside_down(crops: list[Pixels]) -> bool:
    """The small direction model's vote; it is wrong now and then, so the recogniser has the last word."""
    _, found = _engine().cls_and_rotate([crop.copy() for crop in crops])
    votes = found.cls_res or []
    return sum(1 for label, score in votes if label == "180" and score > 0.7) * 2 > len(crops)


def _legibility(crops: list[Pixels]) -> float:
    """Confident characters, summed over the samples."""
    return sum(len(text.strip()) * score**4 for text, score in _texts(crops))


def _recognise(image_HWC: Pixels, quads: Sequence[Quad]) -> list[Piece]:
    height, width = image_HWC.shape[:2]
    pieces: list[Piece] = []
    crops = [_crop(image_HWC, quad) for quad in quads]
    for quad, (text, score) in zip(quads, _texts(crops), strict=True):
        if score < _LEAST_SCORE or not text.strip():
            continue
        (x0, y0), (x1, y1) = quad.min(axis=0), quad.max(axis=0)
        box = (float(x0 / width), float(y0 / height), float(x1 / width), float(y1 / height))
        pieces.append(Piece(text=" ".join(text.split()), box=box, aspect=width / height))
    return pieces


def _texts(crops: list[Pixels]) -> list[tuple[str, float]]:
    if not crops:
        return []
    recognised = _engine().recognize_txt(crops)
    return list(zip(recognised.txts, (float(score) for score in recognised.scores), strict=True))


def _bytes(values: npt.NDArray[Any]) -> Pixels:
    return values.astype(np.uint8, copy=False)


def _size(quad: Quad) -> tuple[float, float]:
    width = max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[2] - quad[3]))
    height = max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2]))
    return float(width), float(height)


def _crop(image_HWC: Pixels, quad: Quad) -> Pixels:
    """The quad cut out and made straight, BGR as the recogniser was trained."""
    width, height = (max(1, round(side)) for side in _size(quad))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad, target)
    straight = cv2.warpPerspective(
        image_HWC, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(straight[:, :, ::-1])
