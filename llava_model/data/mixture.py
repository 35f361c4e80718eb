"""Several files as one training set: how often each is seen, and in which order.

    Mixture([(instruct, 1.0), (captions, 0.5), (receipts, 2.5)])

Every sample of `instruct` comes once an epoch, half of `captions` (the other half in the next), and each of
`receipts` twice, half of them once more. The order depends on the seed and the epoch alone: it is sorted from the
raw stream of a bit generator, which NumPy keeps the same in every version (NEP 19), unlike its shuffle.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from llava_model.data.sample_file import SampleFile
from llava_model.data.schema import Sample
from llava_model.errors import BadMixtureError

Numbers = npt.NDArray[np.int64]


class Mixture:
    """Files with weights. Raises BadMixtureError for a weight that takes nothing from a file."""

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
        """Changes with any file's content, with a weight, and with the order of the files; not with their place."""

    def length(self) -> int:
        """Samples in an epoch; every epoch has as many."""
        return sum(
            sum(_shares(len(file), weight)) for file, weight in zip(self.files, self.weights, strict=True)
        )  # fmt: skip

    def epoch(self, *, seed: int, epoch: int) -> Numbers:
        """int64 (length, 2): file number and sample number, in the order of this epoch."""
        pairs: list[Numbers] = []
        for number, (file, weight) in enumerate(zip(self.files, self.weights, strict=True)):
            chosen = _chosen(len(file), weight, f"{seed} choice {number}", epoch)
            pairs.append(np.stack([np.full_like(chosen, number), chosen], axis=1))
        in_order = np.concatenate(pairs)
        return in_order[_permutation(len(in_order), f"{seed} order {epoch}")]

    def __getitem__(self, pair: Sequence[int] | Numbers) -> Sample:
        """The sample behind a row of `epoch`. Raises BadSampleError."""
        file, sample = (int(number) for number in pair)
        return self.files[file][sample]


def _fingerprint(files: Sequence[tuple[SampleFile, float]]) -> str:
    lines = (f"{file.fingerprint} {len(file)} {float(weight)!r}\n" for file, weight in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _shares(samples: int, weight: float) -> tuple[int, int]:
    """How many come from whole rounds, and how many from the fraction of a round."""
    whole = math.floor(weight)
    return whole * samples, math.floor((weight - whole) * samples + 0.5)


def _chosen(samples: int, weight: float, key: str, epoch: int) -> Numbers:
    """Whole rounds, then the epoch's window of a fixed permutation that the windows of all epochs go round."""
    from_rounds, rest = _shares(samples, weight)
    rounds = np.arange(from_rounds, dtype=np.int64) % max(samples, 1)
    window = (epoch * rest + np.arange(rest, dtype=np.int64)) % max(samples, 1)
    return np.concatenate([rounds, _permutation(samples, key)[window]]) if rest else rounds


def _permutation(length: int, key: str) -> Numbers:
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest())
    values = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(length)
    return np.argsort(values, kind="stable").astype(np.int64, copy=False)
