"""How good the answers are, on the field's benchmarks, in their own file formats; and the benchmarks by name.

records (files of other people's code), asking (a model's answers, written once), judge (a text model's reviews)
→ one file for each benchmark → figures (a Score with its interval) → compare (beside published rows; one page)

Each benchmark is one file of this package, which says what it is at its end:

    BENCHMARK = Benchmark(
        name="pope",
        title="POPE",
        …

Whatever asks, scores or compares finds it here; no command knows a benchmark by name. To add one, add a file
(docs/howto/add-a-benchmark.md). The names are read from the files' text, and a benchmark is imported when it is asked
for: to import them all would cost every `llavero` command a tenth of a second.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llava_model.benchmarks.asking import Task
    from llava_model.benchmarks.figures import Score
    from llava_model.data.samples import Sample


_PACKAGE = __name__
_DECLARED = re.compile(r'^BENCHMARK = Benchmark\(\s*name="([\w-]+)"', re.MULTILINE)


def _nothing(values: Mapping[str, Any]) -> dict[str, float]:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """What the commands need to know about a benchmark."""

    name: str
    """As it is written on the command line: `easy-vqa`."""
    title: str
    """As people write it: `easy-VQA`."""
    score: "Callable[[Path, Path | None], Score]"
    """Parses predictions and references, both in the benchmark's own formats, and scores them.

    Raises UnscorableError, OSError.
    """
    task: "Callable[[Path, int | None], Task]"
    """The questions of the benchmark's own files, at most so many. Raises UnscorableError, OSError."""
    columns: tuple[str, ...]
    """The columns of the table that compares models."""
    cells: Callable[[Mapping[str, Any]], Mapping[str, float | None]] | None = None
    """A score's values → the table's cells; by default the values of the columns' names."""
    spreads: Callable[[Mapping[str, Any]], Mapping[str, float]] = _nothing
    """A score's values → how far repeated runs lie apart, by column."""
    digits: int = 1
    """Decimals in the table."""
    coco_table: str = ""
    """The name of a second table of published rows, over questions about pictures of COCO."""
    takes_reviews: bool = False
    """Predictions are a judge's reviews of answers, not the answers."""
    reasoning_task: "Callable[[Path, int | None], Task] | None" = None
    """The same questions, asked for the reasoning before the answer."""
    samples: "Callable[[Path, str], Iterator[Sample]] | None" = None
    """The training questions of a split as samples for the TASK stage."""
    installed_data: Callable[[], Path | None] | None = None
    """Where the benchmark's own package, if it is installed, keeps the data."""
    install: str = ""
    """How to install that package."""

    def row(self, values: Mapping[str, Any]) -> dict[str, float | None]:
        """A score's values as cells of the table."""
        return dict(self.cells(values)) if self.cells else {name: values.get(name) for name in self.columns}


def names() -> tuple[str, ...]:
    """The names of all benchmarks, in order; nothing is imported for it."""
    return tuple(sorted(_modules()))


def find(name: str) -> Benchmark:
    """The benchmark of that name. Raises KeyError for a name that no file declares."""
    found: Benchmark = import_module(f"{_PACKAGE}.{_modules()[name]}").BENCHMARK
    return found


def of_table(name: str) -> Benchmark:
    """The benchmark that a table of published rows belongs to. Raises KeyError."""
    if name in names():
        return find(name)
    found = next((one for one in map(find, names()) if one.coco_table == name), None)
    if found is None:
        raise KeyError(name)
    return found


def score(benchmark: str, predictions: Path, references: Path | None = None) -> "Score":
    """Score files in the benchmark's own formats. Raises UnscorableError, OSError; KeyError for an unknown name."""
    return find(benchmark).score(predictions, references)


def task(benchmark: str, data: Path, limit: int | None = None, *, reasoning: bool = False) -> "Task":
    """The questions of a benchmark's own files, ready to be asked; `reasoning` where it has a prompt for that.

    Raises UnscorableError, OSError; KeyError for an unknown name.
    """
    found = find(benchmark)
    return (found.reasoning_task if reasoning and found.reasoning_task else found.task)(data, limit)


def _modules() -> dict[str, str]:
    """The name of every benchmark and of the module that declares it. Raises ValueError where two have one name."""
    modules: dict[str, str] = {}
    for file in (file for folder in import_module(_PACKAGE).__path__ for file in sorted(Path(folder).glob("*.py"))):
        for name in _DECLARED.findall(file.read_text("utf-8")):
            if name in modules:
                raise ValueError(f"there are two benchmarks of the name '{name}': {modules[name]}.py and {file.name}")
            modules[name] = file.stem
    return modules
