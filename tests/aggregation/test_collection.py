from collections.abc import Mapping, Sequence

import pytest
from rag_doubles import RELEVANCE, MemoryStore, WordEmbedder, chunk, rows

from aggregation.collection import CannotCarryOutError, Collection
from aggregation.overview import Overview, table_of, told
from aggregation.plan import PlanError, QuestionPlan, parse_plan
from aggregation.results import PlanResult, citations
from aggregation.settings import CollectionSettings
from extraction.cells import Cell, ExtractedRow
from extraction.fields import Field
from indexing.ledger import FileEntry
from indexing.records import Chunk
from indexing.store.protocol import EVERYTHING, Filter, Found
from rag.events import ComputedAnswer, Looking
from rag.retrieve import Retriever
from rag.settings import RagSettings


class Reader:
    """Takes a document for what its first word says, and reads `name: value` lines."""

    def __init__(self, unsure: Sequence[str] = ()) -> None:
        self.unsure, self.read, self.judged = unsure, list[str](), list[str]()

    def fits(self, name: str, chunks: Sequence[Chunk], which: str) -> bool:
        self.judged.append(name)
        return which.startswith(chunks[0].text.split()[0])

    def typed(self, fields: Sequence[Field]) -> list[Field]:
        return list(fields)

    def rows(self, path: str, chunks: Sequence[Chunk], fields: Sequence[Field]) -> list[ExtractedRow]:
        self.read.append(path)
        said = dict(line.split(": ", 1) for line in chunks[0].text.splitlines() if ": " in line)
        return [ExtractedRow(path=path, cells={each.name: self._cell(path, said, each.name) for each in fields})]

    def _cell(self, path: str, said: Mapping[str, str], name: str) -> Cell:
        if name not in said:
            return Cell()
        value, _, currency = said[name].partition(" ")
        state = "unchecked" if path.rsplit("/", 1)[-1] in self.unsure else "quoted"
        return Cell(state=state, written=said[name], value=value, currency=currency)


BILLS = (
    chunk("bill\nfor fuel\ntotal: 90.50 EUR\nday: 2024-05-02", file="a/one.txt"),
    chunk("bill\nfor bread\ntotal: 9.25 EUR\nday: 2024-06-02", file="a/two.txt"),
    chunk("bill\nfor fuel\ntotal: 30 USD\nday: 2023-05-09", file="b/three.txt"),
    chunk("letter\nabout fuel", file="b/four.txt"),
    chunk("1 dog", file="p/dog.jpg", kind="image"),
    chunk("2 cats", file="p/cats.jpg", kind="image"),
)


def a_collection(
    *chunks: Chunk, reader: Reader | None = None, facts: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None,
    also_written: Sequence[Chunk] = (), **settings: float,
) -> Collection:  # fmt: skip
    chunks = chunks or BILLS
    entries = [
        FileEntry(
            path=each.path, state="indexed", reason="", kind="picture" if each.kind == "image" else "document",
            chunks=2 if each in also_written else 1, size_bytes=1, indexed_at="", content=each.content_hash,
            facts=(facts or {}).get(each.path, {}),
        )
        for each in chunks
    ]  # fmt: skip
    retriever = Retriever(MemoryStore(rows(*chunks)), WordEmbedder(), RagSettings(relevance=RELEVANCE))
    return Collection(
        retriever,
        reader or Reader(),
        files=lambda chosen: entries,
        chunks=lambda path: [each for each in chunks if each.path == path],
        settings=CollectionSettings(**settings),
    )


def result_of(line: str, collection: Collection | None = None, filter: Filter = EVERYTHING) -> PlanResult:
    *_, last = (collection or a_collection()).carry_out(parse_plan(line), filter)
    assert isinstance(last, PlanResult)
    return last


def names(result: PlanResult) -> list[str]:
    return [each.path.rsplit("/", 1)[-1] for each in result.found]


def test_files_that_hold_words_are_counted_without_a_model() -> None:
    reader = Reader()
    result = result_of("count | files: all | words: fuel", a_collection(reader=reader))
    assert names(result) == ["one.txt", "four.txt", "three.txt"] and not reader.judged and not reader.read
    assert all(each.exact and "fuel" in each.quote for each in result.found)


def test_files_that_do_not_hold_words_are_the_others() -> None:
    assert names(result_of("list | documents: all | without: fuel")) == ["two.txt"]


def test_the_model_says_which_documents_are_meant_and_the_rest_is_computed() -> None:
    result = result_of("sum | documents: bills | read: total (money)")
    assert names(result) == ["one.txt", "two.txt", "three.txt"]
    assert result.values == (("99.75", "EUR"), ("30", "USD")) and result.looked_at == 4
    assert result_of(
        "average | documents: bills | words: fuel | read: total (money) | if: day (date) = 2024"
    ).values == (("90.50", "EUR"),)


def test_the_highest_comes_first_by_size_and_not_by_signs() -> None:
    assert names(result_of("highest | documents: bills | read: total (money)")) == ["one.txt", "three.txt", "two.txt"]
    assert names(result_of("lowest | documents: bills | read: total (money)"))[0] == "two.txt"


def test_conditions_on_what_stands_in_them_hold_for_every_file_that_is_counted() -> None:
    assert names(result_of("count | documents: bills | if: day (date) = XXXX-05")) == ["one.txt", "three.txt"]
    assert names(result_of("count | documents: bills | if: total (money) > 80")) == ["one.txt"]


def test_a_value_that_was_not_shown_to_stand_there_is_told_and_not_added_up() -> None:
    result = result_of("sum | documents: bills | read: total (money)", a_collection(reader=Reader(unsure=["one.txt"])))
    assert result.values == (("9.25", "EUR"), ("30", "USD")) and result.undecided == 1
    assert "1 files the value could not be told" in told(result, "What is the sum of all the bills together?", 9)


def test_folders_and_facts_are_conditions_that_the_model_is_not_asked_about() -> None:
    facts = {"/library/a/one.txt": {"year": ("2019",)}, "/library/b/four.txt": {"year": ("2020",)}}
    assert names(result_of("count | files: all | if: folder = b")) == ["four.txt", "three.txt"]
    assert names(result_of("count | files: all | if: year = 2019", a_collection(facts=facts))) == ["one.txt"]
    assert names(result_of("count | files: all | if: extension = jpg")) == ["cats.jpg", "dog.jpg"]


@pytest.mark.parametrize("condition", ["folder = nowhere", "mood = good"])
def test_a_condition_that_no_file_can_fulfil_is_refused(condition: str) -> None:
    with pytest.raises(CannotCarryOutError):
        result_of(f"count | files: all | if: {condition}")


def test_pictures_are_those_in_which_the_thing_was_recognised() -> None:
    assert names(result_of("count | pictures: dog")) == ["dog.jpg"]
    assert names(result_of("count | pictures: all")) == ["cats.jpg", "dog.jpg"]


def test_a_scan_is_a_document_and_a_photograph_is_none() -> None:
    collection = a_collection(also_written=[BILLS[4]])
    assert names(result_of("count | documents: all", collection)) == [
        "one.txt",
        "two.txt",
        "four.txt",
        "three.txt",
        "dog.jpg",
    ]
    assert names(result_of("count | pictures: all", collection)) == ["cats.jpg", "dog.jpg"]


def test_of_many_documents_the_likeliest_are_shown_to_the_model_and_the_answer_says_how_many() -> None:
    reader = Reader()
    result = result_of("count | documents: bills for bread", a_collection(reader=reader, most_documents=1))
    assert reader.judged == ["two.txt"] and names(result) == ["two.txt"]
    assert "Looked at 1 of 4 files" in told(result, "How many of them are bills for bread?", 9)


def test_ten_thousand_rows_are_looked_for_so_that_a_count_is_exact() -> None:
    asked: list[int] = []

    class Counting(MemoryStore):
        def search_words(self, query: str, *, limit: int, filter: Filter = EVERYTHING) -> Found:
            asked.append(limit)
            return super().search_words(query, limit=limit, filter=filter)

    collection = a_collection()
    collection._retriever.store = Counting(rows(*BILLS))
    result_of("count | files: all | words: bread", collection)
    assert asked == [10_000]


def test_words_in_too_many_passages_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregation.collection._MOST_ROWS_FOUND", 3)
    with pytest.raises(CannotCarryOutError, match="too many passages"):
        result_of("count | documents: all | words: fuel")


def test_rows_of_files_that_are_not_shown_are_not_read() -> None:
    looked: list[str] = []
    collection = a_collection(most_shown=2)
    chunks = collection._chunks
    collection._chunks = lambda path: looked.append(path) or chunks(path)
    assert len(result_of("count | files: all", collection).found) == 6 and len(looked) == 2


def test_a_file_that_goes_meanwhile_takes_no_marker() -> None:
    collection = a_collection()
    chunks = collection._chunks
    collection._chunks = lambda path: [] if path.endswith("one.txt") else chunks(path)
    result = result_of("count | documents: all", collection)
    sources = citations(result, most=9)
    assert [citation.marker for citation, _ in sources] == [1, 2, 3] == list(table_of(result, 9).markers)


def test_a_name_with_brackets_makes_no_marker_and_no_picture() -> None:
    bill = chunk("bill\ntotal: 9 ![x](https://a.example)", file="c [7].txt")
    text = told(result_of("highest | documents: bills | read: total (money)", a_collection(bill)), "Which?", 9)
    assert "[7]" not in text and "![" not in text and text.count("[1]") == 1


def test_the_same_file_is_read_once_for_two_questions() -> None:
    reader = Reader()
    collection = a_collection(reader=reader)
    result_of("sum | documents: bills | read: total (money)", collection)
    seen = len(reader.read), len(reader.judged)
    result_of("highest | documents: bills | read: total (money)", collection)
    assert (len(reader.read), len(reader.judged)) == seen


def test_how_far_it_is_comes_before_the_result() -> None:
    *steps, last = a_collection().carry_out(parse_plan("count | documents: bills"), EVERYTHING)
    assert steps == [Looking(done=number, of=4) for number in range(4)] and isinstance(last, PlanResult)


def test_every_row_has_its_source_and_a_value_its_place() -> None:
    result = result_of("highest | documents: bills | read: total (money)")
    sources = citations(result, most=2)
    assert [citation.marker for citation, _ in sources] == [1, 2]
    assert sources[0][0].quote == "90.50 EUR" and sources[0][0].verified
    assert sources[0][1].chunk.path.endswith("one.txt")
    table = table_of(result, most=2)
    assert table.rows == (("one.txt", "90.50 EUR"), ("three.txt", "30 USD")) and table.columns == ("", "total")
    assert table.markers == (1, 2)


def test_what_the_model_said_of_a_document_gets_no_tick() -> None:
    assert not any(citation.verified for citation, _ in citations(result_of("list | documents: bills"), most=9))


def an_overview(plan: QuestionPlan | None) -> ComputedAnswer | None:
    def made(question: str) -> QuestionPlan:
        if plan is None:
            raise PlanError("none")
        return plan

    overview = Overview(a_collection, likelihood=lambda question: 1.0, plan=made, most_shown=9)
    events = overview.events("¿Cuántas facturas hay en total?", EVERYTHING)
    while True:
        try:
            next(events)
        except StopIteration as end:
            found: ComputedAnswer | None = end.value
            return found


def test_an_overview_is_told_in_the_language_of_the_question() -> None:
    found = an_overview(parse_plan("count | documents: bills"))
    assert found is not None and found.text.startswith("Son 3.\nSe han mirado 4 de 4 archivos")


def test_without_a_plan_or_a_file_that_fits_the_question_is_one_for_the_reader() -> None:
    assert an_overview(None) is None
    assert an_overview(parse_plan("count | documents: poems")) is None
    assert an_overview(parse_plan("count | files: all | if: folder = nowhere")) is None
