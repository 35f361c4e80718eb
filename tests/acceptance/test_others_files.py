"""What the product promises about files nobody here wrote: scanned receipts, and documents of every kind."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexing.pipeline import IndexReport
from rag.retrieve import SearchRequest
from ui.settings import Settings
from ui.workbench import Workbench

CORPUS = Path(os.environ.get("LLAVERO_TEST_CORPUS", Path(__file__).parents[2] / ".." / "shared" / "corpus")).resolve()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the test corpus is not at {CORPUS} (LLAVERO_TEST_CORPUS)"),
]


def opened(folder: Path) -> Workbench:
    return Workbench.open(Settings.load(folder, environ={}), create=True)


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workbench, IndexReport]]:
    pictures = sorted((CORPUS / "receipts").glob("*.jpg"))
    bench = opened(tmp_path_factory.mktemp("receipts") / "library")
    yield bench, bench.index(pictures)
    bench.close()


def test_every_scanned_receipt_is_added(receipts: tuple[Workbench, IndexReport]) -> None:
    _, report = receipts
    assert (report.added, report.failed, report.failures) == (50, 0, ())


def test_company_and_date_bring_their_receipt_first_for_90_percent(receipts: tuple[Workbench, IndexReport]) -> None:
    bench, _ = receipts
    missed = []
    known = sorted((CORPUS / "receipts").glob("*.json"))
    for file in known:
        truth = json.loads(file.read_text(encoding="utf-8"))
        hits = bench.search(SearchRequest(text=f"{truth['company']} {truth['date']}", k=5)).hits
        if not hits or hits[0].chunk.path != str(file.with_suffix(".jpg")):
            missed.append((file.stem, truth["company"], truth["date"]))
    assert len(missed) <= 0.10 * len(known), missed


def test_every_document_is_read_or_refused_with_a_reason_and_a_second_run_is_quick(tmp_path: Path) -> None:
    there = sum(path.is_file() for path in (CORPUS / "documents").iterdir())
    bench = opened(tmp_path / "library")
    first = bench.index([CORPUS / "documents"])
    second = bench.index([CORPUS / "documents"])
    stored = bench.stats()
    bench.close()
    assert first.added + first.failed == there
    assert all(failure.reason and "Traceback" not in failure.reason for failure in first.failures)
    assert (second.unchanged, second.failed, second.chunks) == (first.added, first.failed, 0)
    assert stored.files == first.added
