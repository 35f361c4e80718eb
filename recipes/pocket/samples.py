"""Write samples in Llavero's own format, each read back by the product's reader before it is written.

Pictures are named relative to the folder of the JSONL file, which is therefore the image root.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from llava_model.data.samples import Sample, parse_sample, to_record
from llava_model.model.config import IMAGE_TOKEN
from llava_model.text.templates import Message, Slot

Turn = tuple[str, str]  # question, answer


def conversation(name: str, picture: Path, turns: Sequence[Turn]) -> Sample:
    """One picture and what is asked about it; the picture stands before the first question.

    `conversation("a", Path("a.png"), [("what shape is it?", "circle")])` → user "<image>\\nwhat shape is it?".
    """
    messages: list[Message] = []
    for number, (question, answer) in enumerate(turns):
        messages.append(Message.of("user", question, images=0 if number else 1))
        messages.append(Message(role="assistant", parts=(answer,)))
    return Sample(id=name, messages=tuple(messages), images=(picture,))


def caption(name: str, picture: Path, text: str) -> Sample:
    """A picture and its caption; the user's turn holds the picture alone, the align stage draws the instruction."""
    messages = (Message(role="user", parts=(Slot.IMAGE,)), Message(role="assistant", parts=(text,)))
    return Sample(id=name, messages=messages, images=(picture,))


def write_samples(file: Path, samples: Iterable[Sample], details: dict[str, dict[str, object]] | None = None) -> int:
    """Write `samples` beside their pictures, all or nothing, and return their number.

    `details` adds fields (tags, for one) to the record of that id; readers of samples skip what they do not know.
    Raises BadSampleError for what the product would refuse, ValueError for two samples of one id.
    """
    seen: set[str] = set()
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8") as out:
        for position, sample in enumerate(samples, 1):
            if sample.id in seen:
                raise ValueError(f"two samples are called '{sample.id}' in {file}")
            seen.add(sample.id)
            record = to_record(sample, root=file.parent) | (details or {}).get(sample.id, {})
            parse_sample(record, root=file.parent, position=position)
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)
    return len(seen)


def caption_of(record: dict[str, object]) -> str:
    """The caption in a record that `caption` made."""
    messages = record["messages"]
    assert isinstance(messages, list) and messages[0]["content"] == IMAGE_TOKEN
    return str(messages[1]["content"])


def read_records(file: Path) -> list[dict[str, object]]:
    """The records of a JSONL file, with all their fields."""
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
