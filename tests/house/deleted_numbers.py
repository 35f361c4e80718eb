"""Which numbers of a package does no test notice? Run by hand: `python tests/house/deleted_numbers.py rag/settings.py`.

Each number of the files (not 0, 1 and -1, nor places in a sequence) is doubled by itself, and the tests of the package
run until one fails. What none notices is printed: it wants a test that says why it is so, or is not needed. A number
that makes the tests hang is noticed.

The libraries are loaded once and every run is a fork, so a number takes seconds. `--lines 40 90` looks at a part of a
file. Needs a system that forks.
"""

import argparse
import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import signal
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
_PLAIN = (0, 1)
_LONGEST_SECONDS = 240
_LOADED_ONCE = ("hypothesis", "langchain_openai", "langchain.agents", "safetensors.torch", "torch", "transformers")


def numbers_of(source: str) -> Iterator[ast.Constant]:
    """Numbers that somebody chose, in the order in which they stand."""
    tree = ast.parse(source)
    places = (node.slice for node in ast.walk(tree) if isinstance(node, ast.Subscript))
    left_out = {id(inner) for place in places for inner in ast.walk(place)}
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value not in _PLAIN
        if id(node) not in left_out
    ]
    yield from sorted(found, key=lambda node: (node.lineno, node.col_offset))


def doubled(source: str, number: ast.Constant) -> str:
    """The source with this number doubled."""
    lines = source.encode().splitlines(keepends=True)
    line = lines[number.lineno - 1]
    twice = repr(number.value * 2).encode()
    lines[number.lineno - 1] = line[: number.col_offset] + twice + line[number.end_col_offset :]
    return b"".join(lines).decode()


class _Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from a source that stands in no file."""

    def __init__(self, name: str, file: Path, source: str) -> None:
        self._name, self._file, self._source = name, file, source

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._file, loader=self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, str(self._file), "exec"), module.__dict__)


def is_noticed(file: Path, source: str, tests: Sequence[Sequence[str]], packages: Sequence[str]) -> bool:
    """Whether a test of these groups fails, in a process of its own, when the module has this source."""
    child = os.fork()
    if not child:
        for name in [each for each in sys.modules if each.partition(".")[0] in packages]:
            del sys.modules[name]
        signal.alarm(_LONGEST_SECONDS)
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        sys.meta_path.insert(0, _Instead(name, file, source))
        code = 1
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                runs = (
                    pytest.main(["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", *group])
                    for group in tests
                    if group
                )
                code = int(next((run for run in runs if run), pytest.ExitCode.OK))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def tests_of(file: Path) -> list[list[str]]:
    """The tests that bear the module's name, and the others of its package."""
    folder = ROOT / "tests" / file.relative_to(ROOT).parts[0]
    found = [str(test) for test in sorted(folder.rglob("test_*.py"))]
    own = [test for test in found if file.stem in Path(test).stem]
    return [own, [test for test in found if test not in own]]


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--lines", nargs=2, type=int, default=(1, sys.maxsize), metavar=("FIRST", "LAST"))
    given = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "root_packages"
    ]
    for name in _LOADED_ONCE:
        importlib.import_module(name)
    unnoticed = 0
    for file in (each.absolute() for each in given.files):
        source, tests = file.read_text(encoding="utf-8"), tests_of(file)
        if is_noticed(file, source, tests, packages):
            parser.error(f"the tests of {file.relative_to(ROOT)} fail as it is")
        for number in numbers_of(source):
            if not given.lines[0] <= number.lineno <= given.lines[1]:
                continue
            if not is_noticed(file, doubled(source, number), tests, packages):
                unnoticed += 1
                line = source.splitlines()[number.lineno - 1].strip()
                _tell(f"{file.relative_to(ROOT)}:{number.lineno}: {number.value}   {line}")
    _tell(f"{unnoticed} numbers that no test notices")


if __name__ == "__main__":
    main()
