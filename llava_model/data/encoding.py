"""A sample → token ids and which of them are learned, from one tokenisation and its offsets.

    user "<image>\\nWhat is this?"  assistant "A cat."
    ids      … 49152 49152 … What is this ? … A  cat .  <end> \\n
    learned  …                               ✓   ✓  ✓   ✓

Nothing is tokenised twice, so labels cannot slip. A sample that would train nothing or lose a picture is refused.
"""

import hashlib
import random
from dataclasses import dataclass, replace
from pathlib import Path

from llava_model.data.schema import Sample
from llava_model.errors import BadSampleError
from llava_model.stages import CaptionPrompt
from llava_model.templates import Message
from llava_model.tokenize import Encoded, PromptEncoder

BRIEF_INSTRUCTIONS = (
    "Say in a few words what the picture shows.",
    "What is in this picture? Answer briefly.",
    "Give the picture a short caption.",
    "Name what can be seen here.",
    "Sum up the image in one short line.",
    "What does this image show, in brief?",
    "Write a concise description of the picture.",
    "In one phrase: what is this a picture of?",
    "Caption this image.",
    "Briefly, what do you see?",
    "Tell me shortly what is depicted.",
    "Put the content of the picture into a few words.",
)
"""One is drawn for each caption, anew in each epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A sample as the model takes it. `learned[t]` says whether token t is a target."""

    id: str
    ids: tuple[int, ...]
    learned: tuple[bool, ...]
    images: tuple[Path, ...]

    @property
    def targets(self) -> int:
        """Tokens in the loss; the first token of a row has nothing before it."""
        return sum(self.learned[1:])


class ExampleEncoder:
    """Binds the encoder of a model to a stage's way of asking and its longest sample."""

    def __init__(
        self, encoder: PromptEncoder, *, max_tokens: int, caption_prompt: CaptionPrompt | None = None, seed: int = 0
    ) -> None:
        if caption_prompt == "plain":
            encoder = PromptEncoder(encoder.tokenizer, "plain", tokens_per_image=encoder.tokens_per_image)
        self._encoder, self._max_tokens = encoder, max_tokens
        self._caption_prompt, self._seed = caption_prompt, seed

    @property
    def tokens_per_image(self) -> int:
        """Positions of one picture."""
        return self._encoder.tokens_per_image

    def encode(self, sample: Sample, *, epoch: int = 0) -> Example:
        """Raises BadSampleError with the sample's id."""
        if self._caption_prompt == "drawn":
            sample = self._asked(sample, epoch)
        encoded = self._encoder.encode(sample.messages, open_reply=False)
        learned = learned_tokens(encoded)
        ids = encoded.ids[: self._max_tokens]
        example = Example(id=sample.id, ids=ids, learned=learned[: self._max_tokens], images=sample.images)
        self._check(example, encoded)
        return example

    def _asked(self, sample: Sample, epoch: int) -> Sample:
        """The caption under a drawn instruction: the same for the same seed, sample and epoch, whoever asks."""
        images = sum(message.images for message in sample.messages)
        key = hashlib.sha256(f"{self._seed}/{epoch}/{sample.id}".encode()).digest()
        question = random.Random(key).choice(BRIEF_INSTRUCTIONS)
        captions = [message for message in sample.messages if message.role == "assistant"]
        return replace(sample, messages=(Message.of("user", question, images), captions[0]))

    def _check(self, example: Example, encoded: Encoded) -> None:
        wanted = len(example.images) * self.tokens_per_image
        if encoded.images != len(example.images):
            raise BadSampleError(example.id, f"has {len(example.images)} pictures and {encoded.images} places for them")
        kept = example.ids.count(self._encoder.image_token_id)
        if kept != wanted:
            raise BadSampleError(
                example.id, f"keeps {kept} of {wanted} picture tokens when it is cut at {self._max_tokens} tokens"
            )
        if not example.targets:
            looked = f"none of its first {len(example.ids)} tokens (of {len(encoded.ids)}) is an answer's"
            raise BadSampleError(example.id, f"would train nothing: {looked}")


def learned_tokens(encoded: Encoded) -> tuple[bool, ...]:
    """For each token whether it holds a supervised character."""
    learned: list[bool] = []
    spans = iter(encoded.supervised)
    current = next(spans, None)
    for start, end in encoded.spans:
        while current is not None and current[1] <= start:
            current = next(spans, None)
        learned.append(current is not None and start < end and start < current[1] and end > current[0])
    return tuple(learned)
