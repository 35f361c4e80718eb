"""Rows of published tables, each with its source, and a user's scores beside them."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from llava_model.evaluation.scienceqa import COLUMNS
from llava_model.evaluation.score import Score

_FILE = Path(__file__).with_name("published.toml")
_BENCH_COLUMNS = ("conv", "detail", "complex", "overall")
COLUMNS_OF = {
    "llava-bench": _BENCH_COLUMNS,
    "llava-bench-coco": _BENCH_COLUMNS,
    "scienceqa": COLUMNS,
    "pope": ("random", "popular", "adversarial", "mean"),
    "mme": ("perception", "cognition"),
    "easy-vqa": ("accuracy", "contains"),
    "vqa": ("exact", "contains"),
    "ground": ("right", "value", "marker", "refused", "refused_wrongly"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One model's line of a table. `source` is a paper, or the file the score comes from."""

    model: str
    source: str
    values: Mapping[str, float | None]
    spreads: Mapping[str, float]
    ours: bool = False


@cache
def published(benchmark: str) -> tuple[TableRow, ...]:
    """The rows of the papers for this benchmark; none for one nobody published."""
    rows = tomllib.loads(_FILE.read_text("utf-8"))["row"]
    return tuple(
        TableRow(model=row["model"], source=row["source"], values=row["values"], spreads=row.get("spreads", {}))
        for row in rows
        if row["benchmark"] == benchmark
    )


def row_of(name: str, score: Score, source: str) -> TableRow:
    """A score as a line of its benchmark's table."""
    values = score.values
    cells: dict[str, float | None]
    if score.benchmark == "llava-bench":
        cells = {_short(key): value for key, value in values.get("categories", {}).items()}
        cells["overall"] = values.get("overall")
    elif score.benchmark == "scienceqa":
        cells = dict(values["columns"])
    elif score.benchmark == "pope":
        cells = {setting: figures["f1"] for setting, figures in values["settings"].items()} | {"mean": values["f1"]}
    else:
        cells = {column: values.get(column) for column in COLUMNS_OF[score.benchmark]}
    return TableRow(model=name, source=source, values=cells, spreads=_spreads(values), ours=True)


def _short(category: str) -> str:
    return category.removeprefix("llava_bench_")


def _spreads(values: Mapping[str, Any]) -> dict[str, float]:
    runs: Sequence[Mapping[str, Any]] = list(values.get("runs", {}).values())
    if len(runs) != 1:
        return {}
    found = {_short(name): value for name, value in runs[0]["category_spreads"].items()} | {
        "overall": runs[0]["spread"]
    }
    return {name: value for name, value in found.items() if value is not None}
