"""Embedders are found by the format that they load; docs/howto/add-an-embedder.md, followed to the letter."""

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedding_doubles import save_sentence_encoder
from PIL import Image

import indexing.embedding
from indexing.embedding.protocol import UnknownFormatError
from indexing.embedding.registry import KitParts, load_embedder, name_before_loading
from llava_model.kits import find, install
from rag.retrieve import SearchRequest
from ui.settings import Settings
from ui.workbench import Workbench

STEPS = (Path(__file__).parents[3] / "docs" / "howto" / "add-an-embedder.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", STEPS, re.DOTALL)
(TOML,) = re.findall(r"```toml\n(.*?)```", STEPS, re.DOTALL)


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's embedder in a folder of its own, where the package looks as well."""
    folder = tmp_path / "more embedders"
    folder.mkdir()
    (folder / "colours.py").write_text(PYTHON[0])
    monkeypatch.setattr(indexing.embedding, "__path__", [*indexing.embedding.__path__, str(folder)])
    yield
    sys.modules.pop("indexing.embedding.colours", None)
    vars(indexing.embedding).pop("colours", None)


@pytest.mark.usefixtures("colours")
def test_a_kit_with_a_new_embedder_indexes_and_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("my-kits", "weights", "pictures"):
        (tmp_path / folder).mkdir()
    (tmp_path / "my-kits" / "colours.toml").write_text(TOML)
    monkeypatch.setenv("LLAVERO_KITS", str(tmp_path / "my-kits"))
    monkeypatch.setenv("LLAVERO_HOME", str(tmp_path / "home"))
    for component in ("vision", "text"):
        save_sentence_encoder(tmp_path / "weights" / component)
    install(find("colours"), source=tmp_path / "weights")
    for name, colour in (("one", "red"), ("two", "blue")):
        Image.new("RGB", (40, 40), colour).save(tmp_path / "pictures" / f"{name}.png")
    bench = Workbench.open(Settings(library=tmp_path / "library", kit="colours", device="cpu"), create=True)
    try:
        assert bench.index([tmp_path / "pictures"]).added == 2
        assert bench.stats().embedder == "colours-1"
        assert bench.search(SearchRequest(text="red")).hits[0].chunk.path.endswith("one.png")
    finally:
        bench.close()


@pytest.mark.usefixtures("colours")
def test_the_test_that_goes_with_a_new_embedder_passes(tmp_path: Path) -> None:
    file = tmp_path / "test_colours.py"
    file.write_text(PYTHON[1])
    runpy.run_path(str(file))["test_a_picture_is_found_by_the_name_of_its_colour"](tmp_path)


def test_a_format_that_nobody_loads_is_named_with_those_that_somebody_does(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="'paint'") as caught:
        load_embedder("paint", KitParts(vision=tmp_path, text=tmp_path), device="cpu")
    assert caught.value.__notes__ == ["Formats: open_clip, timm"]


def test_the_pocket_embedder_has_its_name_before_it_is_loaded_and_open_clips_has_not(tmp_path: Path) -> None:
    parts = KitParts(vision=tmp_path, text=tmp_path)
    assert (name_before_loading("timm", parts), name_before_loading("open_clip", parts)) == ("pocket-1", None)
