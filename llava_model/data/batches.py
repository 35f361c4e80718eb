"""The batches of every optimiser step, as a pure function of (seed, step): what makes a resumed run the same run.

A thread prepares the next steps while one is taken: it reads samples, tokenises, and decodes pictures or looks their
features up. Nothing is carried from step to step, so a checkpoint only has to hold the number of the next one.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from llava_model.data.encoding import EncodedSample, SampleEncoder
from llava_model.data.packing import Batch, Layout, LoadPictures, collate, plan
from llava_model.data.pictures import in_order
from llava_model.data.sample_file import SampleFile
from llava_model.data.samples import Sample
from llava_model.errors import BadMixtureError, BadSampleError, LlavaError, TrainingDataError

# ---
# Several files as one training set: how often each is seen, and in which order.
#
#     Mixture([(instruct, 1.0), (captions, 0.5), (receipts, 2.5)])
#
# In an epoch every sample of `instruct` comes once, half of `captions` come once (the other half in the next epoch),
# and
# each of `receipts` comes twice, half of them a third time. The order depends on the seed and the epoch alone: samples
# are sorted by the raw numbers of a bit generator, which NumPy keeps the same in every version (NEP 19), unlike its
# shuffle.
# ---

SampleNumbers = npt.NDArray[np.int64]
"""(samples, 2): number of the file, number of the sample in it."""


class Mixture:
    """Files with weights. Raises BadMixtureError for a weight that takes no sample from its file."""

    def __init__(self, files: Sequence[tuple[SampleFile, float]]) -> None:
        self.files = tuple(file for file, _ in files)
        self.weights = tuple(float(weight) for _, weight in files)
        if not files:
            raise BadMixtureError("a mixture needs at least one file")
        for file, weight in files:
            if not (math.isfinite(weight) and weight > 0):
                raise BadMixtureError(f"the weight of '{file.path}' is {weight}; it must be a number above 0")
            if sum(_shares(len(file), weight)) == 0:
                raise BadMixtureError(f"weight {weight} takes no sample of the {len(file)} in '{file.path}'")
        self.fingerprint = _fingerprint(files)
        """Changes with a file's content, with a weight and with the order of the files, not with their folder."""

    def length(self) -> int:
        """Samples in an epoch; every epoch has as many."""
        return sum(sum(_shares(len(file), weight)) for file, weight in zip(self.files, self.weights, strict=True))

    def epoch(self, *, seed: int, epoch: int) -> SampleNumbers:
        """Which samples come in this epoch, in its order."""
        pairs: list[SampleNumbers] = []
        for number, (file, weight) in enumerate(zip(self.files, self.weights, strict=True)):
            samples = _samples_of_epoch(len(file), weight, f"{seed} choice {number}", epoch)
            pairs.append(np.stack([np.full_like(samples, number), samples], axis=1))
        unshuffled = np.concatenate(pairs)
        return unshuffled[_permutation(len(unshuffled), f"{seed} order {epoch}")]

    def __getitem__(self, pair: Sequence[int] | SampleNumbers) -> Sample:
        """The sample that a row of `epoch` names. Raises BadSampleError."""
        file, sample = (int(number) for number in pair)
        return self.files[file][sample]


def _fingerprint(files: Sequence[tuple[SampleFile, float]]) -> str:
    lines = (f"{file.fingerprint} {len(file)} {float(weight)!r}\n" for file, weight in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _shares(samples: int, weight: float) -> tuple[int, int]:
    """Samples an epoch from a file: those of whole rounds over it, and those of the fraction of a round."""
    whole = math.floor(weight)
    return whole * samples, math.floor((weight - whole) * samples + 0.5)


def _samples_of_epoch(samples: int, weight: float, key: str, epoch: int) -> npt.NDArray[np.int64]:
    """Whole rounds over the samples, then a stretch of a fixed permutation; the next epoch takes the next stretch."""
    from_rounds, rest = _shares(samples, weight)
    rounds = np.arange(from_rounds, dtype=np.int64) % max(samples, 1)
    stretch = (epoch * rest + np.arange(rest, dtype=np.int64)) % max(samples, 1)
    return np.concatenate([rounds, _permutation(samples, key)[stretch]]) if rest else rounds


def _permutation(length: int, key: str) -> npt.NDArray[np.int64]:
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest())
    values = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(length)
    return np.argsort(values, kind="stable").astype(np.int64, copy=False)


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
