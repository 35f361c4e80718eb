"""The files that fit a plan and what was read in them → counts, sums and orders, and the source of each row."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import PurePath

from aggregation.plan import QuestionPlan, number_of
from claims.citations import Citation
from claims.passages import passages
from extraction.cells import Cell
from indexing.records import Chunk, Hit


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFile:
    """One file that fits, where it says so, and the cells that were read in it."""

    path: str
    content: str
    chunk: Chunk | None = None
    """What is shown as its source; looked up for the files that are shown."""
    quote: str = ""
    exact: bool = False
    """The words of the question stand in the quote."""
    cells: dict[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanResult:
    """What came out."""

    plan: QuestionPlan
    found: tuple[FoundFile, ...]
    """The files that fit, in the order in which they are shown: the highest first, or by name."""
    files: int
    """That were there to look at."""
    looked_at: int
    values: tuple[tuple[str, str], ...] = ()
    """(value, currency or unit) of a sum or average, one for each currency."""
    undecided: int = 0
    """Files in which a value can be read two ways, or could not be shown to stand there."""


def computed(plan: QuestionPlan, found: Sequence[FoundFile], files: int, looked_at: int) -> PlanResult:
    """What the plan asks for, of the files that fit: `looked_at` of `files` were looked into."""
    result = PlanResult(plan=plan, found=tuple(found), files=files, looked_at=looked_at)
    if plan.field is None:
        return result
    name = plan.field.name
    saying = [each for each in found if each.cells[name].state != "absent"]
    if plan.action in ("list", "count"):
        return replace(result, found=tuple(saying))
    sure = [each for each in saying if each.cells[name].state == "quoted" and not each.cells[name].readings]
    undecided = len(saying) - len(sure)
    if plan.action in ("highest", "lowest"):
        descending = plan.action == "highest"
        sure.sort(key=lambda each: _comparable(each.cells[name].value), reverse=descending)
        return replace(result, found=tuple(sure), undecided=undecided)
    by_currency: dict[str, list[Decimal]] = {}
    for each in sure:
        cell = each.cells[name]
        amount = number_of(cell.value)
        if amount is None:
            undecided += 1
        else:
            by_currency.setdefault(cell.currency, []).append(amount)
    totals = {unit: sum(amounts, Decimal()) for unit, amounts in by_currency.items()}
    if plan.action == "average":
        totals = {unit: total / len(by_currency[unit]) for unit, total in totals.items()}
    values = tuple((_plain(total), unit) for unit, total in sorted(totals.items()))
    return replace(result, found=tuple(sure), values=values, undecided=undecided)


def citations(result: PlanResult, most: int) -> tuple[tuple[Citation, Hit], ...]:
    """The source of each row, with markers from 1: where its value, its words or its beginning stand."""
    return tuple(
        (_citation(number, each, each.chunk, result.plan), Hit(chunk=each.chunk, score=1.0, channels={}))
        for number, each in enumerate(result.found[:most], start=1)
        if each.chunk is not None
    )


def _citation(number: int, each: FoundFile, chunk: Chunk, plan: QuestionPlan) -> Citation:
    cell = each.cells.get(plan.field.name) if plan.field else next(iter(each.cells.values()), None)
    name = PurePath(each.path).name
    if cell is not None and cell.written:
        return Citation(
            marker=number, path=each.path, page=cell.page, boxes=cell.boxes, quote=cell.written,
            state="quoted" if cell.state == "quoted" else "unchecked", sentence=f"{name}: {cell.value}",
            chunk_id=cell.chunk_id or chunk.id,
        )  # fmt: skip
    return Citation(
        marker=number, path=each.path, page=chunk.page, boxes=(), sentence=name, chunk_id=chunk.id,
        quote=each.quote or _beginning(chunk), state="quoted" if each.exact else "unchecked",
        recognised=chunk.kind == "image",
    )  # fmt: skip


def _beginning(chunk: Chunk) -> str:
    return next((each.quote for each in passages(chunk)), chunk.title)


def _comparable(value: str) -> tuple[bool, Decimal, str]:
    """Numbers by size, then dates and words by their signs."""
    number = number_of(value)
    return (number is None, number or Decimal(), value)


def _plain(number: Decimal) -> str:
    """Two places where there are more.

    >>> _plain(Decimal("10") / 3), _plain(Decimal("12.50")), _plain(Decimal("7"))
    ('3.33', '12.50', '7')
    """
    exponent = number.as_tuple().exponent
    return format(number.quantize(Decimal("0.01")) if isinstance(exponent, int) and exponent < -2 else number, "f")
