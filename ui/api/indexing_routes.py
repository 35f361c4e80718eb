"""How files come into a library: indexing of the machine's files, jobs, and uploads."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from indexing.addresses import is_address
from indexing.facts import facts_of
from ui import documents
from ui.api import streams
from ui.api.bodies import IndexBody, UploadBody
from ui.api.description import described_stream
from ui.api.job_answers import FormUploadDocument, JobDocument, JobNumber, JobsDocument, UploadDocument
from ui.api.libraries import OpenLibrary
from ui.api.library_routes import Chosen, admin, read, write
from ui.api.problems import ProblemError
from ui.api.upload_parts import Uploads
from ui.documents import Document
from ui.jobs import IndexChoices, JobView
from ui.service import streamed

router = APIRouter()
_MOST_FORM_FILES = 100
_MOST_FORM_FIELDS = 100
_FORM_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                }
            }
        },
    }
}
_BYTES_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/index", dependencies=admin, response_class=StreamingResponse, responses=described_stream("IndexEvent"))
def index(library: Chosen, body: IndexBody) -> StreamingResponse:
    """Bring the library up to date with files of the service's machine: events `progress`, then `report`. A client
    that leaves stops the run at its next file. Of addresses only those are read that the library's settings list."""
    service = library.service
    service.bench.sources.check_listed(body.paths)
    return streams.events(
        streamed(
            lambda on_progress, cancelled: service.index(
                body.paths,
                retry_failed=body.retry_failed,
                on_progress=on_progress,
                cancelled=cancelled,
                follow_links=body.follow_links,
                objects=body.objects,
                facts=body.facts,
            ),
            last="report",
        )
    )


@router.post("/jobs", dependencies=admin, status_code=202, response_model=JobNumber)
def add_job(library: Chosen, body: IndexBody) -> Document:
    """The same as a job that goes on when its client leaves."""
    library.service.bench.sources.check_listed(body.paths)
    paths = [path if is_address(path) else Path(path) for path in body.paths]
    choices = IndexChoices(retry_failed=body.retry_failed, follow_links=body.follow_links, objects=body.objects)
    return {"job": library.jobs.submit(paths, facts=facts_of(body.facts.items()), choices=choices)}


@router.get("/jobs", dependencies=read, response_model=JobsDocument)
def jobs(library: Chosen) -> Document:
    """The job that runs, those that wait, and the last ones that ended."""
    view = library.jobs.view()
    listed = [*([view.running] if view.running else []), *view.waiting, *view.finished]
    return {"jobs": list(map(job_document, listed))}


@router.get("/jobs/{number}", dependencies=read, response_model=JobDocument)
def job(library: Chosen, number: int) -> Document:
    """One job."""
    return job_document(_job(library, number))


@router.get(
    "/jobs/{number}/events",
    dependencies=read,
    response_class=StreamingResponse,
    responses=described_stream("JobEvent"),
)
def job_events(library: Chosen, number: int) -> StreamingResponse:
    """Its progress as it comes; the last event is `job` with its report."""
    _job(library, number)
    return streams.events(library.jobs.events(number, job_document))


@router.delete("/jobs/{number}", dependencies=write, response_model=JobDocument)
def cancel_job(library: Chosen, number: int) -> Document:
    """Stop it at its next file; what it has indexed stays."""
    library.jobs.cancel(number)
    return job_document(_job(library, number))


def _job(library: OpenLibrary, number: int) -> JobView:
    found = library.jobs.find(number)
    if found is None:
        raise ProblemError(404, f"there is no job {number}")
    return found


def job_document(view: JobView) -> Document:
    """A job as JSON."""
    return {
        "job": view.number,
        "names": list(view.names),
        "state": view.state,
        "progress": documents.progress_document(view.progress) if view.progress else None,
        "report": documents.report_document(view.report) if view.report else None,
        "problem": list(view.problem),
    }


# -- uploads -----------------------------------------------------------------------------------------------------------


def _uploads(library: OpenLibrary) -> Uploads:
    bench = library.service.bench
    return Uploads(bench.library_folder, max_bytes=bench.settings.indexing.limits.max_file_bytes)


@router.post("/uploads", dependencies=write, status_code=201, response_model=UploadDocument)
def begin_upload(library: Chosen, body: UploadBody) -> Document:
    """Announce a file; its bytes follow with PATCH, in as many parts as one likes."""
    return _uploads(library).begin(body.name, body.size, facts_of(body.facts.items()))


@router.get("/uploads/{upload}", dependencies=write, response_model=UploadDocument)
def upload_state(library: Chosen, upload: str) -> Document:
    """How many bytes have arrived; go on from there."""
    return _uploads(library).state(upload)


@router.patch("/uploads/{upload}", dependencies=write, response_model=UploadDocument, openapi_extra=_BYTES_BODY)
async def continue_upload(
    library: Chosen, upload: str, request: Request, offset: Annotated[int, Query(ge=0)]
) -> Document:
    """The bytes from `offset` on as the body. With the last one the file is indexed: the answer has its job."""
    uploads = _uploads(library)
    async with uploads.writing(upload, offset) as part:
        async for piece in request.stream():
            await run_in_threadpool(part.write, piece)
    state = uploads.state(upload)
    if state["offset"] < state["size"]:
        return state
    path, facts = await run_in_threadpool(uploads.finish, upload)
    return {**state, "path": str(path), "job": library.jobs.submit([path], facts=facts)}


@router.delete("/uploads/{upload}", dependencies=write, status_code=204)
def abandon_upload(library: Chosen, upload: str) -> Response:
    """Forget what has arrived."""
    _uploads(library).abandon(upload)
    return Response(status_code=204)


@router.post(
    "/uploads/form",
    dependencies=write,
    status_code=202,
    response_model=FormUploadDocument,
    openapi_extra=_FORM_BODY,
)
async def upload_form(library: Chosen, request: Request) -> Document:
    """Files as a web form sends them, each in a field `file`; every other field is a fact that is said of all of them,
    such as `client=ACME`. Up to 100 MB together; for more there is `POST uploads`."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ProblemError(415, "the files must come as multipart/form-data, each in a field 'file'")
    uploads = _uploads(library)
    async with request.form(max_files=_MOST_FORM_FILES, max_fields=_MOST_FORM_FIELDS) as form:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        said: dict[str, list[str]] = {}
        for key, value in form.multi_items():
            if isinstance(value, str):
                said.setdefault(key, []).append(value)
        facts = facts_of(said.items())
        if not files:
            raise ProblemError(422, "there is no file in the form; send each in a field 'file'")
        paths = [await run_in_threadpool(uploads.take, each.filename or "upload", each.file) for each in files]
    return {"paths": [str(path) for path in paths], "job": library.jobs.submit(paths, facts=facts)}
