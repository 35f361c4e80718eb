"""Tables as text: values between commas, semicolons, tabs or bars, one row a line (CSV, TSV).

    Name;Town            → | Name | Town |
    "Kay; A.";Ryde         | Kay; A. | Ryde |

The sign between the values is the one with which most rows have the same number of them. Text without such a sign is
read line by line, as plain text is.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from indexing.readers.document import finished, read_text
from indexing.readers.grid import MOST_CELLS, GridCell, Sheet, tables
from indexing.readers.output import ReaderOutput
from indexing.readers.plain import plain_blocks
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Reading

_EXTENSIONS = (".csv", ".tsv", ".tab", ".psv")
_SIGNS = (",", ";", "\t", "|")
_TOLD = re.compile(r"sep=(.)\r?\n")
"""Excel's own first line, which names the sign."""
_ROWS_LOOKED_AT = 200
_LEAST_AGREEING = 0.5
_MOST_LINES_IN_VALUE = 200
"""A value with more lines is no value: somebody typed one quotation mark and not the other."""
_NUMBER = re.compile(r"[-+(]?[€$£]?\s?\d[\d\s.,'’]*(?:%|[€$£]|\))?")


def read_delimited(path: Path, output: ReaderOutput) -> Reading:
    """One table, or several with blank rows between them; the first row of each is its header."""
    text, notes = read_text(path, output.limits)
    told = _TOLD.match(text)
    text = text[told.end() :] if told else text
    sign = told[1] if told else _sign_of(text)
    if not sign:
        return finished(path, plain_blocks(text), output, title=path.stem, notes=notes)
    sheet = Sheet(name=path.stem, number=None)
    limits = (_fill(sheet, rows) for rows in (_rows(text, sign, quoted=True), _rows(text, sign, quoted=False)))
    is_whole = next(limits) or next(limits)
    found: list[Block] = list(tables(sheet))
    return finished(path, found, output, title=path.stem, notes=(*notes, *_notes(sheet, is_whole)))


def _notes(sheet: Sheet, is_whole: bool) -> Iterator[Note]:
    if sheet.cut_from or not is_whole:
        sentence = f"read up to row {sheet.cut_from - 1:,}: more than {MOST_CELLS:,} values"
        yield Note(sentence, unread=True)


def _rows(text: str, sign: str, *, quoted: bool) -> Iterator[list[str]]:
    """The rows; `quoted` is False to take quotation marks for signs like others."""
    csv.field_size_limit(1 << 30)  # the text's own limit is smaller
    lines = text.splitlines(keepends=True)
    if quoted:
        return csv.reader(lines, delimiter=sign, skipinitialspace=True)
    return csv.reader(lines, delimiter=sign, quoting=csv.QUOTE_NONE, skipinitialspace=True)


def _sign_of(text: str) -> str:
    """The sign that parts the values; "" where none does."""
    start = "".join(islice(_lines(text), _ROWS_LOOKED_AT))
    best, best_share = "", 0.0
    for sign in _SIGNS:
        widths = Counter(len(row) for row in _rows(start, sign, quoted=True) if any(row))
        width, count = max(widths.items(), key=lambda item: (item[0] > 1, item[1]), default=(0, 0))
        share = count / max(1, widths.total()) + 0.001 * min(width, 50)
        if width > 1 and share > max(best_share, _LEAST_AGREEING):
            best, best_share = sign, share
    return best


def _lines(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _fill(sheet: Sheet, rows: Iterator[list[str]]) -> bool:
    """Whether the rows make sense; the sheet is empty again where they do not."""
    left = MOST_CELLS
    sheet.rows.clear()
    for number, values in enumerate(rows, start=1):
        row = {at: _cell(value) for at, value in enumerate(values, start=1) if value.strip()}
        if any(value.count("\n") > _MOST_LINES_IN_VALUE for value in values):
            sheet.rows.clear()
            return False
        left -= len(row)
        if left < 0:
            sheet.cut_from = number
            return True
        if row:
            sheet.rows[number] = row
    return True


def _cell(value: str) -> GridCell:
    shown = value.strip()
    return GridCell(shown, is_number=bool(_NUMBER.fullmatch(shown)))


def _is_delimited(start: FileStart) -> bool:
    return start.text is not None and start.suffix in _EXTENSIONS


READERS = (
    Reader(type="csv", extensions=_EXTENSIONS, recognise=_is_delimited, order=75, read=read_delimited, is_text=True),
)
