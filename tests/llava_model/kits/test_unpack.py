import contextlib
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llava_model.kits.errors import UnsafeArchiveError
from llava_model.kits.fetch import unpack


def zipped(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "a.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_only_what_lies_under_the_prefix_is_written(tmp_path: Path) -> None:
    archive = zipped(tmp_path, {"in/a.json": b"1", "in/b/c.txt": b"2", "out/d.py": b"3"})
    unpack(archive, tmp_path / "to", prefix="in/", limit_bytes=100)
    written = {path.relative_to(tmp_path / "to").as_posix() for path in (tmp_path / "to").rglob("*") if path.is_file()}
    assert written == {"a.json", "b/c.txt"}


@pytest.mark.parametrize(
    "name", ["../evil", "in/../../evil", "/etc/evil", "in\\..\\evil", "C:/evil", "in/a/../../../evil"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path, {"in/fine": b""})
    with zipfile.ZipFile(archive, "a") as opened:
        info = zipfile.ZipInfo("placeholder")
        info.filename = name  # given to the constructor, it would be cleaned
        opened.writestr(info, b"evil")
    with pytest.raises(UnsafeArchiveError, match="leads out"):
        unpack(archive, tmp_path / "to", prefix="", limit_bytes=1000)
    assert not list(tmp_path.rglob("evil"))


def test_links_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.whl"
    with zipfile.ZipFile(archive, "w") as opened:
        link = zipfile.ZipInfo("in/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(UnsafeArchiveError, match="is a link"):
        unpack(archive, tmp_path / "to", prefix="in/", limit_bytes=1000)


def test_an_archive_that_unpacks_without_end_is_stopped_at_the_limit(tmp_path: Path) -> None:
    archive = zipped(tmp_path, {"in/zeros": bytes(50_000_000)})
    assert archive.stat().st_size < 100_000
    with pytest.raises(UnsafeArchiveError, match="more than 1000000 bytes"):
        unpack(archive, tmp_path / "to", prefix="in/", limit_bytes=1_000_000)
    assert (tmp_path / "to" / "zeros").stat().st_size <= 1_000_000


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"<html>"])
def test_something_that_is_no_archive_is_called_that(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.whl").write_bytes(content)
    with pytest.raises(UnsafeArchiveError, match="no readable zip archive"):
        unpack(tmp_path / "a.whl", tmp_path / "to", prefix="", limit_bytes=10)


def test_an_empty_prefix_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchiveError, match="holds nothing under 'in/'"):
        unpack(zipped(tmp_path, {"out": b""}), tmp_path / "to", prefix="in/", limit_bytes=10)


@given(names=st.lists(st.text(min_size=1, max_size=30), max_size=5))
def test_whatever_the_names_nothing_is_written_outside_the_folder(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("unpack")
    archive = folder / "a.whl"
    with zipfile.ZipFile(archive, "w") as opened:
        for name in dict.fromkeys(names):
            info = zipfile.ZipInfo("x")
            info.filename = name
            try:
                opened.writestr(info, b"1")
            except UnicodeEncodeError:
                return
    before = set(folder.iterdir())
    with contextlib.suppress(UnsafeArchiveError, OSError):
        unpack(archive, folder / "to", prefix="", limit_bytes=1000)
    assert set(folder.iterdir()) - before <= {folder / "to"}
