"""RTF documents: their words (striprtf); pictures in them are counted."""

from pathlib import Path

from indexing.readers.document import clean, finished
from indexing.readers.output import ReaderOutput
from indexing.readers.plain import plain_blocks
from indexing.readers.registry import FileStart, Reader
from indexing.records import Note, Reading

_BEGINS = b"{\\rtf"
_PICTURE = b"{\\pict"


def read_rtf(path: Path, output: ReaderOutput) -> Reading:
    """The paragraphs in their order; the cells of a table's row stand in one line."""
    from striprtf.striprtf import rtf_to_text

    data = path.read_bytes()
    limit = output.limits.max_text_characters
    words: str = rtf_to_text(data[:limit].decode("latin-1"), errors="replace")  # type: ignore[no-untyped-call]  # has none
    text = clean(words).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    notes: list[Note] = []
    if len(data) > limit:
        notes.append(Note(f"longer than {limit:,} characters, of which the first were read", unread=True))
    pictures = data.count(_PICTURE)
    if pictures:
        sentence = f"{pictures:,} embedded pictures were not read"
        notes.append(Note(sentence, kind="picture", number=pictures, unread=True))
    return finished(path, plain_blocks(text), output, title=path.stem, notes=tuple(notes))


def _is_rtf(start: FileStart) -> bool:
    return start.head.startswith(_BEGINS)


READERS = (Reader(type="rtf", extensions=(".rtf",), recognise=_is_rtf, order=15, read=read_rtf),)
