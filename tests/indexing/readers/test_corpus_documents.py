"""Real files that nobody here wrote: each is read, or fails with a reason that a person understands."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from reading_doubles import SMALL, corpus, source_of

from indexing.chunking import ChunkSettings, chunks
from indexing.errors import EncryptedFileError, ReaderStoppedError, UnreadableFileError, UnsupportedFileError
from indexing.records import Reading
from indexing.settings import ReadLimits
from indexing.workers.pool import ReaderPool, ReadResult

EXPECTED_FAILURES: Mapping[str, type[UnreadableFileError]] = {
    "docling-Strict.docx": UnsupportedFileError,
    "unstructured-password_protected.xlsx": EncryptedFileError,
}
FAST = (
    "docling-2305.03393v1-pg9.pdf",
    "docling-multi_page.pdf",
    "docling-normal_4pages.pdf",
    "docling-ocr_test_rotated_90.pdf",
    "docling-picture_classification.pdf",
    "docling-right_to_left_03.pdf",
    "docling-table_06.html",
    "docling-xlsx_03_chartsheet.xlsx",
    "unstructured-email-no-utf8-2008-07-16.062410.eml",
    "unstructured-eng_spa_mult.epub",
    "unstructured-example-steelJIS-datasheet-utf-16.html",
    "unstructured-fake-email-attachment.eml",
    "unstructured-multi-column-2p.pdf",
    "unstructured-simple.docx",
    "unstructured-simple.pptx",
)
Outcomes = dict[str, ReadResult | UnreadableFileError]


def read_all(paths: list[Path], spool: Path) -> Outcomes:
    with ReaderPool(limits=ReadLimits(), preprocess=SMALL, spool=spool, workers=2) as pool:
        return {source.path.name: outcome for source, outcome in pool.read(map(source_of, paths))}


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    folder = corpus("documents")
    return read_all([folder / name for name in (*FAST, *EXPECTED_FAILURES)], tmp_path_factory.mktemp("fast"))


def reading(outcomes: Outcomes, name: str) -> Reading:
    outcome = outcomes[name]
    assert isinstance(outcome, ReadResult), f"{name}: {outcome}"
    return outcome.reading


def text_of(found: Reading) -> str:
    return "\n".join(part for block in found.blocks for part in (block.caption, block.text) if part)


def assert_honest(outcomes: Outcomes) -> None:
    for name, outcome in outcomes.items():
        if isinstance(outcome, UnreadableFileError):
            assert name in EXPECTED_FAILURES, f"{name}: {outcome}"
            assert type(outcome) is EXPECTED_FAILURES[name], f"{name}: {outcome!r}"
            assert len(outcome.reason) > 15
            assert not re.search(r"Traceback|object at 0x|\n", outcome.reason)
        else:
            assert_consistent(name, outcome)


def assert_consistent(name: str, outcome: ReadResult) -> None:
    """Files exist, boxes lie on their pages, and the chunks hold the reading's words."""
    numbers = {page.number for page in outcome.reading.pages}
    for page in outcome.reading.pages:
        assert page.image is None or page.image.is_file(), name
    for block in outcome.reading.blocks:
        assert block.page is None or block.page in numbers, name
        assert block.image is None or block.image.is_file(), name
        for box in (block.box, *(line.box for line in block.lines)):
            assert box is None or (0 <= box[0] <= box[2] <= 1 and 0 <= box[1] <= box[3] <= 1), (name, box)
    source = source_of(corpus("documents") / name)
    cut = chunks(outcome.reading, source=source, image_folder="pages/x", settings=ChunkSettings())
    letters = "".join(char for char in text_of(outcome.reading) if char.isalnum())
    kept = "".join(
        char for chunk in cut if chunk.kind not in ("page", "image") for char in chunk.text if char.isalnum()
    )
    assert len(kept) >= len(letters), name
    assert all(len(chunk.text.encode()) <= 60_000 for chunk in cut), name


def test_a_choice_of_every_kind_is_read_or_fails_with_a_reason(fast: Outcomes) -> None:
    assert_honest(fast)


def test_columns_of_a_paper_are_read_one_after_the_other(fast: Outcomes) -> None:
    text = " ".join(text_of(reading(fast, "unstructured-multi-column-2p.pdf")).split())
    in_order = [
        "Abstract",
        "Open-domain question answering relies on",
        "1 Introduction",
        "2 Background",
        "3.1 Overview",
    ]
    places = [text.index(words) for words in in_order]
    assert places == sorted(places)


def test_a_paper_s_table_is_one_block_under_its_caption(fast: Outcomes) -> None:
    (table, *_) = [b for b in reading(fast, "docling-2305.03393v1-pg9.pdf").blocks if b.kind == "table"]
    assert table.caption.startswith("Table 1. HPO performed in OTSL and HTML representation")
    assert "| 6 | 6 | OTSL | 0.965 | 0.934 | 0.955 | 0.88 | 2.73 |" in table.text


def test_figures_come_with_their_captions(fast: Outcomes) -> None:
    found = [b for b in reading(fast, "docling-picture_classification.pdf").blocks if b.kind == "figure"]
    assert [figure.caption for figure in found] == [f"Figure {n}: This is an example image." for n in (1, 2)]


def test_words_that_run_from_right_to_left_stay_in_order(fast: Outcomes) -> None:
    text = text_of(reading(fast, "docling-right_to_left_03.pdf"))
    assert "| تاريخ ارائه مدارک | 1403/09/19 |" in text


def test_a_scan_on_its_side_is_read_and_its_page_is_upright(fast: Outcomes) -> None:
    found = reading(fast, "docling-ocr_test_rotated_90.pdf")
    words = " ".join(text_of(found).split())
    assert words == "Docling bundles PDF document conversion to JSON and Markdown in an easy self contained package"
    assert found.pages[0].height > found.pages[0].width


def test_mails_in_other_encodings_keep_their_words(fast: Outcomes) -> None:
    found = reading(fast, "unstructured-email-no-utf8-2008-07-16.062410.eml")
    assert found.title == "RE: שלום"
    assert "סלבה היקר" in text_of(found)


@cache
def everything(spool: Path) -> Outcomes:
    return read_all(sorted(path for path in corpus("documents").iterdir() if path.is_file()), spool)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_document_is_read_or_fails_with_a_reason(tmp_path_factory: pytest.TempPathFactory) -> None:
    outcomes = everything(tmp_path_factory.mktemp("all"))
    assert len(outcomes) > 100
    assert_honest(outcomes)
    assert not any(isinstance(outcome, ReaderStoppedError) for outcome in outcomes.values())
