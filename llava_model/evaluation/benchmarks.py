"""The benchmarks by name."""

from collections.abc import Callable
from pathlib import Path

from llava_model.evaluation import easy_vqa, llava_bench, mme, pope, scienceqa, vqa
from llava_model.evaluation.score import Score

_SCORERS: dict[str, Callable[[Path, Path | None], Score]] = {
    "llava-bench": llava_bench.score,
    "scienceqa": scienceqa.score,
    "pope": pope.score,
    "mme": lambda predictions, references: mme.score(predictions),
    "easy-vqa": easy_vqa.score,
    "vqa": vqa.score,
}
BENCHMARKS = tuple(_SCORERS)


def score(benchmark: str, predictions: Path, references: Path | None = None) -> Score:
    """Score files in the benchmark's own formats. Raises UnscorableError, OSError; KeyError for an unknown name."""
    return _SCORERS[benchmark](predictions, references)
