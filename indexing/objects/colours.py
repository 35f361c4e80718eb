"""The main colour of what a box holds, in a word.

Pixels of the box's middle vote: what lies at its rim is mostly behind the thing. A colour is said where it has a third
of the votes and clearly more than the next one.

Legend: H W pixels, C colours (hue 0..255, saturation, brightness), N pixels.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from indexing.objects.kinds import BY_NAME
from indexing.records import Box

_MIDDLE = 0.6
_SAMPLE = 24  # pixels across and down
_LEAST_SHARE, _LEAST_LEAD = 0.35, 1.3
_DARK, _PALE, _BRIGHT, _GREYISH = 55, 45, 185, 40
"""Of 255: brightness below which all is black; saturation below which all is grey, white where bright; a weaker limit
for what is neither dark nor bright, where eyes see no colour."""
_BROWN = 165  # a darker orange
_HUES = (
    (11, "red"), (28, "orange"), (46, "yellow"), (116, "green"), (178, "blue"), (208, "purple"), (240, "pink"),
    (256, "red"),
)  # fmt: skip
"""Upper limits on Pillow's circle of 256 steps."""
_COLOURS = ("black", "white", "grey", "brown", "red", "orange", "yellow", "green", "blue", "purple", "pink")
_OF_ANIMALS = frozenset({"black", "white", "grey", "brown"})


def colour_of(kind: str, box: Box, picture: Image.Image) -> str:
    """Of a thing in an RGB picture; "" where none is said of its kind, or none stands out."""
    spoken = BY_NAME[kind]
    if not spoken.is_coloured:
        return ""
    colour = main_colour(picture, box)
    return "" if spoken.is_animal and colour not in _OF_ANIMALS else colour


def main_colour(picture: Image.Image, box: Box) -> str:
    """Of the box's middle; "" where none stands out."""
    x0, y0, x1, y1 = box
    across, down = (x1 - x0) * (1 - _MIDDLE) / 2, (y1 - y0) * (1 - _MIDDLE) / 2
    width, height = picture.size
    middle = ((x0 + across) * width, (y0 + down) * height, (x1 - across) * width, (y1 - down) * height)
    if middle[2] - middle[0] < 1 or middle[3] - middle[1] < 1:
        return ""
    small = picture.resize((_SAMPLE, _SAMPLE), Image.Resampling.BOX, box=middle).convert("HSV")
    votes = np.bincount(_named(np.asarray(small).reshape(-1, 3)), minlength=len(_COLOURS))
    best, second = np.argsort(-votes, kind="stable")[:2]
    stands_out = votes[best] >= _LEAST_SHARE * votes.sum() and votes[best] >= _LEAST_LEAD * votes[second]
    return _COLOURS[best] if stands_out else ""


def _named(hsv_NC: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Places in `_COLOURS`."""
    hue_N, saturation_N, value_N = hsv_NC.T.astype(int)
    limits = [limit for limit, _ in _HUES]
    names = np.array([_COLOURS.index(name) for _, name in _HUES])
    named_N: npt.NDArray[np.int64] = names[np.searchsorted(limits, hue_N, side="right")]
    orange, brown = _COLOURS.index("orange"), _COLOURS.index("brown")
    named_N[(named_N == orange) & (value_N < _BROWN)] = brown
    colourless_N = saturation_N < np.where(value_N > _BRIGHT, _GREYISH, _PALE)
    named_N[colourless_N] = _COLOURS.index("grey")
    named_N[colourless_N & (value_N > _BRIGHT)] = _COLOURS.index("white")
    named_N[value_N < _DARK] = _COLOURS.index("black")
    return named_N
