"""What a worker hands over: pixels lie in a file without a name, and come from there one by one."""

import gc
from pathlib import Path

import numpy as np
import pytest

from indexing.readers.output import PICTURE, THUMB
from indexing.workers.messages import PixelFile


def open_files() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list open files")
def test_pixels_are_read_when_they_are_asked_for_and_the_file_goes_with_them(tmp_path: Path) -> None:
    squares_NHWC = np.random.default_rng(0).integers(0, 255, (3, 4, 4, 3), dtype=np.uint8)
    path = tmp_path / "pixels.bin"
    path.write_bytes(squares_NHWC.tobytes())
    gc.collect()  # what other tests have left open
    before = open_files()
    pixels = PixelFile(path, {"page-0001.jpg": 0, PICTURE: 2, THUMB: 2}, 4)
    assert not path.exists()
    assert len(open_files()) == len(before) + 1
    assert np.array_equal(pixels["page-0001.jpg"], squares_NHWC[0])
    assert np.array_equal(pixels[THUMB], squares_NHWC[2]) and np.array_equal(pixels[PICTURE], squares_NHWC[2])
    assert pixels.get("page-0002.jpg") is None and list(pixels) == ["page-0001.jpg", PICTURE, THUMB]
    del pixels
    gc.collect()
    assert len(open_files()) == len(before)
