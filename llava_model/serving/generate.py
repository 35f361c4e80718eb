"""Prompt → the ids of a reply, one at a time: how a prompt is read, how a token is chosen, and one reply alone.

A memory outlives the call: what the next prompt has in common with it from the start on (the system text, earlier
turns, pictures) is not read again. Many replies at once, with many memories, are `batching`.

Legend: B batch (1), T tokens, N pictures, P positions per picture, V width of a feature, L vocabulary.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from llava_model.model.composition import LlavaModel

Finish = Literal["stop", "length", "cancelled"]
"""Why a reply ended: an end mark or a stop string came, the limit of tokens was reached, or the caller cancelled."""


NAME = "llavero_decode"


def _attend(
    module: nn.Module,
    query_BHTD: torch.Tensor,
    key_BGSD: torch.Tensor,
    value_BGSD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    side_by_side: Any = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention for one new token on a CPU, about twice as fast as torch's fused kernel there.

    With `side_by_side`, the rows of a pass are requests of different lengths, and it knows where their keys lie.

    torch's CPU flash kernel is made for long queries. With one query it took 29 of 52 ms per token (SmolLM2-135M,
    bfloat16, 1,000 tokens of context, one core); two plain matrix products take a tenth of that. Everything else
    goes to transformers' own SDPA path.

    G key heads serve H query heads; D width of a head, S tokens in the cache, T new ones.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if side_by_side is not None:
        seen: torch.Tensor = side_by_side.attend(module.layer_idx, query_BHTD, key_BGSD, value_BGSD, scaling)
        return seen, None
    batch, heads, length, width = query_BHTD.shape
    if length > 1 or attention_mask is not None or query_BHTD.is_cuda or scaling is None or dropout:
        output: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query_BHTD, key_BGSD, value_BGSD, attention_mask, dropout=dropout, scaling=scaling, **options
        )
        return output
    groups = key_BGSD.shape[1]
    query_BGQD = (query_BHTD * scaling).view(batch, groups, heads // groups, width)
    scores_BGQS = torch.matmul(query_BGQD, key_BGSD.transpose(2, 3)).float()
    weights_BGQS = scores_BGQS.softmax(dim=-1).to(value_BGSD.dtype)
    return torch.matmul(weights_BGQS, value_BGSD).view(batch, 1, heads, width), None


def use_fast_decoding(language: Any) -> None:
    """Switch a transformers model that runs SDPA to the function above; leave any other as it is."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    if language.config._attn_implementation != "sdpa":
        return
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    language.set_attn_implementation(NAME)


PREFILL_TOKENS = 512
"""So many tokens of a prompt are read in one pass; a caller may cancel between passes. Longer passes are not faster."""

GREEDY_BELOW = 1e-5
"""Temperatures below this take the likeliest token: logits divided by less than this leave the range of float32."""

Key = int | tuple[str, int]  # a token id, or (picture's digest, position in it)


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedPrompt:
    """A tokenised prompt. `keys` tell prompts apart: ids, and pictures by their content."""

    ids: Sequence[int]
    keys: Sequence[Key]
    pixels_NCHW: torch.Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How the next token is chosen."""

    temperature: float = 0.0
    """0 takes the likeliest token; above, tokens are drawn with probabilities sharpened by 1/temperature."""

    repetition_penalty: float = 1.0
    """Over 1: tokens that the reply already holds get less likely. The prompt does not count, so that copying
    from evidence stays free."""

    top_p: float = 1.0
    """Under 1: tokens are drawn from the likeliest ones alone that together have this probability."""

    seed: int | None = None
    """The same seed draws the same tokens; None draws anew every time."""

    not_first: tuple[int, ...] = ()
    """Tokens that the reply does not begin with."""

    forced: tuple[int, ...] = ()
    """The whole reply, whatever the model thinks of it: to learn how likely it is."""

    def dice(self, device: torch.device) -> torch.Generator | None:
        """The random generator of one reply; None stands for torch's own."""
        return None if self.seed is None else torch.Generator(device).manual_seed(self.seed)

    def choose(self, logits_L: torch.Tensor, reply: Sequence[int], dice: torch.Generator | None = None) -> int:
        """The next token."""
        if self.forced:
            return self.forced[len(reply)]
        scores_L = logits_L.float()
        if self.repetition_penalty != 1.0 and reply:
            seen = torch.tensor(sorted(set(reply)), device=scores_L.device)
            held = scores_L[seen]
            scores_L = scores_L.index_copy(
                0, seen, torch.where(held > 0, held / self.repetition_penalty, held * self.repetition_penalty)
            )
        if self.not_first and not reply:
            scores_L = scores_L.index_fill(0, torch.tensor(self.not_first, device=scores_L.device), -torch.inf)
        if self.temperature < GREEDY_BELOW:
            return int(scores_L.argmax())
        chances_L = (scores_L / self.temperature).softmax(-1)
        return int(torch.multinomial(self._likeliest(chances_L), 1, generator=dice))

    def _likeliest(self, chances_L: torch.Tensor) -> torch.Tensor:
        """The probabilities with 0 for every token outside the likeliest `top_p`; the likeliest token always stays."""
        if self.top_p >= 1:
            return chances_L
        sorted_L, order_L = chances_L.sort(descending=True)
        before_L = sorted_L.cumsum(-1) - sorted_L
        return chances_L.index_fill(0, order_L[1:][before_L[1:] >= self.top_p], 0.0)


@dataclass(kw_only=True, slots=True)
class Memory:
    """What the language model has read: one key per position of the cache."""

    cache: Any = None
    keys: list[Key] = field(default_factory=list)

    def keep_common(self, keys: Sequence[Key]) -> None:
        """Forget everything after the common beginning with `keys`. The last key is read again, for its logits."""
        from transformers.cache_utils import DynamicLayer

        common = 0
        for known, wanted in zip(self.keys, keys[:-1], strict=False):
            if known != wanted:
                break
            common += 1
        if common == 0 or not all(type(layer) is DynamicLayer for layer in self.cache.layers):
            self.cache, self.keys = None, []  # a sliding window cannot be wound back
            return
        self.cache.crop(common - len(self.keys))
        del self.keys[common:]


def reply_ids(
    model: LlavaModel,
    prompt: EncodedPrompt,
    memory: Memory,
    *,
    max_new_tokens: int,
    stop_ids: frozenset[int],
    sampling: Sampling,
    cancelled: Callable[[], bool],
) -> Generator[int, None, Finish]:
    """The reply, without the token that ended it; returns why it ended.

    `memory` is valid again whenever this is suspended or over.
    """
    device = next(model.language.parameters()).device
    memory.keep_common(prompt.keys)
    logits_L = _read(model, prompt, memory, device, cancelled)
    reply: list[int] = []
    dice = sampling.dice(device)
    while logits_L is not None and not cancelled():
        token = sampling.choose(logits_L, reply, dice)
        if token in stop_ids:
            return "stop"
        reply.append(token)
        yield token
        if len(reply) == max_new_tokens:
            return "length"
        logits_L = advance(model, model.embed(torch.tensor([[token]], device=device)), [token], memory)
    return "cancelled"


@torch.inference_mode()
def _read(
    model: LlavaModel, prompt: EncodedPrompt, memory: Memory, device: torch.device, cancelled: Callable[[], bool]
) -> torch.Tensor | None:
    """Read the prompt → the logits after it; None if cancelled on the way."""
    logits_L: torch.Tensor | None = None
    for read_L in reading(model, prompt, memory, device, lambda: PREFILL_TOKENS):
        if cancelled():
            return None
        logits_L = read_L
    return logits_L


def reading(
    model: LlavaModel, prompt: EncodedPrompt, memory: Memory, device: torch.device, stretch: Callable[[], int]
) -> Iterator[torch.Tensor | None]:
    """Read what `memory` lacks of the prompt, `stretch()` tokens a pass: None first, then the logits_L of each pass."""
    from transformers import DynamicCache

    yield None
    if memory.cache is None:
        language: Any = model.language
        memory.cache = DynamicCache(config=language.config)
    done = len(memory.keys)
    keys = prompt.keys[done:]
    with torch.inference_mode():
        ids_BT = torch.tensor([prompt.ids[done:]], device=device)
        embedded_BTE = model.embed(ids_BT, _missing_features(model, prompt, keys))
    start = 0
    while start < len(keys):
        end = start + stretch()
        yield advance(model, embedded_BTE[:, start:end], keys[start:end], memory)
        start = end


def _missing_features(model: LlavaModel, prompt: EncodedPrompt, keys: Sequence[Key]) -> torch.Tensor | None:
    """features_NPV of the pictures that are still to be read. A picture has been read whole or not at all."""
    if prompt.pixels_NCHW is None:
        return None
    pictures = sum(isinstance(key, tuple) for key in keys) // model.tokens_per_image
    return model.image_features(prompt.pixels_NCHW[-pictures:]) if pictures else None


def advance(model: LlavaModel, embedded_BTE: torch.Tensor, keys: Sequence[Key], memory: Memory) -> torch.Tensor:
    """Read some positions and remember them → logits_L after the last one, the image token ruled out.

    Should the pass fail half-way, the memory is left empty, never wrong.
    """
    cache, known = memory.cache, memory.keys
    memory.cache, memory.keys = None, []
    with torch.inference_mode():
        logits_L = model.run(embedded_BTE, cache=cache, logits_to_keep=1).logits_BKL[0, -1]
        logits_L[model.image_token_id : model.image_token_id + 1] = -torch.inf  # may be beyond the table
    memory.cache, memory.keys = cache, [*known, *keys]
    return logits_L
