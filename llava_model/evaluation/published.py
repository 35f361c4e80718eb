"""Rows of published tables, each with its source, and a user's scores beside them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from llava_model.evaluation.benchmarks import find
from llava_model.evaluation.score import Score

_FILE = Path(__file__).with_name("published.toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One model's line of a table. `source` is a paper, or the file the score comes from."""

    model: str
    source: str
    values: Mapping[str, float | None]
    spreads: Mapping[str, float]
    ours: bool = False


@cache
def published(table: str) -> tuple[TableRow, ...]:
    """The rows of the papers in this table, which is called as its benchmark; none where nobody published one."""
    rows = tomllib.loads(_FILE.read_text("utf-8"))["row"]
    return tuple(
        TableRow(model=row["model"], source=row["source"], values=row["values"], spreads=row.get("spreads", {}))
        for row in rows
        if row["benchmark"] == table
    )


def row_of(name: str, score: Score, source: str) -> TableRow:
    """A score as a line of its benchmark's table."""
    benchmark = find(score.benchmark)
    return TableRow(
        model=name,
        source=source,
        values=benchmark.row(score.values),
        spreads=benchmark.spreads(score.values),
        ours=True,
    )
