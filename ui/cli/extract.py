"""`llavero extract`: fields of documents as a table, one row a document, each cell with its words, place and state.

paths → indexed where they are new → rows, kept as they come beside --out → CSV, XLSX, Parquet or JSON, or the terminal
"""

import errno
import json as json_module
from collections.abc import Callable, Mapping, Sequence
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
from ui.extraction import ExtractionRun
from ui.places import is_at_or_below
from ui.service import Service
from ui.tables import TABLE_WRITERS, read_as, table_document, write_table

if TYPE_CHECKING:
    from extraction.cells import Cell
    from extraction.fields import Field
    from llava_model.jsonl_log import JsonlLog

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
    if out is not None and out.suffix.lower() not in TABLE_WRITERS:
        raise typer.BadParameter(f"'{out.name}' ends with none of {', '.join(TABLE_WRITERS)}", param_hint="--out")
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
        run = ExtractionRun(service, fields, many=rows, log=log)
        check = _check(log, _asked(fields, rows)) if log else lambda noted: None
        try:
            with ProgressLine() as line:
                run.over(files, check=check, on_count=lambda done, total: line.count(done, total, "documents"))
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
    from extraction.fields import FieldsError, fields_of_schema, parse_fields

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


# -- what an earlier run left ------------------------------------------------------------------------------------------


def _check(kept: "JsonlLog", asked: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], None]:
    """Refuse rows that an earlier run read with other fields."""

    def check(noted: Mapping[str, Any]) -> None:
        if noted and any(noted.get(name) != value for name, value in asked.items()):
            fault = ExtractRunError(errno.EINVAL, "the rows there were read with other fields", str(kept.path))
            fault.add_note("Ask for the same fields, or delete that file.")
            raise fault

    return check


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


def _keep(run: ExtractionRun, out: Path | None) -> None:
    if out and run.rows:
        write_table(out, run.fields, run.rows)


# -- results -----------------------------------------------------------------------------------------------------------


def _say(run: ExtractionRun, fields: "Sequence[Field]", out: Path | None, json: bool) -> None:
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
    return f"{mark} {terminal.shorten(f'{read_as(cell)} {cell.currency}'.strip(), _SHOWN_SIGNS)}"
