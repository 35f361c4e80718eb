"""`llavero model ablate` as a person and a script use it; the runs themselves are tested in the package."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Run

from llava_model.ablation import run as running
from llava_model.ablation.plan import TYPES, VARIANTS
from llava_model.benchmarks.asking import Forced
from llava_model.benchmarks.figures import Likeness

COMMAND = ("model", "ablate")
SHIPPED = Path(__file__).parents[3] / "recipes/scenes/ablation.toml"


def results(count: int) -> tuple[running.Result, ...]:
    likeness = Likeness(f1=61.5, exact=40.0, n=30, interval=(50.0, 70.0))
    forced = Forced(perplexity=2.5, exact=44.0, n=100, interval=(35.0, 54.0))
    return tuple(
        running.Result(
            variant=variant, samples=10, steps=3, likeness=dict.fromkeys(TYPES, likeness), overall=likeness,
            forced=dict.fromkeys(TYPES, forced),
        )
        for variant in VARIANTS[:count]
    )  # fmt: skip


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "plan.toml").write_text(
        f'language = "{tmp_path}"\nvision = "{tmp_path}"\nstart = "s"\n[data]\ntrain = ["a"]\nheld_out = ["b"]\n'
    )
    return tmp_path / "plan.toml"


def answered(report: running.AblationReport) -> Callable[..., running.AblationReport]:
    def ablate(*words: Any) -> running.AblationReport:
        return report

    return ablate


def test_the_papers_figures_stand_beside_ours_and_the_measure_is_named(
    run: Run, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = running.AblationReport(results=results(5), finished=True, left_out={"reading": 7})
    monkeypatch.setattr(running, "ablate", answered(report))
    outcome = run(plan, "--out", tmp_path / "out")
    assert outcome.code == 0 and "NOT the paper's measure" in outcome.out and "7 samples" in outcome.err
    line = next(line for line in outcome.out.splitlines() if line.startswith("detail + complex"))
    assert line.split()[3:8] == ["81.5", "73.3", "90.8", "81.9", "61.5"]
    document = json.loads(run(plan, "--out", tmp_path / "out", "--json").out)
    assert document["finished"] and len(document["results"]) == 5 and "2304.08485" in document["paper_source"]
    assert document["paper"][0]["values"]["overall"] == 85.1


def test_a_stopped_run_shows_what_there_is_and_says_how_to_go_on(
    run: Run, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        running, "ablate", answered(running.AblationReport(results=results(2), finished=False, left_out={}))
    )
    outcome = run(plan, "--out", tmp_path / "out")
    assert outcome.code == 1 and "goes on" in outcome.err and "Traceback" not in outcome.err
    row = next(line for line in outcome.out.splitlines() if line.startswith("no instruction tuning"))
    assert row.split()[3:] == ["22.0", "24.0", "18.5", "21.5"]


def test_a_judge_without_a_model_stops_before_any_work(run: Run, plan: Path, tmp_path: Path) -> None:
    plan.write_text(plan.read_text() + '[judge]\nendpoint = "http://127.0.0.1:9/v1"\n')
    outcome = run(plan, "--out", tmp_path / "out")
    assert outcome.code == 1 and "--model" in outcome.err and not (tmp_path / "out").exists()


def test_a_plan_that_is_none_gives_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("epochs = 3\n")
    for plan in (tmp_path / "p.toml", tmp_path / "nowhere.toml"):
        outcome = run(plan, "--out", tmp_path / "out")
        assert outcome.code == 1 and str(plan) in outcome.err and "Traceback" not in outcome.err


def test_the_shipped_plan_can_be_read() -> None:
    from llava_model.ablation.plan import read_plan

    plan = read_plan(SHIPPED)
    assert plan.align is not None and plan.judge is None and plan.tune.epochs == 1


def test_help_imports_no_torch() -> None:
    program = (
        "import sys, contextlib\nfrom ui.cli import main as cli\nsys.argv = ['llavero', 'model', 'ablate', '--help']\n"
        "with contextlib.suppress(SystemExit): cli.main()\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'numpy', 'httpx')))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60).returncode == 0
