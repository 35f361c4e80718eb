"""Pages of a long PDF, kept as they are read: a run that is stopped, however it is, goes on at the page where it was.

`pages.jsonl` lies in the file's output folder beside the page images. Its first line says how the file was read, each
line after it is one page with all that later pages need to know of it. A page counts once its line is whole and what
the line speaks of is on disk; whatever was written after that is written again.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from indexing.readers.output import KEPT_PAGES, PIXELS_FILE, ReaderOutput
from indexing.readers.pdf.continued_tables import OpenTable
from indexing.readers.pdf.paragraphs import Paragraph
from indexing.records import CONTENT_FORMAT, Page

FEWEST_PAGES = 100
"""A shorter document is read again in a few seconds."""
_JPEG = b"\xff\xd8"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptPage:
    """One page as it was read. Exactly one of `page`, `same_as` and `is_unreadable` is given."""

    number: int
    page: Page | None = None
    paragraphs: tuple[Paragraph, ...] = ()
    same_as: int = 0
    is_unreadable: bool = False
    look: str = ""
    """What the page is known by, should it come again."""
    has_annotations: bool = False
    left_out: dict[str, int]
    """What was left out on this page, by kind."""
    told_of: tuple[str, ...] = ()
    """The kinds that are told with the page's number."""
    characters: int = 0
    """So many of the document were read when this page was."""
    open_table: OpenTable | None = None
    names: tuple[str, ...] = ()
    """The prepared pictures of this page."""
    figures: int = 0
    written_bytes: int = 0


class KeptPages:
    """The pages of one document. Close it."""

    def __init__(self, output: ReaderOutput, pages: int) -> None:
        self._output = output
        self._file: IO[bytes] | None = None
        is_whole_file = output.inside.depth == 0 and output.page_offset == 0
        self._is_kept = pages >= FEWEST_PAGES and is_whole_file
        self.earlier: list[KeptPage] = []
        """Read by a run before this one, in order."""
        if self._is_kept:
            self._open()

    def add(self, kept: KeptPage) -> None:
        """One more page; it is on its way to the disk when this returns."""
        if self._file is not None:
            self._file.write(_line(kept))
            self._file.flush()

    def close(self) -> None:
        """No more pages."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        path = self._output.folder / KEPT_PAGES
        how, length = json.dumps(self._how(), sort_keys=True).encode() + b"\n", 0
        if path.exists():
            with path.open("rb") as file:
                if file.readline() == how:
                    length = len(how)
                    length += self._load(file)
        if not self.earlier:
            for each in self._output.folder.iterdir():
                if each.is_file():
                    each.unlink()
        self._file = path.open("ab")
        if self.earlier:
            self._file.truncate(length)
        else:
            self._file.write(how)

    def _load(self, file: IO[bytes]) -> int:
        """→ the length of the lines that count."""
        length, names = 0, list[str]()
        pixels = self._output.folder / PIXELS_FILE
        on_disk = pixels.stat().st_size if pixels.exists() else 0
        for line in file:
            kept = _page_of(line, self._output.folder)
            if kept is None or kept.number != len(self.earlier) + 1 or not _is_there(kept):
                break
            if self._output.pixels_bytes(len(names) + len(kept.names)) > on_disk:
                break
            names += kept.names
            self.earlier.append(kept)
            length += len(line)
        if self.earlier:
            last = self.earlier[-1]
            self._output.go_on(names=names, figures=last.figures, written_bytes=last.written_bytes)
        return length

    def _how(self) -> dict[str, Any]:
        """What must be the same for the pages to be of use."""
        return {
            "format": CONTENT_FORMAT,
            "pdfium": version("pypdfium2"),
            "limits": self._output.limits.to_json(),
            "preprocess": asdict(self._output.preprocess),
        }


def difference(after: Counter[Any], before: Counter[Any]) -> dict[str, int]:
    """What was counted meanwhile."""
    return {str(kind): count - before[kind] for kind, count in after.items() if count != before[kind]}


def _line(kept: KeptPage) -> bytes:
    bare = replace(kept, paragraphs=tuple(replace(each, table=None) for each in kept.paragraphs))
    return bytes(_adapter().dump_json(bare)) + b"\n"


def _page_of(line: bytes, folder: Path) -> KeptPage | None:
    """Pictures with their whole paths again; None for a line that a kill has cut."""
    try:
        kept: KeptPage = _adapter().validate_json(line)
    except ValueError:
        return None
    page = replace(kept.page, image=_inside(kept.page.image, folder)) if kept.page else None
    paragraphs = tuple(
        replace(each, block=replace(each.block, image=_inside(each.block.image, folder))) for each in kept.paragraphs
    )
    return replace(kept, page=page, paragraphs=paragraphs)


def _inside(image: Path | None, folder: Path) -> Path | None:
    return folder / image.name if image is not None else None


def _is_there(kept: KeptPage) -> bool:
    """A disk that lost its power may have kept the line and not the picture."""
    images = [kept.page.image] if kept.page is not None else []
    images += [each.block.image for each in kept.paragraphs]
    return all(_is_jpeg(image) for image in images if image is not None)


def _is_jpeg(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(2) == _JPEG
    except FileNotFoundError:
        return False


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(KeptPage)
