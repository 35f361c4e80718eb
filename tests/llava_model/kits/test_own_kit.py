"""A kit is one file in a folder that a user names: docs/howto/add-a-kit.md, followed to the letter."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llava_model.kits import KitError, available, find, install, verify
from llava_model.kits.errors import KitDefinitionError
from llava_model.serving.engine import Turn
from llava_model.serving.opening import open_engine

PAGE = (Path(__file__).parents[3] / "docs" / "howto" / "add-a-kit.md").read_text("utf-8")


@pytest.fixture
def own_kits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the page's kit, and a home where nothing is installed."""
    (file,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    folder = tmp_path / "my-kits"
    folder.mkdir()
    (folder / "small-writer.toml").write_text(file)
    monkeypatch.setenv("LLAVERO_KITS", str(folder))
    monkeypatch.setenv("LLAVERO_HOME", str(tmp_path / "home"))
    return folder


@pytest.mark.usefixtures("own_kits")
def test_a_kit_in_a_users_folder_stands_beside_ours() -> None:
    assert {"pocket", "laptop", "small-writer"} <= {kit.name for kit in available()}
    assert find("small-writer").component("language").format == "causal-lm"


@pytest.mark.usefixtures("own_kits")
def test_it_is_installed_from_a_folder_and_answers(save_parrot: Callable[..., Any], tmp_path: Path) -> None:
    save_parrot(tmp_path / "downloaded" / "language", "fox jumps")
    install(find("small-writer"), source=tmp_path / "downloaded")
    assert verify(find("small-writer")) == ()
    engine = open_engine(kit="small-writer", device="cpu")
    assert engine.name == "small-writer"
    assert "".join(engine.stream([Turn(role="user", text="Hi")], max_new_tokens=20)) == "fox jumps"


def test_without_the_variable_there_are_only_our_kits(own_kits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLAVERO_KITS")
    with pytest.raises(KitError, match="no kit named 'small-writer'"):
        find("small-writer")


def test_a_name_of_ours_is_refused(own_kits: Path) -> None:
    (own_kits / "small-writer.toml").rename(own_kits / "pocket.toml")
    with pytest.raises(KitDefinitionError, match="there is a kit 'pocket' already"):
        find("pocket")


def test_a_folder_that_is_not_there_is_named(own_kits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAVERO_KITS", str(own_kits / "nowhere"))
    with pytest.raises(KitDefinitionError, match=r"nowhere: LLAVERO_KITS names it, and it is no folder"):
        available()
