"""The paper's table with ours beside it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from llava_model.ablation.plan import TYPES, VARIANTS
from llava_model.evaluation.published import TableRow, published

if TYPE_CHECKING:
    from llava_model.ablation.run import Result

PAPER = "the paper's: score relative to text-only GPT-4's answers, judged by GPT-4, LLaVA-13B"
JUDGED = "ours: score relative to the reference answers, judged by {judge}"
OFFLINE = "ours: word F1 with the reference answers (SQuAD's), NOT the paper's measure; compare down a column only"
_COLUMNS = ("conv", "detail", "complex", "overall")
_SHORT = {"conversation": "conv", "detail": "detail", "complex": "complex"}


def paper_row(title: str) -> TableRow:
    """The published row of a variant."""
    return next(row for row in published("llava-bench-coco") if row.model == f"LLaVA, {title}")


def main_table(results: "Sequence[Result]", judge: str = "") -> list[list[str]]:
    """A header and a row for each variant: the paper's four figures, then our four."""
    head = ["data", *(f"paper {name}" for name in _COLUMNS), *(f"our {name}" for name in _COLUMNS), "95 % of overall"]
    rows = [head]
    by_name = {one.variant.name: one for one in results}
    for variant in VARIANTS:
        paper = paper_row(variant.title).values
        own = _ours(by_name[variant.name], judged=bool(judge)) if variant.name in by_name else ["", "", "", "", ""]
        rows.append([variant.title, *(f"{paper[name]:.1f}" for name in _COLUMNS), *own])
    return rows


def more_table(results: "Sequence[Result]") -> list[list[str]]:
    """What each variant was trained on, and what it knows of all held-out answers (`evaluation.forced`)."""
    head = [
        "data",
        "samples",
        "steps",
        "exact conv",
        "95 % of exact",
        *(f"perplexity {_SHORT[kind]}" for kind in TYPES),
    ]
    return [
        head,
        *(
            [
                one.variant.title,
                f"{one.samples:,}",
                f"{one.steps:,}",
                f"{one.forced['conversation'].exact:.1f}",
                _span(one.forced["conversation"].interval),
                *(f"{one.forced[kind].perplexity:.2f}" for kind in TYPES),
            ]
            for one in results
        ),
    ]


def _ours(result: "Result", *, judged: bool) -> list[str]:
    if judged:
        review = result.review
        if review is None:
            return ["", "", "", "", ""]
        categories: Mapping[str, float | None] = review.values["categories"]
        cells = [_cell(categories.get(kind)) for kind in TYPES]
        return [*cells, _cell(review.values["overall"]), _span(review.interval)]
    overall = result.overall
    return [*(f"{result.likeness[kind].f1:.1f}" for kind in TYPES), f"{overall.f1:.1f}", _span(overall.interval)]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _span(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.1f} to {interval[1]:.1f}"
