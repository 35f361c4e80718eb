import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.pocket import titles
from recipes.pocket.easy_vqa import COLOURS, SHAPES, described
from recipes.pocket.groups import grouped
from recipes.pocket.leakage import beginning

ENGLISH = frozenset({"red", "apple", "blue", "whale", "cat", "dog", "with", "worm", "record"})


@pytest.mark.parametrize(
    ("title", "artist", "words"),
    [
        ("Clipart by Nicu Buculei - svg_globe_green", "Nicu Buculei", "globe green"),
        ("Dog 06 Drawn With Straight Lines", "Gerald G.", "dog drawn with straight lines"),
        ("45 rpm record", "Gerald G.", "45 rpm record"),
        ("Bottled Drink (B and W)", "Gerald G.", "bottled drink black and white"),
    ],
)
def test_a_title_keeps_what_the_picture_shows(title: str, artist: str, words: str) -> None:
    assert titles.from_title(title, artist) == words


@pytest.mark.parametrize(
    ("stem", "artist", "words"),
    [
        ("sportcar_sergio_luiz_ara_01", "Sergio Luiz Araujo Silva", "sportcar"),
        ("trumpet_ganson", "Gerald G.", "trumpet"),
        ("balloon-purple-aj", "AJ Ashton", "balloon purple"),
    ],
)
def test_an_artist_cut_off_in_a_file_name_is_dropped(stem: str, artist: str, words: str) -> None:
    assert titles.from_file_name(stem, artist) == words


def test_members_of_a_series_share_a_key_and_other_things_do_not() -> None:
    assert titles.series_key("arrow 03 left") == titles.series_key("red arrows") != titles.series_key("cat")
    assert titles.series_key("signal flag charlie") == titles.series_key("signal flag delta")
    assert titles.series_key("india") != titles.series_key("peru")


def test_english_is_told_from_other_languages_by_its_words() -> None:
    assert titles.looks_english("apple with worm", ENGLISH) and titles.looks_english("bluewhale", ENGLISH)
    assert not titles.looks_english("gatto nero", ENGLISH) and not titles.looks_english("apple de la cat", ENGLISH)


def test_partners_of_partners_are_one_group() -> None:
    assert grouped([["a"], ["b"], ["b", "c"], ["d"]], [(0, 2)]) == [0, 0, 0, 3]


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=3), max_size=12))
def test_things_that_share_a_key_are_never_in_two_groups(keys: list[list[str]]) -> None:
    groups = grouped(keys)
    for one, mine in enumerate(keys):
        for other, theirs in enumerate(keys):
            assert groups[one] == groups[other] or not set(mine) & set(theirs)


@given(st.sampled_from(sorted(SHAPES)), st.sampled_from(sorted(COLOURS)))
def test_yes_and_no_alone_tell_a_shape_and_a_colour(shape: str, colour: str) -> None:
    turns = [(f"is there not a {other} shape?", "yes") for other in COLOURS - {colour}]
    turns += [(f"is there a {other}?", "yes" if other == shape else "no") for other in SHAPES]
    assert described(turns) == f"a {colour} {shape}"


def test_a_picture_whose_questions_leave_two_shapes_possible_gets_no_caption() -> None:
    assert described([("what color is the shape?", "teal"), ("is there a circle?", "no")]) is None


def test_names_that_begin_alike_are_near_each_other() -> None:
    assert beginning("fish/dolphin_01") == beginning("fish/dolphin") != beginning("birds/dolphin")
    assert beginning("moon/03_firstquarter") == beginning("moon/07_lastquarter")
