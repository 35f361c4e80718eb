"""Where a reader puts pixels: JPEGs that the library keeps, and prepared squares for the embedder.

`page-0001.jpg`, `figure-0001.jpg` and `thumb.jpg` are named by us, never by the file that is read.
Prepared pixels go one after the other into `pixels.bin` (uint8, size × size × 3 each); `names` says
which square belongs to which picture, `picture` being the whole of a picture file.
"""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from indexing.embedding.protocol import Preprocess
from indexing.errors import FileTooLargeError
from indexing.readers.limits import MEGABYTE, ReadLimits

PIXELS_FILE = "pixels.bin"
PICTURE = "picture"
THUMB = "thumb.jpg"
PAGE_SIDE = 1400
"""Longer side of a kept page image: small print stays legible, a page takes 150–300 kB."""
THUMB_SIDE = 448
FIGURE_SIDE = 1000


class Spool:
    """One file's output folder; counts what is written and stops at the limit."""

    def __init__(
        self,
        folder: Path,
        *,
        preprocess: Preprocess,
        limits: ReadLimits,
        on_page: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder
        self.preprocess = preprocess
        self.limits = limits
        self.names: list[str] = []
        self.figures = 0
        self.page_offset = 0  # pages of earlier documents in the same file (attachments of a mail)
        self._on_page = on_page
        self._written = 0

    def page_done(self) -> None:
        """Tell the parent that another page is read: it extends the time that the file may take."""
        self._on_page()

    def picture(self, image: Image.Image) -> Path:
        """A picture file: prepared pixels as `picture`, and the thumbnail."""
        self._prepare(PICTURE, image)
        return self.thumb(image)

    def page(self, image: Image.Image, number: int, *, prepared: bool = True) -> Path:
        """A page at most `PAGE_SIDE` long, written as `page-0001.jpg`; RGB in, path out."""
        name = f"page-{number + self.page_offset:04d}.jpg"
        if prepared:
            self._prepare(name, image)
        return self._save(_at_most(image, PAGE_SIDE), name, quality=80)

    def figure(self, image: Image.Image) -> Path:
        """The next figure, with its prepared pixels."""
        self.figures += 1
        name = f"figure-{self.figures:04d}.jpg"
        self._prepare(name, image)
        return self._save(_at_most(image, FIGURE_SIDE), name, quality=85)

    def thumb(self, image: Image.Image) -> Path:
        """What a gallery shows."""
        return self._save(_at_most(image, THUMB_SIDE), THUMB, quality=80)

    def _save(self, image: Image.Image, name: str, *, quality: int) -> Path:
        path = self.folder / name
        image.save(path, "JPEG", quality=quality)
        self._count(path.stat().st_size)
        return path

    def _prepare(self, name: str, image: Image.Image) -> None:
        pixels = self.preprocess.crop(image)
        with (self.folder / PIXELS_FILE).open("ab") as file:
            file.write(pixels.tobytes())
        self.names.append(name)
        self._count(pixels.nbytes)

    def _count(self, size: int) -> None:
        self._written += size
        if self._written > self.limits.max_spool_bytes:
            raise FileTooLargeError(
                f"its pages and figures take more than {self.limits.max_spool_bytes // MEGABYTE} MB"
            )


def _at_most(image: Image.Image, side: int) -> Image.Image:
    """The picture with its longer side at most `side`; `reducing_gap` halves the cost unseen."""
    longer = max(image.size)
    if longer <= side:
        return image
    width, height = (max(1, round(length * side / longer)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.5)
