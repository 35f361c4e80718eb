import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from indexing_doubles import PlainReader, TinyEmbedder, open_library
from source_servers import Bucket, s3_server

from indexing.addresses import Address
from indexing.library import Library, compare
from indexing.pipeline import IndexReport, index
from indexing.settings import IndexingSettings, ReadLimits
from indexing.sources.access import Accesses
from indexing.sources.protocol import RemoteSource
from indexing.sources.remote import RemoteFiles
from indexing.store import MilvusStore


@dataclass
class Bench:
    """A library on real Milvus Lite that reads from elsewhere."""

    library: Library
    store: MilvusStore
    embedder: TinyEmbedder
    reader: PlainReader
    accesses: Accesses = field(default_factory=Accesses)
    limits: ReadLimits = field(default_factory=ReadLimits)

    def index(self, *paths: str, **more: object) -> IndexReport:
        return index(
            paths,
            library=self.library,
            store=self.store,
            embedder=self.embedder,
            readers=lambda: self.reader,
            settings=IndexingSettings(picture_batch=4, text_batch=4, write_batch=8, limits=self.limits),
            sources=self.accesses,
            **more,
        )

    def texts(self) -> dict[str, str]:
        """What is searchable: path → words."""
        chunks = self.store.get([each for each, _ in self.store.ids()])
        return {chunk.path: chunk.text for chunk in chunks if chunk.kind == "text"}

    def embedded(self) -> int:
        return self.embedder.texts + self.embedder.pictures

    def left_over(self) -> list[Path]:
        """Files that a run has left in the spool."""
        return [each for each in self.library.spool.rglob("*") if each.is_file()]

    def agrees(self) -> bool:
        return compare(self.library, self.store).agrees


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("indexing.pipeline._PROGRESS_SECONDS", 0.0)
    embedder = TinyEmbedder()
    library, store = open_library(tmp_path / "library", embedder)
    yield Bench(library, store, embedder, PlainReader(library.spool))
    store.close()
    library.close()


@pytest.fixture
def reads_from(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Address, Accesses], RemoteSource]], None]:
    """Lets runs open their sources with another function."""

    def choose(opens: Callable[[Address, Accesses], RemoteSource]) -> None:
        monkeypatch.setattr("indexing.pipeline.RemoteFiles", partial(RemoteFiles, opens=opens))

    return choose


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    pytest.importorskip("moto", reason="S3's tests need moto (the extra dev brings it)")
    pytest.importorskip("s3fs", reason="S3's tests need s3fs (the extra dev brings it)")
    with s3_server() as started:
        yield started
