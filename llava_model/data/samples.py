"""One training sample, and its two file formats.

LLaVA's JSON (an array, or one object a line):

    {"id": "33", "image": "coco/33.jpg", "conversations": [
        {"from": "human", "value": "<image>\\nWhat is this?"}, {"from": "gpt", "value": "A cat."}]}

Ours (one object a line); `<image>` in a user's content is a picture's place, in reading order:

    {"id": "33", "images": ["coco/33.jpg"], "messages": [
        {"role": "user", "content": "<image>\\nWhat is this?"}, {"role": "assistant", "content": "A cat."}]}

With `"independent": true` (only in ours) the turns are separate questions about the same pictures. Each is learned as
if it stood alone, so no answer helps with a later question, and the pictures go through the model once.

A sample that would train nothing, or lose a picture, is refused with its id. In a sample without pictures `<image>` is
text like any other, which the tokenizer keeps from becoming the image token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from llava_model.errors import BadSampleError
from llava_model.model.config import IMAGE_TOKEN
from llava_model.text.templates import Message, Part, Role, Slot

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
