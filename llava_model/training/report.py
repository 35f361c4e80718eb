"""`report.html`: one self-contained page about a run, with its curves and its answers before and after.

All text from files is escaped, and the page loads nothing from elsewhere.
"""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from llava_model.checkpoints.manifest import Manifest
from llava_model.data.samples import Sample
from llava_model.images import open_picture
from llava_model.model.composition import LlavaModel
from llava_model.text.tokenize import PromptEncoder
from llava_model.training.metrics import METRICS_FILE, read_lines

if TYPE_CHECKING:
    from llava_model.training.loop import TrainReport

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
    from llava_model.serving.generate import Memory, Prompt, Sampling, reply_ids

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
        Prompt(ids=encoded.ids, keys=[(str(n), t) for n, t in enumerate(encoded.ids)], pixels_NCHW=pixels),
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
