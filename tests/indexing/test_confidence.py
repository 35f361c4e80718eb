from pathlib import Path

import pytest

from indexing.confidence import confidence_facts, doubtful, mean_confidence
from indexing.facts import FactsError, facts_of
from indexing.readers.ocr import OcrText
from indexing.records import Block, Chunk, Line, Page, Reading
from indexing.store.protocol import Row
from indexing.store.schema import to_chunk, to_entity
from indexing.workers.messages import reading_from_json, reading_to_json

BOX = (0.1, 0.2, 0.5, 0.3)
SURE, UNSURE = Line(text="total 12.50", box=BOX, confidence=0.98), Line(text="t0tl", box=BOX, confidence=0.55)
TYPED = Line(text="typed", box=BOX)


def test_long_lines_count_more_and_words_that_came_as_text_not_at_all() -> None:
    assert mean_confidence([SURE, UNSURE, TYPED]) == pytest.approx((0.98 * 11 + 0.55 * 4) / 15)
    assert mean_confidence([TYPED]) is None
    assert doubtful([SURE, UNSURE, TYPED]) == [UNSURE]


def test_a_file_has_one_value_for_each_page_that_was_read() -> None:
    pages = {1: (SURE,), 2: (UNSURE,), 3: (TYPED,), 4: (SURE,)}
    blocks = [Block(kind="text", text="", page=number, lines=lines) for number, lines in pages.items()]
    assert confidence_facts(blocks) == {"confidence": ("0.55", "0.98")}
    assert confidence_facts(blocks[2:3]) == {}


def test_it_comes_back_from_a_worker_and_from_a_row() -> None:
    block = Block(kind="text", text="total", page=None, lines=(SURE, TYPED))
    page = Page(number=None, image=None, width=0, height=0)
    reading = Reading(is_picture=True, title="t", pages=(page,), blocks=(block,))
    assert reading_from_json(reading_to_json(reading), Path()).blocks[0].lines == (SURE, TYPED)
    chunk = Chunk(content_hash="h", path="/a.jpg", kind="text", ordinal=0, lines=(SURE, TYPED, Line(text="no box")))
    assert to_chunk(to_entity(Row(chunk=chunk), channels=(), dimensions={})).lines == chunk.lines


def test_a_page_that_was_read_with_doubt_gets_a_note() -> None:
    assert OcrText(lines=(SURE,), groups=((SURE,),), turned=0).notes() == ()
    (note,) = OcrText(lines=(UNSURE,), groups=((UNSURE,),), turned=0).notes()
    assert "0.55" in note
    assert not note.unread


def test_nobody_can_say_it_of_a_file() -> None:
    with pytest.raises(FactsError, match="what OCR says"):
        facts_of([("Confidence", ["1"])])
