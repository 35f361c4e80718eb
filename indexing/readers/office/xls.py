"""The old Excel workbooks (XLS, Excel 97 to 2003), read by xlrd: values in their formats, comments, hidden parts.

xlrd gives no formulas, only the values that they had, and no charts and text boxes. A workbook that has such goes
through LibreOffice where a worker has it; where not, they are told.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexing.errors import DamagedFileError, EncryptedFileError, UnreadableFileError, pass_on, words_of
from indexing.readers.document import clean, finished
from indexing.readers.grid import MOST_CELLS, GridCell, Row, Sheet, column_name, sheet_blocks, sheet_notes
from indexing.readers.office.number_format import general, shown_number, shown_text
from indexing.readers.office.old_office import read_converted
from indexing.readers.office.word_beside import comment_line
from indexing.readers.office.xlsx import read_xlsx
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Note, NoteKind, Reading

_STREAMS = ("workbook", "book")
_BEGINNING, _WORDS_OF_OBJECT, _COMMENT = 0x0809, 0x01B6, 0x001C
"""Numbers of records: a part of the workbook begins, an object has words, a cell has a comment."""
_OF_A_CHART = b"\x20\0"
_OLDEST = (b"\x09\x08\x10\x00\x00\x06\x05\x00", b"\x09\x08\x08\x00\x00\x05\x05\x00")
"""Workbooks that some programs write without the container around them."""


def read_xls(path: Path, output: ReaderOutput) -> Reading:
    """Raises EncryptedFileError, DamagedFileError."""
    charts, boxes = _drawn(path)
    if charts or boxes:
        try:
            with output.part():
                return read_converted(path, "xlsx", read_xlsx, output)
        except UnreadableFileError as error:
            pass_on(error)
    return _read_cells(path, output, list(_notes_on_drawn(charts, boxes)))


def _read_cells(path: Path, output: ReaderOutput, notes: list[Note]) -> Reading:
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
    notes += sheet_notes(sheets)
    if book.nsheets > output.limits.max_pages:
        left_out = book.nsheets - output.limits.max_pages
        sentence = f"{left_out:,} sheets over the limit of {output.limits.max_pages:,} were left out"
        notes.append(Note(sentence, kind="page", number=left_out, unread=True))
    own = {"author": clean(book.user_name)[:500]} if book.user_name.strip() else {}
    blocks = [block for sheet in sheets for block in sheet_blocks(sheet)]
    return finished(path, blocks, output, metadata=own, notes=tuple(notes))


def _drawn(path: Path) -> tuple[int, int]:
    """How many charts and text boxes the workbook has, counted in its records; (0, 0) for one that cannot be walked."""
    import olefile

    try:
        with olefile.OleFileIO(path) as container:
            stream = next(name for name in _STREAMS if container.exists(name))
            data = container.openstream(stream).read()
    except (OSError, ValueError, IndexError, TypeError, RecursionError, StopIteration) as error:
        pass_on(error)
        return 0, 0
    charts = boxes = at = 0
    while at + 4 <= len(data):
        record, length = struct.unpack_from("<HH", data, at)
        charts += record == _BEGINNING and data[at + 6 : at + 8] == _OF_A_CHART
        boxes += (record == _WORDS_OF_OBJECT) - (record == _COMMENT)  # a comment has words in an object, too
        at += 4 + length
    return charts, max(0, boxes)


def _notes_on_drawn(charts: int, boxes: int) -> Iterator[Note]:
    kinds: tuple[tuple[int, str, NoteKind], ...] = ((charts, "charts", "chart"), (boxes, "text boxes", "embedded"))
    for count, what, kind in kinds:
        if count:
            advice = "that takes LibreOffice, or the file saved as XLSX"
            sentence = f"{count:,} {what} of the workbook were not read: {advice}"
            yield Note(sentence, kind=kind, number=count, unread=True)


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
    return "encryptedpackage" not in start.streams and not start.streams.isdisjoint(_STREAMS)


READERS = (Reader(type="xls", extensions=(".xls", ".xlt"), recognise=_is_xls, order=37, read=read_xls),)
