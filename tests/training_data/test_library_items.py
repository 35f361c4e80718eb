import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from rag_doubles import chunk

from indexing.records import Chunk, Line
from llava_model.synthesis.sources import Region, render
from training_data.library_items import held_out_documents, items_from

WORDS = [
    "river",
    "stone",
    "ledger",
    "copper",
    "window",
    "garden",
    "letter",
    "market",
    "silver",
    "candle",
    "bridge",
    "carpet",
    "island",
    "mirror",
    "orange",
]


def page(file: str = "bill.pdf", number: int = 1) -> Chunk:
    return chunk(kind="page", file=file, page=number, ordinal=number - 1, image=f"pages/{file}/{number}.png")


def text(words: str, file: str = "bill.pdf", number: int = 1) -> Chunk:
    return chunk(words, file=file, page=number, ordinal=number - 1, boxed=True)


def test_a_page_becomes_its_lines_tables_and_figures_with_their_places() -> None:
    table = replace(chunk("| Soup | 17.00 |", kind="table", file="bill.pdf", page=1), box=(0.1, 0.5, 0.9, 0.7))
    figure = replace(
        chunk("Fig. 1: sales\n2019 2020", kind="figure", file="bill.pdf", page=1), box=(0.1, 0.7, 0.9, 0.9)
    )
    (item,) = items_from([page(), text("Harbour Café\nTotal 17.00"), table, figure])
    assert [line.text for line in item.lines][-2:] == ["Harbour Café", "Total 17.00"]
    assert item.lines[-1].box == (0.1, 0.5, 0.9, 0.9) and item.tables == ("| Soup | 17.00 |",)
    assert Region(label="figure (Fig. 1: sales)", box=(0.1, 0.7, 0.9, 0.9)) in item.regions
    assert item.image == "pages/bill.pdf/1.png" and item.id.startswith("bill-") and item.id.endswith("-p1")
    assert "Total 17.00: [0.100, 0.500" in render(item)


def test_a_picture_file_brings_its_labels_and_what_ocr_read() -> None:
    picture = chunk("tiger cat, tabby", kind="image", file="cat.jpg", image="thumbs/cat.png")
    (item,) = items_from([picture, chunk("NO PARKING", file="cat.jpg", boxed=True)])
    assert item.captions == ("The picture probably shows: tiger cat, tabby.",)
    assert [line.text for line in item.lines] == ["NO PARKING"]


def test_pages_without_a_picture_or_without_anything_known_are_left_out() -> None:
    assert items_from([text("words on a page"), page("empty.pdf")]) == []


def test_pages_of_one_document_stand_on_one_side() -> None:
    draw = random.Random(1)
    chunks = [
        each
        for file in range(12)
        for number in (1, 2, 3)
        for each in (page(f"{file}.pdf", number), text(" ".join(draw.choices(WORDS, k=30)), f"{file}.pdf", number))
    ]
    items = items_from(chunks, held_out=0.25)
    sides = {item.id.rsplit("-", 1)[0]: item.held_out for item in items}
    assert len(items) == 36 and sum(sides.values()) == 3
    assert all(item.held_out == sides[item.id.rsplit("-", 1)[0]] for item in items)
    assert len({item.id for item in items}) == 36


def test_nearly_the_same_document_goes_to_the_same_side() -> None:
    draw = random.Random(2)
    words = {f"{number}.pdf": " ".join(draw.choices(WORDS, k=60)) for number in range(8)}
    words |= {f"copy-{name}": f"{said} today" for name, said in words.items()}
    documents = {name: [text(said, name)] for name, said in words.items()}
    for seed in range(10):
        apart = held_out_documents(documents, share=0.4, seed=seed)
        assert apart and all((name in apart) == (f"copy-{name}" in apart) for name in documents if name[0] != "c")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 12), st.floats(0, 0.9), st.integers(0, 5))
def test_the_share_is_kept_and_something_is_always_left_to_train_on(documents: int, share: float, seed: int) -> None:
    found = held_out_documents(
        {f"{n}.pdf": [text(f"number {n}", f"{n}.pdf")] for n in range(documents)}, share=share, seed=seed
    )
    assert len(found) <= max(1, share * documents) and (documents < 1 or len(found) < documents)
    assert (share > 0 and documents > 1) == bool(found)


def test_things_in_a_picture_are_its_regions() -> None:
    seen = (Line(text="red car", box=(0.5, 0.5, 0.9, 0.8)),)
    picture = replace(chunk("red car", kind="image", file="street.jpg", image="thumbs/s.jpg"), regions=seen)
    (item,) = items_from([picture])
    assert item.regions == (Region(label="red car", box=(0.5, 0.5, 0.9, 0.8)),)
