"""Whatever the documentation names of ours exists. It reads the tree, so a moved file makes it fail."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OF_THE_PAST = ("LOG.md", "decisions/")
"""Pages that speak of their own day."""
HOW_TO_ADD = "howto/add-"
"""Pages whose readers make the files that they name; a test follows each of them."""
_OURS = "aggregation|claims|evaluation|extraction|indexing|llava_model|rag|training_data|ui"
_PATH = re.compile(rf"(?<![\w/.-])(?:{_OURS}|tests|benchmarks|recipes|examples|docker)/[\w./*-]*")
_DOTTED = re.compile(rf"(?<![\w/.-])(?:{_OURS})(?:\.[A-Za-z_]\w*)+")
_FILES = (".json", ".jsonl")
_FILE_IN_A_DIAGRAM = re.compile(r"[\w/]+\.py")


def missing_paths(text: str, root: Path = ROOT) -> list[str]:
    """Files and folders of ours that the text names and the tree does not have. What git is told to leave alone is made
    by whoever uses it."""
    named = {found.rstrip(".") for found in _PATH.findall(text)}
    made = tuple(
        line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line.startswith("docker/")
    )
    return sorted(path for path in named if not path.startswith(made) and not any(root.glob(path.rstrip("/"))))


def missing_modules(text: str, root: Path = ROOT) -> list[str]:
    """Dotted names of ours for which there is no module, and no such name in a module; `evaluation.jsonl` is a file."""
    named = {name for name in _DOTTED.findall(text) if not name.endswith(_FILES)}
    return sorted(name for name in named if not _is_there(name.split("."), root))


def _is_there(parts: list[str], root: Path) -> bool:
    for length in range(len(parts), 0, -1):
        path = root.joinpath(*parts[:length])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.is_file():
            return length == len(parts) or parts[length] in set(_names(file))
    return False


def _names(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from (alias.asname or alias.name for alias in node.names)
        else:
            yield from (each.id for each in ast.walk(node) if isinstance(each, ast.Name))


def of_today(pages: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in pages.items() if not name.startswith((*OF_THE_PAST, HOW_TO_ADD))}


def test_every_file_and_folder_that_a_page_names_exists(pages: dict[str, str]) -> None:
    missing = {name: missing_paths(text) for name, text in of_today(pages).items()}
    assert {name: paths for name, paths in missing.items() if paths} == {}


def test_every_module_that_a_page_names_exists(pages: dict[str, str]) -> None:
    missing = {name: missing_modules(text) for name, text in of_today(pages).items()}
    assert {name: modules for name, modules in missing.items() if modules} == {}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_pages_at_the_top_name_nothing_that_does_not_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert missing_paths(text) + missing_modules(text) == []


@pytest.mark.parametrize("name", ["indexing.svg", "answering.svg", "training.svg"])
def test_every_file_that_a_diagram_names_exists(name: str) -> None:
    named = _FILE_IN_A_DIAGRAM.findall((ROOT / "docs" / "diagrams" / name).read_text(encoding="utf-8"))
    assert named
    ours = [
        path.relative_to(ROOT).as_posix() for package in _OURS.split("|") for path in (ROOT / package).rglob("*.py")
    ]
    assert [each for each in named if not any(f"/{path}".endswith(f"/{each}") for path in ours)] == []


def test_every_row_of_who_owns_what_names_a_module(pages: dict[str, str]) -> None:
    section = pages["ARCHITECTURE.md"].partition("## Who owns what")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 15
    assert [row for row in rows if not _PATH.search(row)] == []


def test_a_name_that_does_not_exist_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "rag").mkdir()
    (tmp_path / "rag" / "__init__.py").touch()
    (tmp_path / "rag" / "fuse.py").write_text("def fuse(): ...\n", encoding="utf-8")
    text = "`rag/fuse.py`, `rag/`, `rag.fuse.fuse`; `rag/gone.py` and `rag.gone`, `rag.fuse.gone`; a/rag/other.py."
    assert missing_paths(text, tmp_path) == ["rag/gone.py"]
    assert missing_modules(text, tmp_path) == ["rag.fuse.gone", "rag.gone"]
