"""Checkpoint folders: whole or not there, whatever happens while they are written."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from llava_model.checkpoints.manifest import (
    MANIFEST_FILE,
    Manifest,
    base_of,
    fingerprint_of,
    git_hash,
    latest,
    read_manifest,
    writing,
)
from llava_model.errors import (
    CheckpointMismatchError,
    CheckpointWriteError,
    IncompleteCheckpointError,
    MissingFileError,
    UnknownTemplateError,
)


def _manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "stage": "align", "step": 7, "seed": 3, "config": {"learning_rate": 1e-3}, "llava": {}, "git_hash": "abc",
        "data_fingerprint": "d", "base": {},
    }  # fmt: skip
    return Manifest(**(values | changes))


def _save(folder: Path, text: str = "new", **changes: Any) -> None:
    with writing(folder, _manifest(**changes)) as unfinished:
        (unfinished / "adapter").mkdir()
        (unfinished / "adapter" / "weights").write_text(text)
        (unfinished / "projector").write_text(text)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_was_written_is_read_back_with_the_checksum_of_every_file(tmp_path: Path) -> None:
    _save(tmp_path / "run" / "checkpoint-000007")
    back = read_manifest(tmp_path / "run" / "checkpoint-000007")
    assert asdict(back) | {"files": {}, "created": ""} == asdict(_manifest())
    assert set(back.files) == {"adapter/weights", "projector"}
    assert back.created.endswith("+00:00")
    assert _names(tmp_path / "run") == {"checkpoint-000007"}


def test_the_manifest_is_the_last_file_to_appear(tmp_path: Path) -> None:
    with writing(tmp_path / "c", _manifest()) as unfinished:
        (unfinished / "weights").write_text("x")
        assert unfinished.parent == tmp_path and unfinished.name.startswith(".c.")
        assert not (tmp_path / "c").exists() and not (unfinished / MANIFEST_FILE).exists()
    assert (tmp_path / "c" / MANIFEST_FILE).stat().st_mtime_ns >= (tmp_path / "c" / "weights").stat().st_mtime_ns


def test_a_newer_checkpoint_of_the_same_name_replaces_the_older_one_completely(tmp_path: Path) -> None:
    with writing(tmp_path / "c", _manifest()) as unfinished:
        (unfinished / "only in the old one").write_text("x")
    _save(tmp_path / "c", "newer", step=8)
    assert read_manifest(tmp_path / "c").step == 8
    assert _names(tmp_path / "c") == {"adapter", "projector", MANIFEST_FILE}
    assert _names(tmp_path) == {"c"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (RuntimeError("PytorchStreamWriter failed writing file data.pkl"), "PytorchStreamWriter failed"),
    ],
)
def test_an_error_while_writing_names_the_reason_and_keeps_the_old_checkpoint(
    error: Exception, words: str, tmp_path: Path
) -> None:
    _save(tmp_path / "c", "old")
    with (
        pytest.raises(CheckpointWriteError, match=words) as caught,
        writing(tmp_path / "c", _manifest(step=8)) as unfinished,
    ):
        (unfinished / "projector").write_text("half")
        raise error
    assert caught.value.__cause__ is error
    assert read_manifest(tmp_path / "c").step == 7
    assert _names(tmp_path) == {"c"}


def test_errors_with_words_of_their_own_and_interrupts_pass_and_leave_nothing(tmp_path: Path) -> None:
    for error in (UnknownTemplateError("x", ()), KeyboardInterrupt()):
        with pytest.raises(type(error)), writing(tmp_path / "c", _manifest()):
            raise error
    assert _names(tmp_path) == set()


def test_a_configuration_that_json_cannot_hold_is_refused_before_anything_is_replaced(tmp_path: Path) -> None:
    _save(tmp_path / "c", "old")
    with pytest.raises(CheckpointWriteError, match="JSON"):
        _save(tmp_path / "c", config={"learning_rate": float("nan")})
    assert read_manifest(tmp_path / "c").step == 7


def test_a_folder_that_is_no_checkpoint_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _save(tmp_path / "empty")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "only.jpg").write_text("x")
    with pytest.raises(CheckpointWriteError, match="something else is there"):
        _save(tmp_path / "photos")
    assert _names(tmp_path) == {"empty", "photos"} and _names(tmp_path / "photos") == {"only.jpg"}


def _on_a_disk_of(megabytes: int, folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a mount namespace of its own, with a small file system at `folder`."""
    mount = f"mount -t tmpfs -o size={megabytes}m none '{folder}' && exec '{sys.executable}' -c \"$SCRIPT\" '{folder}'"
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", mount],
        env=os.environ | {"SCRIPT": textwrap.dedent(script)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        import torch
        from safetensors.torch import save_file
        from llava_model.errors import CheckpointWriteError
        from llava_model.checkpoints.manifest import Manifest, read_manifest, writing

        folder = Path(sys.argv[1]) / "checkpoint"
        def save(step, megabytes):
            manifest = Manifest(stage="align", step=step, seed=0, config={}, llava={}, data_fingerprint="",
                                git_hash="", base={})
            with writing(folder, manifest) as unfinished:
                save_file({"w": torch.zeros(megabytes << 18)}, unfinished / "w.safetensors")
        save(1, 2)
        try:
            save(2, 8)
        except CheckpointWriteError as error:
            print(read_manifest(folder).step, len(list(folder.parent.iterdir())), "No space left" in str(error))
    """
    done = _on_a_disk_of(6, tmp_path, script)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no small disk can be made here: {done.stderr.strip()}")
    assert done.stdout.split() == ["1", "1", "True"], done.stderr


def _killed_while_writing(folder: Path) -> None:
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from llava_model.checkpoints.manifest import Manifest, writing
        manifest = Manifest(stage="x", step=9, seed=0, config={}, llava={}, data_fingerprint="", git_hash="", base={})
        with writing(Path(sys.argv[1]), manifest) as unfinished:
            (unfinished / "projector").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", script, folder], check=False).returncode == -signal.SIGKILL


def test_a_killed_writer_leaves_the_old_checkpoint_and_the_next_writer_sweeps_up(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-000007"
    _save(folder, "old")
    _killed_while_writing(folder)
    assert len(_names(tmp_path)) == 2
    assert latest(tmp_path) == folder and read_manifest(folder).step == 7
    _save(folder, "new", step=10)
    assert read_manifest(folder).step == 10
    assert _names(tmp_path) == {folder.name}


def test_a_second_writer_of_the_same_name_does_not_sweep_away_the_first(tmp_path: Path) -> None:
    with writing(tmp_path / "c", _manifest(step=1)) as first:
        (first / "projector").write_text("first")
        _save(tmp_path / "c", "second", step=2)
        assert (first / "projector").read_text() == "first"
    assert read_manifest(tmp_path / "c").step == 1, "the last to finish has the name"
    assert _names(tmp_path) == {"c"}


def test_a_process_killed_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-000007"
    _save(folder, "old")
    folder.rename(tmp_path / ".checkpoint-000007.previous")
    assert latest(tmp_path) == folder
    assert read_manifest(folder).step == 7


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / MANIFEST_FILE).unlink(), "there is no manifest.json"),
        (lambda folder: (folder / MANIFEST_FILE).write_text('{"format": "llavero-che'), "manifest.json is damaged"),
        (lambda folder: (folder / "projector").unlink(), "projector is missing"),
        (lambda folder: (folder / "projector").write_text("longer"), "projector has 6 bytes instead of 3"),
        (lambda folder: (folder / "adapter" / "weights").write_text("NEW"), "adapter/weights has the right size"),
    ],
    ids=["no manifest", "cut manifest", "missing", "size", "contents"],
)
def test_a_damaged_checkpoint_is_refused_by_the_name_of_the_file(
    damage: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    _save(tmp_path / "c")
    damage(tmp_path / "c")
    with pytest.raises(IncompleteCheckpointError, match=words):
        read_manifest(tmp_path / "c")


def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    _save(tmp_path / "c")
    (tmp_path / "secret").write_text("x")
    values = json.loads((tmp_path / "c" / MANIFEST_FILE).read_text())
    for name in ("../secret", str(tmp_path / "secret")):
        values["files"] = {name: {"size": 1, "sha256": "0"}}
        (tmp_path / "c" / MANIFEST_FILE).write_text(json.dumps(values))
        with pytest.raises(IncompleteCheckpointError, match="secret is missing"):
            read_manifest(tmp_path / "c")


def test_a_layout_of_another_version_is_refused_with_both_names(tmp_path: Path) -> None:
    _save(tmp_path / "c", format="llavero-checkpoint-99")
    with pytest.raises(CheckpointMismatchError, match=r"llavero-checkpoint-99.*llavero-checkpoint-1"):
        read_manifest(tmp_path / "c")


def test_the_latest_checkpoint_is_the_highest_complete_step(tmp_path: Path) -> None:
    assert latest(tmp_path / "nowhere") is None
    for step in (2, 999_999, 1_000_000):
        _save(tmp_path / f"checkpoint-{step:06d}")
    (tmp_path / "checkpoint-2000000").mkdir()
    (tmp_path / "checkpoint-best").mkdir()
    assert latest(tmp_path) == tmp_path / "checkpoint-1000000"
    (tmp_path / "checkpoint-1000000" / "projector").write_text("cut")
    (tmp_path / "checkpoint-1000000" / "projector").write_text("")
    assert latest(tmp_path) == tmp_path / "checkpoint-999999"


def test_a_fingerprint_follows_the_tensors_and_not_the_files(tmp_path: Path) -> None:
    weights = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}
    for folder in ("one", "two", "changed", "empty"):
        (tmp_path / folder).mkdir()
    save_file(weights, tmp_path / "one" / "model.safetensors", metadata={"format": "pt"})
    for name, tensor in weights.items():
        save_file({name: tensor}, tmp_path / "two" / f"part-{name}.safetensors")
    save_file(weights | {"b": weights["b"] * 2}, tmp_path / "changed" / "model.safetensors")
    assert fingerprint_of(tmp_path / "one") == fingerprint_of(tmp_path / "two")
    assert fingerprint_of(tmp_path / "one") != fingerprint_of(tmp_path / "changed")
    with pytest.raises(MissingFileError):
        fingerprint_of(tmp_path / "empty")


def test_a_file_that_is_no_safetensors_has_no_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"PK\x03\x04 not at all")
    with pytest.raises(CheckpointMismatchError, match="no safetensors header"):
        fingerprint_of(tmp_path)


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_a_model_has_the_fingerprint_of_the_folder_it_was_saved_to(
    tied: bool, make_foreign: Callable[..., Any], tmp_path: Path
) -> None:
    model = make_foreign(tied=tied)
    language = model.model.language_model
    language.save_pretrained(tmp_path)
    assert fingerprint_of(language) == fingerprint_of(tmp_path)


def test_the_base_names_the_folders_and_what_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "SmolLM2").mkdir()
    save_file({"a": torch.ones(2)}, tmp_path / "SmolLM2" / "model.safetensors")
    base = base_of(language=tmp_path / "SmolLM2", vision=None)
    assert base == {"language": {"name": "SmolLM2", "fingerprint": fingerprint_of(tmp_path / "SmolLM2")}}


def test_the_git_hash_is_empty_outside_a_checkout_and_marks_changes_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llava_model.checkpoints import manifest

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        done = subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    source = tmp_path / "manifest.py"
    source.write_text("1")
    monkeypatch.setattr(manifest, "__file__", str(source))
    assert git_hash() == ""
    git("init", "-q")
    assert git_hash() == "", "the file lies in a repository that does not know it"
    git("add", ".")
    git("commit", "-qm", "x")
    assert git_hash() == git("rev-parse", "HEAD")
    source.write_text("2")
    assert git_hash() == git("rev-parse", "HEAD") + "+dirty"
