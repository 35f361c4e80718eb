"""COCO's JSON and CSV → items; what is wrong with one picture is told by its id, the others go on."""

import json
from collections import Counter
from pathlib import Path

import pytest
from generating_world import coco
from hypothesis import given
from hypothesis import strategies as st

from llava_model.errors import SourceError
from llava_model.synthesis.prompts import KINDS, LISTS, WRITTEN, load_prompts
from llava_model.synthesis.sources import (
    Item,
    PictureSource,
    Region,
    TextLine,
    checked_box,
    digest,
    fitted,
    read_coco,
    read_csv,
    render,
)


def found(source: PictureSource) -> set[tuple[str, str]]:
    return {(problem.kind, problem.id) for problem in source.problems}


def test_coco_boxes_become_fractions_from_the_top_left_corner(tmp_path: Path) -> None:
    captions, instances = coco(tmp_path, 1)
    source = read_coco(captions, instances, tmp_path / "images")
    (item,) = source.items
    assert item.regions[0] == Region(label="dog", box=(0.1, 0.1, 0.3, 0.9)) and not source.problems
    assert Counter(region.label for region in item.regions) == {"dog": 1, "sports ball": 2}
    assert len(item.captions) == 2 and item.image == "1.png"


def test_every_fault_is_told_with_its_id_and_the_rest_goes_on(tmp_path: Path) -> None:
    captions, instances = coco(
        tmp_path,
        8,
        captions=[
            {"image_id": 1, "caption": "  "},
            {"image_id": 2, "caption": "Ein Hund und eine Katze sind auf dem Rasen mit einem Ball."},
            {"image_id": 99, "caption": "A dog."},
            {"image_id": 3, "caption": None},
        ],
        boxes=[
            {"image_id": 4, "bbox": [90, 5, 30, 10], "category_id": 18},
            {"image_id": 5, "bbox": [10, 5, 0, 10], "category_id": 18},
            {"image_id": 6, "bbox": [10, 5, "x", 10], "category_id": 18},
            {"image_id": 7, "bbox": [10, 5, 10, 10], "category_id": 1234},
            {"image_id": 7, "bbox": [10, 5, float("nan"), 10], "category_id": 18},
        ],
    )
    (tmp_path / "images/8.png").unlink()
    source = read_coco(captions, instances, tmp_path / "images")
    assert found(source) == {
        ("empty-caption", "1"), ("other-language", "2"), ("unknown-picture", "99"), ("empty-caption", "3"),
        ("bad-box", "4"), ("bad-box", "5"), ("bad-box", "6"), ("bad-box", "7"), ("missing-picture", "8"),
    }  # fmt: skip
    assert [item.id for item in source.items] == [str(number) for number in range(1, 8)]
    assert all(len(item.captions) == 2 and len(item.regions) == 3 for item in source.items)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "", "a/../../b.png", "nul\0.png"])
def test_a_picture_outside_the_folder_is_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "c.json").write_text(
        json.dumps({"images": [{"id": 1, "file_name": name}], "annotations": [{"image_id": 1, "caption": "A dog."}]})
    )
    source = read_coco(tmp_path / "c.json", None, tmp_path)
    assert not source.items and found(source) == {("bad-picture-name", "1")}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"images": {}}', '{"images": [1], "annotations": []}', "[" * 100_000]
)
def test_a_file_that_is_not_cocos_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(SourceError, match=r"c\.json"):
        read_coco(tmp_path / "c.json", None, tmp_path)


def table(folder: Path, text: str) -> Path:
    for number in (1, 2, 3):
        (folder / f"{number}.png").write_bytes(b"picture")
    (folder / "t.csv").write_text(text, "utf-8")
    return folder / "t.csv"


def test_csv_rows_of_one_picture_add_up_and_pixels_need_a_size(tmp_path: Path) -> None:
    rows = """image,caption,label,x0,y0,x1,y1,width,height
1.png,"A dog, running.",,,,,,,
1.png,,dog,0.1,0.2,0.3,0.4,,
1.png,,ball,10,20,30,40,100,200
2.png,A cat.,,,,,,,
2.png,,cat,10,20,30,40,,
3.png,,,,,,,,
"""
    source = read_csv(table(tmp_path, rows), tmp_path)
    one, two = source.items
    assert one.captions == ("A dog, running.",)
    assert one.regions == (
        Region(label="dog", box=(0.1, 0.2, 0.3, 0.4)),
        Region(label="ball", box=(0.1, 0.1, 0.3, 0.2)),
    )
    assert two.regions == ()
    assert found(source) == {("bad-box", "2.png"), ("empty-caption", "3.png"), ("nothing-known", "3.png")}


def test_csv_ids_that_name_two_pictures_and_rows_that_are_none_are_told(tmp_path: Path) -> None:
    rows = "id,image,caption\na,1.png,A dog.\na,2.png,A cat.\nb,,A bird.\nc,3.png,A cow.,more\n"
    source = read_csv(table(tmp_path, rows), tmp_path)
    assert [item.id for item in source.items] == ["a"]
    assert found(source) == {("duplicate-id", "a"), ("bad-row", "t.csv line 4"), ("bad-row", "t.csv line 5")}


@pytest.mark.parametrize("text", ["", "picture,words\n", "image,x0\n", "image,caption\n\udcff"])
def test_a_csv_without_the_columns_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match=r"t\.csv"):
        read_csv(tmp_path / "t.csv", tmp_path)


@given(st.lists(st.floats(width=32), min_size=4, max_size=4))
def test_a_checked_box_lies_inside_and_has_an_area(values: list[float]) -> None:
    try:
        x0, y0, x1, y1 = checked_box(values)
    except ValueError:
        return
    assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1


def test_a_box_that_rounding_pushed_over_the_edge_is_cut() -> None:
    assert checked_box((-0.001, 0.0, 1.002, 1.0)) == (0.0, 0.0, 1.0, 1.0)


def test_a_picture_in_words() -> None:
    item = Item(
        id="1", image="1.png", captions=("A dog.",), tables=("| a |",),
        regions=(Region(label="dog", box=(0.1, 0.2, 0.3, 0.4)), Region(label="sheep", crowd=True)),
        lines=(TextLine(text="Total\n17", box=(0.0, 0.0, 1.0, 0.5)), TextLine(text="end")),
    )  # fmt: skip
    assert render(item) == (
        "Sentences:\nA dog.\n\nObjects:\ndog: [0.100, 0.200, 0.300, 0.400]\ngroup of sheep\n\n"
        "Text:\n1. Total 17: [0.000, 0.000, 1.000, 0.500]\n2. end\n\nTables:\n| a |"
    )


def test_what_does_not_fit_the_prompt_is_left_out_and_said() -> None:
    item = Item(id="1", image="1.png", captions=("A dog.",), lines=(TextLine(text="word " * 100),) * 40)
    kept, shortened = fitted(item)
    assert shortened and kept.captions and 0 < len(kept.lines) < 40 and fitted(kept) == (kept, False)


def test_the_same_picture_under_another_id_has_the_same_digest() -> None:
    one = Item(id="1", image="1.png", captions=("A dog.",))
    assert digest(one) == digest(Item(id="2", image="1.png", captions=("A dog.",), held_out=True))
    assert digest(one) != digest(Item(id="1", image="2.png", captions=("A dog.",)))


def test_a_picture_that_comes_twice_is_asked_about_once(tmp_path: Path) -> None:
    source = read_csv(table(tmp_path, "id,image,caption\na,1.png,A dog.\nb,1.png,A dog.\n"), tmp_path)
    assert [item.id for item in source.items] == ["a"] and found(source) == {("duplicate", "b")}


def test_our_question_lists_hold_ten_or_more_and_none_twice() -> None:
    questions = load_prompts().questions
    for name in ("brief", "detail"):
        assert len(set(questions[name])) == len(questions[name]) >= 10
    assert set(LISTS) == set(questions) and {*WRITTEN, "brief"} == set(KINDS)


def test_a_prompt_file_of_the_users_own_replaces_ours(tmp_path: Path) -> None:
    (tmp_path / "detail.toml").write_text('system = "Describe it in {language}."\n')
    (tmp_path / "detail_questions.txt").write_text("# mine\nSay all.\n")
    prompts = load_prompts(tmp_path, language="de")
    assert prompts.messages("detail", "x")[0] == {"role": "system", "content": "Describe it in German."}
    assert len(prompts.messages("detail", "x")) == 2 and prompts.questions["detail"] == ("Say all.",)
    assert prompts.systems["complex"] == load_prompts(language="de").systems["complex"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("detail.toml", "system = "),
        ("detail.toml", 'system = ""'),
        ("complex.toml", 'system = "x"\n[[examples]]\ncontext = "y"'),
        ("brief_questions.txt", "# none\n"),
    ],
)
def test_a_prompt_file_that_cannot_be_used_is_refused_with_its_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=name):
        load_prompts(tmp_path)
