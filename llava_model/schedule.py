"""How many steps a stage takes, and the learning rate of each: pure functions, so that a resumed run agrees."""

import math

from llava_model.stages import Stage


def total_steps(samples_per_epoch: int, stage: Stage) -> int:
    """Optimiser steps of the stage; the last one of an epoch may hold fewer samples."""
    whole, part = divmod(stage.epochs, 1)
    per_epoch = steps_per_epoch(samples_per_epoch, stage)
    return max(1, int(whole) * per_epoch + math.ceil(part * per_epoch))


def steps_per_epoch(samples_per_epoch: int, stage: Stage) -> int:
    """Optimiser steps of one pass over the mixture."""
    return max(1, math.ceil(samples_per_epoch / stage.batch))


def rate_share(step: int, total: int, stage: Stage) -> float:
    """The rate of step 0 … total − 1 as a share of its peak: linear warm-up, then half a cosine.

    As transformers' `get_cosine_schedule_with_warmup` (which LLaVA uses) where the floor is 0: step 0 has rate 0.
    """
    rising = math.ceil(stage.warm_up * total)
    if step < rising:
        return step / max(1, rising)
    done = (step - rising) / max(1, total - rising)
    return stage.floor + (1 - stage.floor) * 0.5 * (1 + math.cos(math.pi * done))
