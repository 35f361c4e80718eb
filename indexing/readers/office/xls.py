"""The old Excel workbooks (XLS, Excel 97 to 2003), read by xlrd: values in their formats, comments, hidden parts.

Charts and text boxes of such a file are not read. xlrd gives no formulas, only the values that they had.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexing.errors import DamagedFileError, EncryptedFileError, words_of
from indexing.readers.document import clean, finished
from indexing.readers.grid import MOST_CELLS, GridCell, Row, Sheet, column_name, sheet_blocks, sheet_notes
from indexing.readers.office.number_format import general, shown_number, shown_text
from indexing.readers.office.word_beside import comment_line
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Note, Reading

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STREAMS = ("workbook", "book")
_OLDEST = (b"\x09\x08\x10\x00\x00\x06\x05\x00", b"\x09\x08\x08\x00\x00\x05\x05\x00")
"""Workbooks that some programs write without the container around them."""


def read_xls(path: Path, output: ReaderOutput) -> Reading:
    """Raises EncryptedFileError, DamagedFileError."""
    import xlrd

    try:
        book = xlrd.open_workbook(str(path), formatting_info=True, on_demand=True, logfile=_Silence(), ragged_rows=True)
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise EncryptedFileError("the workbook asks for a password") from error
        raise DamagedFileError(f"an old Excel workbook that is damaged ({words_of(error)})") from error
    reader = _BookReader(book)
    sheets: list[Sheet] = []
    for number in range(1, min(book.nsheets, output.limits.max_pages) + 1):
        sheets.append(reader.sheet(number))
        book.unload_sheet(number - 1)
        output.page_done()
    notes = sheet_notes(sheets)
    if book.nsheets > output.limits.max_pages:
        left_out = book.nsheets - output.limits.max_pages
        sentence = f"{left_out:,} sheets over the limit of {output.limits.max_pages:,} were left out"
        notes.append(Note(sentence, kind="page", number=left_out, unread=True))
    own = {"author": clean(book.user_name)[:500]} if book.user_name.strip() else {}
    blocks = [block for sheet in sheets for block in sheet_blocks(sheet)]
    return finished(path, blocks, output, metadata=own, notes=tuple(notes))


class _BookReader:
    def __init__(self, book: Any) -> None:
        self._book = book
        self._left = MOST_CELLS

    def sheet(self, number: int) -> Sheet:
        """All of a sheet's cells, and what hangs on them."""
        source = self._book.sheet_by_index(number - 1)
        sheet = Sheet(name=source.name, number=number, hidden=source.visibility != 0)
        hidden_columns = {column + 1 for column, info in source.colinfo_map.items() if info.hidden}
        seen: set[int] = set()
        for at in range(source.nrows):
            row = self._row(source, at)
            if len(row) > self._left:
                sheet.cut_from = at + 1
                break
            if row:
                self._left -= len(row)
                sheet.rows[at + 1] = row
                info = source.rowinfo_map.get(at)
                sheet.hidden_rows += bool(info is not None and info.hidden)
                seen |= hidden_columns & row.keys()
        sheet.hidden_columns = len(seen)
        sheet.merged.extend((top + 1, left + 1, bottom, right) for top, bottom, left, right in source.merged_cells)
        sheet.comments.extend(_comments(source, sheet))
        return sheet

    def _row(self, source: Any, at: int) -> Row:
        row: Row = {}
        for column in range(source.row_len(at)):
            cell = self._cell(source.cell(at, column))
            if cell.text.strip():
                row[column + 1] = cell
        return row

    def _cell(self, cell: Any) -> GridCell:
        import xlrd

        kind, value = cell.ctype, cell.value
        code = self._format(cell)
        if kind in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
            is_1904 = bool(self._book.datemode)
            return GridCell(
                general(value) if code == "General" else shown_number(value, code, is_1904=is_1904), is_number=True
            )
        if kind == xlrd.XL_CELL_BOOLEAN:
            return GridCell("TRUE" if value else "FALSE")
        if kind == xlrd.XL_CELL_ERROR:
            return GridCell(xlrd.error_text_from_code.get(value, "#ERROR"))
        return GridCell(clean(shown_text(str(value), code)))

    def _format(self, cell: Any) -> str:
        if cell.xf_index is None or cell.xf_index >= len(self._book.xf_list):
            return "General"
        found = self._book.format_map.get(self._book.xf_list[cell.xf_index].format_key)
        return found.format_str if found is not None and found.format_str else "General"


def _comments(source: Any, sheet: Sheet) -> Iterator[str]:
    for (row, column), note in sorted(source.cell_note_map.items()):
        cell = sheet.rows.get(row + 1, {}).get(column + 1)
        value = f", {cell.text}" if cell is not None else ""
        author = note.author or ""
        text = (note.text or "").strip().removeprefix(f"{author}:")
        line = comment_line(author, text, f"cell {column_name(column + 1)}{row + 1}{value}")
        if line:
            yield line


class _Silence:
    """xlrd writes what it finds odd to a stream."""

    def write(self, _: str) -> None:
        """Nobody reads it."""

    def flush(self) -> None:
        """Nothing to flush."""


def _is_xls(start: FileStart) -> bool:
    if start.head.startswith(_OLDEST):
        return True
    if not start.head.startswith(_OLE):
        return False
    import olefile

    try:
        with olefile.OleFileIO(start.path) as container:
            streams = {"/".join(parts).lower() for parts in container.listdir()}
    except (OSError, ValueError, IndexError, TypeError, RecursionError):
        return False  # told as damaged, since nobody takes it
    return "encryptedpackage" not in streams and any(stream in streams for stream in _STREAMS)


READERS = (Reader(type="xls", extensions=(".xls", ".xlt"), recognise=_is_xls, order=37, read=read_xls),)
