"""What a run says about itself: figures after each step, and one page at the end.

    metrics.jsonl   a line for each step: measured by `Meter`, written by `MetricsLog`, if wanted for TensorBoard too
    report.html     curves of these figures, and the answers to held-out samples before and after

All text from files is escaped, and the page loads nothing from elsewhere.
"""

import base64
import html
import io
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from llava_model.checkpoints.manifest import Manifest
from llava_model.data.batches import StepBatches
from llava_model.data.samples import Sample
from llava_model.errors import LlavaError
from llava_model.images import open_picture
from llava_model.model.composition import LlavaModel
from llava_model.text.tokenize import PromptEncoder

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
class TrainReport:
    """The result of a run."""

    checkpoint: Path
    steps: int
    finished: bool
    """False if the run was stopped before the stage's end."""
    loss: float
    """Of the last step; not a number if no step was taken."""
    left_out: tuple[str, ...]
    """Samples that could not be used, with reasons."""


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


REPORT_FILE = "report.html"
_WIDTH, _HEIGHT, _MARGIN = 640, 220, 46
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } td, th { padding: .4rem .6rem; text-align: left; vertical-align: top;
border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent) }
img { max-width: 9rem; border-radius: 4px } svg { width: 100%; height: auto } .wrong { opacity: .65 }
polyline { fill: none; stroke: #2f6fdd; stroke-width: 1.6 } line { stroke: currentColor; opacity: .25 }
text { fill: currentColor; font-size: 11px }
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOutAnswer:
    """The model's answer to the last question of a held-out sample."""

    id: str
    images: tuple[str, ...]
    question: str
    wanted: str
    answer: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@torch.no_grad()
def answer_samples(
    model: LlavaModel, encoder: PromptEncoder, samples: Sequence[Sample], *, max_new_tokens: int = 48
) -> list[HeldOutAnswer]:
    """Greedy answers to the last question of each sample. The model's training mode is as before afterwards."""
    training = model.training
    model.eval()
    try:
        # layers compiled for training would be compiled again for every new length
        with torch.compiler.set_stance("force_eager"):
            return [_answer(model, encoder, sample, max_new_tokens) for sample in samples]
    finally:
        model.train(training)


def _answer(model: LlavaModel, encoder: PromptEncoder, sample: Sample, max_new_tokens: int) -> HeldOutAnswer:
    from llava_model.serving.generate import EncodedPrompt, Memory, Sampling, reply_ids

    asked, wanted = sample.messages[:-1], sample.messages[-1]
    encoded = encoder.encode(asked, open_reply=True)
    pixels = (
        model.tower.preprocess.pixels([open_picture(i) for i in sample.images])
        if sample.images and model.tower
        else None
    )
    stop_ids, stop_texts = encoder.stops()
    ids = reply_ids(
        model,
        EncodedPrompt(ids=encoded.ids, keys=[(str(n), t) for n, t in enumerate(encoded.ids)], pixels_NCHW=pixels),
        Memory(),
        max_new_tokens=max_new_tokens,
        stop_ids=stop_ids,
        sampling=Sampling(),
        cancelled=lambda: False,
    )
    answer = encoder.tokenizer.decode(list(ids), skip_special_tokens=True)
    for stop in stop_texts:
        answer = answer.split(stop)[0]
    return HeldOutAnswer(
        id=sample.id,
        images=tuple(map(str, sample.images)),
        question=_words(asked[-1].parts),
        wanted=_words(wanted.parts),
        answer=answer.strip(),
    )


def _words(parts: Sequence[Any]) -> str:
    return "".join(part for part in parts if isinstance(part, str)).strip()


def write_report(
    out: Path,
    manifest: Manifest,
    report: "TrainReport",
    *,
    before: Sequence[HeldOutAnswer],
    after: Sequence[HeldOutAnswer],
) -> Path:
    """Write the page beside the checkpoints → its path."""
    lines = read_lines(out / METRICS_FILE)
    curves = "".join(
        f"<h2>{title}</h2>{_curve([(line['step'], line[name]) for line in lines])}"
        for title, name in (
            ("Loss per answer token", "loss"),
            ("Learning rate", "rate"),
            ("Norm of the gradient", "gradient"),
            ("Samples a second", "samples_per_second"),
        )
    )
    state = "finished" if report.finished else "stopped; the same command goes on from there"
    facts = {
        "Stage": manifest.stage,
        "Steps": f"{report.steps:,} ({state})",
        "Seed": str(manifest.seed),
        "Data": manifest.data_fingerprint[:16],
        "Code": manifest.git_hash or "not from a checkout",
        "Checkpoint": report.checkpoint.name,
        "Samples left out": str(len(report.left_out)),
    }
    rows = "".join(f"<tr><th>{key}</th><td>{html.escape(value)}</td></tr>" for key, value in facts.items())
    page = (
        f"<!doctype html><meta charset=utf-8><title>Run: {html.escape(manifest.stage)}</title><style>{_STYLE}</style>"
        f"<h1>Stage {html.escape(manifest.stage)}</h1><table>{rows}</table>{curves}{_answer_table(before, after)}"
    )
    path = out / REPORT_FILE
    path.write_text(page, encoding="utf-8")
    return path


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """The points as a curve in SVG, thinned to at most 1,600."""
    if len(points) < 2:
        return "<p>Too few steps for a curve.</p>"
    points = points[:: max(1, len(points) // 800)]
    first, last = points[0][0], points[-1][0]
    low, high = min(y for _, y in points), max(y for _, y in points)
    across, up = (_WIDTH - 2 * _MARGIN) / max(1e-12, last - first), (_HEIGHT - 2 * _MARGIN) / max(1e-12, high - low)
    path = " ".join(f"{_MARGIN + (x - first) * across:.1f},{_HEIGHT - _MARGIN - (y - low) * up:.1f}" for x, y in points)
    floor = _HEIGHT - _MARGIN
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{floor}" '
        f'y2="{floor}"/><polyline points="{path}"/><text x="2" y="{_MARGIN}">{high:.4g}</text>'
        f'<text x="2" y="{floor}">{low:.4g}</text><text x="{_MARGIN}" y="{_HEIGHT - 20}">step {first:.0f}</text>'
        f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 20}" text-anchor="end">step {last:.0f}</text></svg>'
    )


def _answer_table(
    before: Sequence[HeldOutAnswer],
    after: Sequence[HeldOutAnswer],
) -> str:
    if not before and not after:
        return ""
    earlier = {each.id: each for each in before}
    rows = []
    for each in after or before:
        was = earlier.get(each.id)
        pictures = "".join(_picture(path) for path in each.images)
        cells = (each.question, each.wanted, was.answer if was else "", each.answer if after else "")
        rows.append(f"<tr><td>{pictures}</td>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "<tr><th></th><th>Question</th><th>Wanted</th><th>Before</th><th>After</th></tr>"
    return f"<h2>Held-out samples</h2><table>{head}{''.join(rows)}</table>"


def _picture(path: str) -> str:
    image = open_picture(Path(path))
    image.thumbnail((180, 180))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=80)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}">'
