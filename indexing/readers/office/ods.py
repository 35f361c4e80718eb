"""OpenDocument spreadsheets (ODS): a sheet is a page, its values as the program showed them when it saved them.

The file holds the shown text beside each value, so no number has to be written anew. Rows and cells that repeat are
written once with a count: an empty sheet says "1,048,576 rows of nothing".
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexing.readers.document import clean
from indexing.readers.grid import MOST_CELLS, GridCell, Row, Sheet, column_name, sheet_blocks, sheet_notes
from indexing.readers.office.document_walk import OFFICE, STYLE, TABLE, TEXT, DocumentWalk, annotation_line, words_of
from indexing.readers.office.open_document import document_reading, packed
from indexing.readers.office.open_xml import Package
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Reading

_SHEETS = b"application/vnd.oasis.opendocument.spreadsheet"
_NUMBERS = ("float", "percentage", "currency", "date", "time")
_MOST_REPEATED = 1_000
_EVENTS = (f"{STYLE}style", f"{TABLE}table", f"{TABLE}table-column", f"{TABLE}table-row", f"{TABLE}shapes")
_VALUES = ("string-value", "value", "date-value", "time-value", "boolean-value")


def read_ods(path: Path, output: ReaderOutput) -> Reading:
    """Hidden sheets, rows and columns are read, with a note."""
    package = packed(path, output)
    walk = _SheetsWalk(package, output)
    sheets = list(walk.sheets())
    blocks = [block for sheet in sheets for block in sheet_blocks(sheet)]
    return document_reading(path, package, output, blocks, walk.beside, [*sheet_notes(sheets), *walk.beside.notes()])


class _SheetsWalk:
    def __init__(self, package: Package, output: ReaderOutput) -> None:
        self.beside = DocumentWalk(package)
        self._package, self._output = package, output
        self._left = MOST_CELLS
        self._hiding: set[str] = set()
        self._hidden_columns: set[int] = set()
        self._row = self._column = 0

    def sheets(self) -> Iterator[Sheet]:
        """One after the other; of the file's tree only the row under way is kept."""
        from lxml import etree

        with zipfile.ZipFile(self._package.path) as archive, archive.open("content.xml") as file:
            walk = etree.iterparse(
                file, events=("start", "end"), tag=_EVENTS, resolve_entities=False, no_network=True, load_dtd=False
            )
            sheet: Sheet | None = None
            number = depth = 0
            for event, element in walk:
                if element.tag == f"{TABLE}table":
                    depth += 1 if event == "start" else -1
                    if event == "start" and depth == 1:
                        number += 1
                        sheet = self._begin(element, number)
                    elif event == "end" and depth == 0 and sheet is not None:
                        yield sheet
                        self._output.page_done()
                        sheet = None
                        element.clear(keep_tail=False)
                elif event == "end" and depth <= 1:
                    self._end(element, sheet)

    def _begin(self, element: Any, number: int) -> Sheet:
        self._row = self._column = 0
        self._hidden_columns = set()
        self.beside.page = number
        hidden = element.get(f"{TABLE}style-name") in self._hiding
        return Sheet(name=element.get(f"{TABLE}name", ""), number=number, hidden=hidden)

    def _end(self, element: Any, sheet: Sheet | None) -> None:
        if element.tag == f"{STYLE}style":
            if any(each.get(f"{TABLE}display") == "false" for each in element):
                self._hiding.add(element.get(f"{STYLE}name", ""))
        elif sheet is None:
            return
        elif element.tag == f"{TABLE}table-column":
            count = _count(element, "number-columns-repeated")
            if element.get(f"{TABLE}visibility", "visible") != "visible":
                self._hidden_columns |= set(range(self._column + 1, self._column + min(count, _MOST_REPEATED) + 1))
            self._column += count
        elif element.tag == f"{TABLE}shapes":
            sheet.beside.extend(self.beside.blocks(element))
            element.clear(keep_tail=False)
        else:
            self._read_row(element, sheet)
            element.clear(keep_tail=False)
            previous = element.getprevious()
            if previous is not None and previous.tag == element.tag:
                element.getparent().remove(previous)

    def _read_row(self, element: Any, sheet: Sheet) -> None:
        count = _count(element, "number-rows-repeated")
        row = self._cells(element, sheet)
        first, self._row = self._row + 1, self._row + count
        is_hidden = element.get(f"{TABLE}visibility", "visible") != "visible"
        for number in range(first, first + count if row else first):
            if sheet.cut_from or len(row) > self._left:
                sheet.cut_from = sheet.cut_from or number
                return
            self._left -= len(row)
            sheet.rows[number] = dict(row)
            sheet.hidden_rows += is_hidden
        sheet.hidden_columns = max(sheet.hidden_columns, len(self._hidden_columns & row.keys()))

    def _cells(self, element: Any, sheet: Sheet) -> Row:
        row: Row = {}
        column = 0
        for each in element:
            count = _count(each, "number-columns-repeated")
            cell = self._cell(each, sheet)
            if cell is not None:
                row |= dict.fromkeys(range(column + 1, column + min(count, _MOST_REPEATED) + 1), cell)
            self._hang(each, sheet, column + 1, cell)
            column += count
        return row

    def _cell(self, element: Any, sheet: Sheet) -> GridCell | None:
        lines = [words_of(each).strip() for each in element.iterchildren(f"{TEXT}p", f"{TEXT}h", f"{TEXT}list")]
        shown = "\n".join(lines).strip()
        kind = element.get(f"{OFFICE}value-type", "")
        if not shown:
            values = (element.get(f"{OFFICE}{name}", "") for name in _VALUES)
            shown = next(filter(None, values), "")
        formula = element.get(f"{TABLE}formula", "")
        if not shown and formula and not kind:
            sheet.formulas += 1
            shown = formula.partition(":")[2] if formula.partition(":")[0].isalpha() else formula
        return GridCell(clean(shown), is_number=kind in _NUMBERS) if shown else None

    def _hang(self, element: Any, sheet: Sheet, column: int, cell: GridCell | None) -> None:
        """Merged cells, comments and drawings of a cell."""
        width, height = _count(element, "number-columns-spanned"), _count(element, "number-rows-spanned")
        row = self._row + 1
        if width > 1 or height > 1:
            sheet.merged.append((row, column, row + height - 1, column + width - 1))
        for each in element:
            if each.tag == f"{OFFICE}annotation":
                line = annotation_line(each)
                value = f", {cell.text}" if cell is not None else ""
                place = f" (cell {column_name(column)}{row}{value})"
                opening, colon, text = line.partition(": ")
                sheet.comments += [f"{opening}{place}{colon}{text}"] if line else []
            elif each.tag not in (f"{TEXT}p", f"{TEXT}h", f"{TEXT}list"):
                sheet.beside.extend(self.beside.blocks_of(each))


def _count(element: Any, name: str) -> int:
    value = element.get(f"{TABLE}{name}", "1")
    return max(1, min(int(value), 1 << 20)) if value.isdecimal() else 1


def _is_ods(start: FileStart) -> bool:
    return start.members is not None and start.members.media_type.startswith(_SHEETS)


READERS = (Reader(type="ods", extensions=(".ods", ".ots"), recognise=_is_ods, order=35, read=read_ods),)
