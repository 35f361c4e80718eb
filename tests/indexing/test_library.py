import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from indexing_doubles import TinyEmbedder

from indexing.errors import LibraryInUseError, LibraryMismatchError, StoreError
from indexing.library import FORMAT, Library, LibraryNotFoundError, LibraryRecord


def make(folder: Path, **more: str) -> Library:
    return Library.open(folder, **{"kit": "pocket", "embedder_name": "pocket-1", **more}, create=True)


def test_a_new_library_says_what_built_it(tmp_path: Path) -> None:
    make(tmp_path / "deep" / "library").close()
    record = LibraryRecord.read(tmp_path / "deep" / "library")
    assert record is not None
    assert (record.format, record.kit, record.embedder) == (FORMAT, "pocket", "pocket-1")
    assert record.collection.startswith("llavero_")


def test_two_libraries_have_collections_of_their_own(tmp_path: Path) -> None:
    with make(tmp_path / "a") as first, make(tmp_path / "b") as second:
        assert first.record.collection != second.record.collection


def test_a_person_s_own_settings_stay_as_they_are(tmp_path: Path) -> None:
    own = "# mine\nmilvus_uri = 'http://x:1'\n\n[generator]\nurl = 'http://y/v1'"
    (tmp_path / "llavero.toml").write_text(own)
    make(tmp_path).close()
    text = (tmp_path / "llavero.toml").read_text()
    assert text.startswith(own)
    assert tomllib.loads(text)["generator"]["url"] == "http://y/v1"
    make(tmp_path).close()
    assert (tmp_path / "llavero.toml").read_text() == text


def test_a_library_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFoundError, match="there is no library in"):
        Library.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_library_of_another_kit_or_embedder_is_refused_before_any_work(tmp_path: Path) -> None:
    make(tmp_path).close()
    with pytest.raises(LibraryMismatchError, match="built with the kit 'pocket', not with the kit 'gpu'"):
        make(tmp_path, kit="gpu")
    with pytest.raises(LibraryMismatchError, match="the embedder 'pocket-1', not with 'pocket-2'"):
        make(tmp_path, embedder_name="pocket-2")
    make(tmp_path).close()  # the refusals left it unlocked


def test_a_library_of_another_format_is_refused(tmp_path: Path) -> None:
    make(tmp_path).close()
    file = tmp_path / "llavero.toml"
    file.write_text(file.read_text().replace(f"format = {FORMAT}", "format = 99"))
    with pytest.raises(LibraryMismatchError, match="library format 99, not with format 1"):
        make(tmp_path)


def test_the_first_embedder_settles_the_library_and_another_is_refused(tmp_path: Path) -> None:
    own = "milvus_uri = 'http://x:1'\n\n[generator]\nurl = 'http://y/v1'\n"
    (tmp_path / "llavero.toml").write_text(own)
    with Library.open(tmp_path, kit="pocket", create=True) as library:
        library.settle(TinyEmbedder())
        library.settle(TinyEmbedder())
        other = TinyEmbedder()
        other.name = "tiny-2"
        with pytest.raises(LibraryMismatchError, match="the embedder 'tiny-1', not with 'tiny-2'"):
            library.settle(other)
        with pytest.raises(LibraryMismatchError, match="the embedder 'tiny-1', not with 'tiny-2'"):
            library.expect("tiny-2")
        library.expect("tiny-1")
    record = LibraryRecord.read(tmp_path)
    assert record is not None
    assert (record.embedder, record.clip_dimensions, record.text_dimensions) == ("tiny-1", 6, 16)
    text = (tmp_path / "llavero.toml").read_text()
    assert text.startswith(own.rstrip())
    assert text.count("[library]") == 1
    assert tomllib.loads(text)["milvus_uri"] == "http://x:1"


def test_a_section_of_the_person_s_below_ours_stays(tmp_path: Path) -> None:
    make(tmp_path).close()
    with (tmp_path / "llavero.toml").open("a") as file:
        file.write("\n[generator]\nurl = 'http://y/v1'\n")
    with Library.open(tmp_path) as library:
        embedder = TinyEmbedder()
        embedder.name = "pocket-1"
        library.settle(embedder)
    table = tomllib.loads((tmp_path / "llavero.toml").read_text())
    assert table["generator"] == {"url": "http://y/v1"}
    assert table["library"]["clip_dimensions"] == 6


def test_without_a_kit_it_opens_whatever_built_it(tmp_path: Path) -> None:
    make(tmp_path).close()
    with Library.open(tmp_path) as library:
        assert library.record.kit == "pocket"


def test_the_holder_of_a_locked_library_is_named(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom indexing.library import Library\n"
        "sys.argv = ['/usr/bin/llavero', 'ui', '--secret', 'x']\n"
        "kept = Library.open(Path(sys.stdin.readline().strip()))\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    make(tmp_path).close()
    other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(f"{tmp_path}\n")
        other.stdin.flush()
        assert other.stdout.readline() == "open\n"
        with pytest.raises(LibraryInUseError) as caught:
            Library.open(tmp_path)
        assert f"is open in llavero ui (process {other.pid})" in str(caught.value)
        other.kill()
    Library.open(tmp_path).close()  # the lock died with its holder


def test_a_library_cannot_be_opened_twice_by_one_process_either(tmp_path: Path) -> None:
    with make(tmp_path), pytest.raises(LibraryInUseError, match=f"process {os.getpid()}"):
        Library.open(tmp_path)


def test_a_folder_of_other_files_does_not_become_a_library_by_mistake(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"is no library and not empty: it holds 'photo\.jpg'"):
        make(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_file_in_the_place_of_the_library_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "library").write_text("x")
    with pytest.raises(StoreError, match="cannot be written"):
        make(tmp_path / "library")


@pytest.mark.parametrize("text", ["[library", "[library]\nkit = 'pocket'", "[library]\nformat = 'x'\nkit='a'"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "llavero.toml").write_text(text)
    with pytest.raises(StoreError, match=r"llavero\.toml"):
        Library.open(tmp_path)


def test_pictures_are_kept_and_dropped(tmp_path: Path) -> None:
    with make(tmp_path) as library:
        for content_hash, names in (("h1", ["thumb.jpg"]), ("h2", ["thumb.jpg", "page-0001.jpg"]), ("h3", [])):
            spooled = library.spool / content_hash
            spooled.mkdir(parents=True)
            for name in names:
                (spooled / name).write_text(name)
            library.keep_pictures(spooled, content_hash)
        assert library.pictured() == {"h1", "h2"}
        assert (tmp_path / "thumbs/h1.jpg").read_text() == "thumb.jpg"
        assert (tmp_path / "pages/h2/page-0001.jpg").exists()
        assert not (tmp_path / "pages/h1").exists()
        assert list(library.spool.iterdir()) == []
        library.drop_pictures("h2")
        library.drop_pictures("never there")
        assert library.pictured() == {"h1"}


def test_size_is_what_lies_in_the_folder(tmp_path: Path) -> None:
    with make(tmp_path) as library:
        before = library.size_bytes()
        (library.pages / "h").mkdir()
        (library.pages / "h/page-0001.jpg").write_bytes(bytes(1234))
        assert library.size_bytes() == before + 1234
