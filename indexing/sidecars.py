"""What persons write about a file into another one beside it; such files are read, and are no documents themselves.

    photo.jpg.meta.toml, photo.jpg.meta.json     about photo.jpg
    folder.meta.toml, folder.meta.json           about everything below their folder

The nearest one wins, key by key; where both forms lie side by side, TOML wins. What is wrong in one becomes a note of
its file, or of the first file that is met below its folder, and the rest of it counts.
"""

import json
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from indexing.addresses import is_address
from indexing.errors import pass_on, words_of
from indexing.facts import MOST_FACTS, NOTHING_SAID, Facts, FactsError, Said, facts_of
from indexing.records import Note

_ENDINGS = (".meta.json", ".meta.toml")  # the later one wins
_FOLDER = "folder"
_MOST_BYTES = 65_536


def is_sidecar(path: str) -> bool:
    """Whether it is about something that lies there; one that is about nothing is a file like any other."""
    about = "" if is_address(path) else _about(path)
    name = about.rpartition("/")[2]
    return name == _FOLDER or (bool(name) and os.path.lexists(about))


def _about(path: str) -> str:
    ending = next((each for each in _ENDINGS if path.endswith(each)), "")
    return path.removesuffix(ending) if ending else ""


class SaidFacts:
    """What is said of each file of one run: for the run (`given`), and beside the file."""

    def __init__(self, given: Facts, known: Mapping[str, Said]) -> None:
        self._given, self._known = given, known
        self._there: dict[str, frozenset[str]] = {}
        self._of_folder: dict[str, Facts] = {}
        self._untold: list[Note] = []

    def news_of(self, path: str) -> Said | None:
        """What is said of it now; None where that is what is known."""
        known = self._known.get(path, NOTHING_SAID)
        notes: list[Note] = []
        given = {key: values for key, values in {**known.given, **self._given}.items() if values}
        if sum(map(len, given.values())) > MOST_FACTS:
            notes.append(_note("", f"more than {MOST_FACTS} facts: those that were given with this run were left out"))
            given = dict(known.given)
        folder, _, name = path.rpartition("/")
        near = {} if is_address(path) else {**self._below(folder or "/"), **self._read(folder or "/", name, notes)}
        told, self._untold = [*notes, *self._untold], []
        said = Said(given=given, beside=near, notes=tuple(told))
        return None if said == known else said

    def _below(self, folder: str) -> Facts:
        if folder not in self._of_folder:
            parent = folder.rpartition("/")[0] or "/"
            above = self._below(parent) if parent != folder else {}
            self._of_folder[folder] = {**above, **self._read(folder, _FOLDER, self._untold)}
        return self._of_folder[folder]

    def _read(self, folder: str, name: str, notes: list[Note]) -> Facts:
        if folder not in self._there:
            self._there[folder] = _sidecars_in(folder)
        found: dict[str, tuple[str, ...]] = {}
        for file in (f"{name}{ending}" for ending in _ENDINGS):
            if file in self._there[folder]:
                facts, problems = read_sidecar(Path(folder, file))
                found |= facts
                notes += [_note(file, problem) for problem in problems]
        return found


def _sidecars_in(folder: str) -> frozenset[str]:
    try:
        return frozenset(name for name in os.listdir(folder) if name.endswith(_ENDINGS))  # noqa: PTH208  # strings
    except OSError as error:  # the walk says so
        pass_on(error)
        return frozenset()


def _note(file: str, problem: str) -> Note:
    return Note(f"'{file}': {problem}" if file else problem, kind="facts", place=file, unread=True)


def read_sidecar(file: Path) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Its facts, and what is wrong with the rest of it."""
    try:
        document = _document(file)
        if not isinstance(document, dict):
            return {}, ["it is no table of keys and values"]
        return _taken(document)
    except OSError as error:
        pass_on(error)
        return {}, [f"it cannot be read: {(error.strerror or words_of(error)).lower()}"]
    except FactsError as error:
        return {}, [str(error)]
    except (ValueError, RecursionError) as error:
        return {}, [f"it makes no sense: {words_of(error)}"]


def _document(file: Path) -> Any:
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would keep the run waiting
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FactsError("it is no file")
        data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FactsError(f"it has more than {_MOST_BYTES:,} bytes")
    text = data.decode("utf-8-sig")
    return json.loads(text) if file.name.endswith(".json") else tomllib.loads(text)


def _taken(document: Mapping[str, Any]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    if len(document) > MOST_FACTS:
        raise FactsError(f"{len(document):,} facts on one file, the limit is {MOST_FACTS}")
    taken: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for key, value in document.items():
        try:
            taken |= facts_of([(key, value if isinstance(value, list) else [value])])
        except FactsError as error:
            problems.append(words_of(error))
    return facts_of(taken.items()), problems
