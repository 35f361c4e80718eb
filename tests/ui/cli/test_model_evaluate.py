"""`llavero model evaluate`, `judge` and `compare` as a person and a script use them."""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from command_line import Run
from PIL import Image

from llava_model.benchmarks.asking import Weights

COMMAND = ("model",)


class YesSayer:
    name, sees_images = "yes-sayer", True

    def stream(self, turns: Any, **settings: Any) -> Generator[str, None, None]:
        yield "yes"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "test/images").mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "test/images/0.png")
    (tmp_path / "test/questions.json").write_text(json.dumps([["is it red?", "yes", 0], ["is it blue?", "no", 0]]))
    return tmp_path


@pytest.fixture
def language(tmp_path: Path) -> Path:
    folder = tmp_path / "language"
    folder.mkdir()
    return folder


def test_evaluate_prints_benchmark_score_n_and_interval(
    run: Run, data: Path, language: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Weights, "load", lambda weights, device: YesSayer())
    words = ("evaluate", "easy-vqa", "--data", data, "--language", language, "--out", tmp_path / "a.jsonl", "--json")
    outcome = run(*words)
    assert outcome.code == 0
    assert outcome.document["benchmark"] == "easy-vqa" and outcome.document["score"] == 50.0
    assert outcome.document["n"] == 2 and len(outcome.document["interval"]) == 2
    assert run(*words).document == outcome.document  # nothing is asked again
    (language / "model.safetensors").write_bytes(b"trained again")
    again = run(*words)
    assert again.code == 1 and "a.jsonl" in again.err and "Traceback" not in again.err


def test_evaluate_without_data_says_what_to_name(run: Run) -> None:
    outcome = run("evaluate", "pope")
    assert outcome.code == 2 and "--data" in outcome.err


def test_evaluate_with_a_missing_projector_stops_before_any_work(run: Run, data: Path, tmp_path: Path) -> None:
    outcome = run("evaluate", "easy-vqa", "--data", data, "--projector", tmp_path / "nowhere")
    assert outcome.code == 1 and "nowhere" in outcome.err


def test_judge_without_an_endpoint_says_what_to_set_and_sends_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"question_id": 1, "text": "x"}\n')
    outcome = run("judge", tmp_path / "a.jsonl", tmp_path / "a.jsonl", "--questions", tmp_path / "a.jsonl")
    assert outcome.code == 1 and "--endpoint" in outcome.err and "LLAVERO_JUDGE_KEY" in outcome.err


def test_the_complement_of_two_files_is_written_and_scored(run: Run, tmp_path: Path) -> None:
    one = {"choices": ["a", "b"], "answer": 1, "subject": "natural science", "grade": "grade1", "split": "test"}
    (tmp_path / "problems.json").write_text(json.dumps({"1": one, "2": one}))
    (tmp_path / "text.jsonl").write_text('{"question_id": "1", "text": "Who knows"}\n')
    (tmp_path / "ours.jsonl").write_text('{"question_id": "1", "text": "B"}\n{"question_id": "2", "text": "A"}\n')
    out = tmp_path / "joined.json"
    words = ("--questions", tmp_path / "problems.json", "--out", out, "--ensemble", "complement", "--json")
    outcome = run("judge", tmp_path / "text.jsonl", tmp_path / "ours.jsonl", *words)
    assert outcome.code == 3 and outcome.document["columns"]["AVG"] == 50.0
    assert json.loads(out.read_text())["results"] == {"1": 1, "2": 0}
    assert "text.jsonl" in outcome.err  # question 2 is missing there


def test_compare_shows_published_rows_and_writes_a_page(run: Run, tmp_path: Path) -> None:
    line = {"question_id": 0, "category": "llava_bench_conv", "content": "why", "tuple": [8.0, 4.0]}
    (tmp_path / "mine.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / "q.jsonl").write_text('{"question_id": 0, "text": "What?"}\n')
    words = ("compare", "llava-bench", f"mine={tmp_path / 'mine.jsonl'}")
    shown = run(*words, "--html", tmp_path / "page.html", "--questions", tmp_path / "q.jsonl")
    assert shown.code == 0 and "BLIP-2" in shown.out and "mine" in shown.out
    assert "<h1>llava-bench</h1>" in (tmp_path / "page.html").read_text()
    rows = run(*words, "--json").document["rows"]
    assert [row["values"]["overall"] for row in rows if row["ours"]] == [50.0]


@pytest.mark.parametrize("verb", ["evaluate", "judge", "compare"])
def test_help_imports_no_torch(verb: str) -> None:
    program = (
        f"import sys, contextlib\nfrom ui.cli import main as cli\nsys.argv = ['llavero', 'model', {verb!r}, '--help']\n"
        "with contextlib.suppress(SystemExit): cli.main()\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'numpy', 'httpx')))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60).returncode == 0
