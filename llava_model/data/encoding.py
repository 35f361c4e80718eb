"""A sample → token ids, and which of them are learned, from one tokenisation and its offsets.

    user "<image>\\nWhat is this?"  assistant "A cat."
    ids      … 49152 49152 … What is this ? … A  cat .  <end> \\n
    learned  …                               ✓   ✓  ✓   ✓

Nothing is tokenised twice, so labels cannot slip. A sample that would train nothing or lose a picture is refused.

Independent questions about the same pictures share their common beginning:

    ids       system <image>…  question 1  answer 1  question 2  answer 2
    branch    0 0 0 0 0 0 0 0  1 1 1 1 1 1 1 1 1 1   2 2 2 2 2 2 2 2 2 2     a branch attends to itself and to branch 0
    position  0 1 2 3 4 5 6 7  8 9 …                 8 9 …
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from llava_model.data.samples import Sample
from llava_model.errors import BadSampleError
from llava_model.text.templates import Message, Part, Slot
from llava_model.text.tokenize import Encoded, PromptEncoder

CaptionPrompt = Literal["drawn", "plain"]

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
"""One of them is drawn for each caption, again in each epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedSample:
    """A sample as token ids. `learned[t]` says whether token t is a target."""

    id: str
    ids: tuple[int, ...]
    learned: tuple[bool, ...]
    images: tuple[Path, ...]
    branches: tuple[int, ...] = ()
    """The branch of each token; empty for one conversation, in which a token attends to all earlier ones."""

    @property
    def targets(self) -> int:
        """Number of tokens in the loss. The first token is never one: nothing predicts it."""
        return sum(self.learned[1:])

    @property
    def positions(self) -> tuple[int, ...]:
        """The position id of each token. Every branch counts on from the end of branch 0, as if it stood alone."""
        if not self.branches:
            return tuple(range(len(self.ids)))
        shared = self.branches.count(0)
        starts: dict[int, int] = {}
        return tuple(
            index if branch == 0 else shared + index - starts.setdefault(branch, index)
            for index, branch in enumerate(self.branches)
        )


class SampleEncoder:
    """Encodes samples as a training stage wants them: how it asks for captions, and where it cuts.

    `caption_prompt`: `drawn` puts a drawn instruction before each caption, `plain` trains on picture and caption alone,
    None takes samples as they are. `seed` decides which instructions are drawn.
    """

    def __init__(
        self, encoder: PromptEncoder, *, max_tokens: int, caption_prompt: CaptionPrompt | None = None, seed: int = 0
    ) -> None:
        if caption_prompt == "plain":
            encoder = PromptEncoder(encoder.tokenizer, "plain", tokens_per_image=encoder.tokens_per_image)
        self._encoder, self._max_tokens = encoder, max_tokens
        self._caption_prompt, self._seed = caption_prompt, seed

    def encode(self, sample: Sample, *, epoch: int = 0) -> EncodedSample:
        """Tokenise, mark what is learned, and cut at the end. Raises BadSampleError with the sample's id."""
        if self._caption_prompt == "drawn":
            sample = self._with_drawn_instruction(sample, epoch)
        if sample.independent and sum(message.role == "user" for message in sample.messages) > 1:
            return self._branched(sample)
        tokenised = self._encoder.encode(sample.messages, open_reply=False)
        encoded = EncodedSample(
            id=sample.id,
            ids=tokenised.ids[: self._max_tokens],
            learned=learned_tokens(tokenised)[: self._max_tokens],
            images=sample.images,
        )
        self._refuse_useless(encoded, tokenised)
        return encoded

    def _branched(self, sample: Sample) -> EncodedSample:
        """Encode each question as a conversation of its own, then join them behind their common beginning.

        Questions that no longer fit are left out.
        """
        alone = [self.encode(each) for each in single_questions(sample)]
        shared = _common_length([each.ids for each in alone])
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

    def _with_drawn_instruction(self, sample: Sample, epoch: int) -> Sample:
        """The caption as the answer to an instruction that seed, epoch and sample id decide."""
        images = sum(message.images for message in sample.messages)
        key = hashlib.sha256(f"{self._seed}/{epoch}/{sample.id}".encode()).digest()
        question = random.Random(key).choice(BRIEF_INSTRUCTIONS)
        captions = [message for message in sample.messages if message.role == "assistant"]
        return replace(sample, messages=(Message.of("user", question, images), captions[0]))

    def _refuse_useless(self, sample: EncodedSample, tokenised: Encoded) -> None:
        """Raise BadSampleError for a sample that lost a picture or all of its answers when it was cut."""
        if tokenised.images != len(sample.images):
            raise BadSampleError(sample.id, f"has {len(sample.images)} pictures and {tokenised.images} places for them")
        wanted = len(sample.images) * self._encoder.tokens_per_image
        kept = sample.ids.count(self._encoder.image_token_id)
        if kept != wanted:
            raise BadSampleError(
                sample.id, f"keeps {kept} of {wanted} picture tokens when it is cut at {self._max_tokens} tokens"
            )
        if not sample.targets:
            reason = f"none of its first {len(sample.ids)} tokens (of {len(tokenised.ids)}) is an answer's"
            raise BadSampleError(sample.id, f"would train nothing: {reason}")


def single_questions(sample: Sample) -> list[Sample]:
    """The independent turns as samples with one question each. Every one has the pictures."""
    system = tuple(message for message in sample.messages if message.role == "system")
    turns = [message for message in sample.messages if message.role != "system"]
    pictures = _picture_parts(turns[0])
    alone = []
    for number in range(0, len(turns), 2):
        question = turns[number]
        if number:
            question = replace(question, parts=(*pictures, *question.parts))
        alone.append(replace(sample, messages=(*system, question, turns[number + 1]), independent=False))
    return alone


def _picture_parts(question: Message) -> tuple[Part, ...]:
    """The pictures of a question, with the line break between them and the words."""
    end = max((index for index, part in enumerate(question.parts) if part is Slot.IMAGE), default=-1) + 1
    rest = question.parts[end : end + 1]
    line_break = ("\n",) if end and rest and isinstance(rest[0], str) and rest[0].startswith("\n") else ()
    return (*question.parts[:end], *line_break)


def _common_length(rows: Sequence[Sequence[int]]) -> int:
    """How many ids all rows begin with alike."""
    shortest = min(map(len, rows))
    first = rows[0]
    return next((n for n in range(shortest) if any(row[n] != first[n] for row in rows)), shortest)


def learned_tokens(tokenised: Encoded) -> tuple[bool, ...]:
    """For each token whether it holds a character of an answer."""
    learned: list[bool] = []
    spans = iter(tokenised.supervised)
    current = next(spans, None)
    for start, end in tokenised.spans:
        while current is not None and current[1] <= start:
            current = next(spans, None)
        learned.append(current is not None and start < end and start < current[1] and end > current[0])
    return tuple(learned)
