"""Several files as one training set: how often each is seen, and in which order.

    Mixture([(instruct, 1.0), (captions, 0.5), (receipts, 2.5)])

In an epoch every sample of `instruct` comes once, half of `captions` come once (the other half in the next epoch), and
each of `receipts` comes twice, half of them a third time. The order depends on the seed and the epoch alone: samples
are sorted by the raw numbers of a bit generator, which NumPy keeps the same in every version (NEP 19), unlike its
shuffle.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from llava_model.data.sample_file import SampleFile
from llava_model.data.schema import Sample
from llava_model.errors import BadMixtureError

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
