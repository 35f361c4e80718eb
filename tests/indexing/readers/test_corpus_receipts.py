"""50 scanned receipts against the words that people typed from them (ICDAR 2019 SROIE)."""

import re
from collections import Counter
from pathlib import Path

import pytest
from reading_doubles import SMALL, corpus, source_of

from indexing.records import Box
from indexing.settings import ReadLimits
from indexing.workers.pool import ReaderPool, ReadResult


def true_lines(path: Path) -> list[tuple[str, tuple[float, float]]]:
    """Text and middle (in pixels) of each line of the ground truth."""
    found = []
    for row in path.read_text(encoding="utf-8", errors="replace").splitlines():
        *corners, text = row.split(",", 8)
        if len(corners) == 8:
            xs, ys = [int(value) for value in corners[::2]], [int(value) for value in corners[1::2]]
            found.append((text, (sum(xs) / 4, sum(ys) / 4)))
    return found


def tokens(text: str) -> Counter[str]:
    return Counter(token for token in re.split(r"[^A-Z0-9]+", text.upper()) if token)


def letters(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())


def read_receipts(paths: list[Path], spool: Path) -> dict[str, ReadResult]:
    with ReaderPool(limits=ReadLimits(), preprocess=SMALL, spool=spool, workers=2) as pool:
        outcomes = {source.path.stem: outcome for source, outcome in pool.read(map(source_of, paths))}
    failed = {name: outcome for name, outcome in outcomes.items() if not isinstance(outcome, ReadResult)}
    assert not failed
    return {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, ReadResult)}


def assert_read(results: dict[str, ReadResult], folder: Path) -> None:
    found = wanted = near = placed = 0
    for name, result in results.items():
        reading = result.reading
        lines = [line for block in reading.blocks for line in block.lines]
        assert lines, f"{name}: no words"
        assert all(line.box is not None for line in lines), name
        everything = letters(" ".join(line.text for line in lines))
        width, height = picture_size(folder / f"{name}.jpg")
        for text, (x, y) in true_lines(folder / f"{name}.csv"):
            for token, count in tokens(text).items():
                wanted += count
                found += count if token in everything else 0
            key = letters(text)
            if len(key) >= 8 and everything.count(key) == 1:
                near += 1
                placed += any(
                    key in letters(line.text) and line.box is not None and inside(line.box, x / width, y / height)
                    for line in lines
                )
    assert found / wanted > 0.95
    assert placed / near > 0.9


def inside(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] - 0.01 <= y <= box[3] + 0.01


def picture_size(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as image:
        return image.size


def test_a_few_receipts_are_read_with_words_and_boxes(tmp_path: Path) -> None:
    folder = corpus("receipts")
    names = ("000", "055", "396", "602")
    assert_read(read_receipts([folder / f"{name}.jpg" for name in names], tmp_path), folder)


def test_a_total_and_its_amount_are_one_line(tmp_path: Path) -> None:
    folder = corpus("receipts")
    (result,) = read_receipts([folder / "396.jpg"], tmp_path).values()
    lines = [line.text for block in result.reading.blocks for line in block.lines]
    assert "TOTAL: 43.90" in lines


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_fifty_receipts_are_read_with_words_and_boxes(tmp_path: Path) -> None:
    folder = corpus("receipts")
    results = read_receipts(sorted(folder.glob("*.jpg")), tmp_path)
    assert len(results) == 50
    assert_read(results, folder)
