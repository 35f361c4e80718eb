"""Errors as `application/problem+json` (RFC 9457), in the words of the terminal."""

import logging
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ui import wording
from ui.api.access import AccessError, KeyFileError
from ui.api.libraries import LibraryNameError, UnknownLibraryError
from ui.documents import Document
from ui.runs import TooManyRunsError
from ui.uploads import UploadRefusedError

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "The request cannot be met",
    401: "A key is needed",
    403: "Not allowed",
    404: "Not there",
    405: "Not done here",
    409: "In the way of something else",
    413: "Too large",
    415: "Not of a type that is read here",
    422: "The request makes no sense",
    429: "Too many requests",
    500: "Something unexpected went wrong",
    503: "Not possible now",
    507: "No room left",
}
_OURS = ("/v1/libraries", "/v1/version")
_OPENAIS_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


class ProblemError(Exception):
    """A refusal of ours with its status."""

    def __init__(self, status: int, detail: str, *notes: str) -> None:
        super().__init__(detail)
        self.status = status
        for note in notes:
            self.add_note(note)


REFUSALS = (
    ProblemError,
    AccessError,
    KeyFileError,
    UnknownLibraryError,
    LibraryNameError,
    UploadRefusedError,
    TooManyRunsError,
)
"""Raised on purpose by this interface."""


def problem_of(error: BaseException) -> Document:
    """What happened as a document; of an unexpected error the log has the rest."""
    status = status_of(error)
    if status == 500:
        logger.error("an unexpected error", exc_info=error)
        return {"type": "about:blank", "title": _TITLES[500], "status": 500, "detail": "the service's log has more"}
    detail, *notes = wording.sentences(error)
    if status == 503 and not notes:
        notes = ["Nothing is lost and nothing has to be restarted: when it answers again, ask again."]
    title = _TITLES.get(status, _TITLES[400])
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "notes": notes}


def status_of(error: BaseException) -> int:
    """The HTTP status that fits an error; 500 for those that nobody expects."""
    if isinstance(error, ProblemError | AccessError):
        return error.status
    if isinstance(error, UnknownLibraryError):
        return 404
    if isinstance(error, LibraryNameError):
        return 409
    if isinstance(error, UploadRefusedError):
        return 413
    if isinstance(error, KeyFileError):
        return 503
    if isinstance(error, TooManyRunsError):
        return 429
    return _status_of_ours(error)


def _status_of_ours(error: BaseException) -> int:
    from claims.errors import ClaimsError
    from indexing.addresses import AddressError
    from indexing.errors import IndexingError, StoreError, UnknownFieldError
    from indexing.facts import FactsError
    from indexing.pipeline import NotInLibraryError
    from indexing.sources.access import NotListedError
    from indexing.sources.protocol import RemoteError
    from indexing.store.protocol import FilterValueError
    from llava_model.errors import LlavaError
    from rag.errors import GeneratorError, RagError

    for kind, status in (
        (NotInLibraryError, 404),
        (FilterValueError, 422),
        (FactsError, 422),
        (AddressError, 422),
        (NotListedError, 403),
        (RemoteError, 503),
        (UnknownFieldError, 422),
        (StoreError, 503),
        (GeneratorError, 503),
        (FileNotFoundError, 404),
        (RagError, 422),
        (ClaimsError, 422),
        (LlavaError, 422),
        (IndexingError, 409),
    ):
        if isinstance(error, kind):
            return status
    if isinstance(error, OSError):
        return 507 if error.errno == 28 else 503
    return 500


async def answer_problem(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's handler for every error; on the routes of OpenAI's interface it is told in their words, too."""
    document = _document(error)
    if request.url.path.startswith("/v1/") and not request.url.path.startswith(_OURS):
        document |= {"error": openais_error(document)}
    answer = response(document)
    if isinstance(error, AccessError):
        if error.status == 401:
            answer.headers["WWW-Authenticate"] = "Bearer"
        if error.retry_after_seconds:
            answer.headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
    return answer


def _document(error: Exception) -> Document:
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        title = _TITLES.get(error.status_code, str(error.detail))
        return {"type": "about:blank", "title": title, "status": error.status_code, "detail": str(error.detail)}
    return problem_of(error)


def openais_error(problem: Document) -> Document:
    """A problem as OpenAI's clients expect it."""
    status = problem["status"]
    kind = "server_error" if status >= 500 else "invalid_request_error"
    message = " ".join([problem["detail"], *problem.get("notes", ())])
    return {"message": message, "type": kind, "param": None, "code": _OPENAIS_CODES.get(status)}


def response(document: Document) -> JSONResponse:
    """A problem as an answer."""
    return JSONResponse(document, status_code=document["status"], media_type=MEDIA_TYPE)


def _invalid(error: RequestValidationError) -> Document:
    faults: list[dict[str, Any]] = [
        {"place": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in error.errors()[:20]
    ]
    first = f"{faults[0]['place']}: {faults[0]['message']}" if faults else "the body makes no sense"
    return {"type": "about:blank", "title": _TITLES[422], "status": 422, "detail": first, "faults": faults}
