"""The metrics of a run: measured after each step, written to `metrics.jsonl` and, if wanted, for TensorBoard."""

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from llava_model.data.batches import StepBatches
from llava_model.errors import LlavaError

METRICS_FILE = "metrics.jsonl"
_WINDOW = 20  # steps over which speeds are averaged
_PEAKS = {  # dense bfloat16 floating-point operations a second, from NVIDIA's data sheets
    "B200": 2.25e15,
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "4090": 165e12,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StepMetrics:
    """One optimiser step."""

    step: int
    """Steps taken, including this one."""
    steps: int
    """Steps of the whole stage."""
    epoch: int
    loss: float
    """Cross-entropy per answer token, natural logarithm."""
    rate: float
    """Learning rate of the first group of parameters."""
    gradient: float
    """Norm of the gradient before clipping."""
    samples_per_second: float
    tokens_per_second: float
    """Without padding."""
    utilisation: float | None
    """Model FLOPs utilisation, 0..1, if the GPU's peak is known; without attention's products between tokens."""
    seconds_left: float
    left_out: int
    """Samples skipped so far."""


OnStep = Callable[[StepMetrics], None]


class Meter:
    """Makes metrics of finished steps. Speeds are averages over the last steps."""

    def __init__(self, *, steps: int, flops_per_token: float, flops_per_target: float, device: torch.device) -> None:
        self._steps, self._flops = steps, (flops_per_token, flops_per_target)
        self._peak = peak_flops(device)
        self._recent: deque[tuple[float, int, int, int]] = deque(maxlen=_WINDOW + 1)
        self._recent.append((time.perf_counter(), 0, 0, 0))

    def measure(self, batches: StepBatches, *, loss: float, rate: float, gradient: float, left_out: int) -> StepMetrics:
        """Call it right after the optimiser's step on these batches."""
        now = time.perf_counter()
        step = batches.step + 1
        self._recent.append((now, batches.samples, batches.tokens, batches.targets))
        counted = list(self._recent)[1:]
        seconds = max(1e-9, now - self._recent[0][0])
        all_tokens, all_targets = sum(each[2] for each in counted), sum(each[3] for each in counted)
        flops = all_tokens * self._flops[0] + all_targets * self._flops[1]
        return StepMetrics(
            step=step,
            steps=self._steps,
            epoch=batches.epoch,
            loss=loss,
            rate=rate,
            gradient=gradient,
            samples_per_second=sum(each[1] for each in counted) / seconds,
            tokens_per_second=all_tokens / seconds,
            utilisation=flops / seconds / self._peak if self._peak else None,
            seconds_left=(self._steps - step) * seconds / len(counted),
            left_out=left_out,
        )


def peak_flops(device: torch.device) -> float | None:
    """Dense bfloat16 operations a second of all GPUs of the run together; None if unknown."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    count = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    return next((peak * count for known, peak in _PEAKS.items() if known in name), None)


class MetricsLog:
    """Writes `metrics.jsonl`. A resumed run first drops the lines of steps later than `after`, and then appends."""

    def __init__(self, folder: Path, *, after: int, tensorboard: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / METRICS_FILE
        kept = [line for line in read_lines(path) if line["step"] <= after]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        self._board = _tensorboard(folder) if tensorboard else None

    def write(self, metrics: StepMetrics) -> None:
        """Append one line and flush it."""
        values = {name: round(v, 8) if isinstance(v, float) else v for name, v in asdict(metrics).items()}
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()
        if self._board is not None:
            for name in ("loss", "rate", "gradient", "samples_per_second", "tokens_per_second"):
                self._board.add_scalar(name, values[name], metrics.step)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The steps in a run's `metrics.jsonl`, without a last line that a kill cut off."""
    lines: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
    return lines


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        missing = LlavaError("TensorBoard is not installed")
        missing.add_note("pip install 'llavero[tensorboard]'")
        raise missing from error
    return SummaryWriter(str(folder / "tensorboard"))
