"""What a model knows of reference answers, without writing a word: one pass over questions and answers together.

perplexity   exp of the mean cross-entropy of the answers' tokens. It depends on the tokenizer: compare models of
             one language model only
exact        share of answers that the model would write to the letter, greedily. Given an answer's beginning, the
             likeliest next token is the reference's at every place: the same verdict as writing it out, ten times
             as fast. It says something for short answers only
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from llava_model.data.encoding import SampleEncoder, single_questions
from llava_model.data.packing import collate, plan
from llava_model.data.schema import Sample
from llava_model.evaluation.intervals import wilson
from llava_model.model import LlavaModel

_PASS_TOKENS = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Forced:
    """Over `n` answers; `exact` in per cent with its 95 % interval."""

    perplexity: float
    exact: float
    n: int
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "interval": list(self.interval)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Forced":
        """The inverse of `to_json`."""
        low, high = values["interval"]
        return cls(**{**values, "interval": (low, high)})


@torch.no_grad()
def forced(
    model: LlavaModel,
    encoder: SampleEncoder,
    samples: Sequence[Sample],
    *,
    features: Callable[[Sequence[Path]], torch.Tensor],
    pad_id: int,
) -> Forced:
    """Over all samples; independent turns are questions of their own. `features` gives features_NPV of pictures."""
    alone = [one for sample in samples for one in (single_questions(sample) if sample.independent else [sample])]
    examples = [encoder.encode(one) for one in alone]
    (passes,) = plan([len(one.ids) for one in examples], layout="padded", max_tokens=_PASS_TOKENS, processes=1)
    device = next(model.language.parameters()).device
    summed, targets, right = 0.0, 0, 0
    for group in passes:
        batch = collate([examples[each] for each in group], layout="padded", pad_id=pad_id).to(device)
        output = model(
            batch.ids_BT,
            features_NPV=features(batch.images).to(device) if batch.images else None,
            position_ids_BT=batch.positions_BT,
        )
        logits_BTL, wanted_BT, learned_BT = (
            output.logits_BKL[:, :-1].float(), batch.ids_BT[:, 1:], batch.targets_BT[:, 1:]
        )  # fmt: skip
        summed += float(functional.cross_entropy(logits_BTL[learned_BT], wanted_BT[learned_BT], reduction="sum"))
        targets += batch.targets
        right += int(((logits_BTL.argmax(-1) == wanted_BT) | ~learned_BT).all(dim=1).sum())
    interval = wilson(right, len(examples)) or (0.0, 100.0)
    return Forced(
        perplexity=math.exp(summed / max(1, targets)),
        exact=100 * right / max(1, len(examples)),
        n=len(examples),
        interval=interval,
    )
