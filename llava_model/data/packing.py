"""Encoded samples → batches for one pass, in two layouts that give the same loss.

    padded   one row for each sample, all as long as the longest; the padding stands at the end
    packed   one row with many samples one after the other; no sample attends to another

In causal attention a token never sees what comes after it. So padded rows need no mask (unless a sample has branches),
and a packed row needs one that hides the earlier samples.

Legend: B rows, T tokens, N pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from llava_model.data.encoding import EncodedSample
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
