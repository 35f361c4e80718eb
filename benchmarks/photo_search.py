"""Twenty searches over 170 photographs that nothing was chosen on: how many of the first five hits fit.

    python benchmarks/photo_search.py PACKAGES… --kit small

`PACKAGES` are folders that hold the packages named in photo_searches.toml, unpacked without being installed
(`apt-get download NAME`, `dpkg-deb -x`; gcompris keeps its pictures in .rcc files, which Qt's `rcc --reverse` unpacks).
Photographs are known by their SHA-256 wherever they lie, and are indexed under names that say nothing. What fits was
judged by eye, every photograph for every search, before any build had been asked. To compare two builds, run this file
twice with PYTHONPATH naming the one and the other; `--no-objects` leaves the detector out.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from rag.retrieve import SearchRequest
from ui.settings import Settings
from ui.workbench import Workbench

SEARCHES = Path(__file__).with_name("photo_searches.toml")
LANGUAGES = ("en", "es", "de", "fr")
FIRST = 5
_DIGITS = 12
"""Of a SHA-256: what the searches' file knows a photograph by."""


@dataclass(frozen=True, kw_only=True)
class Searches:
    """What is asked, of which photographs, and which of them fit."""

    words: Sequence[Sequence[str]]
    photographs: frozenset[str]
    fits: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, file: Path = SEARCHES) -> "Searches":
        """From a file like the one beside this."""
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return cls(
            words=content["searches"]["words"],
            photographs=frozenset(line.split()[0] for lines in content["photographs"].values() for line in lines),
            fits={english: frozenset(fitting) for english, fitting in content["fits"].items()},
        )


def gather(packages: Sequence[Path], wanted: frozenset[str], into: Path) -> None:
    """Copy the photographs under their checksums. Raises SystemExit where some are not there."""
    found: dict[str, Path] = {}
    for file in _files(packages):
        digits = hashlib.sha256(file.read_bytes()).hexdigest()[:_DIGITS]
        if digits in wanted and digits not in found:
            found[digits] = file
            shutil.copy(file, into / f"{digits}{file.suffix}")
    if len(found) < len(wanted):
        missing = ", ".join(sorted(wanted - found.keys())[:3])
        raise SystemExit(f"{len(found)} of {len(wanted)} photographs are in these folders; missing, say, {missing}")


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (file for file in sorted(folder.rglob("*")) if file.is_file() and not file.is_symlink())


def ask(bench: Workbench, searches: Searches, language: int) -> dict[str, Any]:
    """Each search in that language: how many of the first five fit, of how many that could."""
    by_search: dict[str, str] = {}
    fitting = possible = first = 0
    times: list[float] = []
    for wordings in searches.words:
        fits = searches.fits[wordings[0]]
        found = bench.search(SearchRequest(text=wordings[language], k=FIRST, apart=True))
        good = [Path(hit.chunk.path).stem in fits for hit in found.hits]
        by_search[wordings[0]] = f"{sum(good)}/{min(FIRST, len(fits))}"
        fitting, possible = fitting + sum(good), possible + min(FIRST, len(fits))
        first += good[:1] == [True]
        times.append(found.milliseconds["total"])
    return {
        "language": LANGUAGES[language],
        "fit": fitting,
        "possible": possible,
        "first_fits": first,
        "median_ms": round(statistics.median(times), 1),
        "by_search": by_search,
    }


def write_questions(searches: Searches, languages: Sequence[str], photographs: Path, out: Path) -> None:
    """`recipes/calibrate.py --pictures` fits on these: each wording with the names of the files that fit."""
    names = {file.stem: file.name for file in photographs.iterdir()}
    lines = [
        json.dumps({"question": wordings[LANGUAGES.index(language)], "sources": sorted(names[each] for each in fits)})
        for language in languages
        for wordings in searches.words
        for fits in [searches.fits[wordings[0]]]
    ]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Index, ask, print a line of JSON for each language."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--kit", default="pocket")
    parser.add_argument("--no-objects", action="store_true")
    parser.add_argument("--searches", type=Path, default=SEARCHES, help="others, in the format of photo_searches.toml")
    parser.add_argument("--keep", type=Path, help="leave library and questions.jsonl here, for recipes/calibrate.py")
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=LANGUAGES[:1])
    chosen = parser.parse_args()
    searches = Searches.read(chosen.searches)
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        photographs = folder / "photographs"
        photographs.mkdir(parents=True, exist_ok=True)
        gather(chosen.packages, searches.photographs, photographs)
        settings = Settings.load(folder / "library", kit=chosen.kit)
        with closing(Workbench.open(settings, create=True)) as bench:
            bench.index([photographs], objects=not chosen.no_objects)
            write_questions(searches, chosen.languages, photographs, folder / "questions.jsonl")
            for language in chosen.languages:
                found = ask(bench, searches, LANGUAGES.index(language))
                print(json.dumps({"kit": chosen.kit, "objects": not chosen.no_objects, **found}), flush=True)


if __name__ == "__main__":
    main()
