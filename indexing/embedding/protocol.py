"""What every embedder offers, whatever model stands behind it; and how a picture becomes the square that it sees.

    a photograph, RGB 4000 x 3000  ── shortest, 224 ──►  299 x 224  ── centre crop ──►  uint8 (224, 224, 3)

The square is bitwise what open_clip's evaluation transform hands to its `ToTensor`: torchvision's Resize and CenterCrop
in mode "shortest", open_clip's ResizeKeepRatio and CenterCropOrPad in mode "longest". It takes Pillow and numpy alone,
so that the readers' workers can make it.

IndexingError
└── EmbedderError                         what loading an embedder raises on purpose
    ├── UnknownModelError                 open_clip has no model of that name
    ├── UnknownFormatError                no embedder loads weights of that format
    ├── WeightsError                      a file is missing, or its tensors do not fit the network
    └── MissingEmbedderPackageError       the package that runs the model is not installed

Legend: B batch, D width of a vector, H W pixels, C colour channels (3, RGB).
"""

import ctypes
import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from indexing.errors import IndexingError

Vectors = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_ROWS = 16
_MOSTLY_FLAT = 0.65
"""Share of equal neighbours along a few rows. Photographs have 0.02–0.61 (median 0.12), nineteen in twenty of Open
Clipart's drawings more than 0.62, scanned and rendered pages mostly more than 0.7."""
_SAME_COLOUR = 6
"""Levels of 255 by which a cut-out's corners may differ: true of 2 in 500 photographs and of nine in ten cut-outs."""
_WHITE = (255, 255, 255)
_MAX_ASPECT = 32  # beyond it, "shortest" would blow a thin strip up to gigabytes before cropping it

# glibc hands every large block back to the system when it is freed, and the system clears its pages when they are asked
# for again: a third of the time of a small network's pass. What stays is at most what the largest pass needed.
_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = 1 << 30, (1 << 31) - 1, 64 << 20
_ARENAS = 1  # of several, each thread's own would give its blocks back

KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(_MMAP_THRESHOLD),
    "MALLOC_TRIM_THRESHOLD_": str(_TRIM_THRESHOLD),
    "MALLOC_TOP_PAD_": str(_TOP_PAD),
    "MALLOC_ARENA_MAX": str(_ARENAS),
}
"""`keep_freed_memory` for a process that is to be started, as its environment; other C libraries do not read it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocess:
    """How a picture becomes the square of pixels a tower sees; needs Pillow alone, so that workers can run it.

    `crop` turns an RGB picture of any size into uint8 pixels of shape (size, size, 3).
    Subtracting the mean and dividing by the deviation is the embedder's own business.
    """

    size: int
    resize_to: int  # the shorter (or longer) side after resizing, before the crop
    mode: Literal["shortest", "longest", "squash"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    fill: int = 0  # colour of the border in mode "longest"
    rounding: Literal["torchvision", "nearest"] = "torchvision"  # of sizes and offsets in mode "shortest"
    whole_drawings: bool = False  # drawings, pages and cut-outs are bordered with their ground instead of cropped
    crop_first: bool = False  # mode "shortest" resizes what the crop keeps alone; a few pixels differ by one step

    def crop(self, image: Image.Image) -> Pixels:
        """Resize and centre-crop exactly as the model's own preprocessing does."""
        return crop(self, image)


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """A word for what a picture shows, with the model's probability 0..1."""

    text: str
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageEmbedding:
    """Vectors of unit length, and for each picture its labels, best first (empty where the model has none)."""

    vectors_BD: Vectors
    labels: tuple[tuple[Label, ...], ...]


class Embedder(Protocol):
    """Two spaces: `clip` holds pictures and words together, `text` holds passages and questions."""

    name: str  # what the library records, e.g. "pocket-1" or "open_clip:ViT-B-32/laion2b"
    clip_dimensions: int
    text_dimensions: int
    preprocess: Preprocess
    device: str  # torch's name for where it computes

    def embed_images(self, pixels_BHWC: Pixels) -> ImageEmbedding:
        """uint8 pixels from `preprocess.crop` → unit vectors in the clip space, with labels. Threads may call it at
        the same time."""

    def embed_image_queries(self, texts: Sequence[str]) -> Vectors:
        """Words that describe a picture → unit vectors in the clip space, (B, clip_dimensions)."""

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Passages to be found → unit vectors in the text space, (B, text_dimensions)."""

    def embed_questions(self, texts: Sequence[str]) -> Vectors:
        """Questions → unit vectors in the text space, (B, text_dimensions)."""

    def embed_passage_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """For each passage (T, D): a unit vector for each of its tokens, to be read word by word."""

    def embed_question_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """The same for questions; comparable with those of passages."""


class EmbedderError(IndexingError):
    """Base of what loading an embedder raises on purpose."""


class UnknownModelError(EmbedderError):
    """open_clip has no model of that name."""

    def __init__(self, model: str, known: Sequence[str]) -> None:
        super().__init__(f"open_clip has no model named '{model}'")
        close = difflib.get_close_matches(model, known, n=3, cutoff=0.4) or list(known[:3])
        self.add_note(f"Similar names: {', '.join(close)}")
        self.model = model


class UnknownFormatError(EmbedderError):
    """No embedder loads weights of that format."""

    def __init__(self, format: str, known: Sequence[str]) -> None:
        super().__init__(f"no embedder loads weights of the format '{format}'")
        self.add_note(f"Formats: {', '.join(known)}")
        self.format, self.known = format, tuple(known)


class WeightsError(EmbedderError):
    """A model's files are missing, or hold something else than the network expects."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot load a model from {path}: {reason}")
        self.path, self.reason = path, reason


class MissingEmbedderPackageError(EmbedderError):
    """The package that runs this model is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(f"this embedder needs the package '{package}'")
        self.add_note("Install it with: pip install 'llavero[index]'")
        self.package = package


def pick_device(wanted: str) -> str:
    """ "auto" is the GPU where torch sees one, else the CPU; anything else is torch's own name for a device."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def keep_freed_memory() -> None:
    """Memory that a network's layers use again and again stays with this process from here on.

    Call it before there are threads. It does nothing where the C library is another than glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl
        return
    for option, value in ((-1, _TRIM_THRESHOLD), (-2, _TOP_PAD), (-3, _MMAP_THRESHOLD), (-8, _ARENAS)):  # malloc.h
        mallopt(option, value)


def give_back_freed_memory() -> None:
    """What `keep_freed_memory` kept and nothing uses now goes back to the system, also from between used blocks.

    For between two stages: the next pass has its pages cleared again, some tens of milliseconds.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)


def crop(preprocess: Preprocess, image: Image.Image) -> Pixels:
    """uint8 pixels of shape (size, size, 3). The picture is taken upright; modes other than RGB are converted first.

    Converting first is what distinguishes a palette picture here from one given to open_clip as it
    is: open_clip would resize the palette's indices.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    border = (preprocess.fill,) * 3
    if preprocess.whole_drawings:
        ground = plain_ground(rgb)
        if ground or is_drawn(rgb):
            preprocess = replace(preprocess, mode="longest", resize_to=preprocess.size)
            border = ground or _WHITE
    if preprocess.mode == "shortest":
        rgb = _middle_of_a_strip(rgb)
    size = _resized(preprocess, rgb.size)
    if preprocess.crop_first and preprocess.mode == "shortest" and _shrinks(rgb.size, size):
        return np.asarray(_cropped_first(preprocess, rgb, size))
    resized = rgb.resize(size, _FILTERS[preprocess.interpolation])
    return np.asarray(_centre(preprocess, resized, border))


def plain_ground(image: Image.Image) -> tuple[int, int, int] | None:
    """The colour that an RGB picture stands on, if its four corners agree: what is cut out, printed or on a page."""
    right, bottom = image.width - 1, image.height - 1
    corners = np.array([image.getpixel(place) for place in ((0, 0), (right, 0), (0, bottom), (right, bottom))])
    if (np.ptp(corners, axis=0) > _SAME_COLOUR).any():
        return None
    red, green, blue = np.median(corners, axis=0).astype(int).tolist()
    return red, green, blue


def is_drawn(image: Image.Image) -> bool:
    """Whether an RGB picture is drawn, a page or cut out on plain ground: most pixels equal their neighbour."""
    width, height = image.size
    if width < 2:
        return False
    rows = [int((row + 0.5) * height / _ROWS) for row in range(_ROWS)]
    lines = [np.asarray(image.crop((0, y, width, y + 1)))[0] for y in rows]
    return float(np.mean([(line[1:] == line[:-1]).all(-1).mean() for line in lines])) > _MOSTLY_FLAT


def _resized(preprocess: Preprocess, size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    target = preprocess.resize_to
    if preprocess.mode == "squash":
        return target, target
    if preprocess.mode == "longest":
        ratio = max(width, height) / target
        return max(1, round(width / ratio)), max(1, round(height / ratio))
    longer = target * max(size) / min(size)
    longer = int(longer) if preprocess.rounding == "torchvision" else round(longer)
    return (target, longer) if width <= height else (longer, target)


def _shrinks(size: tuple[int, int], resized: tuple[int, int]) -> bool:
    """Both ways. What grows may come out quite different where Pillow is given a part of the picture."""
    return size[0] >= resized[0] and size[1] >= resized[1]


def _cropped_first(preprocess: Preprocess, image: Image.Image, resized: tuple[int, int]) -> Image.Image:
    """The centre of `image` resized to `resized`, without the pixels that the crop would throw away."""
    side = preprocess.size
    (width, height), (left, top) = image.size, (_offset(preprocess, length) for length in resized)
    across, down = width / resized[0], height / resized[1]
    kept = (left * across, top * down, (left + side) * across, (top + side) * down)
    return image.resize((side, side), _FILTERS[preprocess.interpolation], box=kept)


def _centre(preprocess: Preprocess, image: Image.Image, border: tuple[int, int, int]) -> Image.Image:
    """Cut what is too long; border what is too short."""
    size, (width, height) = preprocess.size, image.size
    if (width, height) == (size, size):
        return image
    left, top = _offset(preprocess, width), _offset(preprocess, height)
    if width >= size and height >= size:
        return image.crop((left, top, left + size, top + size))
    canvas = Image.new("RGB", (size, size), border)
    canvas.paste(image, (left, top))
    return canvas


def _offset(preprocess: Preprocess, length: int) -> int:
    """Where the crop begins, or (negative lengths over) where the picture lies on its canvas."""
    spare = length - preprocess.size
    if spare < 0:
        return -spare // 2
    return round(spare / 2) if preprocess.rounding == "torchvision" else spare // 2


def _middle_of_a_strip(image: Image.Image) -> Image.Image:
    """Cut a picture that is more than 32 times as long as it is wide; only its middle square counts anyway."""
    width, height = image.size
    longest = min(width, height) * _MAX_ASPECT
    if max(width, height) <= longest:
        return image
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    return image.crop((left, top, width - left, height - top))
