"""The package easy-vqa (MIT) → samples: coloured shapes, and questions about them.

    ["what is the blue shape?", "rectangle", 0]  ──►  user "<image>\\nwhat is the blue shape?", assistant "rectangle"

One conversation a picture for training (also with turns that do not see each other: no answer is read off an
earlier one), and one sample a question of the package's own test set. The package
gives no captions: what a picture shows follows from the answers to its questions, or is left unsaid.
"""

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from llava_model.data.samples import Sample
from recipes.pocket.samples import Turn, caption, conversation, write_samples

SHAPES = frozenset({"circle", "rectangle", "triangle"})
COLOURS = frozenset({"black", "blue", "brown", "gray", "green", "red", "teal", "yellow"})


def write_easy_vqa(source: Path, out: Path) -> dict[str, int]:
    """Write `train`, `test`, `test_single` and `captions` under `out`; `source` is the unpacked package.

    Returns how many samples each file holds.
    """
    train = _questions(source / "easy_vqa/data/train", out / "pictures/train")
    test = _questions(source / "easy_vqa/data/test", out / "pictures/test")
    return {
        "train": write_samples(out / "train.jsonl", _conversations(train, "train")),
        "train_independent": write_samples(
            out / "train_independent.jsonl",
            [replace(each, independent=True) for each in _conversations(train, "train")],
        ),
        "test": write_samples(out / "test.jsonl", _conversations(test, "test")),
        "test_single": write_samples(out / "test_single.jsonl", _single(test, "test")),
        "captions": write_samples(out / "captions.jsonl", _captions(train)),
    }


def described(turns: Sequence[Turn]) -> str | None:
    """ "a blue rectangle", if the answers leave exactly one shape and one colour possible; else None.

    Every picture of easy-vqa holds one shape of one colour.
    """
    shapes, colours = set(SHAPES), set(COLOURS)
    for question, answer in turns:
        words = set(re.findall(r"[a-z]+", question))
        if answer in {"yes", "no"}:
            shows = (answer == "yes") != bool(words & {"not", "no"})
            for possible, asked in ((shapes, words & SHAPES), (colours, words & COLOURS)):
                if asked:
                    possible.intersection_update(asked if shows else possible - asked)
            continue
        shapes &= (words | {answer}) & SHAPES or shapes
        colours &= (words | {answer}) & COLOURS or colours
    if len(shapes) != 1 or len(colours) != 1:
        return None
    return f"a {colours.pop()} {shapes.pop()}"


def _questions(source: Path, pictures: Path) -> dict[Path, list[Turn]]:
    """Picture, copied to `pictures`, → its questions and answers in the package's order."""
    shutil.copytree(source / "images", pictures, dirs_exist_ok=True)
    turns: dict[Path, list[Turn]] = defaultdict(list)
    for question, answer, number in json.loads((source / "questions.json").read_text(encoding="utf-8")):
        turns[pictures / f"{int(number)}.png"].append((question, answer))
    return turns


def _conversations(questions: dict[Path, list[Turn]], split: str) -> list[Sample]:
    return [conversation(f"easy-vqa-{split}-{file.stem}", file, turns) for file, turns in questions.items()]


def _single(questions: dict[Path, list[Turn]], split: str) -> list[Sample]:
    return [
        conversation(f"easy-vqa-{split}-{file.stem}-{number}", file, [turn])
        for file, turns in questions.items()
        for number, turn in enumerate(turns, 1)
    ]


def _captions(questions: dict[Path, list[Turn]]) -> list[Sample]:
    texts = ((file, described(turns)) for file, turns in questions.items())
    return [caption(f"easy-vqa-caption-{file.stem}", file, text) for file, text in texts if text]
