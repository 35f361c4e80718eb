"""Drawn scenes: what is said of them is true of them, and nothing held out is trained on."""

import json
import random
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from llava_model.data.validate import validate
from recipes.scenes.drawing import picture
from recipes.scenes.make_scenes import make
from recipes.scenes.scene import PLACES, Scene, a_scene
from recipes.scenes.wording import caption, complex_question, conversation, detail

NUMBERS = {"no": 0, "none": 0, "one": 1, "two": 2, "three": 3, "four": 4}
seeds = st.integers(0, 10**6)


def place_of(scene: Scene, name: str) -> str:
    return next(thing.place for thing in scene.things if thing.name == name)


@given(seeds)
@settings(max_examples=200, deadline=None)
def test_every_short_answer_is_true_of_the_scene(seed: int) -> None:
    scene = a_scene(random.Random(seed))
    for question, answer in conversation(scene, random.Random(seed), turns=99):
        said = answer.lower().rstrip(".")
        if match := re.match(r"How many (\w+?)s? (?:are there|does)", question):
            wanted = len(scene.things) if match[1] == "shape" else scene.count(match[1])
            assert NUMBERS[said] == wanted
        elif match := re.match(r"(?:What colour|Which shape) is (?:the shape )?in the (.+)\?", question):
            thing = scene.at(match[1])
            assert thing is not None and said in (thing.colour, f"a {thing.shape}")
        elif match := re.match(r"Is there a (.+)\?", question):
            assert (said == "yes") == (match[1] in {thing.name for thing in scene.things})
        elif match := re.match(r"Where is the (.+)\?", question):
            assert said == f"in the {place_of(scene, match[1])}"
        elif match := re.match(r"Is the (.+) to the left of the (.+)\?", question):
            sides = [place_of(scene, name).split()[1] for name in match.groups()]
            assert (said == "yes") == (sides == ["left", "right"])
        else:
            match = re.match(r"Is the (.+) small or large\?", question)
            assert match and said == next(t.size for t in scene.things if t.name == match[1])


@given(seeds)
@settings(max_examples=200, deadline=None)
def test_a_description_names_every_thing_where_it_is_and_every_empty_corner(seed: int) -> None:
    scene = a_scene(random.Random(seed))
    _, answer = detail(scene, random.Random(seed))
    for thing in scene.things:
        assert f"a {thing.size} {thing.name} is in the {thing.place}" in answer.lower()
    told = answer.split(". ")[-1]
    assert all((place in told.lower()) == (scene.at(place) is None) for place in PLACES)
    assert not re.search(r"\b(\w+) \1\b", answer)


@given(seeds)
@settings(max_examples=200, deadline=None)
def test_what_is_reasoned_comes_out_right(seed: int) -> None:
    scene = a_scene(random.Random(seed))
    question, answer = complex_question(scene, random.Random(seed))
    last = answer.rstrip(".").split(" ")
    if match := re.match(r"If every (\w+) were taken away", question):
        left = len(scene.things) - scene.count(match[1])
        word = next(name for name, number in NUMBERS.items() if number == left)
        assert f"{word} shape" in answer.split("Without")[1]
    elif match := re.match(r"If the picture .* would the (.+) be\?", question):
        up, side = place_of(scene, match[1]).split()
        assert last[-2:] == [up, "right" if side == "left" else "left"]
    elif match := re.match(r"Are there more (\w+)s or more (\w+)s\?", question):
        first, second = (scene.count(shape) for shape in match.groups())
        word = "more" if first > second else "fewer" if first < second else "as many"
        assert f"{word} {match[1]}s" in answer
    else:
        match = re.match(r"What lies in the corner opposite to the (.+)\?", question)
        assert match
        here, there = place_of(scene, match[1]), place_of(scene, " ".join(last[-2:]))
        assert all(one != other for one, other in zip(here.split(), there.split(), strict=True))


def test_the_picture_shows_the_colours_in_their_corners() -> None:
    for seed in range(30):
        scene = a_scene(random.Random(seed))
        image = picture(scene, random.Random(seed))
        for place in PLACES:
            left, top = 16 + 112 * ("right" in place), 16 + 112 * ("bottom" in place)
            darkest = min(low for low, _ in image.crop((left, top, left + 80, top + 80)).getextrema())
            assert (darkest >= 226) == (scene.at(place) is None)  # the background is light, nothing else is


def test_the_same_numbers_give_the_same_bytes_and_nothing_held_out_is_trained_on(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made = make(tmp_path / name, pictures=5, held_out=3, seed=7)
    assert made == {"train": 15, "held_out": 9, "captions": 5}
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    train, held_out = tmp_path / "one/train.jsonl", tmp_path / "one/held_out.jsonl"
    report = validate([train], image_root=train.parent, against=[held_out], against_root=train.parent)
    assert not [one for one in report.findings if one.kind in ("leaked-picture", "unreadable-picture", "bad-sample")]
    kinds = [json.loads(line)["kind"] for line in train.read_text().splitlines()]
    assert kinds == ["conversation", "detail", "complex"] * 5


def test_captions_name_all_things() -> None:
    scene = a_scene(random.Random(3))
    assert all(f"{thing.size} {thing.name} in the {thing.place}" in caption(scene) for thing in scene.things)
