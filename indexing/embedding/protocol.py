"""What every embedder offers, whatever model stands behind it.

Legend: B batch, D width of a vector, H W pixels, C colour channels (3, RGB).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

Vectors = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


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
        from indexing.embedding.preprocess import crop

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
