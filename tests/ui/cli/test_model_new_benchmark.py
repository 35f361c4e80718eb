"""A benchmark is one file: docs/howto/add-a-benchmark.md, followed to the letter; every command then knows it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "howto" / "add-a-benchmark.md").read_text("utf-8")
(TOY,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

PROGRAM = """
import sys
from llava_model import benchmarks
from llava_model.benchmarks.asking import Weights

benchmarks.__path__.append(sys.argv.pop(1))


class Model:
    name, sees_images = "red-sayer", False

    def stream(self, turns, **settings):
        yield "red"


Weights.load = lambda weights, device: Model()
from ui.cli import main as cli

sys.argv[0] = "llavero"
cli.main()
"""

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def llavero(tmp_path: Path) -> Command:
    (tmp_path / "added").mkdir()
    (tmp_path / "added/toy_colours.py").write_text(TOY)
    (tmp_path / "colours.json").write_text(json.dumps({"fire": "red", "grass": "green"}))
    (tmp_path / "language").mkdir()

    def call(*words: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "added"), "model", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)

    return call


def test_the_commands_help_names_it(llavero: Command) -> None:
    for verb in ("score", "evaluate", "compare", "samples"):
        assert "toy-colours" in llavero(verb, "--help").stdout


def test_its_predictions_are_scored_and_compared(llavero: Command, tmp_path: Path) -> None:
    (tmp_path / "said.json").write_text(json.dumps({"fire": "red", "grass": "blue"}))
    scored = llavero("score", "toy-colours", "--predictions", "said.json", "--references", "colours.json", "--json")
    assert scored.returncode == 0 and json.loads(scored.stdout)["right"] == 50.0
    shown = llavero("compare", "toy-colours", "mine=said.json", "--references", "colours.json")
    assert [line.split() for line in shown.stdout.splitlines()] == [["model", "right"], ["mine", "50.0"]]


def test_a_model_is_asked_its_questions(llavero: Command, tmp_path: Path) -> None:
    asked = llavero("evaluate", "toy-colours", "--data", "colours.json", "--language", "language", "--json")
    document = json.loads(asked.stdout)
    assert document["benchmark"] == "toy-colours" and document["score"] == 50.0
    records = [json.loads(line) for line in (tmp_path / document["answers"]).read_text().splitlines()]
    assert [one["prompt"] for one in records] == ["Which colour has fire?", "Which colour has grass?"]


def test_its_training_questions_become_samples(llavero: Command, tmp_path: Path) -> None:
    assert llavero("samples", "toy-colours", "colours.json", "--out", "train.jsonl").returncode == 0
    records = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [one["messages"][1]["content"] for one in records] == ["red", "green"]
    refused = llavero("samples", "pope", "colours.json", "--out", "p.jsonl")
    assert refused.returncode == 2 and "scienceqa" in refused.stderr and "toy-colours" in refused.stderr
