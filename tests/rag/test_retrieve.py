from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from rag_doubles import RELEVANCE, MemoryStore, WordEmbedder, chunk, rows

from indexing.records import Hit
from indexing.store import MilvusStore
from indexing.store.protocol import Filter
from rag.errors import EmptyQuestionError, NoChannelError
from rag.relevance import LateInteraction, RatedHit, judge_wordings
from rag.retrieve import Retriever, SearchRequest
from rag.settings import RagSettings, RetrievalSettings

CHUNKS = (
    chunk("The family ticket costs 22 euros.", file="visit.html"),
    chunk("The brass sextant is kept in case 4.", file="collection.xlsx", kind="table"),
    chunk("SHIP CHANDLER\n12/06/2025\nBrass polish 8.50", file="receipt.jpg"),
    chunk("", file="receipt.jpg", kind="image"),
    chunk("lighthouse beacon", file="lighthouse.png", kind="image"),
    chunk("The lighthouse opens in May.", file="letter.pdf", page=1),
    chunk("The lighthouse opens", file="letter.pdf", kind="page", page=1),
    chunk("Yours, the keeper", file="letter.pdf", page=1, ordinal=1),
    chunk("Another page", file="letter.pdf", page=2, ordinal=2),
)
EMBEDDER = WordEmbedder()
SETTINGS = RagSettings(relevance=RELEVANCE)


def searching(store: Any, settings: RagSettings = SETTINGS) -> Retriever:
    return Retriever(store, EMBEDDER, settings, LateInteraction(EMBEDDER))


@pytest.fixture
def retriever() -> Retriever:
    return searching(MemoryStore(rows(*CHUNKS)))


@pytest.fixture(scope="module")
def on_milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    path: Path = tmp_path_factory.mktemp("rag") / "milvus.db"
    store = MilvusStore.open(path, clip_dimensions=EMBEDDER.clip_dimensions, text_dimensions=EMBEDDER.text_dimensions)
    store.upsert(rows(*CHUNKS))
    store.ready()
    yield searching(store)
    store.close()


def test_words_find_their_chunk_on_milvus_in_every_channel(on_milvus: Retriever) -> None:
    found = on_milvus.search(SearchRequest(text="What does a family ticket cost?"))
    assert found.hits[0].chunk.path.endswith("visit.html")
    assert {"text", "bm25"} <= set(found.hits[0].channels)
    assert found.answers[0] == found.hits[0] and found.verdict.best == found.verdict.probabilities[0]


def test_a_date_in_another_writing_finds_its_receipt_on_milvus(on_milvus: Retriever) -> None:
    found = on_milvus.search(SearchRequest(text="ship chandler 12 June 2025"))
    assert found.hits[0].chunk.path.endswith("receipt.jpg")


def test_filters_hold_on_milvus(on_milvus: Retriever) -> None:
    found = on_milvus.search(SearchRequest(text="lighthouse", filter=Filter(kinds=("image",))))
    assert {hit.chunk.kind for hit in found.hits} == {"image"}


def test_memory_and_milvus_agree_on_the_first_hit(retriever: Retriever, on_milvus: Retriever) -> None:
    for question in ("Where is the brass sextant kept?", "family ticket", "lighthouse beacon"):
        first = [each.search(SearchRequest(text=question)).hits[0].chunk.id for each in (retriever, on_milvus)]
        assert first[0] == first[1]


def test_a_picture_finds_pictures_that_look_like_it() -> None:
    red, dark = Image.new("RGB", (9, 9), (240, 0, 0)), Image.new("RGB", (9, 9), (16, 0, 0))
    stored = []
    for name, image in (("red.png", red), ("dark.png", dark)):
        (row,) = rows(chunk(name, file=name, kind="image"))
        pixels = EMBEDDER.preprocess.crop(image)
        stored.append(type(row)(chunk=row.chunk, clip=EMBEDDER.embed_images(pixels[None]).vectors_BD[0], text=row.text))
    found = searching(MemoryStore(stored)).search(SearchRequest(image=red))
    assert found.hits[0].chunk.path.endswith("red.png")
    assert set(found.hits[0].channels) == {"clip"} and found.relevant == (True, True)


def test_words_and_picture_together_both_have_a_say(retriever: Retriever) -> None:
    found = retriever.search(SearchRequest(text="family ticket", image=Image.new("RGB", (9, 9))))
    assert {"clip", "text", "bm25"} <= {channel for hit in found.hits for channel in hit.channels}


def test_a_page_and_its_words_take_one_place(retriever: Retriever) -> None:
    found = retriever.search(SearchRequest(text="When does the lighthouse open?"))
    assert {hit.chunk.kind for hit in found.hits if hit.chunk.path.endswith("letter.pdf")} == {"text"}


def test_what_is_surely_not_there_has_no_answers(retriever: Retriever) -> None:
    found = retriever.search(SearchRequest(text="Trombone orchestras?"))
    assert found.hits and found.answers == () and not any(found.relevant)


def test_beside_a_hit_stands_what_else_its_page_says_and_nothing_of_other_files(on_milvus: Retriever) -> None:
    (first, *_) = on_milvus.search(SearchRequest(text="When does the lighthouse open?")).hits
    assert first.chunk.path.endswith("letter.pdf") and first.chunk.kind == "text"
    (beside,) = on_milvus.beside(first, "When does the lighthouse open?", most=3)
    assert (beside.chunk.path, beside.chunk.ordinal) == (first.chunk.path, 1)
    assert on_milvus.beside(first, "When?", most=0) == ()


def test_an_empty_library_finds_nothing() -> None:
    found = searching(MemoryStore([])).search(SearchRequest(text="ticket"))
    assert found.hits == () and found.verdict.best == 0.0


def test_a_follow_up_finds_what_the_question_before_was_about(retriever: Retriever) -> None:
    alone = retriever.search(SearchRequest(text="Is it locked there?"))
    behind = retriever.search(SearchRequest(text="Is it locked there?", earlier="Where is the brass sextant kept?"))
    assert behind.hits[0].chunk.path.endswith("collection.xlsx")
    assert not alone.hits or not alone.hits[0].chunk.path.endswith("collection.xlsx") or not alone.answers


def test_a_question_that_stands_by_itself_is_not_answered_with_what_was_asked_before(retriever: Retriever) -> None:
    asked = "What does a family ticket cost?"
    behind = retriever.search(SearchRequest(text=asked, earlier="When does the lighthouse open in May?"))
    assert behind.hits[0].chunk.path.endswith("visit.html") and behind.answers
    assert not behind.follows
    follow_up = retriever.search(SearchRequest(text="And in which case?", earlier="Where is the brass sextant kept?"))
    assert follow_up.hits[0].chunk.path.endswith("collection.xlsx") and follow_up.follows


def test_of_two_wordings_the_mean_probability_counts() -> None:
    hits = [Hit(chunk=each, score=0.0, channels={}) for each in CHUNKS[:2]]
    first, second = (
        [RatedHit(hit=hit, probability=probability) for hit, probability in zip(hits, pair, strict=True)]
        for pair in ((0.9, 0.2), (0.1, 0.6))
    )
    assert [each.probability for each in judge_wordings([first, second])] == pytest.approx([0.5, 0.4])
    assert judge_wordings([first]) is first


def test_every_step_is_timed(retriever: Retriever) -> None:
    spent = retriever.search(SearchRequest(text="ticket")).milliseconds
    assert {"embed", "clip", "text", "bm25", "fuse", "relevance", "total"} <= set(spent)
    assert spent["total"] >= max(value for name, value in spent.items() if name != "total")


def test_k_is_the_most_that_comes_back(retriever: Retriever) -> None:
    found = retriever.search(SearchRequest(text="lighthouse ticket", k=2))
    assert len(found.hits) == len(found.relevant) == 2


def test_a_channel_the_store_lacks_is_left_out_with_a_word() -> None:
    store = MemoryStore(rows(*CHUNKS), channels=("clip",))
    found = searching(store).search(SearchRequest(text="lighthouse beacon"))
    assert found.hits[0].chunk.path.endswith("lighthouse.png")
    assert any("bm25" in note for note in found.notes) and any("'text'" in note for note in found.notes)


def test_a_picture_cannot_be_asked_of_a_store_without_its_channel() -> None:
    retriever = searching(MemoryStore(rows(*CHUNKS), channels=("text", "bm25")))
    with pytest.raises(NoChannelError, match="clip"):
        retriever.search(SearchRequest(image=Image.new("RGB", (9, 9))))


def test_a_channel_of_weight_0_is_not_searched() -> None:
    settings = RagSettings(retrieval=RetrievalSettings(weights={"clip": 0.0, "text": 1.0, "bm25": 1.0}))
    found = searching(MemoryStore(rows(*CHUNKS)), settings).search(SearchRequest(text="ticket"))
    assert "clip" not in found.milliseconds


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_question_is_refused(text: str) -> None:
    with pytest.raises(EmptyQuestionError, match="neither words nor a picture"):
        SearchRequest(text=text)


def test_k_below_one_is_refused_with_its_value() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        SearchRequest(text="x", k=0)


def test_eight_hits_come_back_where_nobody_says_how_many() -> None:
    store = MemoryStore(rows(*(chunk(f"ticket {number}", file=f"{number}.txt") for number in range(12))))
    assert len(searching(store).search(SearchRequest(text="ticket")).hits) == 8


def test_times_are_milliseconds_to_the_thousandth(retriever: Retriever, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count(0.0, 1 / 3)
    monkeypatch.setattr("rag.retrieve.time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    spent = retriever.search(SearchRequest(text="ticket")).milliseconds
    assert spent["fuse"] == spent["relevance"] == 333.333
    assert str(spent["total"]).partition(".")[2] in ("333", "667", "0") and spent["total"] < 10_000
