"""Files inside a file: each is read by the same readers, under a heading with its name.

    attachments = Attachments(output, pages_before=12)         # one for each reading
    blocks += attachments.read("quote.pdf", data)              # a heading, then what the file says
    pages, notes = [*pages, *attachments.pages], [*notes, *attachments.notes]

Whatever lies inside each other shares the limits of the whole file: `max_attachments` and `max_depth`. While a file is
read it lies in the output's folder under a name of ours: its own name never becomes a path (CVE-2025-64712).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from indexing.errors import DamagedFileError, EmptyFileError, FileTooLargeError, UnreadableFileError, in_words, pass_on
from indexing.readers.document import clean, figure_block
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import all_readers, read, recognise
from indexing.records import Block, Note, Page, Reading

_LONGEST_NAME = 200
_DEEPEST_HEADING = 7


class Attachments:
    """Reads the files inside one file, one after the other, and gathers their pages and notes."""

    def __init__(self, output: ReaderOutput, *, pages_before: int = 0, word: str = "attachment") -> None:
        """`pages_before` is the last page number of the file itself, from which the pages of the others are counted
        on. `word` is what a note calls one of them."""
        self.pages: list[Page] = []
        self._output, self._last_page, self._word = output, pages_before, word
        self._notes: list[Note] = []
        self._over = 0

    @property
    def notes(self) -> tuple[Note, ...]:
        """What of them was not read, in their order, each beginning with the name; those over the limits are one."""
        return (*self._notes, *([self._note_on_limits()] if self._over else []))

    def read(self, name: str, content: bytes | Iterable[bytes], *, heading: str = "Attachment: {name}") -> list[Block]:
        """One file as blocks, the first of which is its heading, of level 1. What cannot be read becomes a note; raises
        what is the machine's fault alone (`errors.pass_on`).

        `content` may come in pieces, and raise an UnreadableFileError between them. A place for `{name}` in `heading`
        is filled; without a heading ("") the file's blocks stand under that of the place.
        """
        return self._within_limits(name, heading, lambda shown: self._content(shown, content))

    def read_by(
        self, name: str, reader: Callable[[ReaderOutput], Reading], *, heading: str = "Attachment: {name}"
    ) -> list[Block]:
        """The same for what is no file by itself, such as a mail that its parser has already taken apart."""
        return self._within_limits(name, heading, lambda shown: self._document(shown, partial(_guarded, reader)))

    def section(self, name: str, reader: Callable[[ReaderOutput], Reading]) -> list[Block]:
        """The same without limits, for what is the file itself: a letter of a mailbox, a sheet of a book."""
        name = shown_name(name)
        blocks = [Block(kind="heading", text=name, level=1)]
        try:
            blocks += self._document(name, partial(_guarded, reader))
        except UnreadableFileError as error:
            pass_on(error)
            self.leave_out(name, error.reason)
        return blocks

    def _within_limits(self, name: str, heading: str, blocks_of: Callable[[str], Iterator[Block]]) -> list[Block]:
        name = shown_name(name)
        inside, limits = self._output.inside, self._output.limits
        if inside.attachments >= self._most() or inside.depth + 1 >= limits.max_depth:
            self._over += 1
            return []
        inside.attachments += 1
        inside.depth += 1
        shown = heading.replace("{name}", name)
        blocks = [Block(kind="heading", text=shown, level=1)] if heading else []
        try:
            with self._output.part():
                blocks += blocks_of(name)
        except UnreadableFileError as error:
            pass_on(error)
            self.leave_out(name, error.reason, unread=not isinstance(error, EmptyFileError))
        finally:
            inside.depth -= 1
        return blocks

    def leave_out(self, name: str, reason: str, *, unread: bool = True) -> None:
        """Say of a file that it was not read."""
        place = self._place(shown_name(name))
        self._notes.append(Note(f"{place} was not read: {reason}", kind="attachment", place=place, unread=unread))

    def _most(self) -> int:
        """An archive anywhere in the file raises the limit for all of it."""
        limits = self._output.limits
        return limits.max_archive_files if self._output.inside.archives else limits.max_attachments

    def _note_on_limits(self) -> Note:
        words = f"the limits are {self._most():,} and {self._output.limits.max_depth:,}"
        sentence = f"{self._over:,} {self._word}s were not read: too many, or nested too deeply ({words})"
        return Note(sentence, kind="attachment", number=self._over, unread=True)

    def _place(self, name: str) -> str:
        return f"{self._word} '{name}'"

    def _content(self, name: str, content: bytes | Iterable[bytes]) -> Iterator[Block]:
        path = self._output.folder / f"attachment-{self._output.inside.attachments:04d}{_known_extension(name)}"
        try:
            _write(path, content)
            reader = recognise(path).reader
            if reader.is_picture and not _has_pages(path, reader.type, self._output):
                yield from self._picture(path, name)
            else:
                yield from self._document(name, partial(read, path))
        finally:
            path.unlink(missing_ok=True)

    def _picture(self, path: Path, name: str) -> Iterator[Block]:
        if self._output.figures >= self._output.limits.max_figures:
            raise FileTooLargeError(f"the limit is {self._output.limits.max_figures:,} pictures in one file")
        unread: list[Note] = []
        figure = figure_block(path.read_bytes(), self._output, caption=name, notes=unread)
        self._notes += [note.within(self._place(name)) for note in unread]
        if figure is not None:
            yield figure

    def _document(self, name: str, reader: Callable[[ReaderOutput], Reading]) -> Iterator[Block]:
        """Pages are counted on through the whole file, also in the names of their pictures."""
        before, offset = self._last_page, self._output.page_offset
        self._output.page_offset = offset + before
        try:
            reading = reader(self._output)
        finally:
            self._output.page_offset = offset
        self.pages += [replace(page, number=before + (page.number or 1)) for page in reading.pages]
        self._last_page = before + max((page.number or 1 for page in reading.pages), default=0)
        self._notes += [note.within(self._place(name)) for note in reading.notes]
        shown = {page.number for page in reading.pages}
        for block in reading.blocks:
            level = min(block.level + 1, _DEEPEST_HEADING) if block.kind == "heading" else block.level
            page = before + (block.page or 1) if block.page in shown else None
            yield replace(block, page=page, level=level)


def _guarded(reader: Callable[[ReaderOutput], Reading], output: ReaderOutput) -> Reading:
    """Whatever a parser throws is the failure of the part alone."""
    try:
        return reader(output)
    except UnreadableFileError:
        raise
    except RecursionError as error:
        raise DamagedFileError("its content is nested too deeply") from error
    except Exception as error:
        pass_on(error)
        raise DamagedFileError(in_words(error)) from error


def shown_name(name: str) -> str:
    """A name as people read it: one line of at most 200 characters."""
    return " ".join(clean(name).split())[:_LONGEST_NAME] or "without a name"


def _known_extension(name: str) -> str:
    """The ending of the name where a reader knows it, taken from the reader: it tells kinds of plain text apart."""
    known = (each for reader in all_readers() for each in reader.extensions)
    return next((each for each in known if name.lower().endswith(each)), ".part")


def _write(path: Path, content: bytes | Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for piece in [content] if isinstance(content, bytes) else content:
            file.write(piece)


def _has_pages(path: Path, type: str, output: ReaderOutput) -> bool:
    """A TIFF of several frames, such as a fax, is a document."""
    from indexing.readers.image import frames_in

    return type == "tiff" and frames_in(path, output) > 1
