"""Words in pictures: which stand where (`read_words`, by RapidOCR), after a first look whether there are any.

A page that lies on its side or stands on its head is turned first: boxes belong to the upright page,
which is also the one that readers keep. Pieces that stand side by side become one line (`TOTAL` with
its amount), except across the gutter of a page with columns of prose. Long pictures are read in tiles
(ocr_tiles); guesses, and lines in scripts that the networks do not know, are left out (ocr_judgement).

Legend: H W pixels, C colours (RGB); a quad is four corners (x, y) in pixels, clockwise from top left.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from indexing.confidence import DOUBTFUL, mean_confidence
from indexing.readers.letters import LikelyWord
from indexing.readers.ocr_judgement import RecognisedLine, judged
from indexing.readers.ocr_networks import (
    BORDER,
    SIDE,
    detected,
    recognised,
    size_of,
    straightened,
    text_map,
    upside_down,
)
from indexing.readers.ocr_scripts import SURE_OF_SCRIPT, installed, read_other_scripts, script_of, surest_script
from indexing.readers.ocr_tiles import put_together, tiles
from indexing.readers.output import at_most
from indexing.readers.reading_order import Piece, paragraphs, reading_order
from indexing.records import Block, Box, Line, Note

Pixels = npt.NDArray[np.uint8]
Quad = npt.NDArray[np.float32]
Turn = Literal[0, 90, 180, 270]
FewWords = Literal["legible", "illegible", "none"]

_LOOK_SIDE = 480
"""For a first look, 36 ms of CPU. In pictures that pass text detection it finds 0–1 lines (once 3) in photographs of
foliage, gravel or fur, and at least 4 in each scan, receipt and screenshot of the test collections."""
_LEAST_LINES = 3
_WORD_LOOK_SIDE = 384
"""Large letters that the detector misses are often seen in a copy so small."""
_LETTER = 20
"""In pixels: what the letters of a likely word are made to be for a look at it and what is around it, about 2 ms."""
_BESIDE, _ABOVE = 1.5, 0.7
"""How much is around it, in heights of its letters: a line is longer than what its pixels say."""
_LONGEST_LOOK = 512
_MOST_LOOKED_AT = 6
"""Likely words in one picture; most photographs have none, one in forty has more."""
_LIKE_TEXT = 0.75
"""What the detector's network gives the pixels of a line on average: at least 0.82 for each of 75 lines on signs."""
_LINE_SHAPE = 1.6
_LINE_FILLED = 0.65
"""A line is so many times as long as it is high, and fills so much of the rectangle around it."""
_PLAINLY_TEXT = 0.9
_PLAIN_SHAPE = 4.0
_PLAIN_HEIGHT = 20.0
"""A line that is so likely, so long for its height, and so many pixels high is text, although the recogniser cannot
read it; one of which it names letters, wrong ones, is twice as long."""
_MOST_TRIED = 3
"""Lines that are read to learn whether a sign is one; 15 ms each."""
_SAMPLES = 5
_ENOUGH_VOTES = 3
"""The direction model decides alone that a page is not upside down where it has seen so many lines."""
_MOST_PIECES = 3_000
_LEAST_SIDE = 8
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
    unread: int = 0
    """Lines that are written there and could not be read: another script, handwriting, too blurred."""
    script: str = ""
    """The script of those lines, where it is known."""

    @property
    def is_doubtful(self) -> bool:
        """A person should compare the words with the picture."""
        mean = mean_confidence(self.lines)
        return mean is not None and mean < DOUBTFUL

    def blocks(self, *, page: int | None) -> tuple[Block, ...]:
        """One text block for each group; line breaks are kept, they mean something on a receipt."""
        return tuple(
            Block(kind="text", text="\n".join(line.text for line in group), page=page, lines=group)
            for group in self.groups
        )

    def notes(self) -> tuple[Note, ...]:
        """What a person would look for on the page and does not find."""
        notes: list[Note] = []
        if self.is_doubtful:
            mean = mean_confidence(self.lines)
            notes.append(Note(f"its words were read with a confidence of {mean:.2f}: compare them with the picture"))
        if self.left_out:
            sentence = f"{self.left_out:,} lines of text over the limit for one picture were not read"
            notes.append(Note(sentence, number=self.left_out, unread=True))
        if self.unread:
            count = "1 line of text was" if self.unread == 1 else f"{self.unread:,} lines of text were"
            why = "in a script that the OCR does not know, in handwriting, or too blurred"
            if self.script:
                lacks = "" if self.script in installed() else ", for which Tesseract's data is not installed"
                why = f"in what looks like {self.script} script{lacks}"
            sentence = f"{count} not read: {why}"
            notes.append(Note(sentence, kind="script", number=self.unread, unread=True))
        return tuple(notes)


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
        pieces, unread = _recognise(image_HWC, quads[:_MOST_PIECES])
    regions = reading_order(pieces)
    groups = tuple(
        tuple(Line(text=row.text, box=row.box, confidence=row.confidence) for row in group)
        for region in regions
        for group in paragraphs(region)
    )
    return OcrText(
        lines=tuple(line for group in groups for line in group),
        groups=groups,
        turned=turned,
        left_out=max(0, len(quads) - _MOST_PIECES),
        unread=unread,
        script=script_of(image_HWC) if unread else "",
    )


def one_unread_line() -> OcrText:
    """What is known of a picture whose only line nobody here can read."""
    return OcrText(lines=(), groups=(), turned=0, unread=1)


def looks_written(image_HWC: Pixels) -> bool:
    """Does the detector's network see lines in a small copy? The whole reading takes ten times as long."""
    height, width = image_HWC.shape[:2]
    if max(height, width) < _LOOK_SIDE or 16 * min(height, width) < max(height, width):
        return True  # too small or too flat for less than the whole reading
    short, long = np.sort([each.size for each in _first_look(image_HWC, _LOOK_SIDE)] or np.empty((0, 2)), axis=1).T
    return int(((long >= 12) & (long >= 2 * short) & (short <= 48)).sum()) >= _LEAST_LINES


def few_words(image_HWC: Pixels, likely: Sequence[LikelyWord]) -> FewWords:
    """Of a picture with few words: is there a line among the `likely` ones that the detector is sure of, and can the
    recogniser read it?"""
    plain = False
    with _lock:
        for look in islice(_lines_around(image_HWC, likely[:_MOST_LOOKED_AT]), _MOST_TRIED):
            crop = _lying(straightened(image_HWC, look.quad))
            upright = _read_line(crop)
            if upright.is_known_word or _read_line(np.rot90(crop, 2)).is_known_word:
                return "legible"
            plain = plain or look.is_plain(passed_over=upright.is_passed_over)
    return "illegible" if plain else "none"


def _lines_around(image_HWC: Pixels, likely: Sequence[LikelyWord]) -> Iterator["_Look"]:
    """What the detector takes for lines where likely words stand."""
    longest = max(image_HWC.shape[:2])
    for word in likely:
        letter = word.height * longest
        beside, above = _BESIDE * letter, _ABOVE * letter
        x, y = (above, beside) if word.lies_on_its_side else (beside, above)
        part_HWC, corner = _part(image_HWC, word.box, x, y)
        longest_look = min(_LONGEST_LOOK, max(part_HWC.shape[:2]) * _LETTER / letter)
        looks = [each for each in _first_look(part_HWC, longest_look) if each.is_line]
        yield from (look.moved(corner) for look in sorted(looks, key=lambda each: -each.likeness))


def _part(image_HWC: Pixels, box: Box, x: float, y: float) -> tuple[Pixels, npt.NDArray[np.float32]]:
    """The box and so many pixels around it, and where its left upper corner is."""
    height, width = image_HWC.shape[:2]
    left, right = max(0, int(box[0] * width - x)), min(width, round(box[2] * width + x) + 1)
    top, low = max(0, int(box[1] * height - y)), min(height, round(box[3] * height + y) + 1)
    return image_HWC[top:low, left:right], np.array([left, top], np.float32)


def _lying(crop_HWC: Pixels) -> Pixels:
    """Along x, as the recogniser reads; which way up is not known."""
    return crop_HWC if crop_HWC.shape[1] >= crop_HWC.shape[0] else np.rot90(crop_HWC)


def _read_line(crop_HWC: Pixels) -> RecognisedLine:
    crop_HWC = np.ascontiguousarray(crop_HWC)
    (found,) = recognised([crop_HWC])
    return _as_line(crop_HWC, found)


def _as_line(crop_HWC: Pixels, found: tuple[str, float]) -> RecognisedLine:
    text, confidence = found
    return RecognisedLine(
        text=" ".join(text.split()), confidence=confidence, length=crop_HWC.shape[1] / crop_HWC.shape[0]
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """A spot that the detector takes for text in a small copy."""

    size: tuple[float, float]  # of the upright rectangle around it, in pixels of the small copy
    quad: Quad  # in pixels of the picture, wider than the spot as RapidOCR widens it
    likeness: float  # 0..1
    filled: float  # share of the quad before it was widened
    shape: float  # long over short side

    def moved(self, corner: npt.NDArray[np.float32]) -> "_Look":
        """The same in a picture of which this was seen in a part that begins at this corner."""
        return replace(self, quad=self.quad + corner)

    @property
    def is_line(self) -> bool:
        return self.likeness >= _LIKE_TEXT and self.shape >= _LINE_SHAPE and self.filled >= _LINE_FILLED

    def is_plain(self, *, passed_over: bool) -> bool:
        """A person could read it, knowing the script; `passed_over` when the recogniser saw letters and named none."""
        shape = _PLAIN_SHAPE if passed_over else 2 * _PLAIN_SHAPE
        return self.likeness >= _PLAINLY_TEXT and self.shape >= shape and min(size_of(self.quad)) >= _PLAIN_HEIGHT


def _first_look(image_HWC: Pixels, longest: float) -> list[_Look]:
    """What the detector sees in a copy of about this length."""
    height, width = image_HWC.shape[:2]
    scale = longest / max(height, width)
    wide, high = max(8, round(width * scale)), max(8, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small_HWC = cv2.resize(at_most(image_HWC, round(2 * longest)), (wide, high), interpolation=how)
    # the network halves five times; letters keep their shape
    framed_HWC = cv2.copyMakeBorder(small_HWC, 0, -high % 32, 0, -wide % 32, cv2.BORDER_REPLICATE)
    text_HW = text_map(_bytes(framed_HWC[:, :, ::-1]))[:high, :wide]
    return list(_spots(text_HW, np.array([width / wide, height / high], np.float32)))


def _spots(text_HW: npt.NDArray[np.float32], back: npt.NDArray[np.float32]) -> Iterator[_Look]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats((text_HW > 0.3).astype(np.uint8))
    for spot in range(1, count):
        x, y, wide, high, area = (int(each) for each in stats[spot])
        if max(wide, high) < 8:
            continue
        inside = labels[y : y + high, x : x + wide] == spot
        points = np.argwhere(inside)[:, ::-1].astype(np.float32) + np.array([x, y], np.float32)
        (centre, (a, b), angle) = cv2.minAreaRect(points)
        a, b = a + 1, b + 1
        more = 1.6 * a * b / (2 * (a + b)) * 2  # RapidOCR's unclip: area × ratio / perimeter on each side
        quad = _clockwise(cv2.boxPoints((centre, (a + more, b + more), angle)))
        yield _Look(
            size=(wide, high),
            quad=(quad * back).astype(np.float32),
            likeness=float(text_HW[y : y + high, x : x + wide][inside].mean()),
            filled=area / (a * b),
            shape=max(a, b) / min(a, b),
        )


def _clockwise(points: npt.NDArray[Any]) -> Quad:
    """Corners from the top left on, for a rectangle that is tilted by less than 45 degrees."""
    left, right = np.split(points[np.argsort(points[:, 0], kind="stable")], 2)
    left, right = left[np.argsort(left[:, 1])], right[np.argsort(right[:, 1])]
    return np.array([left[0], right[0], right[1], left[1]], np.float32)


def _detect(image_HWC: Pixels) -> list[Quad]:
    """Text lines as quads in pixels of `image_HWC`, which may be long. Large letters that the detector misses are often
    seen in a small copy."""
    height, width = image_HWC.shape[:2]
    found = [(tile, _detect_in_tile(tile.pixels_HWC)) for tile in tiles(image_HWC)]
    quads = put_together(found, upright=height > width)
    if quads or min(height, width) < _LEAST_SIDE or len(found) > 1:
        return quads
    return [look.quad for look in _first_look(image_HWC, _WORD_LOOK_SIDE) if look.is_line]


def _detect_in_tile(image_HWC: Pixels) -> list[Quad]:
    """Small pictures are enlarged for the detector, large ones made smaller, each pixel with its neighbours: else the
    noise of a night photograph hides letters."""
    height, width = image_HWC.shape[:2]
    if min(height, width) < _LEAST_SIDE:
        return []
    longest = max(height, width)
    scale = min(3.0, 640 / longest) if longest < 640 else min(1.0, (SIDE - 2 * BORDER) / longest)
    seen = np.ascontiguousarray(image_HWC[:, :, ::-1])
    if scale != 1:
        how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        seen = _bytes(
            cv2.resize(seen, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=how)
        )
    # a letterbox: very flat pictures are missed, too
    border = BORDER if width < 8 * height else max(BORDER, round(width * scale / 8))
    framed = cv2.copyMakeBorder(np.ascontiguousarray(seen), border, border, BORDER, BORDER, cv2.BORDER_REPLICATE)
    offset = np.array([BORDER, border], np.float32)
    back = np.array([seen.shape[1] / width, seen.shape[0] / height], np.float32)
    return [
        np.clip((np.asarray(box, np.float32) - offset) / back, 0, [width, height]).astype(np.float32)
        for box in detected(_bytes(framed))
    ]


def _turn(image_HWC: Pixels, quads: Sequence[Quad]) -> Turn:
    """Which way is up: most lines' long side decides between lying and standing, the recogniser the rest."""
    sizes = [size_of(quad) for quad in quads]
    telling = [(w, h) for w, h in sizes if max(w, h) > 1.5 * min(w, h)]
    upright = sum(w for w, h in telling if w > h)
    lying = sum(h for w, h in telling if h > w)
    if not telling:
        return 0
    longest = sorted(range(len(quads)), key=lambda each: -max(sizes[each]))
    samples = [each for each in longest if (sizes[each][1] > sizes[each][0]) == (lying > upright)][:_SAMPLES]
    crops = [straightened(image_HWC, quads[each]) for each in samples]
    if lying > upright:
        left, right = ([np.ascontiguousarray(np.rot90(crop, k)) for crop in crops] for k in (1, 3))
        return 90 if _is_this_way(left, right, margin=1.0) else 270
    if len(crops) >= _ENOUGH_VOTES and not upside_down(crops):
        return 0
    turned = [np.ascontiguousarray(np.rot90(crop, 2)) for crop in crops]
    return 0 if _is_this_way(crops, turned, margin=1.1) else 180


def _is_this_way(crops: list[Pixels], turned: list[Pixels], *, margin: float) -> bool:
    """Confident characters decide. Where neither way has many words, which is so in scripts that the recogniser does
    not know (Hebrew on its head passes for capitals now and then), another recogniser decides if it is sure of one way.
    Where neither has any, nothing is turned."""
    this, other = ([_read_line(crop) for crop in each] for each in (crops, turned))
    words = [sum(line.is_known_word for line in lines) for lines in (this, other)]
    if 2 * max(words) <= len(crops):
        sure = [surest_script(each) for each in (crops, turned)]
        if max(sure)[0] >= SURE_OF_SCRIPT:
            return sure[0] >= sure[1]
    return max(words) == 0 or margin * _legibility(this) >= _legibility(other)


def _legibility(lines: Sequence[RecognisedLine]) -> float:
    """Confident characters, summed over the samples."""
    return sum(len(line.text) * line.confidence**4 for line in lines)


def _recognise(image_HWC: Pixels, quads: Sequence[Quad]) -> tuple[list[Piece], int]:
    """The lines that can be read, by whichever recogniser, and how many cannot."""
    height, width = image_HWC.shape[:2]
    crops = [straightened(image_HWC, quad) for quad in quads]
    lines = list(map(_as_line, crops, recognised(crops)))
    judgement = judged(lines)
    read = {place: (line.text, line.confidence) for place, line in enumerate(lines) if judgement.kept[place]}
    unread = [place for place, is_unread in enumerate(judgement.unread_lines) if is_unread]
    others = read_other_scripts([crops[place] for place in unread])
    read |= {place: other for place, other in zip(unread, others, strict=True) if other is not None}
    pieces = [
        Piece(text=text, box=_box(quads[place], width, height), aspect=width / height, confidence=confidence)
        for place, (text, confidence) in sorted(read.items())
    ]
    return pieces, others.count(None)


def _box(quad: Quad, width: int, height: int) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1) = quad.min(axis=0), quad.max(axis=0)
    return float(x0 / width), float(y0 / height), float(x1 / width), float(y1 / height)


def _bytes(values: npt.NDArray[Any]) -> Pixels:
    return values.astype(np.uint8, copy=False)
