from pathlib import Path

import pytest
import torch
from PIL import Image

from indexing.objects.detect import Detector, network_size, things_of
from indexing.objects.kinds import KINDS
from indexing.objects.network import BINS

PICTURES = Path(__file__).parents[1] / "pictures"
SIZE = (64, 64)
CELLS = 64 + 16 + 4
KIND = {kind.name: number for number, kind in enumerate(KINDS)}


def outputs(*seen: tuple[int, str, float, tuple[int, int, int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and bins in which cell n says a kind with a score, and distances in strides to the four sides."""
    scores_NK, bins_N4R = torch.zeros(CELLS, len(KINDS)), torch.zeros(CELLS, 4, BINS)
    for cell, kind, score, distances in seen:
        scores_NK[cell, KIND[kind]] = score
        for side, distance in enumerate(distances):
            bins_N4R[cell, side, distance] = 50.0  # all of the softmax
    return scores_NK, bins_N4R


def test_a_box_reaches_from_its_cells_middle_as_many_strides_as_its_bins_say() -> None:
    (thing,) = things_of(*outputs((64 + 5, "dog", 0.9, (1, 0, 2, 1))), SIZE)  # stride 16, column 1, row 1
    assert (thing.kind, round(thing.score, 3)) == ("dog", 0.9)
    assert thing.box == pytest.approx((8 / 64, 24 / 64, 56 / 64, 40 / 64), abs=1e-4)


def test_a_distance_between_two_bins_is_their_mean() -> None:
    scores_NK, bins_N4R = outputs((0, "cup", 0.8, (0, 0, 2, 2)))
    bins_N4R[0, 2, 4] = 50.0
    (thing,) = things_of(scores_NK, bins_N4R, SIZE)
    assert thing.box[2] == pytest.approx((4 + 3 * 8) / 64, abs=1e-4)


def test_a_box_ends_where_the_picture_ends() -> None:
    (thing,) = things_of(*outputs((CELLS - 1, "bus", 0.7, (10, 10, 10, 10))), SIZE)
    assert thing.box == (0.0, 0.0, 1.0, 1.0)


def test_what_is_below_the_threshold_is_not_said() -> None:
    assert things_of(*outputs((0, "cup", 0.44, (0, 0, 2, 2))), SIZE) == ()


def test_of_two_boxes_around_one_thing_the_surer_stays() -> None:
    same = outputs((64 + 5, "dog", 0.6, (1, 1, 1, 1)), (64 + 6, "dog", 0.9, (2, 1, 0, 1)))
    assert [round(thing.score, 2) for thing in things_of(*same, SIZE)] == [0.9]
    apart = outputs((64 + 0, "dog", 0.6, (0, 0, 1, 1)), (64 + 15, "dog", 0.9, (1, 1, 0, 0)))
    assert [round(thing.score, 2) for thing in things_of(*apart, SIZE)] == [0.9, 0.6]


def test_one_thing_is_not_a_car_and_a_truck() -> None:
    both = outputs((64 + 5, "car", 0.6, (1, 1, 1, 1)), (64 + 6, "truck", 0.5, (2, 1, 0, 1)))
    assert [thing.kind for thing in things_of(*both, SIZE)] == ["car"]
    riding = outputs((64 + 5, "person", 0.6, (1, 1, 1, 1)), (64 + 9, "horse", 0.5, (1, 1, 1, 1)))
    assert [thing.kind for thing in things_of(*riding, SIZE)] == ["person", "horse"]


def test_pictures_reach_the_network_at_sides_that_its_strides_divide() -> None:
    assert network_size((640, 480), 416) == (416, 320)
    assert network_size((100, 4000), 416) == (32, 416)
    assert network_size((448, 448), 320) == (320, 320)


@pytest.mark.parametrize(("name", "kind"), [("coffee", "cup"), ("astronaut", "person"), ("camera", "person")])
def test_it_sees_what_a_photograph_shows(name: str, kind: str) -> None:
    with Image.open(PICTURES / f"{name}.webp") as picture:
        things = Detector().things(picture.convert("RGB"))
    assert things[0].kind == kind


def test_an_icon_is_not_looked_at() -> None:
    with Image.open(PICTURES / "coffee.webp") as picture:
        assert Detector().things(picture.convert("RGB").resize((32, 32))) == ()
