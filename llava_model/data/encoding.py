"""A sample → token ids and which of them are learned, from one tokenisation and its offsets.

    user "<image>\\nWhat is this?"  assistant "A cat."
    ids      … 49152 49152 … What is this ? … A  cat .  <end> \\n
    learned  …                               ✓   ✓  ✓   ✓

Nothing is tokenised twice, so labels cannot slip. A sample that would train nothing or lose a picture is refused.

Independent questions about the same pictures share what they begin with:

    ids       system <image>…  question 1  answer 1  question 2  answer 2
    branch    0 0 0 0 0 0 0 0  1 1 1 1 1 1 1 1 1 1   2 2 2 2 2 2 2 2 2 2     a branch sees itself and branch 0
    position  0 1 2 3 4 5 6 7  8 9 …                 8 9 …
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llava_model.data.schema import Sample
from llava_model.errors import BadSampleError
from llava_model.stages import CaptionPrompt
from llava_model.templates import Message, Part, Slot
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
class EncodedSample:
    """A sample as the model takes it. `learned[t]` says whether token t is a target."""

    id: str
    ids: tuple[int, ...]
    learned: tuple[bool, ...]
    images: tuple[Path, ...]
    branches: tuple[int, ...] = ()
    """For each token its branch; empty: one conversation, in which all that comes before is seen."""

    @property
    def targets(self) -> int:
        """Tokens in the loss; the first token of a row has nothing before it."""
        return sum(self.learned[1:])

    @property
    def positions(self) -> tuple[int, ...]:
        """Places in the sequence that each token believes to stand in."""
        if not self.branches:
            return tuple(range(len(self.ids)))
        shared = self.branches.count(0)
        starts: dict[int, int] = {}
        return tuple(
            place if branch == 0 else shared + place - starts.setdefault(branch, place)
            for place, branch in enumerate(self.branches)
        )


class SampleEncoder:
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

    def encode(self, sample: Sample, *, epoch: int = 0) -> EncodedSample:
        """Raises BadSampleError with the sample's id."""
        if self._caption_prompt == "drawn":
            sample = self._asked(sample, epoch)
        if sample.independent and sum(message.role == "user" for message in sample.messages) > 1:
            return self._branched(sample)
        encoded = self._encoder.encode(sample.messages, open_reply=False)
        learned = learned_tokens(encoded)
        ids = encoded.ids[: self._max_tokens]
        example = EncodedSample(id=sample.id, ids=ids, learned=learned[: self._max_tokens], images=sample.images)
        self._check(example, encoded)
        return example

    def _branched(self, sample: Sample) -> EncodedSample:
        """Every question as a conversation of its own, and then their common beginning once."""
        alone = [self.encode(each) for each in single_questions(sample)]
        shared = _common([each.ids for each in alone])
        ids, learned, branches = list(alone[0].ids[:shared]), [False] * shared, [0] * shared
        for number, each in enumerate(alone, 1):
            if any(each.learned[: shared + 1]):
                raise BadSampleError(sample.id, f"question {number} begins with its answer")
            if len(ids) + len(each.ids) - shared > self._max_tokens:
                break
            ids += each.ids[shared:]
            learned += each.learned[shared:]
            branches += [number] * (len(each.ids) - shared)
        return EncodedSample(
            id=sample.id, ids=tuple(ids), learned=tuple(learned), images=sample.images, branches=tuple(branches)
        )

    def _asked(self, sample: Sample, epoch: int) -> Sample:
        """The caption under a drawn instruction: the same for the same seed, sample and epoch, whoever asks."""
        images = sum(message.images for message in sample.messages)
        key = hashlib.sha256(f"{self._seed}/{epoch}/{sample.id}".encode()).digest()
        question = random.Random(key).choice(BRIEF_INSTRUCTIONS)
        captions = [message for message in sample.messages if message.role == "assistant"]
        return replace(sample, messages=(Message.of("user", question, images), captions[0]))

    def _check(self, example: EncodedSample, encoded: Encoded) -> None:
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


def single_questions(sample: Sample) -> list[Sample]:
    """The independent turns as samples with one question each; every one has the pictures."""
    before = tuple(message for message in sample.messages if message.role == "system")
    spoken = [message for message in sample.messages if message.role != "system"]
    pictures = _pictures(spoken[0])
    alone = []
    for number in range(0, len(spoken), 2):
        question = spoken[number]
        if number:
            question = replace(question, parts=(*pictures, *question.parts))
        alone.append(replace(sample, messages=(*before, question, spoken[number + 1]), independent=False))
    return alone


def _pictures(message: Message) -> tuple[Part, ...]:
    """The pictures of the first question, with the line break between them and its words."""
    behind = max((place for place, part in enumerate(message.parts) if part is Slot.IMAGE), default=-1) + 1
    rest = message.parts[behind : behind + 1]
    line_break = ("\n",) if behind and rest and isinstance(rest[0], str) and rest[0].startswith("\n") else ()
    return (*message.parts[:behind], *line_break)


def _common(rows: Sequence[Sequence[int]]) -> int:
    """Length of the common beginning."""
    shortest = min(map(len, rows))
    first = rows[0]
    return next((n for n in range(shortest) if any(row[n] != first[n] for row in rows)), shortest)


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
