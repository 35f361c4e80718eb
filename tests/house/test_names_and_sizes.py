"""The house as a reader meets it: one class name, one meaning; files that can be read in one go; few ignored rules."""

import ast
import io
import tokenize
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["root_packages"]
LONGEST_FILE = 450
MOST_IGNORES = 40

ROOMS = ("aggregation", "claims", "evaluation", "extraction", "rag", "training_data")
"""The packages between a library and its faces. Each is small enough to be read in an afternoon."""
MOST_FILES, MOST_LINES, MOST_PATTERNS = 16, 3000, 8
LONGEST_LIST_OF_WORDS = 7
"""What is longer is for some language: it belongs into a file of texts, or something that learned takes its place."""

DEFINED_TWICE: dict[str, str] = {}
"""Class names that stand for the same kind of thing in two packages, each with the reason why that is no confusion."""


def files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def places_of_classes() -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for file in files(*PACKAGES):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(file.relative_to(ROOT).as_posix())
    return places


def test_one_class_name_means_one_thing() -> None:
    twice = {name: found for name, found in places_of_classes().items() if len(found) > 1}
    assert {name: found for name, found in twice.items() if name not in DEFINED_TWICE} == {}
    assert set(DEFINED_TWICE) <= set(twice), "a reason is given for a name that stands once"


def test_no_file_is_too_long_to_be_read_in_one_go() -> None:
    long = {file.relative_to(ROOT).as_posix(): count for file in files(*PACKAGES, "recipes")
            if (count := len(file.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE}  # fmt: skip
    assert long == {}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_can_be_read_in_an_afternoon(room: str) -> None:
    sources = [file.read_text(encoding="utf-8") for file in files(room)]
    calls = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    patterns = [call for call in calls if ast.unparse(call.func).startswith("re.")]
    assert len(sources) <= MOST_FILES
    assert sum(len(source.splitlines()) for source in sources) <= MOST_LINES
    assert len(patterns) <= MOST_PATTERNS


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_has_a_list_of_words(room: str) -> None:
    for file in files(room):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        types = {id(node.slice) for node in ast.walk(tree) if isinstance(node, ast.Subscript)}  # Literal["a", "b"]
        for node in ast.walk(tree):
            if isinstance(node, ast.Tuple | ast.List | ast.Set) and id(node) not in types:
                words = [each for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)]
                assert len(words) <= LONGEST_LIST_OF_WORDS, f"{file.name}:{node.lineno}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split":
                assert not isinstance(node.func.value, ast.Constant), f"{file.name}:{node.lineno} is a list of words"


def test_few_rules_are_ignored_and_each_time_with_a_reason() -> None:
    found: list[str] = []
    for file in files(*PACKAGES, "recipes", "benchmarks", "examples", "docs", "tests"):
        for token in tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline):
            if token.type == tokenize.COMMENT and ("# noqa" in token.string or "# type: ignore" in token.string):
                place = f"{file.relative_to(ROOT).as_posix()}:{token.start[0]}"
                found.append(place)
                assert token.string.count("#") > 1, f"{place} says no reason"
    assert len(found) <= MOST_IGNORES, found
