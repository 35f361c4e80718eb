from pathlib import Path

import pytest

from llava_model.kits import (
    HubSource,
    KitNotFoundError,
    KitNotInstalledError,
    PackageSource,
    available,
    find,
    kits_home,
)
from llava_model.kits.definition import load
from llava_model.kits.errors import KitDefinitionError

HUB = """
name = "mine"
title = "t"
[[components]]
name = "vision"
format = "open_clip"
licence = "MIT"
size_bytes = 1
source = { repository = "a/b", revision = "REVISION", files = { "FILE" = "" } }
"""


def write(folder: Path, *, revision: str = "0" * 40, file: str = "model.safetensors", name: str = "mine") -> Path:
    path = folder / "mine.toml"
    text = HUB.replace("REVISION", revision).replace("FILE", file).replace('"mine"', f'"{name}"')
    path.write_text(text, encoding="utf-8")
    return path


def test_the_kits_are_known_smallest_first() -> None:
    assert [kit.name for kit in available()] == ["pocket", "small", "laptop", "gpu"]


def test_the_pocket_kit_needs_no_hub() -> None:
    assert all(isinstance(component.source, PackageSource) for component in find("pocket").components)
    assert [component.name for component in find("pocket").components] == ["vision", "text", "language"]


def test_every_hub_weight_is_pinned_or_says_that_it_is_not() -> None:
    """A commit is 40 hex digits; without one, no SHA-256 may pretend to know the files."""
    for kit in available():
        for source in (component.source for component in kit.components):
            if isinstance(source, HubSource):
                assert len(source.revision) == 40 or not any(source.files.values())


def test_an_unknown_kit_is_answered_with_those_there_are() -> None:
    with pytest.raises(KitNotFoundError, match="'pockets'") as failure:
        find("pockets")
    assert failure.value.known == ("gpu", "laptop", "pocket", "small")


def test_a_kit_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLAVERO_HOME", str(tmp_path))
    assert not find("pocket").is_installed()
    with pytest.raises(KitNotInstalledError) as failure:
        find("pocket").path("vision")
    assert "llavero kit install pocket" in failure.value.__notes__[0]


def test_the_folder_for_kits_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LLAVERO_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert kits_home() == tmp_path / "cache" / "llavero" / "kits"
    monkeypatch.setenv("LLAVERO_HOME", str(tmp_path / "here"))
    assert kits_home() == tmp_path / "here" / "kits"


@pytest.mark.parametrize("revision", ["main", "v1.0", "0" * 39, "../" + "0" * 40])
def test_a_revision_that_can_move_is_refused(tmp_path: Path, revision: str) -> None:
    with pytest.raises(KitDefinitionError, match="commit"):
        load(write(tmp_path, revision=revision))


@pytest.mark.parametrize("file", ["model.bin", "weights.pt", "model.py", "../x.json", "/etc/x.json", "*"])
def test_files_that_may_run_code_or_lead_elsewhere_are_refused(tmp_path: Path, file: str) -> None:
    with pytest.raises(KitDefinitionError, match="may run code or lead elsewhere"):
        load(write(tmp_path, file=file))


def test_a_kit_file_is_named_after_its_kit(tmp_path: Path) -> None:
    with pytest.raises(KitDefinitionError, match="other"):
        load(write(tmp_path, name="other"))


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().replace('licence = "MIT"', ""), encoding="utf-8")
    with pytest.raises(KitDefinitionError, match="licence"):
        load(path)


def test_the_pin_changes_with_what_is_installed_and_with_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path)
    before = load(path).components[0].pin
    path.write_text(path.read_text().replace('licence = "MIT"', 'licence = "CC0"'), encoding="utf-8")
    assert load(path).components[0].pin == before
    path.write_text(path.read_text().replace("0" * 40, "1" * 40), encoding="utf-8")
    assert load(path).components[0].pin != before
