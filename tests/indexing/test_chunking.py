import re
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.chunking import ChunkSettings, chunks, join_lines, with_labels
from indexing.embedding.protocol import Label
from indexing.records import Block, Chunk, Line, Page, Reading, SourceFile
from indexing.store.schema import fitting

SOURCE = SourceFile(path=Path("/a/b.pdf"), size_bytes=1, modified_ns=1, content_hash="ab" * 32)
SETTINGS = ChunkSettings()


def cut(reading: Reading, settings: ChunkSettings = SETTINGS) -> tuple[Chunk, ...]:
    return chunks(reading, source=SOURCE, image_folder="pages/abab", settings=settings)


def reading_of(*blocks: Block, pages: tuple[Page, ...] = (), is_picture: bool = False) -> Reading:
    return Reading(is_picture=is_picture, title="The title", blocks=blocks, pages=pages)


def page(number: int | None, name: str = "page-0001.jpg") -> Page:
    return Page(number=number, image=Path("/spool/x") / name, width=100, height=140)


def text(words: str, **rest: object) -> Block:
    return Block(kind="text", text=words, **rest)


words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
lines = st.lists(words, min_size=1, max_size=30).map(" ".join)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    kind: Literal["heading", "text", "table", "figure"] = draw(st.sampled_from(["heading", "text", "table", "figure"]))
    number = draw(st.sampled_from([None, 1, 2]))
    rows = draw(st.lists(lines, min_size=1, max_size=12))
    if kind == "table":
        rows = ["| " + " | ".join(row.split()) + " |" for row in rows]
    with_boxes = draw(st.booleans()) and kind == "text"
    return Block(
        kind=kind,
        text=draw(st.sampled_from([" ", "\n"])).join(rows) if kind != "table" else "\n".join(rows),
        page=number,
        lines=tuple(Line(text=row, box=(0.1, 0.1, 0.9, 0.2)) for row in rows) if with_boxes else (),
        level=draw(st.integers(0, 4)) if kind == "heading" else 0,
        caption=draw(lines) if kind in ("table", "figure") else "",
    )


readings = st.lists(blocks(), max_size=12).map(lambda found: reading_of(*found))
small_settings = st.builds(
    lambda least, more, table, size: ChunkSettings(
        words=least, most_words=least + more, table_characters=table, text_bytes=size
    ),
    st.integers(1, 40),
    st.integers(0, 20),
    st.integers(100, 400),
    st.integers(400, 3_000),
)


def counted(texts: list[str]) -> Counter[str]:
    """Words by their letters: hyphenation and where a long word is cut do not matter."""
    return Counter("".join(texts).replace("|", "").replace(" ", "").replace("\n", ""))


@settings(max_examples=60, deadline=None)
@given(readings, small_settings)
def test_every_letter_of_the_reading_is_in_exactly_one_text_table_or_figure_chunk(
    reading: Reading, chosen: ChunkSettings
) -> None:
    for kind in ("text", "figure"):
        sent = [
            part
            for block in reading.blocks
            if (block.kind if block.kind != "heading" else "text") == kind
            for part in (block.caption, block.text)
        ]
        got = [chunk.text for chunk in cut(reading, chosen) if chunk.kind == kind]
        assert counted(got) == counted(sent)


@settings(max_examples=60, deadline=None)
@given(readings, small_settings)
def test_a_split_table_loses_nothing_and_adds_nothing_but_its_caption_and_header(
    reading: Reading, chosen: ChunkSettings
) -> None:
    sent = counted([part for b in reading.blocks if b.kind == "table" for part in (b.caption, b.text)])
    got = counted([chunk.text for chunk in cut(reading, chosen) if chunk.kind == "table"])
    assert not sent - got
    assert set(got) <= set(sent)


@settings(max_examples=40, deadline=None)
@given(readings, small_settings)
def test_no_text_is_longer_than_the_limit_in_bytes(reading: Reading, chosen: ChunkSettings) -> None:
    assert all(len(chunk.text.encode()) <= chosen.text_bytes for chunk in cut(reading, chosen))


@settings(max_examples=40, deadline=None)
@given(readings, small_settings)
def test_text_chunks_stay_under_one_heading_and_on_one_page(reading: Reading, chosen: ChunkSettings) -> None:
    places: dict[str, set[tuple[int | None, int]]] = {}
    section = 0
    for block in reading.blocks:
        section += block.kind == "heading"
        for word in block.text.split():
            places.setdefault(word, set()).add((block.page, section))
    for chunk in cut(reading, chosen):
        if chunk.kind == "text":
            whole = [places[word] for word in chunk.text.split() if word in places]
            assert all(any(page == chunk.page for page, _ in found) for found in whole)
            assert not whole or set.intersection(*whole)


@settings(max_examples=40, deadline=None)
@given(readings, small_settings)
def test_ids_are_unique_and_the_same_every_time(reading: Reading, chosen: ChunkSettings) -> None:
    first, second = cut(reading, chosen), cut(reading, chosen)
    assert first == second
    assert len({chunk.id for chunk in first}) == len(first)


def test_a_chunk_ends_at_the_end_of_a_sentence_after_about_two_hundred_words() -> None:
    sentences = " ".join(f"This is sentence number {n} of a long text." for n in range(100))
    found = [chunk.text for chunk in cut(reading_of(text(sentences)))]
    assert all(chunk.endswith(".") for chunk in found)
    assert all(180 <= len(chunk.split()) <= 260 for chunk in found[:-1])


def test_a_text_without_any_sentence_end_is_cut_all_the_same() -> None:
    found = [chunk.text for chunk in cut(reading_of(text("word " * 1_000)))]
    assert [len(chunk.split()) for chunk in found] == [200] * 5


def test_words_after_a_heading_carry_the_path_of_headings() -> None:
    reading = reading_of(
        Block(kind="heading", text="Care", level=1),
        text("one"),
        Block(kind="heading", text="Cleaning", level=2),
        text("two"),
        Block(kind="heading", text="Storage", level=2),
        text("three"),
        Block(kind="heading", text="Parts", level=1),
        text("four"),
    )
    assert [(chunk.heading, chunk.text) for chunk in cut(reading)] == [
        ("Care", "Care\none"),
        ("Care › Cleaning", "Cleaning\ntwo"),
        ("Care › Storage", "Storage\nthree"),
        ("Parts", "Parts\nfour"),
    ]


def test_a_text_chunk_keeps_the_boxes_of_its_lines_and_of_them_all() -> None:
    first, second = (0.1, 0.1, 0.5, 0.12), (0.1, 0.13, 0.9, 0.15)
    block = text("alpha beta", page=3, lines=(Line(text="alpha", box=first), Line(text="beta", box=second)))
    (chunk,) = cut(reading_of(block))
    assert chunk.lines == block.lines
    assert chunk.box == (0.1, 0.1, 0.9, 0.15)
    assert chunk.page == 3


def test_a_word_hyphenated_at_the_end_of_a_line_is_whole_in_the_text_and_the_line_keeps_its_box() -> None:
    written = (Line(text="The retrie-", box=(0, 0, 1, 0.1)), Line(text="val works.", box=(0, 0.1, 1, 0.2)))
    (chunk,) = cut(reading_of(text(join_lines([line.text for line in written]), page=1, lines=written)))
    assert chunk.text == "The retrieval works."
    assert chunk.lines == written


@pytest.mark.parametrize(
    ("written", "joined"),
    [
        (["well-", "Known"], "well- Known"),
        (["pages 3-", "5"], "pages 3- 5"),
        (["a", "", " b "], "a b"),
        (["über-", "all"], "überall"),
    ],
)
def test_only_what_looks_like_a_broken_word_is_joined(written: list[str], joined: str) -> None:
    assert join_lines(written) == joined


def test_rows_of_a_receipt_stay_rows() -> None:
    rows = (Line(text="TOTAL 9.00", box=(0, 0, 1, 0.1)), Line(text="CASH 10.00", box=(0, 0.1, 1, 0.2)))
    (chunk,) = cut(reading_of(text("TOTAL 9.00\nCASH 10.00", lines=rows)))
    assert chunk.text == "TOTAL 9.00\nCASH 10.00"


def test_every_page_with_an_image_is_a_chunk_with_its_first_words() -> None:
    bare = Page(number=3, image=None, width=0, height=0)
    reading = reading_of(text("word " * 100, page=1), pages=(page(1), page(2, "page-0002.jpg"), bare))
    found = [chunk for chunk in cut(reading) if chunk.kind == "page"]
    assert [(chunk.page, chunk.image, len(chunk.text.split())) for chunk in found] == [
        (1, "pages/abab/page-0001.jpg", 40),
        (2, "pages/abab/page-0002.jpg", 0),
    ]


def test_a_photograph_is_one_image_chunk() -> None:
    (chunk,) = cut(reading_of(pages=(page(None, "thumb.jpg"),), is_picture=True))
    assert (chunk.kind, chunk.page, chunk.image, chunk.text) == ("image", None, "pages/abab/thumb.jpg", "")


def test_a_short_table_is_whole_with_its_caption() -> None:
    table = "| a | b |\n| --- | --- |\n| 1 | 2 |"
    (chunk,) = cut(reading_of(Block(kind="table", text=table, caption="Table 1: Numbers", page=2)))
    assert chunk.text == f"Table 1: Numbers\n{table}"


def test_a_long_table_is_split_by_rows_under_its_repeated_header() -> None:
    rows = "\n".join(f"| {n} | value {n} |" for n in range(2_000))
    found = cut(reading_of(Block(kind="table", text=f"| a | b |\n| --- | --- |\n{rows}", caption="T")))
    assert len(found) > 3
    assert all(chunk.text.startswith("T\n| a | b |\n| --- | --- |\n| ") for chunk in found)
    assert all(len(chunk.text) <= 8_000 for chunk in found)
    seen = [row for chunk in found for row in chunk.text.split("\n")[3:]]
    assert seen == rows.split("\n")


def test_a_figure_has_its_caption_its_words_and_its_own_picture() -> None:
    figure = Block(
        kind="figure", text="axis", caption="Figure 1: Growth", page=1, image=Path("/spool/x/figure-0001.jpg")
    )
    found = {chunk.kind: chunk for chunk in cut(reading_of(figure, pages=(page(1),)))}
    assert found["figure"].text == "Figure 1: Growth\naxis"
    assert found["figure"].image == "pages/abab/figure-0001.jpg"


def test_labels_are_appended_when_the_model_is_sure_of_them() -> None:
    (chunk,) = cut(reading_of(pages=(page(None),), is_picture=True))
    labels = (Label(text="tabby cat", probability=0.6), Label(text="rug", probability=0.01))
    assert with_labels(chunk, labels).text == "tabby cat"
    assert with_labels(chunk, ()) is chunk


@pytest.mark.parametrize("sign", ['"', "\\", "\n", "é", "界", "😀", "a", " "])
@pytest.mark.parametrize("kind", ["text", "table", "figure"])
def test_a_row_holds_a_chunk_of_any_signs_whole(sign: str, kind: Literal["text", "table", "figure"]) -> None:
    reading = Reading(is_picture=False, title="t", blocks=(Block(kind=kind, text=f"x{sign * 150_000}x"),))
    found = cut(reading, ChunkSettings())
    assert all(fitting(chunk) == chunk for chunk in found)
    assert sign.isspace() or sum(chunk.text.count(sign) for chunk in found) == 150_000


@given(st.lists(st.text(alphabet="ab-- B\u00ad", max_size=6), max_size=12))
def test_lines_are_joined_as_if_one_by_one(lines: list[str]) -> None:
    text = ""
    for line in (line.strip() for line in lines):
        if re.search(r"[^\W\d_]{2}[-\u2010\u00ad]$", text) and line[:1].islower():
            text = text[:-1] + line
        elif line:
            text = f"{text} {line}" if text else line
    assert join_lines(lines) == text


@pytest.mark.parametrize("wrong", [{"words": 0}, {"words": 300}, {"text_bytes": 3}, {"table_characters": 1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ChunkSettings(**wrong)
