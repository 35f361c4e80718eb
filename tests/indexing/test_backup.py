import io
import os
import tarfile
from pathlib import Path

import pytest
from indexing_doubles import PlainReader, TinyEmbedder, make_files, open_library

from indexing.backup import BackupError, read_backup, write_backup
from indexing.library import Library, compare
from indexing.pipeline import index
from indexing.store import MilvusStore


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Path]:
    """(a library's folder, its backup)."""
    embedder, folder = TinyEmbedder(), tmp_path / "library"
    make_files(tmp_path / "files", pictures=3, texts=3)
    library, store = open_library(folder, embedder)
    index(
        [tmp_path / "files"], library=library, store=store, embedder=embedder,
        readers=lambda: PlainReader(library.spool),
    )  # fmt: skip
    (folder / "link").symlink_to("/etc/hostname")
    target = tmp_path / "library.tar"
    assert write_backup(library, store, target) > 5
    store.close()
    library.close()
    return folder, target


def test_a_restored_library_is_the_one_that_was_saved(saved: tuple[Path, Path], tmp_path: Path) -> None:
    _, target = saved
    counted: list[int] = []
    files = read_backup(target, tmp_path / "again", on_file=counted.append)
    assert counted[-1] == files and not (tmp_path / "again" / "link").exists()
    embedder = TinyEmbedder()
    with Library.open(tmp_path / "again", kit="tests") as library:
        store = MilvusStore.open(
            library.milvus, collection="llavero", clip_dimensions=embedder.clip_dimensions,
            text_dimensions=embedder.text_dimensions,
        )  # fmt: skip
        found = compare(library, store)
        assert found.agrees and store.count() == library.ledger.rows() > 5
        (hit, *_) = store.search_vector("text", embedder.embed_questions(["page 1"])[0], limit=1)
        assert (library.folder / hit[0].image).is_file()
        store.close()


def test_an_existing_file_or_folder_is_never_replaced(saved: tuple[Path, Path], tmp_path: Path) -> None:
    folder, target = saved
    library, store = open_library(folder, TinyEmbedder())
    before = target.read_bytes()
    with pytest.raises(BackupError, match="there already"):
        write_backup(library, store, target)
    store.close()
    library.close()
    assert target.read_bytes() == before
    with pytest.raises(BackupError, match="not empty"):
        read_backup(target, folder)


@pytest.mark.parametrize("damage", ["cut", "changed", "no tar", "without its list"])
def test_a_damaged_backup_leaves_nothing_behind(saved: tuple[Path, Path], tmp_path: Path, damage: str) -> None:
    _, target = saved
    data = bytearray(target.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "changed":
        with tarfile.open(target) as archive:
            member = max(archive, key=lambda each: each.size)
        data[member.offset_data + member.size // 2] ^= 0xFF
    elif damage == "no tar":
        data = bytearray(os.urandom(5000))
    else:
        with tarfile.open(target) as archive:
            del data[archive.getmember("llavero-backup.json").offset :]
    broken = tmp_path / "broken.tar"
    broken.write_bytes(data)
    with pytest.raises(BackupError, match=r"damaged|no backup"):
        read_backup(broken, tmp_path / "new" / "library")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", "a"])
def test_a_member_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        info = tarfile.TarInfo(name)
        if name == "a":
            info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            archive.addfile(info)
        else:
            info.size = 2
            archive.addfile(info, io.BytesIO(b"hi"))
    with pytest.raises(BackupError, match="cannot be a file"):
        read_backup(tmp_path / "bad.tar", tmp_path / "new" / "library")
    assert not (tmp_path / "out").exists() and not (tmp_path / "new" / "out").exists()


def test_a_full_disk_leaves_no_half_backup(
    saved: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = saved
    library, store = open_library(folder, TinyEmbedder())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(OSError, match="No space"):
        write_backup(library, store, tmp_path / "second.tar")
    store.close()
    library.close()
    assert [each.name for each in tmp_path.iterdir() if "second" in each.name] == []
