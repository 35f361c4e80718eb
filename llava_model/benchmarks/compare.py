"""Several models side by side: one table, and one page with pictures, questions, answers and judgements.

The table holds rows of published papers (`published.toml`), each with its source, and a user's scores beside them. The
page is one file that opens without a network: small pictures are inside it, no script runs, and every word that came
from a file is escaped.
"""

import base64
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from llava_model.benchmarks import Benchmark, find, of_table
from llava_model.benchmarks.asking import picture_in
from llava_model.benchmarks.figures import Score
from llava_model.benchmarks.records import by_id, read_records, text_of
from llava_model.errors import LlavaError, UnscorableError

_FILE = Path(__file__).with_name("published.toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One model's line of a table. `source` is a paper, or the file that the score comes from."""

    model: str
    source: str
    values: Mapping[str, float | None]
    spreads: Mapping[str, float]
    ours: bool = False


@cache
def published(table: str) -> tuple[TableRow, ...]:
    """The published rows of the table of that name; none where there are none."""
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


_PICTURE_PIXELS = 360
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1c2430;background:#fff}
table{border-collapse:collapse;margin:1rem 0 2rem}
th,td{padding:.3rem .7rem;border-bottom:1px solid #d8dde3;text-align:right}
th:first-child,td:first-child{text-align:left}tr.ours{background:#eef5ff;font-weight:600}small{color:#5b6673}
section{border-top:2px solid #d8dde3;padding:1rem 0;
display:grid;grid-template-columns:minmax(10rem,24rem) 1fr;gap:1.2rem}
section img{max-width:100%;border-radius:4px}h3{margin:.2rem 0}.answers{display:flex;flex-wrap:wrap;gap:1rem}
.answer{flex:1 1 18rem;background:#f6f8fa;border-radius:4px;padding:.6rem .8rem;
white-space:pre-wrap;overflow-wrap:anywhere}
.judged{color:#444;font-size:.9em;border-top:1px solid #d8dde3;margin-top:.6rem;padding-top:.4rem}
@media(prefers-color-scheme:dark){body{background:#14181d;color:#e4e8ec}.answer{background:#1f252c}tr.ours{background:#1d2c40}
.judged,small{color:#a8b2bd}}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One model's answers, and reviews of them where there are any, by question id."""

    name: str
    answers: Mapping[str, str]
    reviews: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """→ (the scores as text, the judge's words)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownQuestion:
    """One question of the page."""

    name: str
    text: str
    picture: Path | None
    reference: str = ""


def read_entry(name: str, answers: Path, reviews: Path | None = None) -> Entry:
    """Answers (JSONL with question_id and text), and a review file. Raises UnscorableError, OSError."""
    said = {key: text_of(one, ("text", "answer")) or "" for key, one in _records(answers).items()}
    judged = _records(reviews) if reviews else {}
    return Entry(
        name=name,
        answers=said,
        reviews={key: (_pair(one), text_of(one, ("content", "text")) or "") for key, one in judged.items()},
    )


def read_shown(questions: Path, images: Path | None) -> list[ShownQuestion]:
    """Questions with their pictures, from a question file (`text`, `image`) or from samples."""
    shown = []
    for key, one in _records(questions).items():
        turns = one.get("messages", one.get("conversations"))
        text, reference = text_of(one, ("text", "question")) or "", text_of(one, ("label", "answer")) or ""
        if isinstance(turns, list) and len(turns) > 1:
            text, reference = (_turn(turn) for turn in turns[-2:])
        found = one.get("image", one.get("images"))
        first = found[0] if isinstance(found, list) and found else found
        picture = picture_in(images or questions.parent, first) if isinstance(first, str) and first else None
        shown.append(
            ShownQuestion(name=key, text=text.replace("<image>", "").strip(), picture=picture, reference=reference)
        )
    return shown


def table(name: str, rows: Sequence[TableRow]) -> list[list[str]]:
    """Cells of the table of that name, the header first; a figure that is not known is an empty cell."""
    benchmark = of_table(name)
    lines = ([row.model, *(_cell(row, column, benchmark) for column in benchmark.columns)] for row in rows)
    return [["model", *benchmark.columns], *lines]


def page(name: str, rows: Sequence[TableRow], shown: Sequence[ShownQuestion], entries: Sequence[Entry]) -> str:
    """The page as HTML text: the table of that name, then every question with the answers to it."""
    sources = "".join(f"<li>{escape(row.model)}: {escape(row.source)}</li>" for row in rows)
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; img-src data:; "
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(name)}</title><style>{_STYLE}</style><h1>{escape(name)}</h1>"
        f"{_table_html(name, rows)}<details><summary>Sources</summary><ul>{sources}</ul></details>"
        + "".join(_section(one, entries) for one in shown)
        + "</html>\n"
    )


def _table_html(name: str, rows: Sequence[TableRow]) -> str:
    head, *body = table(name, rows)
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    for row, cells in zip(rows, body, strict=True):
        kind = " class='ours'" if row.ours else ""
        lines.append(f"<tr{kind}>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _section(shown: ShownQuestion, entries: Sequence[Entry]) -> str:
    reference = f"<p><small>reference: {escape(shown.reference)}</small></p>" if shown.reference else ""
    answers = "".join(_answer(entry, shown.name) for entry in entries)
    return (
        f"<section><div>{_picture(shown.picture)}</div><div><small>{escape(shown.name)}</small>"
        f"<h3>{escape(shown.text)}</h3>{reference}<div class='answers'>{answers}</div></div></section>"
    )


def _answer(entry: Entry, name: str) -> str:
    said = entry.answers.get(name)
    words = "<em>no answer</em>" if said is None else escape(said)
    scores, reasons = entry.reviews.get(name, ("", ""))
    judged = f"<div class='judged'><b>{escape(scores)}</b>\n{escape(reasons)}</div>" if scores else ""
    return f"<div class='answer'><b>{escape(entry.name)}</b>\n{words}{judged}</div>"


def _picture(path: Path | None) -> str:
    """A small copy inside the page; or a sentence where the picture cannot be read."""
    from llava_model.images import open_picture

    if path is None:
        return ""
    try:
        image = open_picture(path)
    except LlavaError as error:
        return f"<small>{escape(str(error))}</small>"
    image.thumbnail((_PICTURE_PIXELS, _PICTURE_PIXELS))
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return (
        f"<img alt='{escape(path.name)}' src='data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
    )


def _records(path: Path) -> dict[str, Mapping[str, Any]]:
    records, _ = read_records(path)
    found, _ = by_id(records, ("question_id", "id"), file=path.name)
    if not found:
        raise UnscorableError(path, "holds no records with a 'question_id'")
    return found


def _turn(turn: object) -> str:
    return (text_of(turn, ("content", "value")) or "") if isinstance(turn, dict) else ""


def _pair(review: Mapping[str, Any]) -> str:
    pair = review.get("tuple", review.get("score"))
    return " : ".join(f"{v:g}" for v in pair if isinstance(v, int | float)) if isinstance(pair, list) else ""


def _cell(row: TableRow, column: str, benchmark: Benchmark) -> str:
    value, spread = row.values.get(column), row.spreads.get(column)
    return "" if value is None else f"{value:.{benchmark.digits}f}" + (f"±{spread:.1f}" if spread is not None else "")
