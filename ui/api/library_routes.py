"""What is asked of one library: the same routes below `/v1/libraries/{library}` and on the library's own socket."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from indexing.facts import facts_of
from ui import documents
from ui.api import streams
from ui.api.access import allow
from ui.api.bodies import (
    AskBody,
    BackupBody,
    ExtractBody,
    IndexBody,
    QuestionBody,
    RemoveBody,
    UploadBody,
    VerifyBody,
)
from ui.api.libraries import Libraries, OpenLibrary
from ui.api.problems import ProblemError
from ui.api.upload_parts import Uploads
from ui.documents import Document
from ui.jobs import JobView
from ui.service import Question, condition, streamed

_SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


def chosen(request: Request) -> OpenLibrary:
    """The library that the path names; on its own socket, the only one."""
    libraries: Libraries = request.app.state.libraries
    name = request.path_params.get("library")
    return libraries.only() if name is None else libraries.get(name)


Chosen = Annotated[OpenLibrary, Depends(chosen)]
WhereWritten = Annotated[
    str, Field(max_length=5000, description="FIELD=VALUE, or with !=, >= or <=, such as year>=2019")
]
read, write, admin = [allow("read")], [allow("write")], [allow("admin")]
router = APIRouter()


def question(body: QuestionBody) -> Question:
    """A body as the service's own type."""
    return Question(
        text=body.text,
        images=tuple(body.images),
        history=tuple(body.history),
        k=body.k,
        kinds=tuple(body.kinds),
        where=tuple(body.where),
        apart=body.apart,
    )


def _asked(body: QuestionBody) -> Question:
    if not body.text.strip() and not body.images:
        raise ProblemError(422, "the question is empty: it has neither words nor a picture")
    return question(body)


# -- searching and asking ----------------------------------------------------------------------------------------------


@router.post("/search", dependencies=read)
def search(library: Chosen, body: QuestionBody) -> Document:
    """Hits, likeliest first."""
    return library.service.search(_asked(body))


@router.post("/ask", dependencies=read, response_model=None)
async def ask(library: Chosen, body: AskBody) -> StreamingResponse | Document:
    """Server-sent events `found`, `token` and `answer`; with `stream: false` the answer alone."""
    asked = _asked(body)
    if body.stream:
        return streams.events(library.service.ask(asked))
    answer: Document = {}
    async for event in streams.in_thread(library.service.ask(asked)):
        if event["event"] == "problem":
            raise ProblemError(event["status"], event["detail"], *event.get("notes", ()))
        answer = event
    return {name: value for name, value in answer.items() if name not in ("event", "prompt")}


@router.post("/extract", dependencies=read)
def extract(library: Chosen, body: ExtractBody) -> Document:
    """Fields of one document as rows; each cell with its words, value, place and state."""
    return library.service.extract(body.path, body.fields, many=body.rows)


# -- files -------------------------------------------------------------------------------------------------------------


@router.get("/identity", dependencies=read)
def identity(library: Chosen, request: Request) -> Document:
    """Which process has the library open, with which kit."""
    return library.service.identity | {"url": getattr(request.app.state, "url", "")}


@router.get("/stats", dependencies=read)
def stats(library: Chosen) -> Document:
    """What the library holds, counted in the store."""
    return library.service.stats()


@router.get("/files", dependencies=read)
def files(
    library: Chosen,
    state: Annotated[str, Query(pattern="^(|indexed|failed|pending)$")] = "",
    notes: bool = False,
    where: Annotated[list[WhereWritten], Query(max_length=100)] = [],  # noqa: B006  # FastAPI copies it
    after: Annotated[str, Query(max_length=4096)] = "",
    limit: Annotated[int, Query(ge=1, le=100_000)] = 100_000,
) -> Document:
    """The files in order of path: those after a path, with a state, with notes, or for which all of `where` holds."""
    found = [
        file
        for file in library.service.files([condition(each) for each in where])
        if file["path"] > after and (not state or file["state"] == state) and (not notes or file["notes"])
    ]
    return {"files": found[:limit], "more": len(found) > limit}


@router.get("/files/chunks", dependencies=read)
def chunks(library: Chosen, path: Annotated[str, Query(max_length=4096)]) -> Document:
    """Everything that was made of one file."""
    return {"chunks": list(map(documents.chunk_document, library.service.bench.chunks(path)))}


@router.post("/remove", dependencies=write)
def remove(library: Chosen, body: RemoveBody) -> Document:
    """Take a file, a folder, or the file behind an id out of the library; the files themselves stay."""
    return library.service.remove(body.what)


@router.post("/verify", dependencies=admin)
def verify(library: Chosen, body: VerifyBody) -> Document:
    """Compare ledger and store, and mend them."""
    return library.service.verify(repair=body.repair)


@router.post("/backup", dependencies=admin)
def backup(library: Chosen, body: BackupBody) -> Document:
    """The whole library in one new file of the service's machine; nothing is written to it meanwhile."""
    return library.service.backup(body.path)


@router.get("/sources/{chunk_id}", dependencies=read)
def source(library: Chosen, chunk_id: str) -> Document:
    """A passage with its lines and boxes."""
    return library.service.source(chunk_id)


@router.get("/sources/{chunk_id}/picture", dependencies=read)
def source_picture(library: Chosen, chunk_id: str) -> FileResponse:
    """The page, figure or small picture that belongs to a passage (JPEG)."""
    file = library.service.picture_file(chunk_id)
    if file is None:
        raise ProblemError(404, "nothing of this passage is kept as a picture")
    return FileResponse(file, media_type="image/jpeg", headers=_SAFE)


@router.get("/sources/{chunk_id}/original", dependencies=read)
def source_original(library: Chosen, chunk_id: str) -> FileResponse:
    """The file itself, as long as it lies where it was indexed; always as a download."""
    path = library.service.original(chunk_id)
    if not path.is_file():
        raise ProblemError(404, "the file does not lie any more where it was indexed")
    return FileResponse(path, media_type="application/octet-stream", filename=path.name, headers=_SAFE)


# -- indexing ----------------------------------------------------------------------------------------------------------


@router.post("/index", dependencies=admin)
def index(library: Chosen, body: IndexBody) -> StreamingResponse:
    """Bring the library up to date with files of the service's machine: events `progress`, then `report`. A client
    that leaves stops the run at its next file."""
    service = library.service
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


@router.post("/jobs", dependencies=admin, status_code=202)
def add_job(library: Chosen, body: IndexBody) -> Document:
    """The same as a job that goes on when its client leaves."""
    paths = [Path(path) for path in body.paths]
    return {"job": library.jobs.submit(paths, facts=facts_of(body.facts.items()))}


@router.get("/jobs", dependencies=read)
def jobs(library: Chosen) -> Document:
    """The job that runs, those that wait, and the last ones that ended."""
    view = library.jobs.view()
    listed = [*([view.running] if view.running else []), *view.waiting, *view.finished]
    return {"jobs": list(map(job_document, listed))}


@router.get("/jobs/{number}", dependencies=read)
def job(library: Chosen, number: int) -> Document:
    """One job."""
    return job_document(_job(library, number))


@router.get("/jobs/{number}/events", dependencies=read)
def job_events(library: Chosen, number: int) -> StreamingResponse:
    """Its progress as it comes; the last event is `job` with its report."""
    _job(library, number)
    return streams.events(library.jobs.events(number, job_document))


@router.delete("/jobs/{number}", dependencies=write)
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


@router.post("/uploads", dependencies=write, status_code=201)
def begin_upload(library: Chosen, body: UploadBody) -> Document:
    """Announce a file; its bytes follow with PATCH, in as many parts as one likes."""
    return _uploads(library).begin(body.name, body.size, facts_of(body.facts.items()))


@router.get("/uploads/{upload}", dependencies=write)
def upload_state(library: Chosen, upload: str) -> Document:
    """How many bytes have arrived; go on from there."""
    return _uploads(library).state(upload)


@router.patch("/uploads/{upload}", dependencies=write)
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
