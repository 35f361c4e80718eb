"""The process that has a library open, found through a socket in the library's folder.

    its owner     listens on `<library>/service.sock` (rights of its user alone), and answers what `ui.api` describes
    a terminal    `find(library)` → `OwnersService`, or None where nobody listens: then it opens the library itself

Only whoever holds the library's lock makes the socket, so a file that a dead owner left is replaced, and one that
nobody answers at counts as none. Made of the standard library alone: a terminal that finds an owner loads nothing else.
"""

import fcntl
import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from ui.documents import Document
from ui.service import Condition, OnProgress, Question, question_body

FILE = "service.sock"
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 15.0
_LONGEST_PATH = 100  # bytes that every system takes for a socket's path


class OwnerError(Exception):
    """The process that has the library open could not do what was asked; with what to do in its notes."""

    def __init__(self, message: str, notes: Sequence[str] = (), *, status: int = 0) -> None:
        super().__init__(message)
        for note in notes:
            self.add_note(note)
        self.status = status


@contextmanager
def _reachable(library: Path) -> Iterator[str]:
    """The socket's path, short enough for the system: by way of the open folder where its own is too long."""
    path = str(library / FILE)
    if len(os.fsencode(path)) <= _LONGEST_PATH or not sys.platform.startswith("linux"):
        yield path
        return
    folder = os.open(library, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{FILE}"
    finally:
        os.close(folder)


def listen(library: Path) -> socket.socket:
    """Take the library's socket; to be called by whoever holds its lock. Raises OSError."""
    with suppress(FileNotFoundError):
        (library / FILE).unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with _reachable(library) as path:
            listening.bind(path)
        listening.listen()  # from here on a terminal waits for the answer instead of finding nobody
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening


def let_go(library: Path) -> None:
    """The owner ends: nobody is to be found here any more."""
    with suppress(FileNotFoundError):
        (library / FILE).unlink()


class _Connection(http.client.HTTPConnection):
    def __init__(self, library: Path, *, answer_seconds: float | None = None) -> None:
        super().__init__("localhost")
        self._library, self._answer_seconds = library, answer_seconds

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_CONNECT_SECONDS)
        with _reachable(self._library) as path:
            self.sock.connect(path)
        self.sock.settimeout(self._answer_seconds)


def find(library: Path) -> "OwnersService | None":
    """The service of whoever has the library open; None where nobody listens."""
    if not (library / FILE).exists():
        return None
    service = OwnersService(library)
    try:
        service.ask_who()
    except (OSError, http.client.HTTPException):
        return None
    return service


def wait_for(library: Path, seconds: float) -> "OwnersService | None":
    """The same, where a process that holds the library's lock may be about to listen; None once nobody holds it."""
    deadline = time.monotonic() + seconds
    while (found := find(library)) is None and _is_held(library) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _is_held(library: Path) -> bool:
    try:
        with (library / "library.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class OwnersService:
    """`ui.service.Service`, answered by another process."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._identity: Document = {}

    def ask_who(self) -> None:
        """Raises OSError where nobody listens, or nobody answers in time."""
        self._identity = self._document("GET", "/identity", None, answer_seconds=_ANSWER_SECONDS)

    @property
    def identity(self) -> Document:
        """See `Service`; with "url", where the page or the interface is seen, "" without one."""
        return self._identity

    def index(
        self,
        paths: Sequence[str],
        *,
        retry_failed: bool,
        on_progress: OnProgress,
        follow_links: bool = False,
        objects: bool = True,
        facts: Mapping[str, Sequence[str]] | None = None,
    ) -> Document:
        """See `Service`. Closing the connection (Ctrl-C) stops the run at its next file."""
        body = {
            "paths": list(paths),
            "retry_failed": retry_failed,
            "follow_links": follow_links,
            "objects": objects,
            "facts": {key: list(values) for key, values in (facts or {}).items()},
        }
        for event in self._events("/index", body):
            if event.pop("event") == "report":
                return event
            on_progress(event)
        raise self._gone()

    def search(self, question: Question) -> Document:
        """See `Service`."""
        return self.post("/search", question_body(question))

    def ask(self, question: Question) -> Iterator[Document]:
        """See `Service`."""
        return self._events("/ask", question_body(question))

    def files(self, where: Sequence[Condition] = ()) -> list[Document]:
        """See `Service`."""
        written = [("where", "=".join(each) if len(each) == 2 else "".join(each)) for each in where]
        found: list[Document] = self.get(f"/files?{urlencode(written)}" if written else "/files")["files"]
        return found

    def remove(self, what: str) -> Document:
        """See `Service`."""
        return self.post("/remove", {"what": what})

    def stats(self) -> Document:
        """See `Service`."""
        return self.get("/stats")

    def verify(self, *, repair: bool) -> Document:
        """See `Service`."""
        return self.post("/verify", {"repair": repair})

    def backup(self, target: str) -> Document:
        """See `Service`."""
        return self.post("/backup", {"path": target})

    def extract(self, path: str, fields: Sequence[Document], *, many: bool) -> Document:
        """See `Service`."""
        return self.post("/extract", {"path": path, "fields": list(fields), "rows": many})

    def source(self, chunk_id: str) -> Document:
        """See `Service`."""
        return self.get(f"/sources/{quote(chunk_id, safe='')}")

    def picture(self, chunk_id: str) -> bytes | None:
        """See `Service`."""
        with closing(_Connection(self._library)) as connection:
            try:
                return self._answer(connection, "GET", f"/sources/{quote(chunk_id, safe='')}/picture", None).read()
            except OwnerError as error:
                if error.status == 404:
                    return None
                raise

    def get(self, path: str) -> Document:
        """A document of the service. Raises OwnerError, and OSError where nobody listens."""
        return self._document("GET", path, None)

    def post(self, path: str, body: Document) -> Document:
        """The same with a body."""
        return self._document("POST", path, body)

    def _document(
        self, method: str, path: str, body: Document | None, *, answer_seconds: float | None = None
    ) -> Document:
        """Without `answer_seconds` an answer may take as long as the model needs."""
        with closing(_Connection(self._library, answer_seconds=answer_seconds)) as connection:
            answer = self._answer(connection, method, path, body)
            document: Document = json.loads(answer.read())
            return document

    def _events(self, path: str, body: Document) -> Iterator[Document]:
        """Server-sent events, each a JSON document; an event named `problem` is raised."""
        with closing(_Connection(self._library)) as connection:
            answer = self._answer(connection, "POST", path, body)
            try:
                for line in answer:
                    if line.startswith(b"data: "):
                        event: Document = json.loads(line[6:])
                        if event.get("event") == "problem":
                            raise _problem(event)
                        yield event
            except (http.client.HTTPException, ConnectionError) as error:
                raise self._gone() from error

    def _answer(
        self, connection: _Connection, method: str, path: str, body: Document | None
    ) -> http.client.HTTPResponse:
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        answer = connection.getresponse()
        if answer.status >= 400:
            raise _problem(_decoded(answer.read()), status=answer.status)
        return answer

    def _gone(self) -> OwnerError:
        return OwnerError("the process that has the library open ended before its answer was complete")


def _decoded(data: bytes) -> Document:
    try:
        document: Any = json.loads(data)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _problem(document: Document, *, status: int = 0) -> OwnerError:
    message = document.get("detail") or document.get("title") or "the process that has the library open failed"
    return OwnerError(str(message), document.get("notes", ()), status=status or document.get("status", 0))
