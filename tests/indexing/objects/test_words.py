import numpy as np
import pytest
from PIL import Image

from indexing.embedding.protocol import Label
from indexing.objects.colours import colour_of, main_colour
from indexing.objects.kinds import BY_NAME, KINDS, Thing, plural_of
from indexing.objects.words import is_named, sight_of
from indexing.records import Box

WHOLE = (0.0, 0.0, 1.0, 1.0)


def thing(kind: str, box: Box = (0.3, 0.2, 0.8, 0.9), *, colour: str = "", score: float = 0.8) -> Thing:
    return Thing(kind=kind, score=score, box=box, colour=colour)


def test_several_are_counted_people_come_first_and_one_has_a_colour_and_a_place() -> None:
    seen = sight_of(
        [
            thing("dining table", (0.1, 0.5, 0.9, 1.0)),
            thing("car", (0.0, 0.2, 0.3, 0.5), colour="red"),
            thing("person", (0.4, 0.3, 0.5, 0.6)),
            thing("person", (0.5, 0.3, 0.6, 0.6)),
        ]
    )
    assert seen.words == "2 people, dining table, red car at the left"
    assert [label.text for label in seen.labels] == ["people", "dining table", "car"]
    assert [region.text for region in seen.regions] == ["person", "person", "dining table", "red car"]
    assert seen.regions[-1].box == (0.0, 0.2, 0.3, 0.5)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((0.0, 0.2, 0.4, 0.8), "dog at the left"),
        ((0.7, 0.2, 1.0, 0.8), "dog at the right"),
        ((0.4, 0.2, 0.6, 0.8), "dog in the middle"),
        ((0.4, 0.5, 0.6, 1.0), "dog in front"),
        ((0.1, 0.2, 0.9, 0.8), "dog"),
        ((0.0, 0.0, 0.1, 0.1), "dog"),
    ],
)
def test_a_place_is_said_of_what_is_large_and_stands_at_one(box: Box, said: str) -> None:
    assert sight_of([thing("dog", box)]).words == said


def test_only_the_three_largest_have_a_place() -> None:
    four = [thing(kind, (0.0, 0.0, 0.1 + at / 20, 0.5)) for at, kind in enumerate(("cup", "bowl", "vase", "clock"))]
    assert sight_of(four).words == "clock at the left, vase at the left, bowl at the left, cup"


def test_a_colour_is_said_of_several_where_all_have_it() -> None:
    assert sight_of([thing("car", colour="red"), thing("car", colour="red")]).words == "2 red cars"
    assert sight_of([thing("car", colour="red"), thing("car", colour="blue")]).words == "2 cars"


def test_a_crowd_is_not_counted() -> None:
    assert sight_of([thing("person")] * 9).words == "many people"


def test_nothing_seen_is_nothing_said() -> None:
    assert sight_of([]).words == "" and sight_of([]).regions == ()


def test_plurals() -> None:
    told = ["knife", "bus", "bench", "wine glass", "sheep", "mouse", "skis", "toothbrush", "cell phone"]
    expected = ["knives", "buses", "benches", "wine glasses", "sheep", "mice", "skis", "toothbrushes", "cell phones"]
    assert [plural_of(each) for each in told] == expected
    assert len(KINDS) == len(BY_NAME) == 80 and KINDS[0].name == "person" and KINDS[79].name == "toothbrush"


def test_an_animal_that_a_sure_classifier_calls_another_is_left_out() -> None:
    hedgehog = [Label(text="porcupine", probability=0.8)]
    assert sight_of([thing("sheep"), thing("person")], hedgehog).words == "person in the middle"
    assert sight_of([thing("sheep")], [Label(text="ram", probability=0.8)]).words == "sheep in the middle"
    assert sight_of([thing("sheep")], [Label(text="porcupine", probability=0.3)]).words == "sheep in the middle"
    assert sight_of([thing("giraffe")], hedgehog).words == "giraffe in the middle"


@pytest.mark.parametrize(
    ("rgb", "named"),
    [
        ((200, 30, 30), "red"),
        ((30, 60, 200), "blue"),
        ((40, 150, 50), "green"),
        ((250, 220, 40), "yellow"),
        ((240, 140, 30), "orange"),
        ((110, 65, 30), "brown"),
        ((240, 240, 240), "white"),
        ((20, 20, 22), "black"),
        ((128, 128, 130), "grey"),
    ],
)
def test_colours_have_their_everyday_names(rgb: tuple[int, int, int], named: str) -> None:
    assert main_colour(Image.new("RGB", (40, 40), rgb), WHOLE) == named


def test_the_colour_is_that_of_the_boxs_middle_and_none_where_two_are_even() -> None:
    picture = Image.new("RGB", (100, 100), "green")
    picture.paste("red", (30, 30, 70, 70))
    assert main_colour(picture, (0.2, 0.2, 0.8, 0.8)) == "red"
    halves = np.zeros((100, 100, 3), np.uint8)
    halves[:, :50, 0], halves[:, 50:, 2] = 200, 200
    assert main_colour(Image.fromarray(halves), WHOLE) == ""


def test_people_have_no_colour_and_animals_only_those_of_furs() -> None:
    red, brown = Image.new("RGB", (40, 40), (200, 30, 30)), Image.new("RGB", (40, 40), (110, 65, 30))
    assert [colour_of(kind, WHOLE, red) for kind in ("car", "person", "dog")] == ["red", "", ""]
    assert colour_of("dog", WHOLE, brown) == "brown"


def test_a_sentence_names_a_region_in_singular_or_plural() -> None:
    assert is_named("person", "Two people stand there.") and is_named("red car", "a Car")
    assert not is_named("car", "a carpet") and not is_named("dog", "a hot day")
