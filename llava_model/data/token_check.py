"""The lengths of samples in tokens, and whether anything in them would be learned."""

import sys
from collections.abc import Iterator

import numpy as np

from llava_model.data.encoding import EncodedSample, SampleEncoder
from llava_model.data.findings import FindingKind, TokenCounts
from llava_model.data.schema import Sample
from llava_model.errors import BadSampleError, LlavaError
from llava_model.tokenize import PromptEncoder

_FIRST_RANGE = 64


class TokenCheck:
    """Encodes each sample as training does, but without cutting it, and keeps its length."""

    def __init__(self, encoder: PromptEncoder, *, max_tokens: int | None) -> None:
        self._encoder = SampleEncoder(encoder, max_tokens=sys.maxsize)
        self._image_token_id, self._max_tokens = encoder.image_token_id, max_tokens
        self._lengths: list[int] = []
        self._learned_tokens = 0

    def check(self, sample: Sample) -> Iterator[tuple[FindingKind, str]]:
        """Findings about one sample, as (kind, reason)."""
        try:
            encoded = self._encoder.encode(sample)
        except BadSampleError as error:
            yield "untrainable", error.reason
            return
        except LlavaError as error:
            yield "untrainable", f"cannot be written as a conversation: {error}"
            return
        self._lengths.append(len(encoded.ids))
        self._learned_tokens += encoded.targets
        if self._max_tokens is not None and len(encoded.ids) > self._max_tokens:
            yield from self._too_long(encoded, self._max_tokens)

    def _too_long(self, sample: EncodedSample, limit: int) -> Iterator[tuple[FindingKind, str]]:
        cut = sample.ids[limit:].count(self._image_token_id)
        lost = f"{cut} of its picture tokens" if cut else "words only"
        yield "too-long", f"has {len(sample.ids)} tokens, the limit is {limit}; a cut would take {lost}"
        if not any(sample.learned[1:limit]):
            yield "untrainable", f"would train nothing when it is cut at {limit} tokens"

    def counts(self) -> TokenCounts | None:
        """None if no sample could be tokenised."""
        if not self._lengths:
            return None
        lengths = np.array(self._lengths)
        return TokenCounts(
            samples=len(lengths),
            total=int(lengths.sum()),
            learned=self._learned_tokens,
            shortest=int(lengths.min()),
            median=int(np.median(lengths)),
            p95=int(np.percentile(lengths, 95)),
            longest=int(lengths.max()),
            histogram=_histogram(lengths),
        )


def _histogram(lengths: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    edges = [0, _FIRST_RANGE]
    while edges[-1] <= lengths.max():
        edges.append(2 * edges[-1])
    counts, _ = np.histogram(lengths, bins=np.array(edges) - 0.5)
    ranges = list(zip(edges, edges[1:], counts.tolist(), strict=False))
    first = next(number for number, (_, _, count) in enumerate(ranges) if count)
    return tuple(ranges[first:])
