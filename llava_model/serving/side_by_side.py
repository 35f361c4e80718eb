"""Replies that are written in one forward pass: each row a request, with a length of its own.

A row's prompt lies in kept stretches (see `prefixes`), which are never padded; a stretch that several rows share is
multiplied with all their queries at once. What the rows have written, and short ends of their prompts, lie in one
table whose rows are padded to the longest. The parts' results are joined by their shares of the softmax, as
flash-decoding and cascade attention do (Juravsky et al. 2024, Hydragen).

Legend: B rows, G key heads, Q query heads per key head, S positions of a stretch, W positions of the table, D width of
a head, R rows that share a stretch, T 1, E width of the language model, L vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from llava_model.model.composition import LlavaModel
from llava_model.serving.generate import NAME, Key, Memory
from llava_model.serving.prefixes import Kept, Layers, Path, layers_of, length

SHORT_END = 128
"""Ends of prompts up to this length are copied into the table: one call for all rows, instead of one for each."""

_STEP = 64  # the table grows by so many positions


@dataclass(eq=False, slots=True)
class ReplyRow:
    """One request's place. `path` is everything that was read, `stretches` the part of it outside the table."""

    path: Path
    stretches: Path
    copied: int  # positions of the prompt that lie in the table
    written: list[Key] = field(default_factory=list)

    @property
    def in_table(self) -> int:
        """Positions in the table."""
        return self.copied + len(self.written)


class _Piece(NamedTuple):
    """A range of a stretch that all of `rows` look at; None stands for every row."""

    layers: Layers
    start: int
    end: int
    rows: torch.Tensor | None


class SideBySide:
    """The rows and their table. Used by one thread."""

    def __init__(self, model: LlavaModel, *, most_rows: int) -> None:
        self.rows: list[ReplyRow] = []
        self._model, self._most_rows = model, most_rows
        self._table_keys: list[torch.Tensor] = []  # keys_BGWD of each layer
        self._table_values: list[torch.Tensor] = []
        self._pieces: list[_Piece] = []
        self._mask_B11W = torch.empty(0)
        self._rows_B = self._places_B = torch.empty(0)

    @property
    def bytes(self) -> int:
        """What the table takes."""
        return sum(tensor.nbytes for tensor in (*self._table_keys, *self._table_values))

    def join(self, path: Path) -> ReplyRow:
        """A request whose prompt is kept goes on here."""
        stretches, copied = path, 0
        while len(stretches) > 1 and copied + stretches[-1][1] <= SHORT_END:
            copied += stretches[-1][1]
            stretches = stretches[:-1]
        row = ReplyRow(path, stretches, copied)
        self._fit(path[0][0].layers, max([copied, *(other.in_table for other in self.rows)]) + 1)
        if copied:
            for layer, (k_GSD, v_GSD) in enumerate(layers_of(path[len(stretches) :])):
                self._table_keys[layer][len(self.rows), :, :copied] = k_GSD
                self._table_values[layer][len(self.rows), :, :copied] = v_GSD
        self.rows.append(row)
        self._plan()
        return row

    def leave(self, row: ReplyRow) -> None:
        """The last row moves into the place that gets free."""
        place, last = self.rows.index(row), len(self.rows) - 1
        if place != last:
            for table in (*self._table_keys, *self._table_values):
                table[place, :, : self.rows[last].in_table] = table[last, :, : self.rows[last].in_table]
            self.rows[place] = self.rows[last]
        self.rows.pop()
        if self.rows:
            self._fit([], max(other.in_table for other in self.rows) + 1)
        else:
            self._table_keys, self._table_values = [], []
        self._plan()

    def drop_all(self) -> None:
        """After a pass that failed: no row is whole."""
        self.rows.clear()
        self._table_keys, self._table_values, self._pieces = [], [], []

    def written(self, row: ReplyRow, start: int) -> Layers:
        """A copy of this row's keys and values, from its `start`-th position on."""
        place, outside = self.rows.index(row), length(row.stretches)
        ends = slice(max(0, start - outside), row.in_table)
        behind = [
            (k_BGWD[place, :, ends].clone(), v_BGWD[place, :, ends].clone())
            for k_BGWD, v_BGWD in zip(self._table_keys, self._table_values, strict=True)
        ]
        if start >= outside:
            return behind
        return [
            (torch.cat([k_GSD[:, start:], more_k_GSD], 1), torch.cat([v_GSD[:, start:], more_v_GSD], 1))
            for (k_GSD, v_GSD), (more_k_GSD, more_v_GSD) in zip(layers_of(row.stretches), behind, strict=True)
        ]

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Read one more token in each row → logits_BL, the image token ruled out."""
        device = self._table_keys[0].device
        places = [row.in_table for row in self.rows]
        self._fit([], max(places) + 1)
        self._rows_B = torch.arange(len(places), device=device)
        self._places_B = torch.tensor(places, device=device)
        width = max(places) + 1
        self._mask_B11W = torch.where(
            torch.arange(width, device=device) <= self._places_B[:, None], 0.0, -torch.inf
        ).view(len(places), 1, 1, width)
        positions_BT = torch.tensor([[length(row.stretches) + row.in_table] for row in self.rows], device=device)
        output = self._model.run(
            self._model.embed(torch.tensor(tokens, device=device).view(-1, 1)),
            attention_mask=torch.ones_like(positions_BT),
            position_ids_BT=positions_BT,
            logits_to_keep=1,
            side_by_side=self,
        )
        for row, token in zip(self.rows, tokens, strict=True):
            row.written.append(token)
        logits_BL = output.logits_BKL[:, -1]
        logits_BL[:, self._model.image_token_id : self._model.image_token_id + 1] = -torch.inf
        return logits_BL

    def attend(
        self, layer: int, query_BHTD: torch.Tensor, key_BGTD: torch.Tensor, value_BGTD: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        """Write the new keys and values down, and look at everything that each row holds → attended_BTHD."""
        batch, groups, _, width = key_BGTD.shape
        heads = query_BHTD.shape[1]
        keys, values = self._table_keys[layer], self._table_values[layer]
        keys[self._rows_B, :, self._places_B] = key_BGTD[:, :, 0]
        values[self._rows_B, :, self._places_B] = value_BGTD[:, :, 0]
        query_BGQD = (query_BHTD * scaling).view(batch, groups, heads // groups, width)
        used = self._mask_B11W.shape[-1]
        seen_BGQD, share_BGQ1 = _look(query_BGQD, keys[:batch, :, :used], values[:batch, :, :used], self._mask_B11W)
        for piece in self._pieces:
            k_GSD, v_GSD = (tensor[:, piece.start : piece.end] for tensor in piece.layers[layer])
            query_RGQD = query_BGQD if piece.rows is None else query_BGQD[piece.rows]
            rows = len(query_RGQD)
            query_GXD = query_RGQD.transpose(0, 1).reshape(groups, -1, width)  # X: rows times Q
            seen_GXD, share_GX1 = _look(query_GXD, k_GSD, v_GSD)
            seen_RGQD = seen_GXD.view(groups, rows, heads // groups, -1).transpose(0, 1)
            share_RGQ1 = share_GX1.view(groups, rows, heads // groups, 1).transpose(0, 1)
            if piece.rows is None:
                seen_BGQD, share_BGQ1 = _joined(seen_BGQD, share_BGQ1, seen_RGQD, share_RGQ1)
            else:
                seen_BGQD[piece.rows], share_BGQ1[piece.rows] = _joined(
                    seen_BGQD[piece.rows], share_BGQ1[piece.rows], seen_RGQD, share_RGQ1
                )
        return seen_BGQD.to(value_BGTD.dtype).reshape(batch, 1, heads, -1)

    def _plan(self) -> None:
        """Which ranges of which stretches are looked at by which rows; made anew when rows join and leave."""
        ends: dict[int, dict[int, int]] = {}
        layers: dict[int, Layers] = {}
        for place, row in enumerate(self.rows):
            for kept, count in row.stretches:
                ends.setdefault(id(kept), {})[place] = count
                layers[id(kept)] = kept.layers
        self._pieces = []
        for stretch, counts in ends.items():
            start = 0
            for end in sorted(set(counts.values())):
                places = [place for place, count in counts.items() if count >= end]
                rows = torch.tensor(places, device=layers[stretch][0][0].device)
                everybody = len(places) == len(self.rows)
                self._pieces.append(_Piece(layers[stretch], start, end, None if everybody else rows))
                start = end

    def _fit(self, like: Layers, positions: int) -> None:
        """Make the table wide enough, and narrower again where a long row has left."""
        wanted = -(-positions // _STEP) * _STEP
        if not self._table_keys:
            self._table_keys, self._table_values = (
                [tensor.new_zeros(self._most_rows, len(tensor), wanted, tensor.shape[2]) for tensor in tensors]
                for tensors in zip(*like, strict=True)
            )
            return
        held = self._table_keys[0].shape[2]
        if positions <= held <= 4 * wanted:
            return
        # Both at once, so that a table stays whole if memory is short.
        self._table_keys, self._table_values = (
            [_resized(table, wanted) for table in tables] for tables in (self._table_keys, self._table_values)
        )


def _resized(table_BGWD: torch.Tensor, width: int) -> torch.Tensor:
    """The same positions in a wider or narrower table; what is not written yet is 0, since 0 times NaN is NaN."""
    rows, groups, held, depth = table_BGWD.shape
    resized_BGWD = table_BGWD.new_zeros(rows, groups, width, depth)
    resized_BGWD[:, :, : min(held, width)] = table_BGWD[:, :, :width]
    return resized_BGWD


def _look(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention to these positions alone (…QD), and the logarithm of the softmax's sum (…Q1), both in float32."""
    scores = torch.matmul(query, keys.transpose(-2, -1)).float()
    if mask is not None:
        scores = scores + mask
    most = scores.amax(-1, keepdim=True)
    weights = scores.sub_(most).exp_()
    sums = weights.sum(-1, keepdim=True)
    return torch.matmul(weights.to(values.dtype), values).float() / sums, most + sums.log()


def _joined(
    seen: torch.Tensor, share: torch.Tensor, more: torch.Tensor, more_share: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention to two sets of positions as if they had been one."""
    weight = torch.sigmoid(share - more_share)
    return seen * weight + more * (1 - weight), torch.logaddexp(share, more_share)


@torch.inference_mode()
def can_share_a_pass(model: LlavaModel, memory: Memory, token: int) -> bool:
    """Try it: the token after `memory` read alone, and in a row. Some models attend in ways of their own.

    `memory` is as before afterwards.
    """
    from transformers.cache_utils import DynamicLayer

    language: Any = model.language
    settings: Any = language.config.get_text_config()
    rope = (getattr(settings, "rope_parameters", None) or {}).get("rope_type", "default")
    if language.config._attn_implementation != NAME or rope in ("dynamic", "longrope"):
        return False  # those turn positions by the longest row
    if not all(type(layer) is DynamicLayer and layer.is_initialized for layer in memory.cache.layers):
        return False
    layers = [(layer.keys[0], layer.values[0]) for layer in memory.cache.layers]
    rows = _Counting(model, most_rows=2)
    for _ in range(2):
        rows.join(((Kept((), tuple(memory.keys), layers), len(memory.keys)),))
    together_L = rows.step([token, token])[1]
    embedded_BTE = model.embed(torch.tensor([[token]], device=together_L.device))
    alone_L = model.run(embedded_BTE, cache=memory.cache, logits_to_keep=1).logits_BKL[0, -1]
    memory.cache.crop(-1)
    alone_L[model.image_token_id : model.image_token_id + 1] = 0
    together_L[model.image_token_id : model.image_token_id + 1] = 0
    apart = (together_L.float() - alone_L.float()).norm() / alone_L.float().norm()
    return rows.calls == len(layers) and bool(apart < 0.05)


class _Counting(SideBySide):
    calls = 0

    def attend(self, *given: Any) -> torch.Tensor:
        self.calls += 1
        return super().attend(*given)
