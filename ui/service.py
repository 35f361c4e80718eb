"""One library as the terminal, the HTTP interface and agents use it: requests and answers are plain JSON.

LibraryService    over a workbench in this process
ui.owner          the same functions, answered by the process that has the library open
"""

import base64
import contextvars
import errno
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from ui import documents
from ui.documents import Document

if TYPE_CHECKING:
    from PIL import Image

    from indexing.facts import Operator
    from indexing.records import Chunk
    from indexing.store.protocol import Filter
    from llava_model.serving.engine import Turn
    from ui.workbench import Workbench


Condition = tuple[str, str] | tuple[str, str, str]
"""(field, value), or (field, operator, value); paths and folders absolute."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is looked for or asked: words, pictures, or both."""

    text: str = ""
    images: tuple[tuple[str, bytes], ...] = ()
    """(name, the file's bytes)."""
    history: tuple[tuple[str, str], ...] = ()
    """(question, answer) pairs, oldest first."""
    k: int = 8
    kinds: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()
    apart: bool = False
    """Pictures that are nearly the same are hits of their own."""


OnProgress = Callable[[Document], None]


class Service(Protocol):
    """What the terminal asks of a library, wherever that is open."""

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
        """Bring the library up to date with files and folders of this machine, or at addresses → the report."""
        ...

    def search(self, question: Question) -> Document:
        """→ hits, best first."""
        ...

    def ask(self, question: Question) -> Iterator[Document]:
        """→ what was found, the tokens, the answer; close it to stop the model."""
        ...

    def files(self, where: Sequence[Condition] = ()) -> list[Document]:
        """The files for which the conditions hold, with their state, notes and facts."""
        ...

    def remove(self, what: str) -> Document:
        """Take a file, a folder or the file behind an id out."""
        ...

    def stats(self) -> Document:
        """What the library holds."""
        ...

    def verify(self, *, repair: bool) -> Document:
        """Compare ledger and store."""
        ...

    def backup(self, target: str) -> Document:
        """The whole library in one new file of the service's machine."""
        ...

    def extract(self, path: str, fields: Sequence[Document], *, many: bool) -> Document:
        """Fields of one document of the library → its rows, and the fields with the types that they were given."""
        ...

    @property
    def identity(self) -> Document:
        """Which process has the library open, and with what."""
        ...

    def source(self, chunk_id: str) -> Document:
        """A passage with its lines and boxes."""
        ...

    def picture(self, chunk_id: str) -> bytes | None:
        """The page, figure or small picture that belongs to a passage (JPEG)."""
        ...


class LibraryService:
    """The functions above over a workbench; safe to call from several threads."""

    def __init__(self, bench: "Workbench", *, any_address: bool = False) -> None:
        """With `any_address` it indexes addresses that the settings do not list: for the person at the terminal, never
        for what clients ask."""
        self.bench, self._any_address = bench, any_address

    def index(
        self,
        paths: Sequence[str],
        *,
        retry_failed: bool = False,
        on_progress: OnProgress = lambda progress: None,
        cancelled: Callable[[], bool] = lambda: False,
        follow_links: bool = False,
        objects: bool = True,
        facts: Mapping[str, Sequence[str]] | None = None,
    ) -> Document:
        """See `Service`; `cancelled` is asked between files."""
        report = self.bench.index(
            paths,
            on_progress=lambda progress: on_progress(documents.progress_document(progress)),
            cancelled=cancelled,
            retry_failed=retry_failed,
            follow_links=follow_links,
            objects=objects,
            facts=facts,
            any_address=self._any_address,
        )
        return documents.report_document(report)

    def search(self, question: Question) -> Document:
        """See `Service`. The first picture counts."""
        from rag.retrieve import SearchRequest

        pictures = _pictures(question.images[:1])
        request = SearchRequest(
            text=question.text,
            image=pictures[0] if pictures else None,
            k=question.k,
            filter=self._filter(question),
            apart=question.apart,
        )
        return documents.retrieval_document(self.bench.search(request))

    def ask(self, question: Question) -> Iterator[Document]:
        """See `Service`."""
        events = self.bench.ask(
            question.text,
            images=_pictures(question.images),
            history=_turns(question.history),
            k=question.k,
            filter=self._filter(question),
        )
        yield from map(documents.event_document, events)

    def _filter(self, question: Question) -> "Filter":
        """What cannot be found is told before anything is searched."""
        return self.bench.check(filter_of(question))

    def files(self, where: Sequence[Condition] = ()) -> list[Document]:
        """See `Service`. Raises UnknownFieldError, FilterValueError, FactsError."""
        entries = self.bench.files_where(filter_of(Question(where=tuple(where)))) if where else self.bench.files()
        return [documents.file_document(entry) for entry in entries]

    def remove(self, what: str) -> Document:
        """See `Service`."""
        return documents.removal_document(self.bench.remove(what))

    def stats(self) -> Document:
        """See `Service`."""
        return documents.stats_document(self.bench.stats())

    def verify(self, *, repair: bool) -> Document:
        """See `Service`."""
        return documents.verify_document(self.bench.verify(repair=repair))

    def backup(self, target: str) -> Document:
        """See `Service`."""
        return {"files": self.bench.backup(Path(target)), "backup": target}

    def extract(self, path: str, fields: Sequence[Document], *, many: bool) -> Document:
        """See `Service`. Raises NotInLibraryError, FieldsError."""
        from dataclasses import asdict

        from extraction.fields import fields_of
        from indexing.pipeline import NotInLibraryError

        chunks = self.bench.chunks(path)
        if not chunks:
            raise NotInLibraryError(path)
        wanted = self.bench.extractor.typed(fields_of(fields))
        rows = self.bench.extractor.rows(path, chunks, wanted, many=many)
        return {"fields": [asdict(each) for each in wanted], "rows": [asdict(row) for row in rows]}

    def source(self, chunk_id: str) -> Document:
        """See `Service`. Raises NotInLibraryError."""
        return documents.chunk_document(self._chunk(chunk_id))

    def picture(self, chunk_id: str) -> bytes | None:
        """See `Service`. Raises NotInLibraryError."""
        file = self.picture_file(chunk_id)
        return file.read_bytes() if file else None

    def picture_file(self, chunk_id: str) -> Path | None:
        """Where that picture lies inside the library."""
        return self.bench.picture_file(self._chunk(chunk_id))

    def original(self, chunk_id: str) -> str:
        """The path or address of the file that a passage comes from, as it was when it was indexed."""
        return self._chunk(chunk_id).path

    def _chunk(self, chunk_id: str) -> "Chunk":
        from indexing.pipeline import NotInLibraryError

        found = self.bench.store.get([chunk_id]) if _ID.fullmatch(chunk_id) else []
        if not found:
            raise NotInLibraryError(chunk_id)
        return found[0]

    def tokens(self, answer: Document) -> tuple[int, int]:
        """(of the prompt, of the answer) as the model counts them; both 0 where the model was not asked."""
        from llava_model.serving.engine import Turn

        if not answer.get("prompt"):
            return 0, 0
        count = self.bench.answerer.count_tokens
        prompt = [Turn(role=each["role"], text=each["text"]) for each in answer["prompt"]]
        before = count(prompt)
        return before, max(0, count([*prompt, Turn(role="assistant", text=answer["answer"])]) - before)

    def picture_vector(self, name: str, data: bytes) -> list[float]:
        """A picture in the space in which pictures are searched, of unit length."""
        import numpy as np

        embedder = self.bench.embedder
        (image,) = _pictures([(name, data)])
        vectors = embedder.embed_images(np.stack([embedder.preprocess.crop(image)])).vectors_BD
        return [float(each) for each in vectors[0]]

    @property
    def identity(self) -> Document:
        """See `Service`."""
        from indexing.library import command_of_this_process

        return {
            "process": os.getpid(),
            "command": command_of_this_process(),
            "kit": self.bench.kit.name,
            "library": str(self.bench.library_folder),
            "reader_is_tiny": self.bench.reader_is_tiny,
        }


_ID = re.compile(r"[0-9a-f]{32}")


def picture_of_data_url(address: str) -> tuple[str, bytes]:
    """`data:image/png;base64,…` → (name, bytes). Raises ValueError for anything else; addresses are not fetched."""
    head, comma, data = address.partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise ValueError("a picture must be a data URL (data:image/png;base64,…); addresses are not fetched")
    try:
        return "picture", base64.b64decode(data, validate=True)
    except ValueError as error:
        raise ValueError("the picture's base64 is damaged") from error


def filter_of(question: Question) -> "Filter":
    """Raises the store's errors for a kind, field or value that there is not."""
    from indexing.facts import FactCondition
    from indexing.store.protocol import FIELDS, Filter

    where: list[tuple[str, str]] = []
    facts: list[FactCondition] = []
    for each in question.where:
        field, operator, value = each if len(each) == 3 else (each[0], "=", each[1])
        if operator == "=" and field in FIELDS:
            where.append((field, value))
        else:
            facts.append(FactCondition(key=field, operator=cast("Operator", operator), value=value))
    kinds: Any = question.kinds
    return Filter(kinds=tuple(kinds), where=tuple(where), facts=tuple(facts))


def condition(written: str) -> Condition:
    """`name=a.pdf` or `year>=2019` as a person writes it. Raises FactsError where it makes no sense."""
    from indexing.facts import NEAR, RESERVED, FactCondition, parted

    field, operator, value = parted(written)
    if operator == "=" and field in RESERVED and field != NEAR:
        return field, value
    FactCondition(key=field, operator=operator, value=value)
    return (field, value) if operator == "=" else (field, operator, value)


def _pictures(files: Sequence[tuple[str, bytes]]) -> "list[Image.Image]":
    from llava_model.images import open_picture

    return [open_picture(data, name=name) for name, data in files]


def _turns(history: Sequence[tuple[str, str]]) -> "list[Turn]":
    from llava_model.serving.engine import Turn

    pairs = [(Turn(role="user", text=question), Turn(role="assistant", text=answer)) for question, answer in history]
    return [turn for pair in pairs for turn in pair]


def streamed(work: Callable[[OnProgress, Callable[[], bool]], Document], *, last: str) -> Iterator[Document]:
    """Run `work(on_progress, cancelled)` in a thread → its progress as it comes, then its result as event `last`.

    Closing the iterator makes `cancelled` true and waits for the end of the work.
    """
    told = threading.Condition()
    newest: list[Document] = []
    outcome: list[Document | BaseException] = []
    cancel = threading.Event()

    def on_progress(progress: Document) -> None:
        with told:
            newest[:] = [progress]  # whoever reads slowly gets the newest alone
            told.notify()

    def run() -> None:
        result: Document | BaseException
        try:
            result = work(on_progress, cancel.is_set)
        except BaseException as error:  # noqa: BLE001  # raised in the thread that reads
            result = error
        with told:
            outcome.append(result)
            told.notify()

    context = contextvars.copy_context()  # whose request it is
    thread = threading.Thread(target=context.run, args=(run,), name="llavero-work", daemon=True)
    thread.start()
    try:
        while True:
            with told:
                told.wait_for(lambda: bool(newest or outcome))
                progress, newest[:] = list(newest), []
            yield from ({"event": "progress", **each} for each in progress)
            if outcome and not newest:
                break
    finally:
        cancel.set()
        thread.join()
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    yield {"event": last, **result}


def question_body(question: Question) -> Document:
    """A question as it travels: pictures in base64."""
    return {
        "text": question.text,
        "images": [[name, base64.b64encode(data).decode()] for name, data in question.images],
        "history": [list(pair) for pair in question.history],
        "k": question.k,
        "kinds": list(question.kinds),
        "where": [list(each) for each in question.where],
        "apart": question.apart,
    }


def picture_file(path: Path) -> tuple[str, bytes]:
    """A picture that belongs to a question: its name and its bytes. Raises OSError, also over 50 MB."""
    with path.open("rb") as file:
        data = file.read(_MOST_PICTURE_BYTES + 1)
    if len(data) > _MOST_PICTURE_BYTES:
        raise OSError(errno.EFBIG, f"the picture has more than {_MOST_PICTURE_BYTES // 1_000_000} MB", str(path))
    return path.name, data


_MOST_PICTURE_BYTES = 50_000_000
