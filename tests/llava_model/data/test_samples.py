"""One sample, read and written in both formats."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llava_model.data.samples import Sample, parse_sample, to_llava_record, to_record
from llava_model.errors import BadSampleError
from llava_model.text.templates import Slot

ROOT = Path("/pictures")
TURNS = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}]


def _parse(**changes: Any) -> Sample:
    return parse_sample({"id": "7", "image": "a/b.jpg", "conversations": TURNS} | changes, root=ROOT, position=3)


def test_llavas_own_example_is_read() -> None:
    sample = _parse()
    assert (sample.id, sample.images) == ("7", (ROOT / "a/b.jpg",))
    assert sample.messages[0].parts == (Slot.IMAGE, "\nWhat?")


@pytest.mark.parametrize(("written", "name"), [(12, "12"), (None, "#3"), ("", "#3"), ("x", "x"), ("\ud800", "\\ud800")])
def test_an_id_may_be_a_number_or_missing(written: object, name: str) -> None:
    assert _parse(id=written).id == name


@pytest.mark.parametrize("picture", ["../x.jpg", "a/../../x.jpg", "/etc/passwd", "a\0b.jpg", "\ud800.jpg"])
def test_a_picture_outside_the_root_or_without_a_possible_name_is_refused(picture: str) -> None:
    with pytest.raises(BadSampleError, match="sample '7' its picture"):
        _parse(image=picture)


def test_an_absolute_path_below_the_root_is_the_same_picture() -> None:
    assert _parse(image="/pictures/a/b.jpg") == _parse()


def test_half_a_surrogate_pair_is_refused_before_a_tokenizer_sees_it() -> None:
    with pytest.raises(BadSampleError, match="turn 2 holds half a surrogate pair"):
        _parse(conversations=[TURNS[0], {"from": "gpt", "value": "cat \ud83d"}])


def test_a_role_that_is_no_word_is_refused() -> None:
    with pytest.raises(BadSampleError, match=r"turn 1 is by \['human'\]"):
        _parse(conversations=[{"from": ["human"], "value": "?"}, TURNS[1]])


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: "<image>" not in text)


@given(
    st.lists(st.tuples(WORDS, WORDS.filter(str.strip)), min_size=1, max_size=3),
    st.integers(0, 3),
    st.sampled_from("ab"),
)
def test_both_formats_give_the_sample_back(turns: list[tuple[str, str]], images: int, name: str) -> None:
    messages = [
        {"role": role, "content": text}
        for number, (question, answer) in enumerate(turns)
        for role, text in (("user", "<image>\n" * images * (number == 0) + question), ("assistant", answer))
    ]
    record = {"id": name, "images": [f"{number}.png" for number in range(images)], "messages": messages}
    sample = parse_sample(record, root=ROOT, position=0)
    assert parse_sample(to_record(sample, root=ROOT), root=ROOT, position=0) == sample
    assert parse_sample(to_llava_record(sample, root=ROOT), root=ROOT, position=0) == sample
