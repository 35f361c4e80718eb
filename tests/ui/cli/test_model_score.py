"""`llavero model score` as a person and a script use it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run

COMMAND = ("model",)


@pytest.fixture
def review(tmp_path: Path) -> Path:
    file = tmp_path / "review.jsonl"
    lines = [{"question_id": n, "category": "conv", "content": "8 4", "tuple": [8.0, 4.0]} for n in range(3)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_json_is_one_document_with_the_benchmarks_figures(run: Run, review: Path) -> None:
    outcome = run("score", "llava-bench", "--predictions", review, "--json")
    assert outcome.code == 0
    assert outcome.document["overall"] == 50.0 and outcome.document["categories"] == {"conv": 50.0}
    assert outcome.document["problems"] == [] and outcome.document["n"] == 3


def test_figures_go_to_stdout_for_people(run: Run, review: Path) -> None:
    outcome = run("score", "llava-bench", "--predictions", review)
    assert "overall" in outcome.out and "50.00" in outcome.out and outcome.err == ""


def test_a_score_with_problems_ends_with_three_and_names_the_ids(run: Run, review: Path) -> None:
    review.write_text(
        review.read_text() + json.dumps({"question_id": 17, "category": "conv", "tuple": [-1, -1]}) + "\n"
    )
    outcome = run("score", "llava-bench", "--predictions", review, "--json")
    assert outcome.code == 3
    assert outcome.document["problems"][0]["ids"] == ["17"]
    assert "17" in outcome.err


@pytest.mark.parametrize("benchmark", ["llava-bench", "scienceqa", "pope", "mme", "easy-vqa", "vqa"])
def test_a_file_without_anything_to_score_ends_with_one_and_one_line(run: Run, tmp_path: Path, benchmark: str) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    outcome = run("score", benchmark, "--predictions", empty, "--references", empty)
    assert outcome.code == 1 and outcome.out == ""
    assert "empty.txt" in outcome.err and "Traceback" not in outcome.err


def test_a_missing_file_is_one_clear_line(run: Run, tmp_path: Path) -> None:
    for benchmark in ("llava-bench", "mme"):
        outcome = run("score", benchmark, "--predictions", tmp_path / "nowhere")
        assert outcome.code == 1 and "nowhere" in outcome.err


def test_an_unknown_benchmark_is_a_usage_error(run: Run, review: Path) -> None:
    assert run("score", "bleu", "--predictions", review).code == 2


def test_help_imports_no_torch() -> None:
    program = (
        "import sys, contextlib\nfrom ui.cli import main as cli\nsys.argv = ['llavero', 'model', 'score', '--help']\n"
        "with contextlib.suppress(SystemExit): cli.main()\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60).returncode == 0
