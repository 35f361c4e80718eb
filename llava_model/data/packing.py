"""Examples → batches for one pass, in two ways that give the same loss.

    padded   several rows, each as long as the longest; short ones end in padding that nothing looks at
    packed   one row with many examples one behind the other, each blind to the others

What stands behind an example can never be seen by it, so padded rows need no mask at all (unless an example has
branches), and packed rows only one that hides what lies before.

Legend: B rows, T tokens, N pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from llava_model.data.encoding import EncodedSample

Layout = Literal["padded", "packed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Tensors of one pass. `images` in reading order. Without examples it is a pass that teaches nothing."""

    ids_BT: torch.Tensor
    positions_BT: torch.Tensor
    mask_B1TT: torch.Tensor | None
    """True where a token (third axis) may look at another (fourth); None: the plain causal order."""
    targets_BT: torch.Tensor
    """True where the token is learned."""
    images: tuple[Path, ...]
    samples: tuple[str, ...]
    tokens: int
    """Real ones, without padding."""
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
        )


def collate(examples: Sequence[EncodedSample], *, layout: Layout, pad_id: int) -> Batch:
    """One batch. No examples: a single padding token without a target, for a process that has nothing to do."""
    if not examples:
        return _batch([([pad_id], [False], [0])], (), None, pad_id)
    if layout == "padded":
        rows = [(e.ids, e.learned, e.positions) for e in examples]
        longest = max(len(e.ids) for e in examples)
        branched = any(e.branches for e in examples)
        masks = torch.stack([_seen([e], longest) for e in examples])[:, None] if branched else None
        return _batch(rows, examples, masks, pad_id)
    ids = [token for e in examples for token in e.ids]
    learned = [flag for e in examples for flag in (False, *e.learned[1:])]
    positions = [position for e in examples for position in e.positions]
    return _batch([(ids, learned, positions)], examples, _seen(examples, len(ids))[None, None], pad_id)


def _seen(examples: Sequence[EncodedSample], width: int) -> torch.Tensor:
    """mask_TT of one row: an example sees itself, up to the present; of its branches each itself and the first.

    Padding sees itself, so that its softmax has something to share out.
    """
    owner_T, branch_T = torch.full((width,), -1), torch.zeros(width, dtype=torch.long)
    start = 0
    for number, example in enumerate(examples):
        end = start + len(example.ids)
        owner_T[start:end] = number
        if example.branches:
            branch_T[start:end] = torch.tensor(example.branches)
        start = end
    same_TT = owner_T[:, None] == owner_T[None, :]
    reached_TT = (branch_T[:, None] == branch_T[None, :]) | (branch_T[None, :] == 0)
    return (same_TT & reached_TT).tril()


def _batch(
    rows: Sequence[tuple[Sequence[int], Sequence[bool], Sequence[int]]],
    examples: Sequence[EncodedSample],
    mask: torch.Tensor | None,
    pad_id: int,
) -> Batch:
    longest = max(len(ids) for ids, _, _ in rows)
    ids_BT = torch.full((len(rows), longest), pad_id)
    targets_BT = torch.zeros((len(rows), longest), dtype=torch.bool)
    positions_BT = torch.arange(longest).repeat(len(rows), 1)
    for row, (ids, learned, positions) in enumerate(rows):
        ids_BT[row, : len(ids)] = torch.tensor(ids)
        targets_BT[row, : len(ids)] = torch.tensor(learned)
        positions_BT[row, : len(ids)] = torch.tensor(positions)
    targets_BT[:, 0] = False
    return Batch(
        ids_BT=ids_BT,
        positions_BT=positions_BT,
        mask_B1TT=mask,
        targets_BT=targets_BT,
        images=tuple(image for example in examples for image in example.images),
        samples=tuple(example.id for example in examples),
        tokens=sum(len(example.ids) for example in examples),
        targets=int(targets_BT.sum()),
    )


def plan(
    lengths: Sequence[int], *, layout: Layout, max_tokens: int, processes: int, most_rows: int = 1 << 30
) -> list[list[list[int]]]:
    """Which examples go through together: [process][pass] → positions in `lengths`.

    Every process gets equally many passes, some perhaps empty, so that none waits for another for ever. A pass holds
    at most `max_tokens` tokens, padding included (a longer example goes alone). Depends on nothing but its arguments:
    all processes make the same plan without a word.
    """
    by_length = sorted(range(len(lengths)), key=lambda each: (-lengths[each], each))
    passes = _bins(by_length, lengths, max_tokens) if layout == "packed" else []
    if layout == "padded":
        for each in by_length:  # longest first: the pass's first example says how wide it is
            group = passes[-1] if passes else []
            if group and len(group) < most_rows and (len(group) + 1) * lengths[group[0]] <= max_tokens:
                group.append(each)
            else:
                passes.append([each])
    return _shared(passes, lengths, processes)


def _bins(by_length: Sequence[int], lengths: Sequence[int], room: int) -> list[list[int]]:
    """First fit, longest first."""
    bins: list[list[int]] = []
    left: list[int] = []
    for each in by_length:
        place = next((number for number, rest in enumerate(left) if rest >= lengths[each]), None)
        if place is None:
            bins.append([])
            left.append(room)
            place = len(bins) - 1
        bins[place].append(each)
        left[place] -= lengths[each]
    return bins


def _shared(passes: Sequence[list[int]], lengths: Sequence[int], processes: int) -> list[list[list[int]]]:
    """Heaviest pass to the process with the least to do; then filled up to equal counts."""
    shares: list[list[list[int]]] = [[] for _ in range(processes)]
    loads = [0] * processes
    most = -(-len(passes) // processes)
    for group in sorted(passes, key=lambda group: -sum(lengths[each] for each in group)):
        free = [process for process in range(processes) if len(shares[process]) < most]
        least = min(free, key=lambda process: (loads[process], process))
        shares[least].append(sorted(group))
        loads[least] += sum(lengths[each] for each in group)
    for share in shares:
        share += [[] for _ in range(most - len(share))]
    return shares
