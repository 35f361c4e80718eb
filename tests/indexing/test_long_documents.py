"""A document of many pages in an indexing run: told page by page, stopped in the middle, and gone on with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from indexing_doubles import TinyEmbedder, open_library
from library_state import assert_same, state
from reading_doubles import make_pdf, text_at

from indexing import pipeline
from indexing.library import Library, recover
from indexing.pipeline import IndexReport, Progress, files, index
from indexing.readers.output import KEPT_PAGES
from indexing.readers.pdf.kept_pages import FEWEST_PAGES
from indexing.settings import IndexingSettings
from indexing.store import MilvusStore

Opened = tuple[Library, MilvusStore]
PAGES = FEWEST_PAGES + 20


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "book.pdf"
    pages = [text_at(72, 740, f"Chapter {n}", size=18) + text_at(72, 700, f"Words of {n}") for n in range(PAGES)]
    path.write_bytes(make_pdf(pages))
    return path


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    library, store = open_library(tmp_path / "library", TinyEmbedder())
    yield library, store
    store.close()
    library.close()


def run(source: Path, opened: Opened, *, stop_at: int = PAGES + 1) -> tuple[IndexReport, list[Progress]]:
    told: list[Progress] = []
    report = index(
        [source],
        library=opened[0],
        store=opened[1],
        embedder=TinyEmbedder(),
        settings=IndexingSettings(workers=1, objects=False),
        on_progress=told.append,
        cancelled=lambda: bool(told) and told[-1].pages_done >= stop_at,
    )
    return report, told


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "library"
    both = open_library(folder, TinyEmbedder())
    run(source, both)
    both[1].close()
    both[0].close()
    return folder


def test_a_run_that_is_cancelled_inside_a_document_goes_on_at_its_page(
    source: Path, undisturbed: Path, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_PATIENCE_SECONDS", 0.0)
    library, store = opened
    report, told = run(source, opened, stop_at=20)
    assert report.cancelled and not report.failures and files(library) == ()
    assert {(each.current, each.pages) for each in told if each.pages} == {("book.pdf", PAGES)}
    (kept,) = library.spool.glob(f"*/{KEPT_PAGES}")
    before = len(kept.read_bytes().splitlines())
    assert 20 <= before < PAGES
    recover(library, store)  # as another command does that opens the library
    monkeypatch.undo()
    again, told = run(source, opened)
    assert again.added == 1 and min(each.pages_done for each in told if each.pages) >= 1
    assert list(library.spool.iterdir()) == []
    store.close()
    library.close()
    assert_same(state(tmp_path / "library"), state(undisturbed))


def test_a_run_that_dies_while_it_embeds_reads_no_page_again(
    source: Path, undisturbed: Path, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DiedError(Exception):
        pass

    def die(*_: object) -> None:
        raise DiedError

    with monkeypatch.context() as patched:
        patched.setattr(TinyEmbedder, "embed_passages", die)
        with pytest.raises(DiedError):
            run(source, opened)
    (kept,) = opened[0].spool.glob(f"*/{KEPT_PAGES}")
    page = kept.parent / "page-0007.jpg"
    written = page.stat().st_mtime_ns
    assert len(kept.read_bytes().splitlines()) == PAGES + 1
    run(source, opened)
    (kept_page,) = opened[0].pages.glob("*/page-0007.jpg")
    assert kept_page.stat().st_mtime_ns == written
    opened[1].close()
    opened[0].close()
    assert_same(state(tmp_path / "library"), state(undisturbed))


def test_pages_of_a_document_that_nobody_wants_any_more_are_dropped_by_the_next_run(
    source: Path, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_PATIENCE_SECONDS", 0.0)
    run(source, opened, stop_at=5)
    assert list(opened[0].spool.glob(f"*/{KEPT_PAGES}"))
    (tmp_path / "other.txt").write_text("other words")
    run(tmp_path / "other.txt", opened)
    assert list(opened[0].spool.iterdir()) == []
