"""Pictures → the numbers a vision tower sees.

`open_picture` is for bytes that nobody has checked: the size is checked before a pixel is decoded, the camera's
rotation is applied, and transparent parts become white. `ImagePreprocess` does what transformers' CLIP, LLaVA and
SigLIP image processors and timm's evaluation transform do, with Pillow alone.

A 640×480 photograph for CLIP ViT-L/14-336: resized to 448×336, the middle 336×336 cut out, divided by 255,
mean subtracted, divided by the deviation → float32 (3, 336, 336), about -1.8 to 2.1.

Legend: N pictures, C colour channels (3, RGB), H height, W width.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image, ImageOps, UnidentifiedImageError

from llava_model.errors import MissingFileError, PictureTooLargeError, UnreadablePictureError

if TYPE_CHECKING:
    import torch

MAX_PIXELS = 89_478_485  # where Pillow itself begins to warn

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
"""The only formats that are read. Pillow would try every format that it knows, and for one of them (EPS) it starts
Ghostscript, which runs the picture as a program."""

_HALF = (0.5, 0.5, 0.5)
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, MemoryError)


def open_picture(source: Path | bytes, *, name: str = "picture", max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture upright and in RGB; of several frames the first. The file's name does not decide its format; `name`
    is what errors call bytes without a file.

    Raises PictureTooLargeError before decoding, UnreadablePictureError for what is no (whole) picture.
    """
    name = source.name if isinstance(source, Path) else name
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise PictureTooLargeError(name, f"{image.width}×{image.height}", max_pixels)
            return on_white(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureTooLargeError(name, f"over {Image.MAX_IMAGE_PIXELS}", max_pixels) from error
    except FileNotFoundError as error:
        raise MissingFileError(Path(str(source)), "picture") from error
    except UnidentifiedImageError as error:
        raise UnreadablePictureError(name, f"none of the formats that are read here ({', '.join(FORMATS)})") from error
    except _DAMAGE as error:
        raise UnreadablePictureError(name, f"damaged ({error})") from error


def on_white(image: Image.Image) -> Image.Image:
    """RGB, with transparent parts white and 16-bit greys scaled instead of clipped."""
    if image.mode.startswith("I;16"):
        image = image.convert("I").point(lambda grey: grey / 256).convert("L")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    return image.convert("RGB")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePreprocess:
    """How a picture becomes the square that a tower was trained on."""

    size: int
    """Side of the square in pixels."""

    mode: Literal["crop", "pad", "squash"] = "crop"
    """`crop`: shorter side to `resize_to`, middle cut out (CLIP). `pad`: first made square with borders in the
    mean colour (LLaVA-1.5). `squash`: both sides to `size`, proportions lost (SigLIP)."""

    resize_to: int = 0
    """What the shorter side becomes before the cut; 0 means `size`."""

    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    """Subtracted from values 0..1; the default is OpenAI CLIP's."""

    deviation: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    """Divided by afterwards."""

    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    """Pillow's filter for resizing."""

    def pixels(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        """float32 pixels_NCHW of RGB pictures (others are converted, transparency on white)."""
        import numpy as np
        import torch

        squares_NHWC = np.stack([np.asarray(self.square(on_white(image))) for image in images])
        values_NCHW = torch.from_numpy(squares_NHWC).permute(0, 3, 1, 2).to(torch.float32) / 255
        mean_C11 = torch.tensor(self.mean)[:, None, None]
        deviation_C11 = torch.tensor(self.deviation)[:, None, None]
        return (values_NCHW - mean_C11) / deviation_C11

    def square(self, image: Image.Image) -> Image.Image:
        """The uint8 square before the numbers are scaled."""
        resampling = _RESAMPLING[self.interpolation]
        if self.mode == "squash":
            return image.resize((self.size, self.size), resampling)
        if self.mode == "pad":
            image = self._padded(image)
        shorter, longer = sorted(image.size)
        target = self.resize_to or self.size
        side = int(target * longer / shorter)
        image = image.resize((target, side) if image.width <= image.height else (side, target), resampling)
        left, top = (image.width - self.size) // 2, (image.height - self.size) // 2
        return image.crop((left, top, left + self.size, top + self.size))

    def _padded(self, image: Image.Image) -> Image.Image:
        side = max(image.size)
        colour = tuple(int(channel * 255) for channel in self.mean)
        square = Image.new("RGB", (side, side), (colour[0], colour[1], colour[2]))
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        return square

    @classmethod
    def read(cls, folder: Path, tower: Any) -> "ImagePreprocess":
        """From transformers' `preprocessor_config.json` or `processor_config.json` beside the weights.

        Without either, what CLIP or SigLIP use by default; `tower` is the vision model's configuration.
        """
        for name, inner in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
            if (folder / name).is_file():
                values = json.loads((folder / name).read_text(encoding="utf-8"))
                values = values.get(inner) if inner else values
                if values:
                    return cls.from_transformers(values)
        if tower.model_type.startswith("siglip"):
            return cls(size=tower.image_size, mode="squash", mean=_HALF, deviation=_HALF)
        return cls(size=tower.image_size)

    @classmethod
    def from_transformers(cls, values: Mapping[str, Any]) -> "ImagePreprocess":
        """From the fields of a CLIP, LLaVA or SigLIP image processor."""
        size = values.get("size", {})
        size = {"shortest_edge": size} if isinstance(size, int) else dict(size)
        crop = values.get("crop_size") or {}
        crop_side = crop if isinstance(crop, int) else crop.get("height", 0)
        shorter = size.get("shortest_edge")
        square = int(crop_side if shorter and crop_side and values.get("do_center_crop", True) else 0)
        return cls(
            size=square or int(shorter or size["height"]),
            mode="squash" if not shorter else "pad" if values.get("do_pad") else "crop",
            resize_to=int(shorter or 0),
            mean=_three(values["image_mean"]),
            deviation=_three(values["image_std"]),
            interpolation="bilinear" if values.get("resample") == 2 else "bicubic",
        )

    @classmethod
    def from_timm(cls, values: Mapping[str, Any]) -> "ImagePreprocess":
        """From timm's `pretrained_cfg`."""
        side = int(values["input_size"][-1])
        return cls(
            size=side,
            resize_to=math.floor(side / values.get("crop_pct", 0.875)),
            mean=_three(values["mean"]),
            deviation=_three(values["std"]),
            interpolation="bilinear" if values.get("interpolation") == "bilinear" else "bicubic",
        )


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
