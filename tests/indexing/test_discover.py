import hashlib
import os
from pathlib import Path

import pytest

from indexing.discover import Failure, Seen, absolute, content_hash, discover, look_again, source_of


def names(found: list[Seen | Failure], root: Path) -> list[str]:
    return [str(Path(each.path).relative_to(root)) for each in found]


def make(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(file)


def test_every_file_is_seen_once_in_the_order_of_names(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a.txt", "z/1", "m/n/2", "m/1")
    found = list(discover([tmp_path, tmp_path / "a.txt", f"{tmp_path}/m/../b.txt"]))
    assert names(found, tmp_path) == ["a.txt", "b.txt", "m/1", "m/n/2", "z/1"]


def test_a_file_that_changed_since_the_walk_is_seen_as_it_is_now(tmp_path: Path) -> None:
    make(tmp_path, "a.txt")
    (seen,) = discover([tmp_path])
    assert isinstance(seen, Seen)
    (tmp_path / "a.txt").write_text("longer than before")
    assert look_again(seen).size_bytes == 18
    (tmp_path / "a.txt").unlink()
    with pytest.raises(FileNotFoundError):
        look_again(seen)


def test_hidden_files_and_folders_are_left_out_unless_they_are_named(tmp_path: Path) -> None:
    make(tmp_path, ".hidden", ".git/config", "seen", "sub/.DS_Store")
    assert names(list(discover([tmp_path])), tmp_path) == ["seen"]
    assert names(list(discover([tmp_path / ".hidden", tmp_path / ".git"])), tmp_path) == [".hidden", ".git/config"]


def test_the_library_is_left_out_also_when_it_is_reached_by_a_link(tmp_path: Path) -> None:
    make(tmp_path, "library/pages/x.jpg", "photos/a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "library")
    assert names(list(discover([tmp_path], skip=[tmp_path / "library"])), tmp_path) == ["photos/a.jpg"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    make(tmp_path, "a/file")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a")
    assert names(list(discover([tmp_path])), tmp_path) == ["a/file"]


def test_a_file_in_a_linked_folder_is_listed_where_it_really_lies_and_once(tmp_path: Path) -> None:
    make(tmp_path, "2024/gate.jpg", "2024/deep/x.jpg")
    (tmp_path / "1-favourites").symlink_to("2024")
    (tmp_path / "0-deep").symlink_to("2024/deep")
    assert names(list(discover([tmp_path])), tmp_path) == ["2024/gate.jpg", "2024/deep/x.jpg"]


def test_a_linked_folder_whose_real_place_is_hidden_is_listed_under_the_link(tmp_path: Path) -> None:
    make(tmp_path, ".store/a.jpg", "b.jpg")
    (tmp_path / "photos").symlink_to(".store")
    assert names(list(discover([tmp_path])), tmp_path) == ["b.jpg", "photos/a.jpg"]


def test_a_link_out_of_the_named_folder_is_followed_only_when_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "named/a.txt", "elsewhere/b.txt", "elsewhere/deep/c.txt")
    (tmp_path / "named/out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "named/b.txt").symlink_to(tmp_path / "elsewhere/b.txt")
    out: list[str] = []
    found = list(discover([tmp_path / "named"], on_link_out=out.append))
    assert names(found, tmp_path) == ["named/a.txt"]
    assert sorted(Path(each).name for each in out) == ["b.txt", "out"]
    found = list(discover([tmp_path / "named"], follow_links=True, on_link_out=out.append))
    assert names(found, tmp_path) == ["named/a.txt", "named/b.txt", "named/out/b.txt", "named/out/deep/c.txt"]
    assert len(out) == 2
    assert len(list(discover([tmp_path / "named", tmp_path / "elsewhere"], on_link_out=out.append))) == 4
    assert len(out) == 2


def test_a_link_that_a_person_names_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "real/a.txt", "real/sub/b.txt")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/again").symlink_to("sub")
    assert names(list(discover([tmp_path / "link"])), tmp_path) == ["link/a.txt", "link/sub/b.txt"]


def test_a_link_to_a_file_is_a_file_and_one_that_leads_nowhere_a_failure(tmp_path: Path) -> None:
    make(tmp_path, "file")
    (tmp_path / "good").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    dangling, *rest = discover([tmp_path])
    assert isinstance(dangling, Failure)
    assert dangling.reason == "a link that leads nowhere"
    assert names(rest, tmp_path) == ["file", "good"]


def test_pipes_and_devices_are_no_files(tmp_path: Path) -> None:
    make(tmp_path, "file")
    os.mkfifo(tmp_path / "pipe")
    assert names(list(discover([tmp_path])), tmp_path) == ["file"]
    (failure,) = discover([tmp_path / "pipe"])
    assert isinstance(failure, Failure)
    assert failure.reason == "it is neither a file nor a folder"


def test_a_folder_that_cannot_be_read_is_a_failure_and_the_rest_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "locked/secret", "open/file")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("indexing.discover.os.scandir", refuse)
    failure, seen = discover([tmp_path])
    assert isinstance(failure, Failure)
    assert failure.path.endswith("/locked")
    assert failure.reason == "the folder cannot be read: permission denied"
    assert seen.path.endswith("open/file")


def test_a_path_that_does_not_exist_is_a_failure(tmp_path: Path) -> None:
    (failure,) = discover([tmp_path / "nowhere"])
    assert failure == Failure(path=str(tmp_path / "nowhere"), reason="there is no such file or folder")


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    assert list(discover([tmp_path])) == []


def test_a_path_is_absolute_without_dots_and_links_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("/")
    monkeypatch.chdir(tmp_path)
    assert absolute("x/.././link/a") == f"{tmp_path}/link/a"


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "big").write_bytes(data)
    (seen,) = discover([tmp_path])
    assert isinstance(seen, Seen)
    assert source_of(seen).content_hash == content_hash(tmp_path / "big") == hashlib.sha256(data).hexdigest()
