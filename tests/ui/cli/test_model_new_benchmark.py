"""A benchmark is one file: added to the package, every command that scores or asks knows it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOY = '''
"""Colours: one word per question."""

import json

from llava_model.data.samples import parse_sample
from llava_model.benchmarks.asking import Ask, Task
from llava_model.benchmarks import Benchmark
from llava_model.benchmarks.records import read_answers
from llava_model.benchmarks.figures import Score, percent


def score(predictions, references):
    wanted = json.loads(references.read_text())
    return scored(wanted, read_answers(predictions)[0])


def task(data, limit=None):
    wanted = dict(list(json.loads(data.read_text()).items())[:limit])
    asks = [Ask(name=name, prompt=f"Which colour has {name}?", images=(), max_new_tokens=4) for name in wanted]
    return Task(benchmark="toy-colours", asks=asks, score=lambda answers: scored(wanted, answers))


def scored(wanted, answers):
    right = percent(sum(answers.get(name) == colour for name, colour in wanted.items()), len(wanted))
    return Score(benchmark="toy-colours", values={"right": right}, headline=right, n=len(wanted))


def samples(data, split):
    for place, (name, colour) in enumerate(json.loads(data.read_text()).items()):
        turns = [{"role": "user", "content": f"Which colour has {name}?"}, {"role": "assistant", "content": colour}]
        yield parse_sample({"id": name, "messages": turns}, root=data.parent, position=place)


BENCHMARK = Benchmark(
    name="toy-colours", title="Toy colours", score=score, task=task, columns=("right",), samples=samples
)
'''

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
