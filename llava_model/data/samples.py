"""One training sample: a record of a file → a conversation with its pictures → token ids, some of them learned.

LLaVA's JSON (an array, or one object a line):

    {"id": "33", "image": "coco/33.jpg", "conversations": [
        {"from": "human", "value": "<image>\\nWhat is this?"}, {"from": "gpt", "value": "A cat."}]}

Ours (one object a line); `<image>` in a user's content is a picture's place, in reading order:

    {"id": "33", "images": ["coco/33.jpg"], "messages": [
        {"role": "user", "content": "<image>\\nWhat is this?"}, {"role": "assistant", "content": "A cat."}]}

Both become token ids in one tokenisation, whose offsets say what is learned, so labels cannot slip:

    ids      … 49152 49152 … What is this ? … A  cat .  <end> \\n
    learned  …                               ✓   ✓  ✓   ✓

With `"independent": true` (only in ours) the turns are separate questions about the same pictures. Each is learned as
if it stood alone, so no answer helps with a later question. They share their common beginning, so the pictures go
through the model once:

    ids       system <image>…  question 1  answer 1  question 2  answer 2
    branch    0 0 0 0 0 0 0 0  1 1 1 1 1 1 1 1 1 1   2 2 2 2 2 2 2 2 2 2     a branch attends to itself and to branch 0
    position  0 1 2 3 4 5 6 7  8 9 …                 8 9 …

A sample that would train nothing, or lose a picture, is refused with its id. In a sample without pictures `<image>` is
text like any other, which the tokenizer keeps from becoming the image token.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from llava_model.errors import BadSampleError
from llava_model.model.config import IMAGE_TOKEN
from llava_model.text.templates import Message, Part, Role, Slot
from llava_model.text.tokenize import Encoded, PromptEncoder

_ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A conversation and its pictures. `images` are paths below the image root; they have not been opened."""

    id: str
    messages: tuple[Message, ...]
    images: tuple[Path, ...] = ()
    independent: bool = False
    """Turns do not attend to each other. All pictures stand in the first question."""


def parse_sample(record: object, *, root: Path, position: int) -> Sample:
    """A record in either format → a sample, named by its `position` if it has no id. Raises BadSampleError."""
    if not isinstance(record, Mapping):
        raise BadSampleError(f"#{position}", f"is {type(record).__name__}, not an object")
    name = _name(record.get("id"), position)
    images = _images(record, name)
    turns = _turns(record, name)
    messages = tuple(_message(role, text, name, bool(images)) for role, text in turns)
    _check(name, messages, len(images))
    independent = record.get("independent", False)
    if independent and next(m for m in messages if m.role == "user").images != len(images):
        raise BadSampleError(name, "has independent turns, but not all pictures in its first question")
    return Sample(
        id=name,
        messages=messages,
        images=tuple(_joined(root, image, name) for image in images),
        independent=bool(independent),
    )


def to_record(sample: Sample, *, root: Path) -> dict[str, Any]:
    """The sample in our format, the inverse of `parse_sample`."""
    return {
        "id": sample.id,
        "images": [image.relative_to(root).as_posix() for image in sample.images],
        "messages": [{"role": message.role, "content": _written(message)} for message in sample.messages],
        **({"independent": True} if sample.independent else {}),
    }


def to_llava_record(sample: Sample, *, root: Path) -> dict[str, Any]:
    """The sample in LLaVA's format. Raises BadSampleError for a system turn, which that format lacks."""
    if any(message.role == "system" for message in sample.messages):
        raise BadSampleError(sample.id, "has a system turn, which LLaVA's format cannot say")
    names = {"user": "human", "assistant": "gpt"}
    images = [image.relative_to(root).as_posix() for image in sample.images]
    conversations = [{"from": names[message.role], "value": _written(message)} for message in sample.messages]
    pictures: dict[str, Any] = {"image": images[0] if len(images) == 1 else images} if images else {}
    return {"id": sample.id, **pictures, "conversations": conversations}


def _name(value: object, position: int) -> str:
    """Ids may be numbers. JSON can hold half a surrogate pair, which cannot be printed, so it is escaped."""
    name = "" if value is None else str(value)
    return name.encode("utf-8", "backslashreplace").decode() or f"#{position}"


def _images(record: Mapping[str, Any], name: str) -> list[str]:
    found = record.get("images", record.get("image"))
    images = [] if found is None else [found] if isinstance(found, str) else found
    if not isinstance(images, list) or not all(isinstance(image, str) and image for image in images):
        raise BadSampleError(name, f"its pictures are {found!r}, not names of files")
    return images


def _turns(record: Mapping[str, Any], name: str) -> list[tuple[Role, str]]:
    turns = record.get("messages", record.get("conversations"))
    if not isinstance(turns, list) or not turns:
        raise BadSampleError(name, "has no 'messages' and no 'conversations'")
    parsed: list[tuple[Role, str]] = []
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, Mapping):
            raise BadSampleError(name, f"turn {number} is {type(turn).__name__}, not an object")
        role, text = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if not isinstance(role, str) or role not in _ROLES:
            raise BadSampleError(name, f"turn {number} is by {role!r}, not by {', '.join(_ROLES)}")
        if not isinstance(text, str):
            raise BadSampleError(name, f"turn {number} holds {type(text).__name__}, not text")
        if _has_half_characters(text):
            raise BadSampleError(name, f"turn {number} holds half a surrogate pair, which no tokenizer can read")
        parsed.append((_ROLES[role], text))
    return parsed


def _message(role: Role, text: str, name: str, has_images: bool) -> Message:
    if role != "user" or not has_images:
        if role == "assistant" and has_images and IMAGE_TOKEN in text:
            raise BadSampleError(name, f"an answer holds '{IMAGE_TOKEN}'")
        return Message(role=role, parts=(text,))
    parts: list[Part] = []
    for number, piece in enumerate(text.split(IMAGE_TOKEN)):
        parts += [Slot.IMAGE] if number else []
        parts += [piece] if piece else []
    return Message(role=role, parts=tuple(parts))


def _check(name: str, messages: tuple[Message, ...], images: int) -> None:
    places = sum(message.images for message in messages)
    if places != images:
        raise BadSampleError(name, f"has {images} pictures, and '{IMAGE_TOKEN}' {places} times")
    spoken = [message.role for message in messages if message.role != "system"]
    wanted: list[Role] = ["user", "assistant"] * (len(spoken) // 2)
    if not spoken or spoken != wanted:
        raise BadSampleError(name, f"its turns are {', '.join(spoken) or 'none'}, not user, assistant, user …")
    if not any(part.strip() for m in messages if m.role == "assistant" for part in m.parts if isinstance(part, str)):
        raise BadSampleError(name, "has no answer with words in it, so it would train nothing")


def _joined(root: Path, image: str, name: str) -> Path:
    """The path of a picture, which must not lead out of the root. Links inside the root are followed."""
    path = PurePosixPath(image)
    if ".." in path.parts or not (root / path).is_relative_to(root):
        raise BadSampleError(name, f"its picture '{image}' points out of the image folder")
    if "\0" in image or _has_half_characters(image):
        raise BadSampleError(name, f"its picture {image!r} is no name of a file")
    return root / path


def _has_half_characters(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _written(message: Message) -> str:
    return "".join(part if isinstance(part, str) else IMAGE_TOKEN for part in message.parts)


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
        """Encode each question as a conversation of its own, then join them after their common beginning.

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
