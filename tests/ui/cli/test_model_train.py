import pytest

from llava_model.training.report import StepMetrics
from ui.cli.model_train import TrainingProgress


def metrics(step: int, seconds_left: float) -> StepMetrics:
    return StepMetrics(
        step=step, steps=1000, epoch=0, loss=1.0, rate=1e-3, gradient=1.0, samples_per_second=2.0,
        tokens_per_second=100.0, utilisation=None, seconds_left=seconds_left, left_out=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("compiled", "seconds_left", "advised"), [(False, 3000.0, True), (True, 3000.0, False), (False, 60.0, False)]
)
def test_a_long_run_is_told_once_what_would_shorten_it(
    capsys: pytest.CaptureFixture[str], compiled: bool, seconds_left: float, advised: bool
) -> None:
    line = TrainingProgress(quiet=False, compiled=compiled)
    for step in range(1, 8):
        line.step(metrics(step, seconds_left))
    told = capsys.readouterr().err
    assert told.count("--compile") == advised
    assert "step 1/1,000" in told


def test_only_the_first_of_several_processes_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    line = TrainingProgress(quiet=True, compiled=False)
    line.tell("hello")
    line.step(metrics(3, 3000.0))
    assert capsys.readouterr().err == ""
