"""Samples → the batches of every optimiser step, as a pure function of (seed, step): so a resumed run is the same run.

    Mixture        several files with weights → which samples an epoch takes, and in which order
    plan, collate  encoded samples of one step → which of them share a pass, and the tensors of that pass
    BatchLoader    both for any step; a thread prepares the next steps while one is taken

Batches have two layouts that give the same loss:

    padded   one row for each sample, all as long as the longest; the padding stands at the end
    packed   one row with many samples one after the other; no sample attends to another

In causal attention a token never sees what comes after it. So padded rows need no mask (unless a sample has branches),
and a packed row needs one that hides the earlier samples. Nothing is carried from step to step, so a checkpoint only
has to hold the number of the next one.

Legend: B rows, T tokens, N pictures.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import numpy.typing as npt
import torch

from llava_model.data.pictures import in_order
from llava_model.data.sample_file import SampleFile
from llava_model.data.samples import EncodedSample, Sample, SampleEncoder
from llava_model.errors import BadMixtureError, BadSampleError, LlavaError, TrainingDataError
from llava_model.model.composition import Pictures

Layout = Literal["padded", "packed"]
LoadPictures = Callable[[Sequence[Path]], Pictures]
"""Files of pictures → pixels, or features from a cache."""
_Row = tuple[Sequence[int], Sequence[bool], Sequence[int]]  # ids, learned, positions


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The samples that go through the model in one pass; without samples, a pass that learns nothing."""

    ids_BT: torch.Tensor
    positions_BT: torch.Tensor
    mask_B1TT: torch.Tensor | None
    """True where a token (third axis) may attend to another (fourth); None: to every earlier one."""
    targets_BT: torch.Tensor
    """True where the token is learned."""
    images: tuple[Path, ...]
    """The pictures' files in reading order."""
    pictures: Pictures | None = None
    """The pictures themselves, if they were loaded."""
    samples: tuple[str, ...]
    """Ids."""
    tokens: int
    """Without padding."""
    targets: int
    """Tokens in the loss."""

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        return replace(
            self,
            ids_BT=self.ids_BT.to(device),
            positions_BT=self.positions_BT.to(device),
            mask_B1TT=None if self.mask_B1TT is None else self.mask_B1TT.to(device),
            targets_BT=self.targets_BT.to(device),
            pictures=None if self.pictures is None else self.pictures.to(device),
        )


def collate(
    samples: Sequence[EncodedSample], *, layout: Layout, pad_id: int, load_pictures: LoadPictures | None = None
) -> Batch:
    """One batch. Without samples: a single padding token and no target, for a process that has nothing to do."""
    mask_B1TT: torch.Tensor | None = None
    rows: list[_Row] = [(each.ids, each.learned, each.positions) for each in samples]
    if not samples:
        rows = [([pad_id], [False], [0])]
    elif layout == "packed":
        rows = [_joined(samples)]
        mask_B1TT = _attention_mask(samples, len(rows[0][0]))[None, None]
    elif any(each.branches for each in samples):
        longest = max(len(each.ids) for each in samples)
        mask_B1TT = torch.stack([_attention_mask([each], longest) for each in samples])[:, None]
    ids_BT, targets_BT, positions_BT = _padded(rows, pad_id)
    images = tuple(image for sample in samples for image in sample.images)
    return Batch(
        ids_BT=ids_BT,
        positions_BT=positions_BT,
        mask_B1TT=mask_B1TT,
        targets_BT=targets_BT,
        images=images,
        pictures=load_pictures(images) if load_pictures and images else None,
        samples=tuple(sample.id for sample in samples),
        tokens=sum(len(sample.ids) for sample in samples),
        targets=int(targets_BT.sum()),
    )


def _joined(samples: Sequence[EncodedSample]) -> _Row:
    """All samples as one row. The first token of a sample is not learned: nothing of its sample predicts it."""
    ids = [token for each in samples for token in each.ids]
    learned = [flag for each in samples for flag in (False, *each.learned[1:])]
    return ids, learned, [position for each in samples for position in each.positions]


def _attention_mask(samples: Sequence[EncodedSample], width: int) -> torch.Tensor:
    """mask_TT of one row: a token attends to earlier tokens of its own sample, in its own branch or in branch 0.

    Padding attends to itself: a softmax over nothing would give no numbers.
    """
    sample_T, branch_T = torch.full((width,), -1), torch.zeros(width, dtype=torch.long)
    start = 0
    for number, sample in enumerate(samples):
        end = start + len(sample.ids)
        sample_T[start:end] = number
        if sample.branches:
            branch_T[start:end] = torch.tensor(sample.branches)
        start = end
    same_sample_TT = sample_T[:, None] == sample_T[None, :]
    same_branch_TT = (branch_T[:, None] == branch_T[None, :]) | (branch_T[None, :] == 0)
    return (same_sample_TT & same_branch_TT).tril()


def _padded(rows: Sequence[_Row], pad_id: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """→ ids_BT, targets_BT, positions_BT, with the padding at the end of each row."""
    longest = max(len(ids) for ids, _, _ in rows)
    ids_BT = torch.full((len(rows), longest), pad_id)
    targets_BT = torch.zeros((len(rows), longest), dtype=torch.bool)
    positions_BT = torch.arange(longest).repeat(len(rows), 1)
    for row, (ids, learned, positions) in enumerate(rows):
        ids_BT[row, : len(ids)] = torch.tensor(ids)
        targets_BT[row, : len(ids)] = torch.tensor(learned)
        positions_BT[row, : len(ids)] = torch.tensor(positions)
    targets_BT[:, 0] = False
    return ids_BT, targets_BT, positions_BT


def plan(
    lengths: Sequence[int], *, layout: Layout, max_tokens: int, processes: int, most_rows: int = 1 << 30
) -> list[list[list[int]]]:
    """Which samples share a pass: [process][pass] → positions in `lengths`.

    Every process gets the same number of passes, some of them perhaps empty, so that no process waits for another for
    ever. A pass holds at most `max_tokens` tokens, padding included; a longer sample gets a pass of its own. The plan
    depends on the arguments alone, so all processes make the same one without talking to each other.
    """
    by_length = sorted(range(len(lengths)), key=lambda each: (-lengths[each], each))
    if layout == "packed":
        passes = _packed_passes(by_length, lengths, max_tokens)
    else:
        passes = _padded_passes(by_length, lengths, max_tokens, most_rows)
    return _divide_among_processes(passes, lengths, processes)


def _padded_passes(
    by_length: Sequence[int], lengths: Sequence[int], max_tokens: int, most_rows: int
) -> list[list[int]]:
    """Longest first, so that the first sample of a pass decides how wide its rows are."""
    passes: list[list[int]] = []
    for each in by_length:
        group = passes[-1] if passes else []
        if group and len(group) < most_rows and (len(group) + 1) * lengths[group[0]] <= max_tokens:
            group.append(each)
        else:
            passes.append([each])
    return passes


def _packed_passes(by_length: Sequence[int], lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Bin packing: longest first, each into the first pass that has room."""
    passes: list[list[int]] = []
    free_tokens: list[int] = []
    for each in by_length:
        fitting = next((number for number, free in enumerate(free_tokens) if free >= lengths[each]), None)
        if fitting is None:
            passes.append([])
            free_tokens.append(max_tokens)
            fitting = len(passes) - 1
        passes[fitting].append(each)
        free_tokens[fitting] -= lengths[each]
    return passes


def _divide_among_processes(
    passes: Sequence[list[int]], lengths: Sequence[int], processes: int
) -> list[list[list[int]]]:
    """The longest pass goes to the process with the fewest tokens; empty passes make the counts equal."""
    shares: list[list[list[int]]] = [[] for _ in range(processes)]
    loads = [0] * processes
    most = -(-len(passes) // processes)
    for group in sorted(passes, key=lambda group: -sum(lengths[each] for each in group)):
        open_processes = [process for process in range(processes) if len(shares[process]) < most]
        least = min(open_processes, key=lambda process: (loads[process], process))
        shares[least].append(sorted(group))
        loads[least] += sum(lengths[each] for each in group)
    for share in shares:
        share += [[] for _ in range(most - len(share))]
    return shares


SampleNumbers = npt.NDArray[np.int64]
"""(samples, 2): number of the file, number of the sample in it."""


class Mixture:
    """Several files as one training set: how often each is seen, and in which order.

        Mixture([(instruct, 1.0), (captions, 0.5), (receipts, 2.5)])

    In an epoch every sample of `instruct` comes once, half of `captions` come once (the other half in the next epoch),
    and each of `receipts` comes twice, half of them a third time. The order depends on the seed and the epoch alone:
    samples are sorted by the raw numbers of a bit generator, which NumPy keeps the same in every version (NEP 19),
    unlike its shuffle. Raises BadMixtureError for a weight that takes no sample from its file.
    """

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
