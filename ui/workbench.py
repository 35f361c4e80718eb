"""The composition root: settings in, a workbench out. Nothing else in the product builds anything from settings.

Parts that cost memory or seconds (embedder, language model) are made when first needed, once, and shared by all
threads of the process; closing the workbench lets go of the library.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from indexing import library as recovery
from indexing import pipeline
from indexing.library import Library, LibraryNotFoundError, LibraryRecord
from indexing.places import PlacedStore, check_keys, files_where
from indexing.rebuild import finish_switch
from indexing.records import Channel, Chunk, Kind
from indexing.sources.access import Accesses
from indexing.store import Store
from indexing.store.protocol import EVERYTHING, Filter
from llava_model.kits import Kit, find
from llava_model.serving.engine import Turn
from rag.retrieve import Retrieval, Retriever, SearchRequest
from rag.settings import RagSettings
from ui.assembly import build_answerer, build_extractor
from ui.opening import check_device, embedder_name, embedder_of, in_memory, store_opener, without_loading_bars
from ui.settings import DEFAULT_KIT, Settings

if TYPE_CHECKING:
    from PIL import Image

    from extraction.extractor import Extractor
    from indexing.embedding.protocol import Embedder
    from indexing.objects.detect import Detector
    from indexing.objects.kinds import Thing
    from llava_model.serving.engine import Engine
    from rag.answer import Answerer
    from rag.events import Answer, Event
    from rag.relevance import Reranker


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What the library holds: rows and kinds counted in the store, files in the ledger, bytes on disk."""

    library: Path
    store: str
    kit: str
    embedder: str
    channels: tuple[Channel, ...]
    files: int
    failed: int
    chunks: int
    kinds: Mapping[Kind, int]
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """Where ledger and store disagree, in rows."""

    missing: int
    orphaned: int
    repaired: bool


Part = TypeVar("Part")


class BuiltOnce(Generic[Part]):
    """A part that is made at first use. All parts of a workbench share one re-entrant lock, so that two threads that
    need each other's parts cannot wait for each other (`functools.cached_property` has a lock of its own each)."""

    def __init__(self, build: "Callable[[Workbench], Part]") -> None:
        self._build, self.__doc__ = build, build.__doc__

    def __get__(self, bench: "Workbench", owner: type) -> Part:
        if self in bench._parts:  # without the lock: who needs one part does not wait for another that is being made
            made: Part = bench._parts[self]
            return made
        with bench._building:
            if self not in bench._parts:
                bench._parts[self] = self._build(bench)
            part: Part = bench._parts[self]
            return part


class Workbench:
    """One open library with everything that works on it."""

    def __init__(self, settings: Settings, kit: Kit, library: Library, *, serves: bool = False) -> None:
        self.settings, self.kit, self._library, self._serves = settings, kit, library, serves
        self._building = threading.RLock()
        self._parts: dict[BuiltOnce[Any], Any] = {}
        self._writing = threading.Lock()
        self._counted: tuple[tuple[pipeline.FileEntry, ...], Stats] | None = (
            None  # the files that were counted, and the counts
        )
        self._closers: list[Callable[[], None]] = [library.close]

    @classmethod
    def open(cls, settings: Settings, *, create: bool = False, serves: bool = False) -> "Workbench":
        """Open the library, or make it with `create`; everything that cannot work later is refused now. A process that
        `serves` answers many questions: it reads what Milvus Lite holds into memory, and searches there.

        Raises LibraryInUseError, LibraryMismatchError, LibraryNotFoundError, KitNotInstalledError, StoreError.
        """
        record = LibraryRecord.read(settings.library)
        if record is None and not create:
            raise LibraryNotFoundError(settings.library)
        kit = find(settings.kit or (record.kit if record else DEFAULT_KIT))
        for component in kit.components:
            kit.path(component.name)  # raises if the component is missing
        check_device(settings.device)
        library = Library.open(settings.library, kit=kit.name, create=create)
        bench = cls(settings, kit, library, serves=serves)
        try:
            finish_switch(library, store_opener(settings, library))
            recovery.recover(library, bench.store)
        except BaseException:
            bench.close()
            raise
        return bench

    def close(self) -> None:
        """Close the store and the library. A second call does nothing."""
        while self._closers:
            self._closers.pop()()

    @property
    def library_folder(self) -> Path:
        """Where the library lies."""
        return self._library.folder

    # -- the parts ---------------------------------------------------------------------------------------------------

    @BuiltOnce
    def sources(self) -> Accesses:
        """Who this process is at addresses elsewhere, and which of them its clients may name."""
        return Accesses(sections=self.settings.sources, environ=dict(os.environ))

    @BuiltOnce
    def embedder(self) -> "Embedder":
        """The kit's embedder; refused where another one filled the library."""
        embedder = embedder_of(self.kit, self.settings.device)
        self._library.settle(embedder)
        return embedder

    @BuiltOnce
    def detector(self) -> "Detector":
        """Finds things in pictures."""
        from indexing.objects.detect import Detector

        return Detector(device=self.embedder.device)

    @BuiltOnce
    def store(self) -> Store:
        """Milvus Lite inside the library, in memory where this process serves, or the server that the settings name."""
        if not self._library.record.clip_dimensions:
            self._library.settle(self.embedder)
        milvus = store_opener(self.settings, self._library)(self._library.record)
        store = in_memory(milvus) if self._serves and not self.settings.milvus_uri else milvus
        self._closers.append(store.close)
        return store

    @BuiltOnce
    def retriever(self) -> Retriever:
        """Search over the store."""
        from rag.relevance import CrossEncoder, LateInteraction

        if self.kit.has("reranker"):
            reranker: Reranker = CrossEncoder(self.kit.path("reranker"), device=self.embedder.device)
        else:
            reranker = LateInteraction(self.embedder)
        placed = PlacedStore(self.store, self._library.ledger)
        return Retriever(placed, self.embedder, self.rag, reranker, placed.near)

    @property
    def rag(self) -> RagSettings:
        """How questions are answered: the kit's defaults, and what the user set."""
        return self.settings.rag_for(self.kit.defaults)

    @BuiltOnce
    def engine(self) -> "Engine":
        """The kit's language model in this process."""
        without_loading_bars()
        from llava_model.serving.opening import open_engine

        return open_engine(kit=self.kit.name, device=self.settings.device)

    @property
    def model_load(self) -> tuple[int, int]:
        """(requests that the model in this process works on, requests that wait for it); no model is loaded for it."""
        engine: Engine | None = self._parts.get(Workbench.__dict__["engine"])
        return engine.under_way if engine is not None else (0, 0)

    @BuiltOnce
    def answerer(self) -> "Answerer":
        """Retrieval with the kit's model behind it, or with the server that the settings name."""
        return build_answerer(self)

    @BuiltOnce
    def extractor(self) -> "Extractor":
        """Reads fields out of documents, with the same model."""
        return build_extractor(self)

    @property
    def reader_is_tiny(self) -> bool:
        """Whether the kit's own model reads, and is one that is confused by more than a few lines."""
        return self.rag.generator is None and self.rag.prompt.max_passages > 0

    # -- the library -------------------------------------------------------------------------------------------------

    def index(
        self,
        paths: Sequence[str | Path],
        on_progress: Callable[[pipeline.Progress], None] = lambda progress: None,
        cancelled: Callable[[], bool] = lambda: False,
        *,
        any_address: bool = False,
        retry_failed: bool = False,
        follow_links: bool = False,
        objects: bool = True,
        facts: Mapping[str, Sequence[str]] | None = None,
    ) -> pipeline.IndexReport:
        """Bring the library up to date with files and folders; one run at a time. Objects are looked for in pictures
        where the settings say so and `objects` does not leave them out; `facts` are said of every file. Addresses are
        read that the settings list; with `any_address`, which is for those who sit at the terminal, all others too.

        Raises NotListedError, AddressError, RemoteError.
        """
        if not any_address:
            self.sources.check_listed(map(str, paths))
        with self._writing:
            name = embedder_name(self.kit)
            if name is not None:  # else the kit's name decides, which was checked when the library was opened
                self._library.expect(name)
            return pipeline.index(
                paths,
                library=self._library,
                store=self.store,
                embedder=lambda: self.embedder,
                settings=replace(self.settings.indexing, objects=self.settings.indexing.objects and objects),
                retry_failed=retry_failed,
                follow_links=follow_links,
                facts=facts,
                sources=self.sources,
                on_progress=on_progress,
                cancelled=cancelled,
            )

    def remove(self, what: str) -> pipeline.RemoveReport:
        """Take a file, a folder or the file behind an id out of the library."""
        with self._writing:
            return pipeline.remove(what, library=self._library, store=self.store)

    def files(self) -> tuple[pipeline.FileEntry, ...]:
        """Every file the library knows, with its state."""
        return pipeline.files(self._library)

    def files_where(self, chosen: Filter) -> list[pipeline.FileEntry]:
        """The files for which the conditions on paths and facts hold."""
        return files_where(chosen, self._library.ledger)

    def check(self, chosen: Filter) -> Filter:
        """The filter, if its facts are known here. Raises UnknownFieldError."""
        check_keys(chosen.facts, self._library.ledger)
        return chosen

    def chunks(self, path: str) -> list[Chunk]:
        """Everything that was made of one file, in the order of kind and place."""
        content = self._library.ledger.content_of(path)
        return self.store.get(list(content.ids())) if content else []

    def stats(self) -> Stats:
        """What the library holds. It is counted anew only after a change, because that reads every row of the store."""
        entries = self.files()  # the same tuple as long as nothing has changed
        if self._counted is None or self._counted[0] is not entries:
            self._counted = entries, self._count(entries)
        return self._counted[1]

    def _count(self, entries: Sequence[pipeline.FileEntry]) -> Stats:
        counts = self.store.counts()
        return Stats(
            library=self.library_folder,
            store=self.settings.milvus_uri or "Milvus Lite",
            kit=self._library.record.kit,
            embedder=self._library.record.embedder,
            channels=self.store.channels,
            files=sum(entry.state == "indexed" for entry in entries),
            failed=sum(entry.state == "failed" for entry in entries),
            chunks=counts.chunks,
            kinds=counts.kinds,
            size_bytes=self._library.size_bytes(),
        )

    def verify(self, *, repair: bool) -> VerifyReport:
        """Compare ledger and store row by row; `repair` drops what nobody owns and reads again what is missing."""
        with self._writing:
            found = recovery.compare(self._library, self.store)
            if repair and not found.agrees:
                paths = [path for content in found.incomplete for path in self._library.ledger.paths_of(content.hash)]
                recovery.repair(self._library, self.store, found)
                self._counted = None  # rows without an owner are gone, and the ledger has not changed
        if repair and not found.agrees and paths:
            self.index(paths, any_address=True)  # no client has named them: they are the library's own
        return VerifyReport(missing=found.missing, orphaned=len(found.orphans), repaired=repair and not found.agrees)

    def backup(self, target: Path, on_file: Callable[[int], None] = lambda count: None) -> int:
        """The whole library in one file → how many files are in it. Nothing is written to it meanwhile.

        Raises BackupError, also where the rows lie on a Milvus server, which has backups of its own.
        """
        from indexing.backup import BackupError, write_backup

        if self.settings.milvus_uri:
            raise BackupError(f"the rows lie on the Milvus server {self.settings.milvus_uri}; back that up there")
        with self._writing:
            return write_backup(self._library, self.store, target, on_file=on_file)

    # -- questions ---------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest) -> Retrieval:
        """By words, by picture, or both."""
        return self.retriever.search(request)

    def ask(
        self,
        question: str,
        images: "Sequence[Image.Image]" = (),
        history: Sequence[Turn] = (),
        k: int = 8,
        filter: Filter = EVERYTHING,
    ) -> "Iterator[Event]":
        """→ events: what was retrieved, then the tokens, then the answer."""
        return self.answerer.ask(question, images=images, history=history, k=k, filter=filter)

    def as_history(self, question: str, answer: "Answer") -> list[Turn]:
        """What the next question of the same conversation should know."""
        return [Turn(role="user", text=question), Turn(role="assistant", text=answer.text)]

    def thumbnail(self, content_hash: str) -> Path | None:
        """A content's small picture, or the picture of its first page."""
        return self._library.first_picture(content_hash) if content_hash else None

    def picture(self, chunk: Chunk) -> "Image.Image | None":
        """The chunk's stored picture: its page, figure or small picture; None where it has none."""
        file = self.picture_file(chunk)
        return self.open_picture(file) if file else None

    def things(self, picture: "Image.Image") -> "tuple[Thing, ...]":
        """What is seen in a picture that comes with a question; nothing where the settings leave objects out."""
        return self.detector.things(picture) if self.settings.indexing.objects else ()

    def picture_file(self, chunk: Chunk) -> Path | None:
        """Where that picture lies inside the library."""
        if not chunk.image:
            return None
        file = (self.library_folder / chunk.image).resolve()
        if not file.is_relative_to(self.library_folder.resolve()) or not file.exists():
            return None
        return file

    def open_picture(self, path: Path) -> "Image.Image":
        """A picture file, upright, on white; raises UnreadablePictureError with the reason."""
        from llava_model.images import open_picture

        return open_picture(path)
