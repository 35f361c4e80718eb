"""What `llavero eval` found, for people: a table in the terminal, and a page that opens without a network.

The page is one file without scripts; every word that came from a file, a question or a model is escaped.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from rag.errors import RagError
from ui import wording
from ui.cli import terminal

_SHOWN_HITS = 8
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1c2430;background:#fff}
table{border-collapse:collapse;margin:1rem 0 2rem}td,th{padding:.25rem .8rem;border-bottom:1px solid #d8dde3;
text-align:right}td:first-child,th:first-child{text-align:left}section{border-left:4px solid #b9c2cc;padding:.2rem 1rem;
margin:1.2rem 0}section.failed{border-color:#c0392b}h3{margin:.2rem 0}small{color:#5b6673}.words{white-space:pre-wrap;
overflow-wrap:anywhere}.said{background:#f6f8fa;border-radius:4px;padding:.5rem .8rem}svg{max-width:32rem}
polyline{fill:none;stroke:#2a6f97;stroke-width:2}
@media(prefers-color-scheme:dark){body{background:#14181d;color:#e4e8ec}.said{background:#1f252c}small{color:#a8b2bd}}
"""


class BaselineError(RagError):
    """The run to compare with cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.add_note("Write one with: llavero eval … --json > OTHER.json")


def read_baseline(path: Path, task: str) -> list[dict[str, Any]]:
    """The results of another run of the same task, from its JSON. Raises BaselineError, OSError."""
    try:
        document = json.loads(path.read_text("utf-8"))
        results = [one for one in document["results"] if isinstance(one["scores"], dict) and one["question_id"]]
    except (ValueError, KeyError, TypeError):
        raise BaselineError(path, "is no output of llavero eval --json") from None
    if document.get("task") != task:
        raise BaselineError(path, f"is a run of '{document.get('task')}', not of '{task}'")
    return results


def say_result(document: Mapping[str, Any]) -> None:
    """The figures as a table, and below it what differs from the other run."""
    terminal.say_table(_figure_rows(document))
    if document["differences"]:
        terminal.say()
        terminal.say_table(_difference_rows(document))
    if "fetched" in document:
        terminal.say(f"\nrequests that reached the attacks' address: {len(document['fetched'])}")


def _figure_rows(document: Mapping[str, Any]) -> list[list[str]]:
    rows = [["", "value", "95 % interval", "n"]]
    for one in document["figures"]:
        interval = "" if one["low"] is None else f"{_number(one, 'low')}–{_number(one, 'high')}"
        rows.append([one["name"], _number(one, "value"), interval, f"{one['n']:,}"])
    return rows


def _number(figure: Mapping[str, Any], key: str) -> str:
    return f"{figure[key]:,.0f}" if "milliseconds" in figure["name"] else f"{figure[key]:.3f}"


def _difference_rows(document: Mapping[str, Any]) -> list[list[str]]:
    rows = [["beside the other run", "now", "before", "better", "worse", "n", "p", "test"]]
    for one in document["differences"]:
        counts = [str(one[key]) for key in ("better", "worse", "n")]
        rows.append([one["name"], f"{one['now']:.3f}", f"{one['before']:.3f}", *counts, _p(one["p"]), one["test"]])
    return rows


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def has_failed(task: str, record: Mapping[str, Any]) -> bool:
    """Whether a question is one to look at first."""
    scores = record["scores"]
    if "error" in record:
        return True
    if task == "attacks":
        return bool(scores["attack succeeded"])
    if task == "retrieval" or "answer" not in record:
        missed = record["answerable"] and scores.get("recall@1", 1) < 1
        return bool(missed) if task == "retrieval" else record["refused"] == record["answerable"]
    if task == "citations":
        return any(one["ticked"] and not (one["right"] and scores.get("right")) for one in record["citations"])
    return not scores.get("right", 1) or record["refused"] == record["answerable"]


def page(document: Mapping[str, Any]) -> str:
    """The page as HTML text: figures, what differs, then every question, failures first."""
    task, records = document["task"], document["results"]
    failed = [record for record in records if has_failed(task, record)]
    well = [record for record in records if not has_failed(task, record)]
    facts = ("library", "kit", "generator", "k", "asked")
    settings = " · ".join(f"{name}: {document[name]}" for name in facts if document.get(name))
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>llavero eval {_safe(task)}</title><style>{_STYLE}</style><h1>{_safe(task)}</h1>"
        f"<p><small>{_safe(settings)}</small></p>{_table(_figure_rows(document))}"
        + (_table(_difference_rows(document)) if document["differences"] else "")
        + _curve(document["curve"])
        + f"<h2>{len(failed)} of {len(records)} questions failed</h2>"
        + "".join(_section(record, "failed") for record in failed)
        + f"<h2>{len(well)} did not</h2>{''.join(_section(record, 'well') for record in well)}</html>\n"
    )


def _safe(text: object) -> str:
    return escape(wording.visible(str(text)))


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ("".join(f"<{tag}>{_safe(cell)}</{tag}>" for cell in row) for tag, row in _tagged(rows))
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _tagged(rows: Sequence[Sequence[str]]) -> list[tuple[str, Sequence[str]]]:
    return [("td" if place else "th", row) for place, row in enumerate(rows)]


def _curve(points: Sequence[Mapping[str, float]]) -> str:
    """Risk over coverage, both from 0 to 1, the origin at the lower left."""
    if not points:
        return ""
    line = " ".join(f"{300 * one['coverage']:.1f},{150 - 150 * one['risk']:.1f}" for one in points)
    axes = "<rect width='300' height='150' fill='none' stroke='#b9c2cc'/>"
    return (
        f"<h2>Risk and coverage</h2><svg viewBox='-2 -2 304 154'>{axes}<polyline points='{line}'/></svg><p><small>"
        "To the right: the share of questions answered, surest first. Upwards: the share of those that are wrong."
        "</small></p>"
    )


def _section(record: Mapping[str, Any], css_class: str) -> str:
    about = [record["question_id"], record.get("kind", ""), "" if record["answerable"] else "nothing answers this"]
    parts = [
        f"<small>{_safe(' · '.join(one for one in about if one))}</small><h3>{_safe(record['question'])}</h3>",
        _line("accepted", " | ".join(record.get("answers", ()))),
        _line("source", _places(record)),
        *(_line(name, value) for name, value in record["more"].items()),
    ]
    if "error" in record:
        parts.append(_line("could not be asked", record["error"]))
    if "answer" in record:
        parts.append(f"<div class='said words'>{_safe(record['answer'])}</div>")
        parts += [_citation(one) for one in record["citations"]]
    scores = ", ".join(f"{name} {value:.2f}".replace(".00", "") for name, value in record["scores"].items())
    parts.append(f"<p><small>{_safe(scores)}, confidence {record['confidence']:.2f}</small></p>")
    hits = "".join(map(_hit, record["hits"][:_SHOWN_HITS]))
    parts.append(f"<details><summary>what was found ({len(record['hits'])})</summary><ol>{hits}</ol></details>")
    return f"<section class='{css_class}'>{''.join(parts)}</section>"


def _line(name: str, value: object) -> str:
    return f"<p class='words'><small>{_safe(name)}:</small> {_safe(value)}</p>" if value not in ("", None, []) else ""


def _places(record: Mapping[str, Any]) -> str:
    pages = ", ".join(map(str, record.get("pages", ())))
    hidden = ", ".join(record.get("hidden", ()))
    found = ", ".join(record.get("sources", ())) + (f", page {pages}" if pages else "")
    return f"{found} (hidden: {hidden})" if hidden else found


def _citation(one: Mapping[str, Any]) -> str:
    where = terminal.location(Path(one["path"]).name, one["page"])
    mark, source = "✓" if one["ticked"] else "?", "the right source" if one["right"] else "not the right source"
    said = f"[{one['marker']}] {mark} {one['state']}, {source}: {where}: “{one['quote']}”"
    return f"<p class='words'><small>{_safe(said)}</small></p>"


def _hit(hit: Mapping[str, Any]) -> str:
    where = terminal.location(hit["path"], hit["page"])
    name = f"<b>{_safe(where)}</b>" if hit["right"] else _safe(where)
    return f"<li>{name}<div class='words'><small>{_safe(hit['text'])}</small></div></li>"
