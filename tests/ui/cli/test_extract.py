"""`llavero extract` as a person uses it, with a double for the library and the model."""

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from command_line import Run

from extraction.cells import Cell, ExtractedRow
from extraction.fields import Field
from rag.errors import GeneratorUnreachableError
from ui.cli import extract as extract_module

COMMAND = ("extract",)
FIELDS = "company, date:date, total:money"


def cells(total: str = "9.00") -> dict[str, Cell]:
    box = (0.1, 0.2, 0.3, 0.4)
    return {
        "company": Cell(state="quoted", written="=HYPERLINK(1)", value="=HYPERLINK(1)", page=1, boxes=(box,)),
        "date": Cell(
            state="quoted", written="04/05/24", value="04/05/24", readings=("2024-04-05", "2024-05-04"), page=1
        ),
        "total": Cell(state="unchecked", written=f"RM {total}", value=total, currency="RM"),
    }


@dataclass
class Bench:
    """A service over the files that exist; `bad.pdf` cannot be read. Its model reads whatever file it is given."""

    files_there: list[Path] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    stop_at: str = ""
    fault: BaseException = field(default_factory=KeyboardInterrupt)
    reader_is_tiny: bool = False
    content: str = "one"

    @property
    def identity(self) -> dict[str, Any]:
        return {"kit": "pocket", "reader_is_tiny": self.reader_is_tiny}

    def index(self, paths: Sequence[str], *, retry_failed: bool, on_progress: Any) -> None:
        self.files_there = [
            file for path in map(Path, paths) for file in ([path] if path.is_file() else path.iterdir())
        ]

    def files(self) -> list[dict[str, str]]:
        return [
            {
                "path": str(file),
                "state": "failed" if file.name == "bad.pdf" else "indexed",
                "reason": "the file is empty" if file.name == "bad.pdf" else "",
                "content": self.content,
            }
            for file in sorted([*self.files_there, Path("/elsewhere/other.pdf")])
        ]

    def extract(self, path: str, fields: Sequence[dict[str, Any]], *, many: bool) -> dict[str, Any]:
        if Path(path).name == self.stop_at:
            self.stop_at = ""
            raise self.fault
        self.read.append(Path(path).name)
        rows = [ExtractedRow(path=path, cells=cells())] * (2 if many else 1)
        typed = [{**each, "type": each["type"] or "text"} for each in fields]
        return {"fields": typed, "rows": [json.loads(json.dumps(asdict(row))) for row in rows]}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()

    @contextmanager
    def opened(library: Path, **changes: Any) -> Iterator[Bench]:
        yield bench

    monkeypatch.setattr(extract_module, "opened", opened)
    return bench


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bills"
    folder.mkdir()
    for name in ("a.pdf", "b.pdf", "c.pdf"):
        (folder / name).write_text("x")
    return folder


def test_the_terminal_shows_a_table_with_what_was_checked(run: Run, bench: Bench, folder: Path) -> None:
    outcome = run(FIELDS, folder)
    assert outcome.code == 0 and "✓ =HYPERLINK(1)" in outcome.out and "? 9.00 RM" in outcome.out
    assert "2024-04-05 or 2024-05-04" in outcome.out and bench.read == ["a.pdf", "b.pdf", "c.pdf"]


def test_json_is_one_document_with_values_boxes_and_reasons(run: Run, bench: Bench, folder: Path) -> None:
    (folder / "bad.pdf").write_text("")
    outcome = run(FIELDS, folder, "--json")
    rows = outcome.document["rows"]
    assert outcome.code == 3 and len(rows) == 4
    assert rows[0]["cells"]["total"] == {
        "value": 9.0, "written": "RM 9.00", "state": "unchecked", "page": None, "boxes": [], "currency": "RM",
    }  # fmt: skip
    assert rows[0]["cells"]["company"]["boxes"] == [[0.1, 0.2, 0.3, 0.4]] and rows[0]["reason"] == ""
    assert rows[0]["cells"]["date"]["readings"] == ["2024-04-05", "2024-05-04"]
    bad = next(row for row in rows if row["path"].endswith("bad.pdf"))
    assert bad["cells"] == {} and bad["reason"] == "the file is empty"
    assert "failed:" in outcome.err and "bad.pdf" in outcome.err


def test_a_csv_holds_no_formula(run: Run, bench: Bench, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "table.csv"
    assert run(FIELDS, folder, "--out", out).code == 0
    rows = list(csv.DictReader(out.read_text("utf-8-sig").splitlines()))
    assert len(rows) == 3 and rows[0]["company value"] == "'=HYPERLINK(1)" == rows[0]["company written"]
    assert (rows[0]["total value"], rows[0]["total currency"], rows[0]["total state"]) == ("9.0", "RM", "unchecked")
    assert rows[0]["date value"] == "04/05/24 (2024-04-05 or 2024-05-04)" and rows[0]["date page"] == "1"
    assert sorted(each.name for each in out.parent.iterdir()) == ["table.csv"]


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1"])
def test_every_start_of_a_formula_is_a_text(start: str, tmp_path: Path) -> None:
    row = ExtractedRow(path="/a", cells={"x": Cell(state="unchecked", written=start, value=start)})
    extract_module.write_table(tmp_path / "t.csv", [Field(name="x", type="text")], [row])
    with (tmp_path / "t.csv").open(encoding="utf-8-sig", newline="") as file:
        line = list(csv.reader(file))[1]
    assert not any(cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r")) for cell in line)


def test_a_workbook_has_numbers_and_no_formula(run: Run, bench: Bench, folder: Path, tmp_path: Path) -> None:
    from openpyxl import load_workbook

    assert run(FIELDS, folder, "--out", tmp_path / "t.xlsx").code == 0
    names, first = (list(row) for row in list(load_workbook(tmp_path / "t.xlsx").active.iter_rows())[:2])
    line = dict(zip((cell.value for cell in names), first, strict=True))
    assert line["company value"].value == "=HYPERLINK(1)" and line["company value"].data_type == "s"
    assert line["total value"].value == 9 and line["reason"].value is None


def test_a_parquet_has_typed_columns(run: Run, bench: Bench, folder: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    assert run(FIELDS, folder, "--out", tmp_path / "t.parquet").code == 0
    table = parquet.read_table(tmp_path / "t.parquet")
    assert table.column("total value").to_pylist() == [9.0] * 3 and table.column("date page").to_pylist() == [1] * 3
    assert table.column("company value").to_pylist()[0] == "=HYPERLINK(1)"


def test_a_json_file_is_the_same_as_what_is_printed(run: Run, bench: Bench, folder: Path, tmp_path: Path) -> None:
    printed = run(FIELDS, folder, "--out", tmp_path / "t.json", "--json").document
    assert json.loads((tmp_path / "t.json").read_text()) == printed


def test_a_stopped_run_keeps_what_is_done_and_goes_on(run: Run, bench: Bench, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    bench.stop_at = "c.pdf"
    stopped = run(FIELDS, folder, "--out", out)
    assert stopped.code == 1 and "--resume" in stopped.err and len(out.read_text().splitlines()) == 3
    assert "--resume" in run(FIELDS, folder, "--out", out).err and bench.read == ["a.pdf", "b.pdf"]
    assert "other fields" in run("company", folder, "--out", out, "--resume").err
    assert run(FIELDS, folder, "--out", out, "--resume").code == 0
    assert bench.read == ["a.pdf", "b.pdf", "c.pdf"] and len(out.read_text().splitlines()) == 4
    whole = out.read_bytes()
    assert run(FIELDS, folder, "--out", out).code == 0 and out.read_bytes() == whole
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bills", "t.csv"]


def test_a_document_that_changed_meanwhile_is_read_again(run: Run, bench: Bench, folder: Path, tmp_path: Path) -> None:
    bench.stop_at = "c.pdf"
    run(FIELDS, folder, "--out", tmp_path / "t.csv")
    bench.content = "other"
    run(FIELDS, folder, "--out", tmp_path / "t.csv", "--resume")
    assert bench.read == ["a.pdf", "b.pdf", "a.pdf", "b.pdf", "c.pdf"]


def test_a_server_that_is_gone_ends_the_run_and_keeps_what_is_done(
    run: Run, bench: Bench, folder: Path, tmp_path: Path
) -> None:
    bench.stop_at, bench.fault = "b.pdf", GeneratorUnreachableError("http://there/v1", "refused")
    outcome = run(FIELDS, folder, "--out", tmp_path / "t.csv")
    assert outcome.code == 1 and "cannot be reached" in outcome.err
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 2


def test_a_document_that_the_model_cannot_take_has_its_reason(run: Run, bench: Bench, folder: Path) -> None:
    from llava_model.errors import ContextOverflowError

    bench.stop_at, bench.fault = "b.pdf", ContextOverflowError(needed=9, available=5)
    outcome = run(FIELDS, folder, "--json")
    assert outcome.code == 3 and [bool(row["reason"]) for row in outcome.document["rows"]] == [False, True, False]


def test_entries_are_rows(run: Run, bench: Bench, folder: Path) -> None:
    assert len(run(FIELDS, folder, "--rows", "--json").document["rows"]) == 6


def test_a_schema_takes_the_place_of_the_fields(run: Run, bench: Bench, folder: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    names = ("company", "date", "total")
    schema.write_text(json.dumps({"properties": {name: {"type": "string"} for name in names}}))
    assert run("--schema", schema, folder, "--json").document["rows"][0]["cells"]["total"]["value"] == "9.00"
    schema.write_text("{")
    assert "no JSON" in run("--schema", schema, folder).err


def test_a_model_that_is_too_small_is_named(run: Run, bench: Bench, folder: Path) -> None:
    bench.reader_is_tiny = True
    outcome = run(FIELDS, folder)
    assert outcome.code == 0 and "too small" in outcome.err and "--kit small" in outcome.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("company",), 2),
        (("company", ".", "--out", "t.pdf"), 2),
        (("company", ".", "--resume"), 2),
        (("company, company", "."), 1),
        (("total:euros", "."), 1),
        (("company", "/nowhere"), 1),
    ],
)
def test_what_cannot_be_asked_stops_before_any_work(run: Run, bench: Bench, words: Sequence[str], code: int) -> None:
    outcome = run(*words)
    assert outcome.code == code and not bench.read and outcome.err
