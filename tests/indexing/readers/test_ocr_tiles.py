import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexing.readers.ocr_tiles import Quad, Tile, is_long, longest_read, put_together, tiles

PIXELS = np.zeros((8, 8, 3), np.uint8)


def quad(left: float, top: float, right: float, low: float) -> Quad:
    return np.array([[left, top], [right, top], [right, low], [left, low]], np.float32)


def boxes(quads: list[Quad]) -> list[list[float]]:
    return [[*each.min(axis=0).tolist(), *each.max(axis=0).tolist()] for each in quads]


@given(st.integers(1, 60), st.integers(1, 3_000))
def test_tiles_cover_what_is_read_of_a_picture_and_overlap(width: int, height: int) -> None:
    found = list(tiles(np.zeros((height, width, 3), np.uint8)))
    if not is_long(width, height):
        assert len(found) == 1
        return
    along = 0 if height > width else 1
    ends = [tile.start + tile.pixels_HWC.shape[along] for tile in found]
    assert found[0].start == 0 and ends[-1] == min(max(width, height), longest_read(width, height))
    assert all(later.start <= end for later, end in zip(found[1:], ends, strict=False))


def test_a_line_in_the_overlap_of_two_tiles_is_one_line() -> None:
    upper, lower = Tile(start=0, pixels_HWC=PIXELS), Tile(start=1000, pixels_HWC=PIXELS)
    found = [(upper, [quad(10, 20, 300, 50), quad(10, 1100, 300, 1130)]), (lower, [quad(11, 99, 301, 131)])]
    assert boxes(put_together(found, upright=True)) == [[10, 20, 300, 50], [11, 1099, 301, 1131]]


def test_a_line_that_the_edge_of_a_tile_cuts_through_is_whole_in_the_next_one() -> None:
    upper, lower = Tile(start=0, pixels_HWC=PIXELS), Tile(start=1000, pixels_HWC=PIXELS)
    found = [(upper, [quad(10, 1180, 300, 1200)]), (lower, [quad(10, 180, 300, 220)])]
    assert boxes(put_together(found, upright=True)) == [[10, 1180, 300, 1220]]


def test_the_halves_of_a_long_line_in_a_panorama_are_joined() -> None:
    left, right = Tile(start=0, pixels_HWC=PIXELS), Tile(start=1000, pixels_HWC=PIXELS)
    found = [(left, [quad(50, 40, 1200, 90)]), (right, [quad(0, 41, 120, 90), quad(0, 140, 500, 190)])]
    assert boxes(put_together(found, upright=False)) == [[50, 40, 1200, 90], [1000, 140, 1500, 190]]


def test_a_short_end_of_a_long_line_is_not_lost() -> None:
    left, right = Tile(start=0, pixels_HWC=PIXELS), Tile(start=3000, pixels_HWC=PIXELS)
    found = [(left, [quad(50, 40, 3200, 90)]), (right, [quad(0, 40, 300, 90)])]
    assert boxes(put_together(found, upright=False)) == [[50, 40, 3300, 90]]
