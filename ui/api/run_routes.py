"""Runs that read the whole library: tables of fields and evaluations, as jobs whose results are fetched later."""

from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from evaluation.question_files import question_of
from ui import tables
from ui.api import streams
from ui.api.bodies import EvaluationBody, ExtractionBody
from ui.api.description import described_stream
from ui.api.job_answers import RunDocument, RunNumber, RunsDocument
from ui.api.libraries import OpenLibrary
from ui.api.library_routes import Chosen, read, write
from ui.api.problems import ProblemError
from ui.documents import Document
from ui.extraction import row_of
from ui.runs import RunView
from ui.wording import json_text

router = APIRouter()
Format = Literal["json", "csv", "xlsx", "parquet"]
_MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}
_RESULT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The result as a file",
        "content": {kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
                    for kind in _MEDIA_TYPES.values()},
    }
}  # fmt: skip


@router.post("/extractions", dependencies=write, status_code=202, response_model=RunNumber)
def add_extraction(library: Chosen, body: ExtractionBody) -> Document:
    """Read fields out of many files into a table. It goes on when its client leaves, and after a restart."""
    from extraction.fields import fields_of

    fields_of(body.fields)
    return {"run": library.runs.submit("extraction", body.model_dump())}


@router.post("/evaluations", dependencies=write, status_code=202, response_model=RunNumber)
def add_evaluation(library: Chosen, body: EvaluationBody) -> Document:
    """Ask questions with known answers, and score what is found or answered; as `llavero eval`."""
    seen = set()
    for place, each in enumerate(body.questions, start=1):
        try:
            question = question_of(each)
        except ValueError as error:
            raise ProblemError(422, f"question {place}: {error}") from error
        if question.id in seen:
            raise ProblemError(422, f"question {place}: the id '{question.id}' stands there twice")
        seen.add(question.id)
    if body.baseline is not None:
        found = library.runs.find(body.baseline)
        if found is None or (found.kind, found.state) != ("evaluation", "done"):
            raise ProblemError(404, f"there is no evaluation {body.baseline} that is done")
    return {"run": library.runs.submit("evaluation", body.model_dump())}


@router.get("/runs", dependencies=read, response_model=RunsDocument)
def runs(library: Chosen) -> Document:
    """All that are kept, newest first."""
    return {"runs": list(map(run_document, library.runs.all()))}


@router.get("/runs/{number}", dependencies=read, response_model=RunDocument)
def run(library: Chosen, number: int) -> Document:
    """One run."""
    return run_document(_run(library, number))


@router.get(
    "/runs/{number}/events",
    dependencies=read,
    response_class=StreamingResponse,
    responses=described_stream("RunEvent"),
)
def run_events(library: Chosen, number: int) -> StreamingResponse:
    """How far it is, as it goes on; the last event is `run`."""
    _run(library, number)
    return streams.events(library.runs.events(number, run_document))


@router.get("/runs/{number}/result", dependencies=read, response_class=Response, responses=_RESULT)
def run_result(library: Chosen, number: int, format: Format = "json") -> Response:
    """What it found, as a file. A table of fields comes as csv, xlsx and parquet, too."""
    view = _run(library, number)
    result = library.runs.result(number)
    if result is None:
        raise ProblemError(409, f"run {number} has no result: it is {view.state}", *view.problem)
    name = f"{view.kind}-{number}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return Response(_written(view, result, format), media_type=_MEDIA_TYPES[format], headers=headers)


@router.delete("/runs/{number}", dependencies=write, response_model=RunDocument)
def cancel_run(library: Chosen, number: int) -> Document:
    """Stop it after the step that is under way; one that has ended is forgotten with its result."""
    view = _run(library, number)
    library.runs.cancel(number)
    return run_document(library.runs.find(number) or view)


def _run(library: OpenLibrary, number: int) -> RunView:
    found = library.runs.find(number)
    if found is None:
        raise ProblemError(404, f"there is no run {number}")
    return found


def _written(view: RunView, result: Document, format: Format) -> bytes:
    if view.kind == "extraction":
        from extraction.fields import fields_of

        return tables.TABLE_WRITERS[f".{format}"](fields_of(result["fields"]), list(map(row_of, result["rows"])))
    if format != "json":
        raise ProblemError(422, f"an evaluation is no table of fields and has no {format}; ask for json")
    return (json_text(result) + "\n").encode("utf-8", "replace")


def run_document(view: RunView) -> Document:
    """A run as JSON."""
    return {
        "run": view.number,
        "kind": view.kind,
        "state": view.state,
        "made": view.made,
        "done": view.done,
        "total": view.total,
        "problem": list(view.problem),
    }
