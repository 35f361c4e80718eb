"""A workbench in memory, as honest as a page needs: it holds chunks, finds them by shared words, and answers
by quoting the best one. Same methods as `ui.workbench.Workbench`."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, ImageDraw

from indexing.discover import Failure
from indexing.errors import UnreadableFileError
from indexing.ledger import FileEntry
from indexing.pipeline import IndexReport, Progress
from indexing.records import ChannelRank, Chunk, Hit, Kind, Line
from indexing.store.protocol import EVERYTHING, Filter


def a_page(words: Sequence[str], size: tuple[int, int] = (850, 1100)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(words):
        pen.text((0.1 * size[0], (0.1 + 0.05 * number) * size[1]), line, fill="black", font_size=28)
    return image


def a_chunk(
    path: Path, text: str, *, kind: Kind = "text", page: int | None = 1, ordinal: int = 0, image: str = "page.jpg"
) -> Chunk:
    lines = tuple(
        Line(text=line, box=(0.1, 0.1 + 0.05 * number, 0.8, 0.13 + 0.05 * number))
        for number, line in enumerate(text.splitlines())
    )
    return Chunk(
        content_hash=f"{path.name:0<64}", path=str(path), kind=kind, ordinal=ordinal, page=page, lines=lines,
        text=text, title=path.stem, image=image,
    )  # fmt: skip


@dataclass
class MemoryWorkbench:
    library_folder: Path
    chunk_list: list[Chunk] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)  # said instead of quoting, first in first out
    before_word: Callable[[int], object] = lambda number: None  # what an answer waits for before its words
    fault: Exception | None = None  # raised by the next question or search
    asked: list[SimpleNamespace] = field(default_factory=list)
    searched: list[Any] = field(default_factory=list)
    facts: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)  # by the file's name
    may_index: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    answerer: object = None

    def __post_init__(self) -> None:
        self.may_index.set()

    def add(self, name: str, text: str, **more: Any) -> Chunk:
        path = self.library_folder.parent / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.chunk_list.append(a_chunk(path, text, **more))
        return self.chunk_list[-1]

    def search(self, request: Any) -> Any:
        from rag.retrieve import Retrieval, Verdict

        if self.fault is not None:
            raise self.fault
        self.searched.append(request)
        wanted = set(request.text.lower().split())
        shared = [(len(wanted & set(chunk.text.lower().split())), chunk) for chunk in self._within(request.filter)]
        shared.sort(key=lambda pair: -pair[0])
        hits = tuple(
            Hit(chunk=chunk, score=count / 10, channels={"bm25": ChannelRank(rank=place, score=float(count))})
            for place, (count, chunk) in enumerate(shared[: request.k], start=1)
        )
        probabilities = tuple(1.0 if hit.score else 0.0 for hit in hits)
        verdict = Verdict(probabilities=probabilities, threshold=0.5)
        return Retrieval(request=request, hits=hits, verdict=verdict, milliseconds={"bm25": 1.2, "total": 1.5})

    def _within(self, chosen: Filter) -> list[Chunk]:
        paths = {value for name, value in chosen.where if name == "path"}
        return [
            chunk
            for chunk in self.chunk_list
            if (not chosen.kinds or chunk.kind in chosen.kinds) and (not paths or chunk.path in paths)
        ]

    def ask(
        self,
        question: str,
        images: Any = (),
        history: Any = (),
        k: int = 8,
        filter: Filter = EVERYTHING,
    ) -> Iterator[Any]:
        from claims.citations import Citation
        from rag.events import Answer, Retrieved, Token
        from rag.retrieve import SearchRequest

        self.asked.append(SimpleNamespace(question=question, images=images, history=history, filter=filter))
        image = images[0] if images else None
        retrieval = self.search(SearchRequest(text=question, image=image, k=k, filter=filter))
        yield Retrieved(retrieval=retrieval)
        refused = not retrieval.answers and not images
        text = "Nothing that was found speaks of it." if refused else self._said(retrieval.hits)
        for number, word in enumerate(text.split(" ")):
            self.before_word(number)
            yield Token(text=word + " ")
        cited = () if refused or "[1]" not in text else retrieval.hits[:1]
        yield Answer(
            text=text,
            refused=refused,
            citations=tuple(
                Citation(
                    marker=1, path=hit.chunk.path, page=hit.chunk.page, quote=hit.chunk.text.splitlines()[0],
                    boxes=tuple(line.box for line in hit.chunk.lines[:1] if line.box), state="quoted",
                    chunk_id=hit.chunk.id,
                )
                for hit in cited
            ),
            hits=retrieval.hits,
            model="" if refused else "memory-1",
            supported=bool(cited),
            milliseconds={"retrieve": 1.5, "first_token": 3.0, "total": 9.0},
            prompt=(),
        )  # fmt: skip

    def _said(self, hits: Sequence[Hit]) -> str:
        return self.answers.pop(0) if self.answers else f"It says: {hits[0].chunk.text} [1]"

    def as_history(self, question: str, answer: Any) -> list[tuple[str, str]]:
        return [(question, answer.text)]

    def index(
        self,
        paths: Sequence[Path],
        on_progress: Callable[[Any], None],
        cancelled: Callable[[], bool] = lambda: False,
        facts: object = None,
        retry_failed: bool = False,
        follow_links: bool = False,
        objects: bool = True,
    ) -> IndexReport:
        added = 0
        failures: list[Failure] = []
        for done, path in enumerate(paths):
            on_progress(
                Progress(
                    done=done, found=len(paths), walked=True, current=path.name, files_per_second=2.0, seconds_left=1.0
                )
            )
            while not self.may_index.wait(0.01) and not cancelled():
                pass
            if cancelled():
                break
            try:
                self._read(path)
                added += 1
            except UnreadableFileError as error:
                self.failed[str(path)] = error.reason
                failures.append(Failure(path=str(path), reason=error.reason))
        return IndexReport(
            added=added, updated=0, unchanged=0, removed=0, failed=len(failures), chunks=added, seconds=0.1,
            failures=tuple(failures), cancelled=cancelled(),
        )  # fmt: skip

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        if b"\0" in content:
            raise UnreadableFileError("nobody here reads this kind of file")
        self.chunk_list.append(a_chunk(path, content.decode()))

    def files(self) -> tuple[FileEntry, ...]:
        paths = sorted({chunk.path for chunk in self.chunk_list})
        return tuple(
            FileEntry(
                path=path, state="failed" if path in self.failed else "indexed", reason=self.failed.get(path, ""),
                kind="document", chunks=len(self.chunks(path)), size_bytes=1234, indexed_at="2026-03-01T12:00:00+00:00",
                facts=self.facts.get(Path(path).name, {}),
            )
            for path in [*paths, *self.failed]
        )  # fmt: skip

    def stats(self) -> Any:
        kinds: dict[str, int] = {}
        for chunk in self.chunk_list:
            kinds[chunk.kind] = kinds.get(chunk.kind, 0) + 1
        files = len({chunk.path for chunk in self.chunk_list})
        return SimpleNamespace(files=files, chunks=len(self.chunk_list), kinds=kinds, size_bytes=2_500_000)

    def chunks(self, path: str) -> list[Chunk]:
        return [chunk for chunk in self.chunk_list if chunk.path == path]

    def remove(self, what: str) -> Any:
        before = len(self.chunk_list)
        self.chunk_list = [chunk for chunk in self.chunk_list if chunk.path != what]
        self.failed.pop(what, None)
        return SimpleNamespace(files=1, chunks=before - len(self.chunk_list))

    def picture(self, chunk: Chunk) -> Image.Image | None:
        return a_page(chunk.text.splitlines()) if chunk.image else None

    def thumbnail(self, content_hash: str) -> Path | None:
        return None

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryWorkbench]:
    """The page's workbench for one test, with two documents in it."""
    import streamlit as st

    from ui.page import shared

    memory = MemoryWorkbench(library_folder=tmp_path / "library")
    memory.add("pump.pdf", "The pump needs 4.5 litres of oil.\nChange the oil every year.")
    memory.add("letter.png", "Dear Ada, the harbour is closed until May.", kind="page")
    monkeypatch.setattr(shared, "open_workbench", lambda: memory)
    monkeypatch.setattr(shared.atexit, "register", lambda *_: None)
    monkeypatch.setattr(shared.opened, "on_open", lambda library: None)
    shared.opened.close()
    st.cache_data.clear()
    yield memory
    memory.may_index.set()
    shared.opened.close()
