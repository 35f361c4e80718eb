"""Charts of Word, PowerPoint and Excel → what they show, as tables.

A chart keeps the values that it was last drawn with. They are read as the axes show them (a date as a date, 0.25 as
25%), one row for each category, one column for each series. Series with categories of their own (points in a plane)
become tables of their own. Programs other than Office leave these values out of a workbook's charts; then they are
looked up in the cells (`Lookup`). Excel's newer kinds (waterfall, tree map) have another markup and the same parts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from indexing.readers.document import clean, markdown_table
from indexing.readers.office.number_format import shown_number
from indexing.readers.office.open_xml import A, local
from indexing.records import Block

MOST_POINTS = 20_000
"""Of one series; nobody sees more in a drawing."""
_MOST_SERIES = 250
_CATEGORIES = ("cat", "xVal")
_VALUES = ("val", "yVal")


Lookup = Callable[[str], Sequence[str]]
"""A reference to cells ("Sheet1!$B$2:$B$9") → what they show."""


def _nowhere(_: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartTable:
    """One table of a chart; the first row is its header."""

    title: str
    rows: list[list[str]]

    def block(self, page: int | None = None) -> Block:
        """As a table under the chart's title."""
        return Block(
            kind="table", text=markdown_table(self.rows), caption=f"Chart: {self.title}".rstrip(": "), page=page
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Series:
    name: str
    categories: dict[int, str]
    values: dict[int, str]


def chart_tables(root: Any, lookup: Lookup = _nowhere) -> list[ChartTable]:
    """All that a chart's part says; [] for one without values."""
    series = [each for each in islice(_all_series(root, lookup), _MOST_SERIES) if each.values]
    title = _title(root) or (series[0].name if len(series) == 1 else "")
    axes = _axis_titles(root)
    groups: list[list[_Series]] = []
    for each in series:
        same = next((group for group in groups[-1:] if group[0].categories == each.categories), None)
        groups.append([each]) if same is None else same.append(each)
    return [ChartTable(title=title, rows=_rows(group, axes)) for group in groups]


def _rows(group: Sequence[_Series], axes: Sequence[str]) -> list[list[str]]:
    places = sorted({place for each in group for place in (*each.categories, *each.values)})
    names = [each.name or (axes[1] if len(axes) > 1 else "") or "Value" for each in group]
    header = [axes[0] if axes else "", *names]
    return [
        header,
        *([group[0].categories.get(at, str(at + 1)), *(s.values.get(at, "") for s in group)] for at in places),
    ]


def _all_series(root: Any, lookup: Lookup) -> Iterator[_Series]:
    for element in root.iter("{*}ser"):
        name = _child(element, "tx")
        yield _Series(
            name=_first_text(name) or " ".join(_looked_up(name, lookup).values()),
            categories=_points(_child(element, *_CATEGORIES), lookup),
            values=_points(_child(element, *_VALUES), lookup),
        )
    data = {each.get("id", ""): each for each in root.iter("{*}data") if each.get("id") is not None}
    for element in root.iter("{*}series"):
        source = _child(element, "dataId")
        of_series = data.get(source.get("val", "")) if source is not None else None
        if of_series is not None:
            yield _Series(
                name=_first_text(_child(element, "tx")),
                categories=_points(_child(of_series, "strDim")),
                values=_points(_child(of_series, "numDim")),
            )


def _points(element: Any, lookup: Lookup = _nowhere) -> dict[int, str]:
    """Place → what stands there; categories of several levels are joined, the widest level first."""
    if element is None:
        return {}
    code = next((each.text or "" for each in element.iter("{*}formatCode")), "") or _dimension_format(element)
    points: dict[int, str] = {}
    levels = list(element.iter("{*}lvl")) or [element]
    for level in levels:
        last = ""
        found = {int(point.get("idx", "0")): point for point in islice(level.iter("{*}pt"), MOST_POINTS)}
        for place in sorted(points.keys() | found.keys()):
            if place in found:
                value = found[place].findtext("{*}v")
                last = _shown(value if value is not None else found[place].text or "", code)
            points[place] = f"{last} {points[place]}".strip() if place in points else last
    return points or _looked_up(element, lookup)


def _looked_up(element: Any, lookup: Lookup) -> dict[int, str]:
    reference = None if element is None else next(element.iter("{*}f"), None)
    return {} if reference is None else dict(enumerate(lookup(reference.text or "")))


def _dimension_format(element: Any) -> str:
    return next((each.get("formatCode", "") for each in element.iter("{*}lvl")), "")


def _shown(value: str, code: str) -> str:
    try:
        return shown_number(float(value), code) if code else clean(value).strip()
    except ValueError:
        return clean(value).strip()


def _title(root: Any) -> str:
    chart = _child(root, "chart")
    return _words(_child(chart, "title")) if chart is not None else ""


def _axis_titles(root: Any) -> list[str]:
    """Of the axis of categories and of that of values, as far as they have any."""
    found: dict[str, str] = {}
    for axis in root.iter("{*}catAx", "{*}dateAx", "{*}valAx"):
        words = _words(_child(axis, "title"))
        found.setdefault("value" if local(axis) == "valAx" else "category", words)
    return [found.get("category", ""), found.get("value", "")]


def _words(title: Any) -> str:
    if title is None:
        return ""
    typed = " ".join("".join(run.text or "" for run in each.iter(f"{A}t")) for each in title.iter(f"{A}p"))
    return " ".join(clean(typed or _first_text(title)).split())


def _first_text(element: Any) -> str:
    """The first value in the element: what a reference showed when the chart was drawn."""
    if element is None:
        return ""
    return clean(next((each.text or "" for each in element.iter("{*}v")), "")).strip()


def _child(element: Any, *names: str) -> Any:
    return next((each for each in element if local(each) in names), None)
