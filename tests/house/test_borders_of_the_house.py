"""What only some modules may do, read from the source: open a picture, start a program."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexing.readers import decoding
from llava_model import images

ROOT = Path(__file__).parents[2]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["root_packages"]
PICTURE_OPENERS = {"indexing/readers/decoding.py", "llava_model/images.py"}
"""One for each of the two packages that may not import each other."""
PROGRAM_STARTERS = {
    "indexing/workers/process.py": "the readers' worker processes",
    "indexing/workers/libreoffice.py": "a worker's LibreOffice, through confinement.py alone",
    "indexing/workers/confinement.py": "becomes the program that it confines",
    "llava_model/checkpoints/manifest.py": "git, for a checkpoint's own record",
    "llava_model/kits/fetch.py": "pip, for a kit's archives",
    "ui/launch.py": "the page's server",
}
STARTING = {"Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput"}
OS_STARTING = ("system", "popen", "exec", "spawn", "posix_spawn", "fork", "startfile")


def trees() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def opens_a_picture(name: str) -> bool:
    return name in ("Image.open", "PIL.Image.open", "ImageFile.Parser", "imread", "cv2.imread", "cv2.imdecode")


def starts_a_program(name: str) -> bool:
    module, _, function = name.rpartition(".")
    if module == "os":
        return function.startswith(OS_STARTING)
    return (module == "subprocess" and function in STARTING) or name in ("Popen", "pty.spawn")


def test_pictures_are_opened_in_two_modules_and_always_with_a_list_of_formats() -> None:
    found = [(file, call) for file, tree in trees() for name, call in calls(tree) if opens_a_picture(name)]
    assert {file for file, _ in found} == PICTURE_OPENERS
    for file, call in found:
        assert "formats" in {keyword.arg for keyword in call.keywords}, file


def test_pillow_is_never_imported_in_a_way_that_hides_an_open() -> None:
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "PIL.Image":
                assert "open" not in {name.name for name in node.names}, file


def test_the_readers_opener_knows_all_formats_of_the_model_s_opener() -> None:
    assert set(decoding.FORMATS) >= set(images.FORMATS)


def test_only_named_modules_start_programs() -> None:
    found = {file for file, tree in trees() for name, _ in calls(tree) if starts_a_program(name)}
    assert found == set(PROGRAM_STARTERS)


@pytest.mark.parametrize("name", ["os.execvp", "subprocess.run", "os.posix_spawn", "os.fork", "Popen"])
def test_the_look_for_programs_sees_them(name: str) -> None:
    assert starts_a_program(name)
