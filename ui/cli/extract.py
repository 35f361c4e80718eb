"""`llavero extract`: fields of documents as a table, one row a document, each cell with its words, place and state.

paths → indexed where they are new → rows, kept as they come beside --out → CSV, XLSX, Parquet or JSON, or the terminal
"""

import csv
import errno
import io
import json as json_module
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexing.addresses import canonical, is_address
from ui.cli import terminal
from ui.cli.addresses import check_addresses
from ui.cli.library import (
    DEFAULT_LIBRARY,
    DeviceOption,
    GeneratorOption,
    JsonOption,
    KitOption,
    LibraryOption,
    ModelOption,
    check_generator,
    opened,
)
from ui.cli.progress import ProgressLine, show_index
from ui.cli.terminal import DONE, NOT_MET, WITH_PROBLEMS
from ui.documents import Document
from ui.owner import OwnerError
from ui.places import is_at_or_below
from ui.service import Service

if TYPE_CHECKING:
    from llava_model.jsonl_log import JsonlLog
    from rag.extract import Cell, ExtractedRow
    from rag.fields import Field

_FORMULA_STARTS = ("=", "+", "-", "@")  # a spreadsheet takes a text that begins so for a formula
_NUMERIC = ("number", "money")
_SHOWN_SIGNS = 40


class ExtractRunError(OSError):
    """What an earlier run left beside --out does not belong to this one."""


def extract(
    fields_and_paths: Annotated[
        list[str],
        typer.Argument(
            metavar="FIELDS PATH…",
            help='Fields such as "company, date, total:money" (text, number, date, money, yes/no), then files and '
            "folders; with --schema only files and folders.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write a .csv, .xlsx, .parquet or .json.")
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="A row for each entry that a document lists.")] = False,
    schema: Annotated[
        Path | None,
        typer.Option("--schema", metavar="FILE.json", help="A JSON schema whose properties are the fields."),
    ] = None,
    library: LibraryOption = DEFAULT_LIBRARY,
    kit: KitOption = "",
    generator: GeneratorOption = "",
    model: ModelOption = "",
    device: DeviceOption = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run to --out that was stopped.")] = False,
    json: JsonOption = False,
) -> None:
    """Read fields out of documents into a table; every cell says where it stands and whether it was checked."""
    if out is not None and out.suffix.lower() not in _WRITERS:
        raise typer.BadParameter(f"'{out.name}' ends with none of {', '.join(_WRITERS)}", param_hint="--out")
    if resume and out is None:
        raise typer.BadParameter("say where the table is: --out", param_hint="--resume")
    paths = fields_and_paths if schema else fields_and_paths[1:]
    if not paths:
        raise typer.BadParameter("name the files and folders behind the fields", param_hint="PATH")
    fields = _fields(fields_and_paths[0], schema)
    log = _log(out, fields, rows, resume) if out else None
    check_generator(generator)
    named = [canonical(path) if is_address(path) else str(Path(path).absolute()) for path in paths]
    there = any(is_address(path) or Path(path).exists() for path in named)
    check_addresses(named, library)
    chosen = {"kit": kit, "device": device, "generator_url": generator, "generator_model": model}
    with opened(library, create=there, serves=False, any_address=True, **chosen) as service:
        files = _files(service, named)
        if not files:
            raise FileNotFoundError(errno.ENOENT, "there are no documents there", paths[0])
        identity = service.identity
        if identity["reader_is_tiny"]:
            terminal.tell(
                f"The model of kit {identity['kit']} is too small to read fields: most cells will be wrong or absent. "
                "Use --kit small, or a server with --generator."
            )
        run = _Run(service, fields, _asked(fields, rows), log)
        try:
            run.over(files)
        except BaseException as error:
            _keep(run, out)
            if isinstance(error, KeyboardInterrupt):
                where = f"; {run.done} documents are in {out}, go on with --resume" if out else ""
                terminal.tell(f"llavero: stopped{where}")
                raise typer.Exit(NOT_MET) from None
            raise
    if out:
        write_table(out, run.fields, run.rows)
        run.forget_log()
    _say(run, run.fields, out, json)
    raise typer.Exit(WITH_PROBLEMS if run.failed else DONE)


def _fields(written: str, schema: Path | None) -> "list[Field]":
    from rag.fields import FieldsError, fields_of_schema, parse_fields

    if schema is None:
        return parse_fields(written)
    try:
        return fields_of_schema(json_module.loads(schema.read_text("utf-8")))
    except ValueError as error:
        raise FieldsError(f"{schema} is no JSON ({error})") from error


def _files(service: Service, wanted: Sequence[str]) -> list[Document]:
    """Every file at or below the paths, indexed where it is new or changed."""
    there = [path for path in wanted if is_address(path) or Path(path).exists()]
    if there:
        with ProgressLine() as line:
            service.index(there, retry_failed=False, on_progress=lambda so_far: show_index(line, so_far))
    return [each for each in service.files() if is_at_or_below(each["path"], wanted)]


# -- the run -----------------------------------------------------------------------------------------------------------


class _Run:
    """The rows so far. With a log, a document whose content was read before is not read again."""

    def __init__(
        self, service: Service, fields: "Sequence[Field]", asked: Mapping[str, Any], log: "JsonlLog | None"
    ) -> None:
        """`fields` get their types with the first document; `asked` as the user wrote them."""
        self._service, self.fields, self._asked, self._log = service, fields, asked, log
        self._before: dict[tuple[str, str], list[ExtractedRow]] = {}
        self.rows: list[ExtractedRow] = []
        self.done = self.failed = 0

    def over(self, files: Sequence[Document]) -> None:
        """Read every document. Raises what ends a whole run, such as a server that is gone."""
        if self._log:
            self._log.open(self._remember, check=self._check)
        try:
            with ProgressLine() as line:
                for file in files:
                    found = self._of(file)
                    self.rows += found
                    self.done += 1
                    self.failed += any(row.reason for row in found)
                    line.count(self.done, len(files), "documents")
        finally:
            if self._log:
                self._log.close()

    def forget_log(self) -> None:
        """The table is written: nothing is left to go on with."""
        if self._log:
            self._log.path.unlink(missing_ok=True)
            self._log.note.unlink(missing_ok=True)

    def _of(self, file: Document) -> "list[ExtractedRow]":
        from indexing.errors import IndexingError
        from llava_model.errors import LlavaError
        from rag.errors import GeneratorReplyError, GeneratorTimeoutError
        from rag.extract import ExtractedRow

        path, content = file["path"], file["content"]
        if file["state"] != "indexed":
            return [ExtractedRow(path=path, reason=file["reason"] or file["state"])]
        if (path, content) in self._before:
            return self._before[path, content]
        try:
            wanted = [asdict(each) for each in self.fields]
            answer = self._service.extract(path, wanted, many=self._asked["rows"])
        except (IndexingError, LlavaError, GeneratorReplyError, GeneratorTimeoutError) as error:
            return [ExtractedRow(path=path, reason=str(error))]
        except OwnerError as error:
            if error.status >= 500 or not error.status:
                raise
            return [ExtractedRow(path=path, reason=str(error))]
        self.fields = _typed_fields(answer["fields"])
        found = list(map(_row, answer["rows"]))
        if self._log and not any(row.reason for row in found):
            self._log.append({"path": path, "content": content, "rows": answer["rows"]})
        return found

    def _check(self, noted: Mapping[str, Any]) -> None:
        """Refuse rows that an earlier run read with other fields."""
        assert self._log is not None
        if noted and any(noted.get(name) != value for name, value in self._asked.items()):
            fault = ExtractRunError(errno.EINVAL, "the rows there were read with other fields", str(self._log.path))
            fault.add_note("Ask for the same fields, or delete that file.")
            raise fault

    def _remember(self, record: Mapping[str, Any], place: int) -> None:
        self._before[record["path"], record["content"]] = list(map(_row, record["rows"]))


def _row(row: Document) -> "ExtractedRow":
    from rag.extract import Cell, ExtractedRow

    cells = {
        name: Cell(**{**cell, "boxes": tuple(tuple(box) for box in cell["boxes"]), "readings": tuple(cell["readings"])})
        for name, cell in row["cells"].items()
    }
    return ExtractedRow(path=row["path"], cells=cells, reason=row.get("reason", ""))


def _typed_fields(described: Sequence[Document]) -> "list[Field]":
    from rag.fields import fields_of

    return fields_of(described)


def _log(out: Path, fields: "Sequence[Field]", many: bool, resume: bool) -> "JsonlLog":
    from llava_model.jsonl_log import JsonlLog

    kept = out.with_name(f"{out.name}.rows.jsonl")
    if kept.exists() and kept.stat().st_size and not resume:
        fault = ExtractRunError(errno.EEXIST, "an earlier run was stopped and has left its rows", str(kept))
        fault.add_note("Go on with them (--resume), or delete that file.")
        raise fault
    return JsonlLog(kept, kept.with_suffix(".json"), _asked(fields, many))


def _asked(fields: "Sequence[Field]", many: bool) -> dict[str, Any]:
    return {"fields": [asdict(each) for each in fields], "rows": many}


def _keep(run: _Run, out: Path | None) -> None:
    if out and run.rows:
        write_table(out, run.fields, run.rows)


# -- results -----------------------------------------------------------------------------------------------------------


def _say(run: _Run, fields: "Sequence[Field]", out: Path | None, json: bool) -> None:
    if json:
        terminal.say_json(table_document(fields, run.rows))
    elif out:
        terminal.say(f"{len(run.rows)} rows of {run.done} documents in {terminal.one_line(out)}")
    else:
        lines = [["", *(each.name for each in fields)]]
        for row in run.rows:
            cells = [_shown(row.cells.get(each.name)) for each in fields]
            lines.append([terminal.one_line(Path(row.path).name), *cells])
        terminal.say_table([[terminal.printable(cell) for cell in line] for line in lines])
        terminal.say("✓ quoted: the words stand in the document; ? not checked; — absent")
    for row in run.rows:
        if row.reason:
            terminal.tell(f"failed: {terminal.one_line(row.path)}: {row.reason}")


def _shown(cell: "Cell | None") -> str:
    if cell is None or cell.state == "absent":
        return "—"
    mark = "✓" if cell.state == "quoted" else "?"
    return f"{mark} {terminal.shorten(f'{_read_as(cell)} {cell.currency}'.strip(), _SHOWN_SIGNS)}"


def table_document(fields: "Sequence[Field]", rows: "Sequence[ExtractedRow]") -> dict[str, Any]:
    """The rows as JSON has them."""
    kinds = {each.name: each.type for each in fields}
    return {
        "rows": [
            {
                "path": row.path,
                "cells": {name: _cell_document(cell, kinds[name]) for name, cell in row.cells.items()},
                "reason": row.reason,
            }
            for row in rows
        ]
    }


def _cell_document(cell: "Cell", kind: str | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "value": _typed(cell, kind),
        "written": cell.written or None,
        "state": cell.state,
        "page": cell.page,
        "boxes": cell.boxes,
    }
    more = {"currency": cell.currency, "readings": cell.readings, "chunk": cell.chunk_id}
    return document | {name: value for name, value in more.items() if value}


def _typed(cell: "Cell", kind: str | None) -> str | float | None:
    """A number where one was asked for and read; else the value as a text."""
    if cell.state == "absent":
        return None
    if kind in _NUMERIC and not cell.readings:
        try:
            return float(cell.value)
        except ValueError:
            pass
    return cell.value


def _read_as(cell: "Cell") -> str:
    """The value for a person, with all that it can mean."""
    return f"{cell.value} ({' or '.join(cell.readings)})" if cell.readings else cell.value


def _columns(fields: "Sequence[Field]") -> list[tuple[str, str | None]]:
    """Names, each with its field's type where it holds values, "page" where it holds page numbers."""
    columns: list[tuple[str, str | None]] = [("path", None)]
    for each in fields:
        columns.append((f"{each.name} value", each.type or "text"))
        columns += [(f"{each.name} currency", None)] if each.type == "money" else []
        columns += [(f"{each.name} written", None), (f"{each.name} state", None), (f"{each.name} page", "page")]
    return [*columns, ("reason", None)]


def _table(fields: "Sequence[Field]", rows: "Sequence[ExtractedRow]") -> Iterator[list[str | float | None]]:
    for row in rows:
        line: list[str | float | None] = [row.path]
        for each in fields:
            cell = row.cells.get(each.name)
            if cell is None:
                line += [None] * (5 if each.type == "money" else 4)
                continue
            value = _typed(cell, each.type)
            line.append(_read_as(cell) if isinstance(value, str) else value)
            line += [cell.currency] if each.type == "money" else []
            line += [cell.written, cell.state, cell.page]
        yield [terminal.printable(each) if isinstance(each, str) else each for each in (*line, row.reason)]


def write_table(path: Path, fields: "Sequence[Field]", rows: "Sequence[ExtractedRow]") -> None:
    """Write the table whole: a reader sees the old file or the new one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(_WRITERS[path.suffix.lower()](fields, rows))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _csv(fields: "Sequence[Field]", rows: "Sequence[ExtractedRow]") -> bytes:
    """UTF-8 with a mark by which spreadsheets know it; an apostrophe keeps a text from being a formula."""

    def safe(value: str | float | None) -> str | float | None:
        return f"'{value}" if isinstance(value, str) and value.lstrip().startswith(_FORMULA_STARTS) else value

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([safe(name) for name, _ in _columns(fields)])
    writer.writerows([safe(value) for value in line] for line in _table(fields, rows))
    return text.getvalue().encode("utf-8-sig", "replace")


def _xlsx(fields: "Sequence[Field]", rows: "Sequence[ExtractedRow]") -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    lines: list[list[str | float | None]] = [[name for name, _ in _columns(fields)], *_table(fields, rows)]
    for number, line in enumerate(lines, 1):
        for column, value in enumerate(line, 1):
            cell = sheet.cell(number, column, None if value == "" else value)
            if isinstance(value, str) and value:
                cell.data_type = "s"  # openpyxl takes a text that begins with = for a formula
    sheet.freeze_panes = "B2"
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _parquet(fields: "Sequence[Field]", rows: "Sequence[ExtractedRow]") -> bytes:
    """Values of numbers and amounts are doubles, missing where they cannot be told."""
    import pyarrow
    from pyarrow import parquet

    kinds: dict[str, Any] = {"number": pyarrow.float64(), "money": pyarrow.float64(), "page": pyarrow.int64()}
    columns = _columns(fields)
    lines = list(_table(fields, rows))
    schema = pyarrow.schema([(name, kinds.get(kind or "", pyarrow.string())) for name, kind in columns])
    arrays = []
    for place, (_, kind) in enumerate(columns):
        values = [line[place] for line in lines]
        if kind in _NUMERIC:
            values = [value if isinstance(value, float) else None for value in values]
        arrays.append(pyarrow.array(values, schema.field(place).type))
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays, schema=schema), stream)
    return stream.getvalue()


def _json(fields: "Sequence[Field]", rows: "Sequence[ExtractedRow]") -> bytes:
    return (terminal.json_text(table_document(fields, rows)) + "\n").encode("utf-8", "replace")


_WRITERS: Mapping[str, Callable[..., bytes]] = {".csv": _csv, ".xlsx": _xlsx, ".parquet": _parquet, ".json": _json}
