"""What is asked of one library: the same routes below `/v1/libraries/{library}` and on the library's own socket."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import Field

from indexing.addresses import is_address
from ui import documents
from ui.api import streams
from ui.api.access import allow
from ui.api.answers import (
    BackupDocument,
    ChunkDocument,
    ChunksDocument,
    FacetsDocument,
    FileNotesDocument,
    FilesDocument,
    IdentityDocument,
    RemovalDocument,
    SearchDocument,
    StatsDocument,
    VerifyDocument,
)
from ui.api.bodies import AskBody, BackupBody, ExtractBody, QuestionBody, RemoveBody, VerifyBody
from ui.api.description import described_file, described_stream
from ui.api.job_answers import ExtractDocument
from ui.api.libraries import Libraries, OpenLibrary
from ui.api.problems import ProblemError
from ui.documents import Document
from ui.facets import facets_document
from ui.service import Question, condition

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
Where = Annotated[list[WhereWritten], Query(max_length=100, default_factory=list)]
Keys = Annotated[list[Annotated[str, Field(max_length=64)]], Query(max_length=100, default_factory=list)]
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


@router.post("/search", dependencies=read, response_model=SearchDocument)
def search(library: Chosen, body: QuestionBody) -> Document:
    """Hits, likeliest first."""
    return library.service.search(_asked(body))


@router.post(
    "/ask",
    dependencies=read,
    response_model=None,
    responses=described_stream("AskEvent", or_document="AnswerDocument"),
)
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


@router.post("/extract", dependencies=read, response_model=ExtractDocument)
def extract(library: Chosen, body: ExtractBody) -> Document:
    """Fields of one document as rows; each cell with its words, value, place and state."""
    return library.service.extract(body.path, body.fields, many=body.rows)


# -- files -------------------------------------------------------------------------------------------------------------


@router.get("/identity", dependencies=read, response_model=IdentityDocument)
def identity(library: Chosen, request: Request) -> Document:
    """Which process has the library open, with which kit."""
    return library.service.identity | {"url": getattr(request.app.state, "url", "")}


@router.get("/stats", dependencies=read, response_model=StatsDocument)
def stats(library: Chosen) -> Document:
    """What the library holds, counted in the store."""
    return library.service.stats()


@router.get("/files", dependencies=read, response_model=FilesDocument)
def files(
    library: Chosen,
    where: Where,
    state: Annotated[str, Query(pattern="^(|indexed|failed|pending)$")] = "",
    notes: bool = False,
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


@router.get("/files/chunks", dependencies=read, response_model=ChunksDocument)
def chunks(library: Chosen, path: Annotated[str, Query(max_length=4096)]) -> Document:
    """Everything that was made of one file."""
    return {"chunks": list(map(documents.chunk_document, library.service.bench.chunks(path)))}


@router.get("/notes", dependencies=read, response_model=FileNotesDocument)
def notes(
    library: Chosen,
    kind: Annotated[str, Query(max_length=64)] = "",
    unread: bool = False,
    after: Annotated[str, Query(max_length=4096)] = "",
    limit: Annotated[int, Query(ge=1, le=100_000)] = 1000,
) -> Document:
    """What readers saw in files and did not read, in order of path; of one kind, or only what a search cannot find.
    Go on with the last path as `after`: the notes of one file come together."""
    found = [{"path": file["path"], **note} for file in library.service.files() for note in file["notes"]]
    kinds: dict[str, int] = {}
    for note in found:
        kinds[note["kind"]] = kinds.get(note["kind"], 0) + 1
    wanted = [
        note
        for note in found
        if note["path"] > after and (not kind or note["kind"] == kind) and (note["unread"] or not unread)
    ]
    told = wanted[:limit]
    if len(told) < len(wanted):
        told += [note for note in wanted[limit:] if note["path"] == told[-1]["path"]]
    return {"notes": told, "kinds": kinds, "more": len(told) < len(wanted)}


@router.get("/facets", dependencies=read, response_model=FacetsDocument)
def facets(
    library: Chosen,
    where: Where,
    key: Keys,
    values: Annotated[int, Query(ge=1, le=10_000)] = 20,
) -> Document:
    """What can be filtered by: each key of facts, endings and folders, with the most frequent values and how many
    files have them, among those for which all of `where` holds."""
    found = library.service.files([condition(each) for each in where])
    return facets_document(found, keys=key, most=values)


@router.post("/remove", dependencies=write, response_model=RemovalDocument)
def remove(library: Chosen, body: RemoveBody) -> Document:
    """Take a file, a folder, or the file behind an id out of the library; the files themselves stay."""
    return library.service.remove(body.what)


@router.post("/verify", dependencies=admin, response_model=VerifyDocument)
def verify(library: Chosen, body: VerifyBody) -> Document:
    """Compare ledger and store, and mend them."""
    return library.service.verify(repair=body.repair)


@router.post("/backup", dependencies=admin, response_model=BackupDocument)
def backup(library: Chosen, body: BackupBody) -> Document:
    """The whole library in one new file of the service's machine; nothing is written to it meanwhile."""
    return library.service.backup(body.path)


@router.get("/sources/{chunk_id}", dependencies=read, response_model=ChunkDocument)
def source(library: Chosen, chunk_id: str) -> Document:
    """A passage with its lines and boxes."""
    return library.service.source(chunk_id)


@router.get(
    "/sources/{chunk_id}/picture",
    dependencies=read,
    response_class=FileResponse,
    responses=described_file("image/jpeg"),
)
def source_picture(library: Chosen, chunk_id: str) -> FileResponse:
    """The page, figure or small picture that belongs to a passage (JPEG)."""
    file = library.service.picture_file(chunk_id)
    if file is None:
        raise ProblemError(404, "nothing of this passage is kept as a picture")
    return FileResponse(file, media_type="image/jpeg", headers=_SAFE)


@router.get(
    "/sources/{chunk_id}/original",
    dependencies=read,
    response_class=FileResponse,
    responses=described_file("application/octet-stream"),
)
def source_original(library: Chosen, chunk_id: str) -> FileResponse:
    """The file itself, as long as it lies where it was indexed; always as a download."""
    place = library.service.original(chunk_id)
    if is_address(place):
        raise ProblemError(404, f"the file lies at {place}; the library keeps no copy, and the service fetches nothing")
    path = Path(place)
    if not path.is_file():
        raise ProblemError(404, "the file does not lie any more where it was indexed")
    return FileResponse(path, media_type="application/octet-stream", filename=path.name, headers=_SAFE)
