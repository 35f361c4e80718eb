"""The cells of an Excel sheet as they are shown, read from the XML row by row; no tree of a sheet is built.

    <c r="B2" s="3" t="n"><v>45356</v></c>   with format 3 "dd.mm.yyyy"   →   row 2, column 2, "05.03.2024"

Only cells with something in them are kept, so a sheet that claims a million rows costs what is in it. A formula whose
value is not in the file (a program wrote it that does not calculate) is read as the formula, "=SUM(B2:B9)".
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from indexing.errors import DamagedFileError, words_of
from indexing.readers.document import clean
from indexing.readers.grid import MOST_CELLS, GridCell, Sheet
from indexing.readers.office.number_format import general, shown_number, shown_text
from indexing.readers.office.open_xml import Package, is_on, local, parse

_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})$")
_RANGE = re.compile(r"([A-Z]{1,3}[0-9]{1,7}):([A-Z]{1,3}[0-9]{1,7})$")
_MOST_MERGED = 20_000
_MOST_SHARED_FORMULAS = 10_000
_MOST_TEXTS = 5_000_000
_ERRORS_ARE_TEXT = ("e", "str")
"""Types of a formula's value for which an empty one is a value."""


@dataclass(kw_only=True, slots=True)
class Workbook:
    """What all sheets of a file share."""

    texts: list[str]
    """The shared strings: most text of a sheet is a number in this list."""
    formats: list[str]
    """Number formats by the style's number in a cell."""
    is_1904: bool
    left: int = field(default_factory=lambda: MOST_CELLS)
    """Cells that may still be read."""


def workbook_of(package: Package, part: str, root: Any) -> Workbook:
    """From the workbook's own parts; `root` is the workbook's element."""
    properties = next(root.iter("{*}workbookPr"), None)
    is_1904 = properties is not None and is_on(properties.get("date1904", "0"))
    styles = next(iter(package.related(part, "styles")), "")
    strings = next(iter(package.related(part, "sharedStrings")), "")
    return Workbook(
        texts=list(_shared_texts(package, strings)) if strings else [],
        formats=_formats(package.parsed(styles)) if styles else [],
        is_1904=is_1904,
    )


def read_cells(package: Package, part: str, sheet: Sheet, book: Workbook) -> None:
    """Fill the sheet from its part of the package, up to where that is damaged."""
    from lxml import etree

    try:
        _SheetWalk(sheet, book).over(package, part)
    except etree.XMLSyntaxError:
        sheet.is_damaged = True


def place_of(reference: str) -> tuple[int, int]:
    """B3 → (3, 2), row and column; (0, 0) for what is no place."""
    found = _REFERENCE.match(reference.replace("$", ""))
    if found is None:
        return 0, 0
    column = 0
    for letter in found[1]:
        column = 26 * column + ord(letter) - 64
    return int(found[2]), column


def texts_in(reference: str, sheets: Mapping[str, Sheet], most: int) -> list[str]:
    """What the cells show that a chart draws: 'My sheet'!$B$2:$B$9, at most so many of them."""
    name, _, cells = reference.strip("()").rpartition("!")
    sheet = sheets.get(name.strip("'").replace("''", "'"))
    first, _, last = cells.replace("$", "").partition(":")
    (top, left), (bottom, right) = place_of(first), place_of(last or first)
    if sheet is None or not 0 < top <= bottom or (bottom - top + 1) * (right - left + 1) > most:
        return []
    blank = GridCell("")
    return [
        sheet.rows.get(row, {}).get(column, blank).text
        for row in range(top, bottom + 1)
        for column in range(left, right + 1)
    ]


def _formats(styles: Any) -> list[str]:
    from openpyxl.styles.numbers import BUILTIN_FORMATS

    own = {each.get("numFmtId", ""): each.get("formatCode", "") for each in styles.iter("{*}numFmt")}
    used = next(styles.iter("{*}cellXfs"), ())
    ids = [each.get("numFmtId", "0") for each in used if local(each) == "xf"]
    return [own.get(each) or BUILTIN_FORMATS.get(int(each) if each.isdecimal() else 0, "General") for each in ids]


def _events(package: Package, part: str, *tags: str) -> Iterator[Any]:
    """The elements at their ends; each is emptied after it was looked at."""
    from lxml import etree

    if package.is_strict:  # its namespaces are changed in memory
        yield from parse(package.read(part), part).iter(*tags)
        return
    with zipfile.ZipFile(package.path) as archive, archive.open(part) as file:
        walk = etree.iterparse(
            file, events=("end",), tag=tags, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
        )
        for _, element in walk:
            yield element
            element.clear(keep_tail=False)
            while element.getprevious() is not None:
                del element.getparent()[0]


def _shared_texts(package: Package, part: str) -> Iterator[str]:
    """Raises DamagedFileError: without them hardly any cell says what it shows."""
    from lxml import etree

    try:
        yield from _all_shared_texts(package, part)
    except etree.XMLSyntaxError as error:
        raise DamagedFileError(f"the texts of the workbook are damaged ({words_of(error)})") from error


def _all_shared_texts(package: Package, part: str) -> Iterator[str]:
    for count, element in enumerate(_events(package, part, "{*}si")):
        if count >= _MOST_TEXTS:
            return
        yield _rich_text(element)


def _rich_text(element: Any) -> str:
    """Without the small readings above Japanese characters."""
    parts = [each.text or "" for each in element.iter("{*}t") if local(each.getparent()) != "rPh"]
    return clean("".join(parts))


@dataclass(slots=True)
class _SheetWalk:
    sheet: Sheet
    book: Workbook
    _hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    _shared: dict[str, tuple[str, str]] = field(default_factory=dict)  # number of a shared formula → itself, its place
    _in_hidden: set[int] = field(default_factory=set)

    def over(self, package: Package, part: str) -> None:
        last = 0
        for element in _events(package, part, "{*}col", "{*}row", "{*}mergeCell"):
            name = local(element)
            if name == "row":
                last = self._row(element, last)
                if self.sheet.cut_from:
                    break
            elif name == "mergeCell":
                self._merge(element.get("ref", ""))
            elif is_on(element.get("hidden", "0")):
                self._hidden_columns.append((int(element.get("min", "0")), int(element.get("max", "0"))))
        self.sheet.hidden_columns = len(self._in_hidden)

    def _row(self, element: Any, last: int) -> int:
        number = int(element.get("r", "0")) or last + 1
        row: dict[int, GridCell] = {}
        at = 0
        for each in element:
            at = place_of(each.get("r", ""))[1] or at + 1
            cell = self._cell(each)
            if cell is not None and cell.text.strip():
                row[at] = cell
        if len(row) > self.book.left:
            self.sheet.cut_from = number
        elif row:
            self.book.left -= len(row)
            self.sheet.rows[number] = row
            self.sheet.hidden_rows += is_on(element.get("hidden", "0"))
            self._note_hidden_columns(row)
        return number

    def _note_hidden_columns(self, row: dict[int, GridCell]) -> None:
        for first, last in self._hidden_columns:
            self._in_hidden.update(column for column in row if first <= column <= last)

    def _merge(self, reference: str) -> None:
        found = _RANGE.match(reference.replace("$", ""))
        if found is not None and len(self.sheet.merged) < _MOST_MERGED:
            self.sheet.merged.append((*place_of(found[1]), *place_of(found[2])))

    def _cell(self, element: Any) -> GridCell | None:
        inner = {child.tag.rpartition("}")[2]: child for child in element}
        kind = element.get("t", "n")
        if kind == "inlineStr":
            return self._text(_rich_text(inner["is"]), element) if "is" in inner else None
        value = inner["v"].text or "" if "v" in inner else None
        if "f" in inner:
            self._remember(inner["f"], element.get("r", ""))
            if value is None or (value == "" and kind not in _ERRORS_ARE_TEXT):
                self.sheet.formulas += 1
                return GridCell(self._formula(inner["f"], element.get("r", "")), is_formula=True)
        return None if value is None else self._value(value, kind, element)

    def _value(self, value: str, kind: str, element: Any) -> GridCell:
        if kind == "s":
            at = int(value) if value.isdecimal() else -1
            return self._text(self.book.texts[at] if 0 <= at < len(self.book.texts) else "", element)
        if kind == "b":
            return GridCell("TRUE" if is_on(value) else "FALSE")
        if kind == "n":
            try:
                return GridCell(clean(self._number(float(value), self._format(element))), is_number=True)
            except ValueError:
                return GridCell(clean(value))
        if kind == "d":
            return GridCell(clean(value).removesuffix("T00:00:00").replace("T", " "), is_number=True)
        return self._text(clean(value), element)

    def _number(self, value: float, code: str) -> str:
        return general(value) if code == "General" else shown_number(value, code, is_1904=self.book.is_1904)

    def _text(self, text: str, element: Any) -> GridCell:
        code = self._format(element)
        return GridCell(shown_text(text, code) if "@" in code and code != "@" else text)

    def _format(self, element: Any) -> str:
        style = element.get("s", "0")
        at = int(style) if style.isdecimal() else 0
        return self.book.formats[at] if at < len(self.book.formats) else "General"

    def _remember(self, formula: Any, place: str) -> None:
        """A formula that several cells share is written in the first of them."""
        if formula.get("t") == "shared" and formula.text and len(self._shared) < _MOST_SHARED_FORMULAS:
            self._shared[formula.get("si", "")] = formula.text, place

    def _formula(self, formula: Any, place: str) -> str:
        shared = self._shared.get(formula.get("si", ""))
        if formula.text or shared is None:
            return f"={clean(formula.text or '(a formula)')}"
        return self._moved(*shared, place)

    def _moved(self, text: str, origin: str, place: str) -> str:
        from openpyxl.formula.tokenizer import TokenizerError
        from openpyxl.formula.translate import Translator, TranslatorError

        try:
            return str(Translator(f"={text}", origin=origin).translate_formula(place))
        except (TranslatorError, TokenizerError, ValueError, IndexError):
            return f"={clean(text)}"
