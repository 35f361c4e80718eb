"""How likely a model finds the reference answers: one pass over questions and answers, nothing is generated.

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
from typing import TYPE_CHECKING, Any

from llava_model.evaluation.intervals import wilson

if TYPE_CHECKING:
    import torch

    from llava_model.data.encoding import SampleEncoder
    from llava_model.data.packing import Batch
    from llava_model.data.schema import Sample
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


def forced(
    model: "LlavaModel",
    encoder: "SampleEncoder",
    samples: "Sequence[Sample]",
    *,
    features: "Callable[[Sequence[Path]], torch.Tensor]",
    pad_id: int,
) -> Forced:
    """Over all samples; independent turns are questions of their own. `features` gives features_NPV of pictures."""
    import torch

    from llava_model.data.encoding import single_questions
    from llava_model.data.packing import collate, plan

    alone = [one for sample in samples for one in (single_questions(sample) if sample.independent else [sample])]
    examples = [encoder.encode(one) for one in alone]
    (passes,) = plan([len(one.ids) for one in examples], layout="padded", max_tokens=_PASS_TOKENS, processes=1)
    device = next(model.language.parameters()).device
    summed, targets, right = 0.0, 0, 0
    with torch.no_grad():
        for group in passes:
            batch = collate([examples[each] for each in group], layout="padded", pad_id=pad_id).to(device)
            loss, correct = _one_pass(model, batch, features)
            summed, targets, right = summed + loss, targets + batch.targets, right + correct
    return Forced(
        perplexity=math.exp(summed / max(1, targets)),
        exact=100 * right / max(1, len(examples)),
        n=len(examples),
        interval=wilson(right, len(examples)) or (0.0, 100.0),
    )


def _one_pass(
    model: "LlavaModel", batch: "Batch", features: "Callable[[Sequence[Path]], torch.Tensor]"
) -> tuple[float, int]:
    """The summed cross-entropy of the answers' tokens, and how many answers the model would write to the letter."""
    from torch.nn.functional import cross_entropy

    output = model(
        batch.ids_BT,
        features_NPV=features(batch.images).to(batch.ids_BT.device) if batch.images else None,
        position_ids_BT=batch.positions_BT,
    )
    logits_BTL, wanted_BT, learned_BT = (
        output.logits_BKL[:, :-1].float(), batch.ids_BT[:, 1:], batch.targets_BT[:, 1:]
    )  # fmt: skip
    loss = float(cross_entropy(logits_BTL[learned_BT], wanted_BT[learned_BT], reduction="sum"))
    return loss, int(((logits_BTL.argmax(-1) == wanted_BT) | ~learned_BT).all(dim=1).sum())
