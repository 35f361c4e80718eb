"""CSV, JSON and notebooks, made on the spot."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from reading_doubles import read_here

from indexing.readers import delimited
from indexing.records import Reading


def read(tmp_path: Path, name: str, text: str, encoding: str = "utf-8") -> Reading:
    (tmp_path / name).write_bytes(text.encode(encoding))
    return read_here(tmp_path / name, tmp_path / "out")


def pairs(reading: Reading) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in reading.blocks]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
def test_values_are_a_table_whatever_parts_them(tmp_path: Path, sign: str, encoding: str) -> None:
    text = f'品名{sign}価格\r\n"万年筆{sign} 青い"{sign}4800\r\n便箋{sign}650\r\n'
    shown = "万年筆| 青い".replace("|", sign) if sign != "|" else "万年筆\\| 青い"
    assert pairs(read(tmp_path, "a.csv", text, encoding)) == [
        ("table", f"| 品名 | 価格 |\n| --- | --- |\n| {' '.join(shown.split())} | 4800 |\n| 便箋 | 650 |")
    ]


def test_values_stay_as_they_are_written(tmp_path: Path) -> None:
    reading = read(tmp_path, "a.csv", "sep=;\nName;Code;Sum\nKay;007;1.234,50\nNA;1E5;TRUE\n")
    assert pairs(reading)[0][1].endswith("| Kay | 007 | 1.234,50 |\n| NA | 1E5 | TRUE |")


def test_a_lonely_quotation_mark_does_not_swallow_the_rows(tmp_path: Path) -> None:
    rows = "\n".join(f"screw {number},{number}" for number in range(500))
    ((_, table),) = pairs(read(tmp_path, "a.csv", f'Item,Size\n"6 inch,6\n{rows}\n'))
    assert '| "6 inch | 6 |' in table and "| screw 499 | 499 |" in table


def test_text_without_columns_is_read_line_by_line(tmp_path: Path) -> None:
    assert pairs(read(tmp_path, "a.csv", "only words\nand more\n")) == [("text", "only words"), ("text", "and more")]


def test_values_over_the_limit_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MOST_CELLS", 4)
    reading = read(tmp_path, "a.csv", "a,b\n1,2\n3,4\n")
    assert pairs(reading) == [("table", "| a | b |\n| --- | --- |\n| 1 | 2 |")]
    assert reading.notes[0].unread


def test_json_says_the_names_that_lead_to_a_value(tmp_path: Path) -> None:
    value = {"order": {"id": "K-7", "total": 10.10, "paid": True, "tags": ["a", "b"],
             "lines": [{"item": "Seal", "price": 7}, {"item": "\u4ed3\u5e93", "price": 3.10}]}}  # fmt: skip
    reading = read(tmp_path, "a.json", json.dumps(value))
    assert pairs(reading) == [
        ("text", "order › id: K-7\norder › total: 10.1\norder › paid: true\norder › tags: a, b"),
        ("table", "| item | price |\n| --- | --- |\n| Seal | 7 |\n| 仓库 | 3.1 |"),
    ]
    assert reading.blocks[1].caption == "order › lines"


def test_json_lines_are_records_and_a_broken_line_is_a_line(tmp_path: Path) -> None:
    reading = read(
        tmp_path, "a.jsonl", '{"name": "Kay", "town": "Ryde"}\n{broken\n{"name": "Ann", "long": "%s"}' % ("w " * 99)
    )
    assert pairs(reading)[:2] == [("text", "1 › name: Kay\n1 › town: Ryde"), ("text", "2: {broken")]


def test_a_file_inside_json_is_left_out_and_told(tmp_path: Path) -> None:
    reading = read(tmp_path, "a.json", json.dumps({"name": "plan", "data": base64.b64encode(bytes(3_000)).decode()}))
    assert pairs(reading) == [("text", "name: plan\ndata: (a file)")]
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("embedded", 1, True)]


@pytest.mark.parametrize("text", ["{not json", "[" * 100_000, '{"a": ' * 5_000 + "1" + "}" * 5_000])
def test_what_is_no_json_or_too_deep_is_read_or_told(tmp_path: Path, text: str) -> None:
    reading = read(tmp_path, "a.json", text)
    assert reading.blocks or any(note.unread for note in reading.notes)


def notebook(*cells: dict[str, Any]) -> str:
    return json.dumps({"nbformat": 4, "cells": list(cells), "metadata": {}})


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def test_a_notebook_shows_text_code_and_outputs(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (200, 160), "red").save(picture, "PNG")
    shown = base64.b64encode(picture.getvalue()).decode()
    html = "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
    reading = read(
        tmp_path,
        "a.ipynb",
        notebook(
            {"cell_type": "markdown", "source": ["# Tides\n", "\n", "M2 is 1.874 m."]},
            code("plot(m2)", {"data": {"image/png": shown, "text/plain": "<Fig>"}}),
            code("table", {"data": {"text/html": html, "text/plain": "a b"}}),
            code("1 / 0", {"name": "stdout", "text": ["before\n"]},
                 {"ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": []}),
            code("widget", {"data": {"application/vnd.x": {}}}),
        ),
    )  # fmt: skip
    assert pairs(reading) == [
        ("heading", "Tides"), ("text", "M2 is 1.874 m."), ("text", "plot(m2)"), ("text", "table"),
        ("table", "| a | b |\n| --- | --- |\n| 1 | 2 |"), ("text", "1 / 0"), ("text", "before"),
        ("text", "ZeroDivisionError: division by zero"), ("text", "widget"), ("figure", ""),
    ]  # fmt: skip
    assert [(note.kind, note.unread) for note in reading.notes] == [("embedded", True)]


def test_a_damaged_notebook_is_read_as_text_with_a_note(tmp_path: Path) -> None:
    reading = read(tmp_path, "a.ipynb", '{"cells": [\n"words')
    assert pairs(reading)[1] == ("text", '"words')
    assert "damaged notebook" in reading.notes[0]


def test_markdown_keeps_numbers_and_boxes_of_its_lists(tmp_path: Path) -> None:
    text = "---\ntitle: Pumps\ntags: [a]\n---\n\n3. Close\n4. Open\n   - [x] drain\n   - [ ] order\n\n* [ ] call\n"
    assert [block.text for block in read(tmp_path, "a.md", text).blocks] == [
        "title: Pumps\ntags: [a]", "3. Close", "4. Open", "☒ drain", "☐ order", "☐ call",
    ]  # fmt: skip
