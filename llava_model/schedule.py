"""The number of steps of a stage, and the learning rate of each: pure functions, so a resumed run gets the same."""

import math

from llava_model.batches import steps_per_epoch
from llava_model.stages import Stage


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
