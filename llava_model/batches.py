"""The batches of every optimiser step, as a pure function of (seed, step): what makes a resumed run the same run.

A thread prepares the next steps while one is taken: it reads samples, tokenises, and decodes pictures or looks their
features up. Nothing is carried from step to step, so a checkpoint only has to hold the number of the next one.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from llava_model.data.encoding import EncodedSample, SampleEncoder
from llava_model.data.mixture import Mixture, SampleNumbers
from llava_model.data.packing import Batch, Layout, LoadPictures, collate, plan
from llava_model.data.pictures import in_order
from llava_model.errors import BadSampleError, LlavaError, TrainingDataError

_STEPS_AHEAD = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class StepBatches:
    """One optimiser step of one process."""

    step: int
    epoch: int
    passes: tuple[Batch, ...]
    targets: int
    """Of all processes, because the loss is divided by them; `tokens` and `samples` count all processes too."""
    tokens: int
    samples: int
    left_out: tuple[BadSampleError, ...]


class BatchLoader:
    """Makes the batches of any step, and prepares the steps of a run ahead."""

    def __init__(
        self,
        mixture: Mixture,
        encoder: SampleEncoder,
        *,
        samples_per_step: int,
        layout: Layout,
        pass_tokens: int,
        pad_id: int,
        seed: int,
        process: int = 0,
        processes: int = 1,
        load_pictures: LoadPictures,
        skip_bad: bool = False,
    ) -> None:
        self._mixture, self._encoder, self._samples_per_step = mixture, encoder, samples_per_step
        self._layout, self._pass_tokens, self._pad_id, self._seed = layout, pass_tokens, pad_id, seed
        self._process, self._processes = process, processes
        self._load_pictures, self._skip_bad = load_pictures, skip_bad
        self.samples_per_epoch = mixture.length()
        self._steps_per_epoch = steps_per_epoch(self.samples_per_epoch, samples_per_step)
        self._order: tuple[int, SampleNumbers] | None = None  # of one epoch

    def steps(self, first: int, end: int) -> Iterator[StepBatches]:
        """Steps `first` to `end - 1`, prepared ahead in a thread."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        try:
            yield from in_order(pool, self.step, range(first, end), depth=_STEPS_AHEAD)
        finally:
            pool.shutdown(cancel_futures=True)

    def step(self, step: int) -> StepBatches:
        """The batches of one step, made now. Raises BadSampleError unless bad samples are skipped."""
        epoch, step_in_epoch = divmod(step, self._steps_per_epoch)
        samples, left_out = self._encoded(epoch, step_in_epoch)
        lengths = [len(sample.ids) for sample in samples]
        shares = plan(lengths, layout=self._layout, max_tokens=self._pass_tokens, processes=self._processes)
        batches = [
            collate(
                [samples[each] for each in group],
                layout=self._layout,
                pad_id=self._pad_id,
                load_pictures=self._load_pictures,
            )
            for group in shares[self._process]
        ]
        return StepBatches(
            step=step,
            epoch=epoch,
            passes=tuple(batches),
            targets=sum(sample.targets for sample in samples),
            tokens=sum(lengths),
            samples=len(samples),
            left_out=tuple(left_out),
        )

    def _encoded(self, epoch: int, step_in_epoch: int) -> tuple[list[EncodedSample], list[BadSampleError]]:
        """The samples of one step over all processes, and those that cannot be used."""
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, self._mixture.epoch(seed=self._seed, epoch=epoch)
        start = step_in_epoch * self._samples_per_step
        samples, left_out = [], []
        for pair in self._order[1][start : start + self._samples_per_step]:
            try:
                samples.append(self._encoder.encode(self._mixture[pair], epoch=epoch))
            except BadSampleError as error:
                if not self._skip_bad:
                    error.add_note("Look at the set with: llavero model validate. Or leave such out: --skip-bad")
                    raise
                left_out.append(error)
        if not samples:
            raise TrainingDataError(f"no usable sample in {len(left_out)}: {left_out[0] if left_out else 'empty set'}")
        return samples, left_out


def steps_per_epoch(samples_per_epoch: int, samples_per_step: int) -> int:
    """Optimiser steps of one pass over the mixture; the last one may hold fewer samples."""
    return max(1, math.ceil(samples_per_epoch / samples_per_step))


def no_pictures(images: Sequence[Path]) -> NoReturn:
    """Refuses pictures, for a model without a tower. Raises LlavaError."""
    raise LlavaError(f"'{images[0]}' is a picture, but this model reads words only")
