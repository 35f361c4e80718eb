"""The forty questions of the sample collection, asked of a library made from it with the pocket kit."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexing.errors import LibraryMismatchError
from indexing.pipeline import IndexReport
from rag.retrieve import SearchRequest
from ui.settings import Settings
from ui.workbench import Workbench

SAMPLE = Path(__file__).parents[2] / "examples" / "sample"
COLLECTION = SAMPLE / "collection"
QUESTIONS: list[dict[str, Any]] = [json.loads(line) for line in (SAMPLE / "questions.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workbench, IndexReport]]:
    settings = Settings.load(tmp_path_factory.mktemp("sample") / "library", environ={})
    bench = Workbench.open(settings, create=True)
    yield bench, bench.index([COLLECTION])
    bench.close()


@pytest.fixture(scope="module")
def first_places(indexed: tuple[Workbench, IndexReport]) -> dict[str, int]:
    """For each question, the place (from 0) of the first hit that is one of its sources; 99 where none is."""
    bench, _ = indexed
    places = {}
    for question in QUESTIONS:
        hits = bench.search(SearchRequest(text=question["question"], k=10)).hits
        wanted = {str(COLLECTION / source) for source in question["sources"]}
        places[question["id"]] = next((place for place, hit in enumerate(hits) if hit.chunk.path in wanted), 99)
    return places


def test_every_file_of_the_collection_is_read(indexed: tuple[Workbench, IndexReport]) -> None:
    _, report = indexed
    there = sum(path.is_file() for path in COLLECTION.rglob("*"))
    assert (report.added, report.failed) == (there, 0)


def test_the_expected_source_is_among_the_first_five_for_95_percent(first_places: dict[str, int]) -> None:
    missed = [name for name, place in first_places.items() if place >= 5]
    assert len(missed) <= 0.05 * len(first_places), missed


def test_the_expected_source_comes_first_for_80_percent(first_places: dict[str, int]) -> None:
    missed = [name for name, place in first_places.items() if place > 0]
    assert len(missed) <= 0.20 * len(first_places), missed


def test_search_uses_the_joint_space_that_ships(indexed: tuple[Workbench, IndexReport]) -> None:
    assert indexed[0].embedder.name.startswith("pocket-1+joint_space-")


def test_hardly_a_question_with_an_answer_is_refused_and_those_without_one_are_less_likely(
    indexed: tuple[Workbench, IndexReport],
) -> None:
    bench, _ = indexed

    def likely(questions: list[dict[str, Any]]) -> list[float]:
        return [bench.search(SearchRequest(text=q["question"], k=10)).verdict.best for q in questions]

    strangers = likely([json.loads(line) for line in (SAMPLE / "unanswerable.jsonl").read_text().splitlines()])
    answered = likely(QUESTIONS)
    assert sum(each < bench.rag.relevance.threshold for each in answered) <= 0.03 * len(answered)
    wins = [(own > other) + (own == other) / 2 for own in answered for other in strangers]
    assert sum(wins) / len(wins) >= 0.75  # area under the curve


def test_a_second_run_embeds_nothing(indexed: tuple[Workbench, IndexReport]) -> None:
    bench, first = indexed
    second = bench.index([COLLECTION])
    assert (second.unchanged, second.added, second.updated, second.chunks) == (first.added, 0, 0, 0)


def test_indexing_with_another_embedder_is_refused_even_where_there_is_nothing_to_read(
    indexed: tuple[Workbench, IndexReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, _ = indexed
    monkeypatch.setattr("ui.workbench.embedder_name", lambda kit: "pocket-1+joint_space-00000000")
    with pytest.raises(LibraryMismatchError, match="not with 'pocket-1\\+joint_space-00000000'"):
        bench.index([COLLECTION])


def test_every_citation_points_at_a_file_a_page_and_boxes_that_exist(indexed: tuple[Workbench, IndexReport]) -> None:
    bench, _ = indexed
    answered = 0
    for question in QUESTIONS[14::5]:
        *_, answer = bench.ask(question["question"])
        for citation in answer.citations:
            answered += 1
            assert Path(citation.path).is_file()
            chunks = bench.chunks(citation.path)
            assert citation.page in {chunk.page for chunk in chunks}
            known = {line.box for chunk in chunks for line in chunk.lines} | {chunk.box for chunk in chunks}
            assert all(
                box in known and 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1 for box in citation.boxes
            )
            assert citation.quote
    assert answered
