"""Excel: a sheet is a page under its name; its tables with every value as a person sees it.

workbook → its sheets in their order (excel_cells) → tables (grid) → charts, text boxes and comments of the sheet

Formulas whose values are not in the file are calculated by LibreOffice, where a worker has it, and read as formulas
where not. Workbooks in Excel's binary format (XLSB) come as XLSX from there, too.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from indexing.errors import DamagedFileError, UnreadableFileError, UnsupportedFileError, pass_on
from indexing.readers.archive import check_archive
from indexing.readers.document import clean
from indexing.readers.grid import Sheet, sheet_blocks, sheet_notes
from indexing.readers.office.charts import MOST_POINTS, chart_tables
from indexing.readers.office.elements import core_properties, office_reading
from indexing.readers.office.excel_cells import place_of, read_cells, texts_in, workbook_of
from indexing.readers.office.old_office import read_converted
from indexing.readers.office.open_xml import A, Package, R, local
from indexing.readers.office.word_beside import comment_line, diagram_lines
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.readers.symbols import CROSSED, EMPTY_BOX
from indexing.records import Block, Note, Reading

_WORKBOOK = "xl/workbook.xml"
_HIDDEN = ("hidden", "veryHidden")
_MOST_COMMENTS = 20_000
_MOST_CONTROLS = 5_000
_LONGEST_VALUE = 60
_WRONG = ("#", "Err:")
"""How the value begins of a formula that could not be calculated."""
_PLACEHOLDER = "tc={"
"""The author of what Excel writes into the old list of comments for a conversation in the new one."""


def read_xlsx(path: Path, output: ReaderOutput) -> Reading:
    """Hidden sheets, rows and columns are read, with a note."""
    check_archive(path, output.limits)
    package = Package(path)
    part = package.main_part(_WORKBOOK)
    if part.endswith(".bin"):
        return read_converted(path, "xlsx", _read_xml, output)
    return _read_xml(path, output)


def _read_xml(path: Path, output: ReaderOutput) -> Reading:
    check_archive(path, output.limits)
    package = Package(path)
    part = package.main_part(_WORKBOOK)
    sheets, left_out = _sheets(package, part, output)
    if any(sheet.formulas for sheet in sheets.values()):
        _calculate(path, sheets, output)
    people = dict(_people(package, part))
    by_name = {sheet.name: sheet for sheet in sheets.values()}
    for target, sheet in sheets.items():
        sheet.beside.extend(_drawn(package, target, sheet.number, by_name))
        sheet.comments.extend(islice(_comments(package, target, sheet, people), _MOST_COMMENTS))
    blocks = [block for sheet in sheets.values() for block in sheet_blocks(sheet)]
    notes = sheet_notes(list(sheets.values()))
    if left_out:
        sentence = f"{left_out:,} sheets over the limit of {output.limits.max_pages:,} were left out"
        notes.append(Note(sentence, kind="page", number=left_out, unread=True))
    return office_reading(path, "xlsx", blocks, output, core_properties(package), notes)


def _sheets(package: Package, part: str, output: ReaderOutput) -> tuple[dict[str, Sheet], int]:
    """The sheets with their cells, by their parts, and how many are over the limit. Raises UnsupportedFileError."""
    root = package.parsed(part)
    if root is None:
        raise UnsupportedFileError("an Excel file without a workbook is not read here")
    book = workbook_of(package, part, root)
    relations = package.relations(part)
    sheets: dict[str, Sheet] = {}
    left_out = 0
    for number, each in enumerate(root.iter("{*}sheet"), start=1):
        relation = relations.get(each.get(f"{R}id", ""))
        if number > output.limits.max_pages:
            left_out += 1
        elif relation is not None and relation.target in package.names:
            sheet = Sheet(name=each.get("name", ""), number=number, hidden=each.get("state") in _HIDDEN)
            read_cells(package, relation.target, sheet, book)
            sheets[relation.target] = sheet
            output.page_done()
    return sheets, left_out


def _calculate(path: Path, sheets: Mapping[str, Sheet], output: ReaderOutput) -> None:
    """Put values where formulas have none. A program that is missing, hangs or fails leaves the formulas."""
    try:
        with output.part(), output.converted(path, "xlsx") as converted:
            check_archive(converted.path, output.limits)
            package = Package(converted.path)
            calculated, _ = _sheets(package, package.main_part(_WORKBOOK), output)
    except UnreadableFileError as error:
        pass_on(error)
        return
    by_number = {sheet.number: sheet for sheet in calculated.values()}
    for sheet in sheets.values():
        if sheet.number in by_number:
            _take_values(sheet, by_number[sheet.number], converted.program)


def _take_values(sheet: Sheet, calculated: Sheet, program: str) -> None:
    for number, row in sheet.rows.items():
        for column, cell in row.items():
            value = calculated.rows.get(number, {}).get(column)
            if cell.is_formula and value is not None and not value.is_formula and not value.text.startswith(_WRONG):
                row[column] = value
                sheet.formulas -= 1
                sheet.calculated += 1
    sheet.calculated_by = program


def _drawn(package: Package, sheet: str, number: int | None, sheets: Mapping[str, Sheet]) -> Iterator[Block]:
    """Charts, diagrams, and words in shapes."""

    def lookup(reference: str) -> list[str]:
        return texts_in(reference, sheets, MOST_POINTS)

    for text in islice(_form_controls(package, sheet), _MOST_CONTROLS):
        yield Block(kind="text", text=text, page=number)
    for drawing in package.related(sheet, "drawing"):
        for text in _shape_texts(package.parsed(drawing)):
            yield Block(kind="text", text=text, page=number)
        for part in package.related(drawing, "chart", "chartEx"):
            yield from (chart.block(number) for chart in chart_tables(package.parsed(part), lookup))
        for part in package.related(drawing, "diagramData"):
            lines = diagram_lines(package.parsed(part))
            if lines:
                yield Block(kind="text", text="\n".join(lines), page=number)


def _form_controls(package: Package, sheet: str) -> Iterator[str]:
    """Check boxes and radio buttons that lie on the cells, with their labels."""
    for part in package.related(sheet, "vmlDrawing"):
        try:
            root = package.parsed(part)
        except DamagedFileError:  # some programs write it as HTML; the comments in it are read elsewhere
            continue
        for data in root.iter("{*}ClientData"):
            if data.get("ObjectType") in ("Checkbox", "Radio"):
                label = " ".join(" ".join(data.getparent().itertext("{*}font", "{*}div", "{*}span")).split())
                yield f"{CROSSED if (data.findtext('{*}Checked') or '0').strip() == '1' else EMPTY_BOX} {clean(label)}"


def _shape_texts(drawing: Any) -> Iterator[str]:
    for shape in drawing.iter("{*}sp"):
        lines = ("".join(t.text or "" for t in p.iter(f"{A}t")) for p in shape.iter(f"{A}p"))
        text = "\n".join(clean(line) for line in lines if line.strip())
        if text and not any(local(each) == "Fallback" for each in shape.iterancestors()):
            yield text


def _comments(package: Package, part: str, sheet: Sheet, people: dict[str, str]) -> Iterator[str]:
    """Conversations of the newer kind, then the notes of the older one."""
    for each in package.related(part, "threadedComment"):
        for comment in package.parsed(each).iter("{*}threadedComment"):
            author = people.get(comment.get("personId", ""), "")
            yield from _line(sheet, author, comment.findtext("{*}text") or "", comment.get("ref", ""))
    for each in package.related(part, "comments"):
        root = package.parsed(each)
        authors = [author.text or "" for author in root.iter("{*}author")]
        for comment in root.iter("{*}comment"):
            at = int(comment.get("authorId", "-1"))
            author = authors[at] if 0 <= at < len(authors) else ""
            if not author.startswith(_PLACEHOLDER):
                text = "".join(t.text or "" for t in comment.iter("{*}t"))
                yield from _line(sheet, author, text.strip().removeprefix(f"{author}:"), comment.get("ref", ""))


def _line(sheet: Sheet, author: str, text: str, reference: str) -> Iterator[str]:
    row, column = place_of(reference)
    cell = sheet.rows.get(row, {}).get(column)
    value = f", {cell.text[:_LONGEST_VALUE]}" if cell is not None else ""
    line = comment_line(author, text, f"cell {reference}{value}")
    if line:
        yield line


def _people(package: Package, workbook: str) -> Iterator[tuple[str, str]]:
    for part in package.related(workbook, "person"):
        for each in package.parsed(part).iter("{*}person"):
            yield each.get("id", ""), each.get("displayName", "")


def _is_xlsx(start: FileStart) -> bool:
    return start.members is not None and start.members.has_folder("xl/")


READERS = (
    Reader(type="xlsx", extensions=(".xlsx", ".xlsm", ".xltx", ".xltm"), recognise=_is_xlsx, order=33, read=read_xlsx),
)
