"""Rows of fields as a table: CSV, XLSX, Parquet or JSON, each value with its words, its state and its page."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui.wording import json_text, visible

if TYPE_CHECKING:
    from extraction.cells import Cell, ExtractedRow
    from extraction.fields import Field

_FORMULA_STARTS = ("=", "+", "-", "@")  # a spreadsheet takes a text that begins so for a formula
_NUMERIC = ("number", "money")


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


def read_as(cell: "Cell") -> str:
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
            line.append(read_as(cell) if isinstance(value, str) else value)
            line += [cell.currency] if each.type == "money" else []
            line += [cell.written, cell.state, cell.page]
        yield [visible(each) if isinstance(each, str) else each for each in (*line, row.reason)]


def write_table(path: Path, fields: "Sequence[Field]", rows: "Sequence[ExtractedRow]") -> None:
    """Write the table whole: a reader sees the old file or the new one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(TABLE_WRITERS[path.suffix.lower()](fields, rows))
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
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        from llava_model.errors import MissingPackageError

        raise MissingPackageError("pyarrow", purpose="a Parquet file", install="'llavero[ui]'") from error

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
    return (json_text(table_document(fields, rows)) + "\n").encode("utf-8", "replace")


TABLE_WRITERS: Mapping[str, Callable[..., bytes]] = {".csv": _csv, ".xlsx": _xlsx, ".parquet": _parquet, ".json": _json}
"""(fields, rows) → the file's bytes, by its ending."""
