"""The tower's features on disk: the same numbers, computed once, whatever happens to the process or the disk."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from llava_model.data import feature_store
from llava_model.data.features import FeatureCache
from llava_model.errors import FeatureCacheError, FeatureDiskFullError, FeatureMissingError, LlavaError
from llava_model.images import ImagePreprocess, open_picture
from llava_model.model.towers import VisionTower

POSITIONS, WIDTH = 4, 6


class PatchTower(VisionTower):
    """A convolution over 2×2 patches; counts the pictures it sees."""

    def __init__(self, *, seed: int = 0, size: int = 28, pooled_grid: int | None = None) -> None:
        torch.manual_seed(seed)
        network = nn.Conv2d(3, WIDTH, kernel_size=size // 2, stride=size // 2)
        super().__init__(
            network, preprocess=ImagePreprocess(size=size), width=WIDTH, positions=POSITIONS, pooled_grid=pooled_grid
        )
        self.seen = 0

    def features(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        self.seen += len(pixels_NCHW)
        features_NPV: torch.Tensor = self.network(pixels_NCHW).flatten(2).transpose(1, 2)
        return features_NPV


@pytest.fixture
def pictures(tmp_path: Path, photograph: Callable[..., Image.Image]) -> list[Path]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = []
    for number in range(10):
        path = folder / f"{number}.png"
        photograph(40, 30, seed=number).save(path)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        paths.append(path)
    return paths


def _exact(tower: VisionTower, paths: list[Path]) -> torch.Tensor:
    return tower(tower.preprocess.pixels([open_picture(path) for path in paths]))


def test_features_are_the_towers_own(pictures: list[Path], tmp_path: Path) -> None:
    tower = PatchTower()
    cache = FeatureCache(tmp_path / "cache", tower, batch=4)
    report = cache.fill(pictures)
    asked = [pictures[3], pictures[0], pictures[3]]
    features = cache.features(asked)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, _exact(tower, asked), rtol=1e-6, atol=1e-6)
    assert (report.asked, report.computed, report.reused, report.failed) == (10, 10, 0, ())
    assert (report.error_max, report.error_rms) == (0, 0)
    assert cache.features([]).shape == (0, POSITIONS, WIDTH)


def test_a_saved_clip_tower_gives_the_same_with_and_without_the_cache(
    make_foreign: Callable[..., Any], pictures: list[Path], tmp_path: Path
) -> None:
    from llava_model.model.config import LlavaConfig
    from llava_model.model.towers import load_tower

    make_foreign().model.vision_tower.save_pretrained(tmp_path / "tower")
    tower = load_tower(tmp_path / "tower", LlavaConfig(pooled_grid=1))
    cache = FeatureCache(tmp_path / "cache", tower, batch=3)
    cache.fill(pictures)
    torch.testing.assert_close(cache.features(pictures), _exact(tower, pictures), rtol=1e-6, atol=1e-6)


def test_the_second_filling_asks_the_tower_nothing_and_reads_no_picture(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FeatureCache(tmp_path / "cache", PatchTower()).fill(pictures)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read again"))
    tower = PatchTower()
    cache = FeatureCache(tmp_path / "cache", tower)
    report = cache.fill(pictures)
    assert (report.computed, report.reused, tower.seen, report.written_bytes) == (0, 10, 0, 0)
    assert cache.features(pictures).shape == (10, POSITIONS, WIDTH)


def test_the_content_counts_not_the_name(pictures: list[Path], tmp_path: Path) -> None:
    tower = PatchTower()
    cache = FeatureCache(tmp_path / "cache", tower)
    copy = tmp_path / "copy.png"
    copy.write_bytes(pictures[0].read_bytes())
    report = cache.fill([pictures[0], copy, pictures[0]])
    assert (report.asked, report.computed, report.reused, tower.seen) == (2, 1, 1, 1)
    moved = pictures[0].rename(tmp_path / "moved.png")
    assert torch.equal(cache.features([moved]), cache.features([copy]))


def test_a_changed_picture_is_not_mistaken_for_the_old_one(pictures: list[Path], tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", PatchTower())
    cache.fill(pictures[:1])
    Image.new("RGB", (40, 30), "red").save(pictures[0])
    with pytest.raises(FeatureMissingError, match=r"0\.png': it was never filled in, or has changed"):
        cache.features(pictures[:1])
    assert cache.fill(pictures[:1]).computed == 1
    cache.features(pictures[:1])


def test_towers_with_other_weights_preparation_or_pooling_share_nothing(pictures: list[Path], tmp_path: Path) -> None:
    towers = [PatchTower(), PatchTower(seed=1), PatchTower(pooled_grid=1), PatchTower(pooled_grid=2)]
    squashed = PatchTower()
    squashed.preprocess = ImagePreprocess(size=28, mode="squash")
    rounded = PatchTower().to(torch.bfloat16)
    caches = [FeatureCache(tmp_path / "cache", tower) for tower in [*towers, squashed, rounded]]
    assert len({cache.folder for cache in caches}) == 6
    caches[0].fill(pictures)
    with pytest.raises(FeatureMissingError):
        caches[1].features(pictures[:1])


@pytest.mark.parametrize(("dtype", "bound"), [("bfloat16", 2**-8), ("int8", 1 / 254)])
def test_smaller_types_report_the_error_they_caused(
    dtype: Any, bound: float, pictures: list[Path], tmp_path: Path
) -> None:
    tower = PatchTower()
    cache = FeatureCache(tmp_path / "cache", tower, dtype=dtype)
    report = cache.fill(pictures)
    stored, exact = cache.features(pictures), _exact(tower, pictures)
    assert stored.dtype == (torch.bfloat16 if dtype == "bfloat16" else torch.float32)
    deviation = stored.float() - exact
    largest = (deviation.abs().amax((1, 2)) / exact.abs().amax((1, 2))).max()
    squares = (deviation.norm(dim=(1, 2)) / exact.norm(dim=(1, 2))) ** 2
    assert report.error_max == pytest.approx(float(largest), rel=1e-3)
    assert report.error_rms == pytest.approx(float(squares.mean().sqrt()), rel=1e-3)
    assert 0 < report.error_max <= bound * 1.001
    again = cache.fill(pictures)
    assert (again.computed, again.error_max, again.error_rms) == (0, report.error_max, report.error_rms)


def test_int8_takes_a_quarter_of_the_room(pictures: list[Path], tmp_path: Path) -> None:
    whole = FeatureCache(tmp_path / "cache", PatchTower()).fill(pictures).written_bytes
    small = FeatureCache(tmp_path / "cache", PatchTower(), dtype="int8").fill(pictures).written_bytes
    assert (whole, small) == (10 * POSITIONS * WIDTH * 4, 10 * POSITIONS * (WIDTH + 4))


def test_unreadable_pictures_are_reported_and_the_others_stored(pictures: list[Path], tmp_path: Path) -> None:
    cut, text, pipe = tmp_path / "cut.png", tmp_path / "text.png", tmp_path / "pipe.png"
    cut.write_bytes(pictures[0].read_bytes()[:200])
    text.write_text("no picture")
    os.mkfifo(pipe)
    cache = FeatureCache(tmp_path / "cache", PatchTower())
    report = cache.fill([cut, pictures[1], text, tmp_path / "none.png", pipe, tmp_path])
    assert (report.asked, report.computed, report.reused) == (6, 1, 0)
    reasons = {failure.path.name: failure.reason for failure in report.failed}
    assert set(reasons) == {"cut.png", "text.png", "none.png", "pipe.png", tmp_path.name}
    assert reasons["cut.png"].startswith("damaged")
    assert reasons["text.png"] == "none of the formats that are read here (PNG, JPEG, WEBP, GIF, TIFF, BMP)"
    assert reasons["pipe.png"] == "no regular file"
    for path in (cut, tmp_path / "none.png"):
        with pytest.raises(FeatureMissingError, match=path.name):
            cache.features([path])


def test_features_that_are_no_numbers_are_not_stored(pictures: list[Path], tmp_path: Path) -> None:
    tower = PatchTower()
    tower.network.bias.data.fill_(float("nan"))
    report = FeatureCache(tmp_path / "cache", tower).fill(pictures[:2])
    assert [failure.reason for failure in report.failed] == ["the tower gives no finite features for it"] * 2


def test_a_missing_picture_is_named_and_can_be_caught_as_a_missing_key(pictures: list[Path], tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", PatchTower())
    with pytest.raises(KeyError) as caught:
        cache.features(pictures[:1])
    assert isinstance(caught.value, LlavaError)
    assert str(pictures[0]) in str(caught.value)
    assert not str(caught.value).startswith("'")


def test_progress_ends_at_the_number_of_pictures(pictures: list[Path], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    FeatureCache(tmp_path / "cache", PatchTower(), batch=3).fill(
        [*pictures, tmp_path / "none.png"], on_progress=lambda progress: seen.append((progress.done, progress.total))
    )
    assert seen == sorted(seen)
    assert seen[-1] == (11, 11)


FILLING = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_features import FeatureCache, PatchTower
import torch
torch.set_num_threads(1)
syncs = 0
real = os.fdatasync
def sync(descriptor):
    global syncs
    syncs += 1
    real(descriptor)
    if syncs == {kill_at}:
        os.kill(os.getpid(), signal.SIGKILL)
os.fdatasync = sync
print("ready", flush=True)
sys.stdin.readline()
report = FeatureCache(Path({folder!r}), PatchTower(), batch=2).fill(sorted(Path({pictures!r}).iterdir()))
print(report.computed, report.reused, len(report.failed))
"""


def _filling(folder: Path, pictures: Path, kill_at: int = -1) -> "subprocess.Popen[str]":
    program = FILLING.format(
        tests=str(Path(__file__).parent), kill_at=kill_at, folder=str(folder), pictures=str(pictures)
    )
    return subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _shard_bytes(cache: FeatureCache) -> int:
    return sum(file.stat().st_size for file in cache.folder.glob("shard-*"))


def test_a_killed_filling_goes_on_where_it_stopped(pictures: list[Path], tmp_path: Path) -> None:
    with _filling(tmp_path / "cache", tmp_path / "pictures", kill_at=3) as process:
        process.communicate("go\n")
    assert process.returncode == -9
    tower = PatchTower()
    cache = FeatureCache(tmp_path / "cache", tower)
    record = POSITIONS * WIDTH * 4
    assert _shard_bytes(cache) == 6 * record  # the third pair was written, and never named
    report = cache.fill(pictures)
    assert (report.reused, report.computed, report.dropped_bytes) == (4, 6, 2 * record)
    assert _shard_bytes(cache) == 10 * record
    torch.testing.assert_close(cache.features(pictures), _exact(tower, pictures), rtol=1e-6, atol=1e-6)


def test_two_processes_fill_at_once(pictures: list[Path], tmp_path: Path) -> None:
    with (
        _filling(tmp_path / "cache", tmp_path / "pictures") as one,
        _filling(tmp_path / "cache", tmp_path / "pictures") as two,
    ):
        for process in (one, two):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        outcomes = [process.communicate("go\n")[0].split() for process in (one, two)]
    assert all(int(computed) + int(reused) == 10 and failed == "0" for computed, reused, failed in outcomes)
    tower = PatchTower()
    cache = FeatureCache(tmp_path / "cache", tower)
    torch.testing.assert_close(cache.features(pictures), _exact(tower, pictures), rtol=1e-6, atol=1e-6)
    assert cache.fill(pictures).computed == 0


def test_a_second_writer_takes_another_shard(tmp_path: Path) -> None:
    store = feature_store.FeatureStore(tmp_path, record_bytes=3)

    def record(name: bytes, content: bytes) -> feature_store.FeatureRecord:
        return feature_store.FeatureRecord(digest=name, content=content, error_max=0, error_rms=0)

    with store.writer() as one, store.writer() as two:
        assert (one.shard, two.shard) == (0, 1)
        two.append([record(b"b", b"two")])
        one.append([record(b"a", b"one"), record(b"b", b"two")])
    with store.writer() as again:
        assert (again.shard, again.dropped_bytes) == (0, 3)  # its "b" was stored by the other one before
    found = store.find([b"a", b"b", b"c"])
    assert {name: bytes(store.read(place)) for name, place in found.items()} == {b"a": b"one", b"b": b"two"}


def test_a_full_shard_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "SHARD_BYTES", 7)
    store = feature_store.FeatureStore(tmp_path, record_bytes=3)
    names = [bytes([number]) for number in range(7)]
    with store.writer() as writer:
        for name in names:
            writer.append([feature_store.FeatureRecord(digest=name, content=name * 3, error_max=0, error_rms=0)])
    assert [file.stat().st_size for file in sorted(tmp_path.glob("shard-*"))] == [6, 6, 6, 3]
    with store.writer() as writer:
        assert writer.shard == 3
    assert [bytes(store.read(place)) for place in store.find(names).values()] == [name * 3 for name in names]


def test_a_full_disk_is_said_and_loses_nothing(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower = PatchTower()
    cache = FeatureCache(tmp_path / "cache", tower, batch=2)
    record = POSITIONS * WIDTH * 4
    room = [5 * record]
    real = os.pwrite

    def write(descriptor: int, content: Any, offset: int) -> int:
        part = content[: min(room[0], 50)]
        if not part:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= len(part)
        return real(descriptor, part, offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", write)
        with pytest.raises(FeatureDiskFullError, match=rf"cannot grow by {2 * record} bytes"):
            cache.fill(pictures)
    assert _shard_bytes(cache) == 4 * record
    report = cache.fill(pictures)
    assert (report.reused, report.computed) == (4, 6)
    torch.testing.assert_close(cache.features(pictures), _exact(tower, pictures), rtol=1e-6, atol=1e-6)


def test_an_index_without_room_is_a_full_disk_too(pictures: list[Path], tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", PatchTower(), batch=2)
    cache.fill(pictures[:2])
    with cache._store._database.reading() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    names = [number.to_bytes(32) for number in range(1000)]
    records = [
        feature_store.FeatureRecord(digest=name, content=bytes(POSITIONS * WIDTH * 4), error_max=0, error_rms=0)
        for name in names
    ]
    with pytest.raises(FeatureDiskFullError), cache._store.writer() as writer:
        writer.append(records)
    assert cache._store.find(names) == {}
    assert cache.features(pictures[:2]).shape[0] == 2


def test_a_flipped_bit_is_noticed(pictures: list[Path], tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", PatchTower())
    cache.fill(pictures)
    (shard,) = cache.folder.glob("shard-*")
    content = bytearray(shard.read_bytes())
    content[5] ^= 1
    shard.write_bytes(content)
    with pytest.raises(FeatureCacheError, match="is damaged: slot 0 of shard-000"):
        cache.features(pictures[:1])
    cache.features(pictures[1:2])


def test_lost_bytes_are_computed_again(pictures: list[Path], tmp_path: Path) -> None:
    tower = PatchTower()
    cache = FeatureCache(tmp_path / "cache", tower)
    cache.fill(pictures)
    (shard,) = cache.folder.glob("shard-*")
    os.truncate(shard, 3 * POSITIONS * WIDTH * 4 + 7)
    again = FeatureCache(tmp_path / "cache", tower)
    report = again.fill(pictures)
    assert (report.reused, report.computed) == (3, 7)
    torch.testing.assert_close(again.features(pictures), _exact(tower, pictures), rtol=1e-6, atol=1e-6)


def test_a_damaged_index_is_an_error_that_says_what_to_do(pictures: list[Path], tmp_path: Path) -> None:
    folder = FeatureCache(tmp_path / "cache", PatchTower()).folder
    (folder / "index.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(FeatureCacheError, match="cannot use its index") as caught:
        FeatureCache(tmp_path / "cache", PatchTower()).fill(pictures)
    assert "delete that folder" in caught.value.__notes__[0]


def test_a_damaged_memo_only_costs_time(pictures: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "pictures.sqlite").write_bytes(b"no database" * 1000)
    cache = FeatureCache(tmp_path / "cache", PatchTower())
    assert cache.fill(pictures).computed == 10
    assert len(cache.features(pictures)) == 10


def test_a_folder_that_says_it_is_something_else_is_refused(tmp_path: Path) -> None:
    folder = FeatureCache(tmp_path / "cache", PatchTower()).folder
    (folder / "about.json").write_text('{"format": "other"}')
    with pytest.raises(FeatureCacheError, match="says about itself"):
        FeatureCache(tmp_path / "cache", PatchTower())


def test_threads_may_read_at_once(pictures: list[Path], tmp_path: Path) -> None:
    tower = PatchTower()
    cache = FeatureCache(tmp_path / "cache", tower)
    cache.fill(pictures)
    exact = _exact(tower, pictures)
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda number: cache.features([pictures[number % 10]])[0], range(100)))
    for number, features in enumerate(read):
        torch.testing.assert_close(features, exact[number % 10], rtol=1e-6, atol=1e-6)
