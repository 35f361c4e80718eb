"""The benchmarks by name."""

from collections.abc import Callable
from pathlib import Path

from llava_model.evaluation import easy_vqa, ground, llava_bench, mme, pope, scienceqa, scienceqa_reasoning, vqa
from llava_model.evaluation.asking import Task
from llava_model.evaluation.score import Score

_SCORERS: dict[str, Callable[[Path, Path | None], Score]] = {
    "llava-bench": llava_bench.score,
    "scienceqa": scienceqa.score,
    "pope": pope.score,
    "mme": mme.score,
    "easy-vqa": easy_vqa.score,
    "vqa": vqa.score,
    "ground": ground.score,
}
_TASKS: dict[str, Callable[[Path, int | None], Task]] = {
    "llava-bench": llava_bench.task,
    "scienceqa": scienceqa.task,
    "pope": pope.task,
    "mme": mme.task,
    "easy-vqa": easy_vqa.task,
    "vqa": vqa.task,
    "ground": ground.task,
}
BENCHMARKS = tuple(_SCORERS)


def score(benchmark: str, predictions: Path, references: Path | None = None) -> Score:
    """Score files in the benchmark's own formats. Raises UnscorableError, OSError; KeyError for an unknown name."""
    return _SCORERS[benchmark](predictions, references)


def task(benchmark: str, data: Path, limit: int | None = None, *, reasoning: bool = False) -> Task:
    """The questions of a benchmark's own files, ready to be asked; `reasoning` asks ScienceQA for that before the
    answer. Raises UnscorableError, OSError.
    """
    if reasoning and benchmark == "scienceqa":
        return scienceqa.task(data, limit, ask=scienceqa_reasoning.ask_of)
    return _TASKS[benchmark](data, limit)
