"""LLaVA's training stages as values: what learns, from which data, how fast, and where the numbers come from.

    ALIGN     pictures and captions; only the projector learns (feature alignment)
    INSTRUCT  conversations about pictures; projector and language model learn, the tower never does
    TASK      one task, such as ScienceQA: reasoning first, then the answer
    GROUND    answers from numbered evidence, with markers, and "not in the evidence"

A preset is a sequence of stages with published numbers. Where the LLaVA paper and its released code disagree, both
are here: `llava-v1` follows the paper, `llava-v1-code` the scripts.

The number of steps and the learning rate of each are pure functions of the stage, so a resumed run gets the same.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from llava_model.data.batches import steps_per_epoch
from llava_model.data.samples import CaptionPrompt

StageName = Literal["align", "instruct", "task", "ground"]
Part = Literal["projector", "language"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lora:
    """Low-rank adapters on every linear layer of the language model but its output layer."""

    rank: int
    """Rank of each pair of matrices."""
    alpha: int
    """The update is scaled by alpha / rank."""
    dropout: float = 0.0
    """On the adapters' inputs, while training."""
    quantize: Literal["none", "nf4"] = "none"
    """`nf4` holds the frozen weights in 4 bits (QLoRA; needs bitsandbytes)."""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise ValueError(f"LoRA needs rank ≥ 1, alpha > 0 and 0 ≤ dropout < 1, not {asdict(self)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage. What `trains` does not name is frozen: bitwise the same afterwards."""

    name: StageName
    trains: tuple[Part, ...]
    """Parts that learn. The vision tower never does."""
    learning_rate: float
    """Peak, for every part without a rate of its own."""
    projector_rate: float | None = None
    """Peak for the projector; None takes `learning_rate`."""
    batch: int
    """Samples an optimiser step, over all processes and accumulation."""
    epochs: float
    """Passes over the mixture."""
    warm_up: float = 0.03
    """Share of the steps in which the rate rises from 0."""
    floor: float = 0.0
    """Share of the peak at which the cosine ends."""
    weight_decay: float = 0.0
    """AdamW's, on matrices."""
    max_gradient: float = 1.0
    """Gradients are scaled down to this norm; 0 leaves them. The published stages use 1, transformers' default."""
    max_tokens: int = 2048
    """Longer samples are cut at the end. A sample that would lose a picture or all of its answers is refused."""
    caption_prompt: CaptionPrompt | None = None
    """How captions are asked for. `drawn`: a brief-description instruction drawn for each sample (the paper).
    `plain`: picture, then caption, nothing else (the released code). None: samples bring their own questions."""
    lora: Lora | None = None
    """Adapters instead of the language model's own weights."""
    source: str = ""
    """Where the numbers come from."""

    def __post_init__(self) -> None:
        if not self.trains or not set(self.trains) <= set(get_args(Part)):
            raise ValueError(f"a stage trains {', '.join(get_args(Part))}, not {self.trains}")
        if self.lora and "language" not in self.trains:
            raise ValueError(f"stage '{self.name}' has LoRA, but its language model is frozen")
        for field, value in (("learning_rate", self.learning_rate), ("batch", self.batch), ("epochs", self.epochs)):
            if value <= 0:
                raise ValueError(f"{field} must be positive, is {value}")
        for field, share in (("warm_up", self.warm_up), ("floor", self.floor)):
            if not 0 <= share < 1:
                raise ValueError(f"{field} must be at least 0 and below 1, is {share}")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for a manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Stage":
        """The inverse of `to_json`; an unknown key is an error."""
        lora = values.get("lora")
        return cls(**{**values, "trains": tuple(values["trains"]), "lora": Lora(**lora) if lora else None})


_BOTH: tuple[Part, ...] = ("projector", "language")
_PAPER_1 = "LLaVA paper (arXiv 2304.08485), section 5 and appendix"
_CODE_1 = "haotian-liu/LLaVA at v1.0: scripts/pretrain.sh, scripts/finetune.sh"
_PAPER_1_5 = "LLaVA-1.5 paper (arXiv 2310.03744), table of hyperparameters; scripts/v1_5/"

ALIGN = Stage(
    name="align",
    trains=("projector",),
    learning_rate=2e-3,
    batch=128,
    epochs=1,
    caption_prompt="drawn",
    source=f"{_PAPER_1}: CC-595K",
)
INSTRUCT = Stage(
    name="instruct", trains=_BOTH, learning_rate=2e-5, batch=32, epochs=3, source=f"{_PAPER_1}: LLaVA-Instruct-158K"
)
TASK = Stage(name="task", trains=_BOTH, learning_rate=2e-5, batch=128, epochs=12, source=f"{_PAPER_1}: ScienceQA")
GROUND = Stage(
    name="ground",
    trains=_BOTH,
    learning_rate=2e-4,
    projector_rate=2e-5,
    batch=32,
    epochs=2,
    lora=Lora(rank=64, alpha=128),
    source="Llavero: evidence samples, rates of LLaVA-1.5's LoRA",
)

_POCKET_LORA = Lora(rank=16, alpha=32)
_POCKET = (
    replace(ALIGN, learning_rate=1e-3, batch=64, epochs=2, max_tokens=512, source="Llavero: recipes/pocket"),
    replace(
        INSTRUCT,
        learning_rate=4e-4,
        projector_rate=1e-3,
        batch=16,
        epochs=3,
        max_tokens=512,
        lora=_POCKET_LORA,
        source="Llavero: recipes/pocket",
    ),
    replace(
        GROUND,
        learning_rate=4e-4,
        projector_rate=2e-4,
        batch=16,
        epochs=2,
        max_tokens=768,
        lora=_POCKET_LORA,
        source="Llavero: recipes/pocket",
    ),
)

PRESETS: Mapping[str, tuple[Stage, ...]] = {
    "llava-v1": (ALIGN, INSTRUCT),
    "llava-v1-code": (
        replace(ALIGN, caption_prompt="plain", source=f"{_CODE_1}: pretrain"),
        replace(INSTRUCT, batch=128, source=f"{_CODE_1}: finetune"),
    ),
    "llava-1.5": (
        replace(ALIGN, learning_rate=1e-3, batch=256, caption_prompt="plain", source=f"{_PAPER_1_5}: LCS-558K"),
        replace(INSTRUCT, batch=128, epochs=1, source=f"{_PAPER_1_5}: mixture of 665K"),
    ),
    "llava-1.5-lora": (
        replace(ALIGN, learning_rate=1e-3, batch=256, caption_prompt="plain", source=f"{_PAPER_1_5}: LCS-558K"),
        replace(
            INSTRUCT,
            learning_rate=2e-4,
            projector_rate=2e-5,
            batch=128,
            epochs=1,
            lora=Lora(rank=128, alpha=256, dropout=0.05),
            source=f"{_PAPER_1_5}: finetune_lora.sh",
        ),
    ),
    "scienceqa": (
        replace(ALIGN, caption_prompt="plain", source=f"{_CODE_1}: pretrain"),
        TASK,
    ),
    "pocket": _POCKET,
    "pocket-cpu": (
        # plain captions are a quarter as long as asked ones, and on a CPU tokens are time
        replace(_POCKET[0], epochs=1, batch=32, caption_prompt="plain"),
        *(replace(stage, epochs=1) for stage in _POCKET[1:]),
    ),
    "small": (
        # the kit's reader sees words alone: `--words-only`
        replace(
            GROUND,
            trains=("language",),
            projector_rate=None,
            epochs=1,
            max_tokens=1536,
            lora=Lora(rank=8, alpha=16),
            source="Llavero: recipes/small",
        ),
    ),
}


def stage_of(preset: str, name: str) -> Stage:
    """The stage of a preset. Presets of others, which have no stage `ground`, get `GROUND`.

    Raises ValueError naming the presets, or the stages, that exist.
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown preset '{preset}'; known: {', '.join(PRESETS)}")
    for stage in PRESETS[preset]:
        if stage.name == name:
            return stage
    if preset.startswith("pocket") or name != "ground":
        raise ValueError(f"preset '{preset}' has no stage '{name}', but {', '.join(s.name for s in PRESETS[preset])}")
    return GROUND


def with_overrides(stage: Stage, *, epochs: float | None, batch: int | None, learning_rate: float | None) -> Stage:
    """The stage with a user's own numbers; None keeps the stage's."""
    numbers: dict[str, Any] = {"epochs": epochs, "batch": batch, "learning_rate": learning_rate}
    return replace(stage, **{name: value for name, value in numbers.items() if value is not None})


def total_steps(samples_per_epoch: int, stage: Stage) -> int:
    """Optimiser steps of the stage. The last step of an epoch may hold fewer samples."""
    whole, part = divmod(stage.epochs, 1)
    per_epoch = steps_per_epoch(samples_per_epoch, stage.batch)
    return max(1, int(whole) * per_epoch + math.ceil(part * per_epoch))


def rate_share(step: int, total: int, stage: Stage) -> float:
    """The learning rate of a step (0 … total − 1) as a share of its peak: linear warm-up, then half a cosine.

    With a floor of 0 it is transformers' `get_cosine_schedule_with_warmup`, which LLaVA uses: step 0 has rate 0.
    """
    warm_up_steps = math.ceil(stage.warm_up * total)
    if step < warm_up_steps:
        return step / max(1, warm_up_steps)
    done = (step - warm_up_steps) / max(1, total - warm_up_steps)
    return stage.floor + (1 - stage.floor) * 0.5 * (1 + math.cos(math.pi * done))
