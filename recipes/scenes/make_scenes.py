"""Drawn scenes → instruction data of three response types, with a held-out half nobody trains on.

    python -m recipes.scenes.make_scenes --out build/scenes --pictures 320 --held-out 60

    <out>/captions.jsonl    a caption for each training picture (ALIGN)
    <out>/train.jsonl       conversation, detail and complex for each training picture, `kind` says which
    <out>/held_out.jsonl    the same for scenes that do not occur in training
    <out>/pictures/

The same numbers give the same bytes.
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from llava_model.data.samples import Sample
from recipes.pocket.samples import caption, conversation, write_samples
from recipes.scenes import wording
from recipes.scenes.drawing import picture
from recipes.scenes.scene import Scene, scenes


def make(out: Path, *, pictures: int, held_out: int, seed: int = 0) -> dict[str, int]:
    """Draw and write everything; returns how many samples each file holds."""
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    stream = scenes(seed)
    files = {
        name: [(f"{name}-{number:04}", next(stream)) for number in range(count)]
        for name, count in (("train", pictures), ("held_out", held_out))
    }
    written = {}
    for name, named in files.items():
        for title, scene in named:
            picture(scene, random.Random(f"{seed} {title}")).save(_file(out, title))
        samples = [sample for title, scene in named for sample in _samples(out, title, scene, seed)]
        details: dict[str, dict[str, object]] = {
            sample.id: {"kind": sample.id.rpartition("-")[2], "caption": wording.caption(scene)}
            for title, scene in named
            for sample in _samples(out, title, scene, seed)
        }
        written[name] = write_samples(out / f"{name}.jsonl", samples, details)
    captions = [
        caption(f"{title}-caption", _file(out, title), wording.caption(scene)) for title, scene in files["train"]
    ]
    return {**written, "captions": write_samples(out / "captions.jsonl", captions)}


def _samples(out: Path, title: str, scene: Scene, seed: int) -> Iterator[Sample]:
    """One of each type. The turns of a conversation do not see each other: no answer is read off an earlier one."""
    draw = random.Random(f"{seed} {title} words")
    file = _file(out, title)
    talk = conversation(f"{title}-conversation", file, wording.conversation(scene, draw))
    yield replace(talk, independent=True)
    yield conversation(f"{title}-detail", file, [wording.detail(scene, draw)])
    yield conversation(f"{title}-complex", file, [wording.complex_question(scene, draw)])


def _file(out: Path, title: str) -> Path:
    return out / "pictures" / f"{title}.png"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/scenes"))
    parser.add_argument("--pictures", type=int, default=320)
    parser.add_argument("--held-out", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    made = make(chosen.out.resolve(), pictures=chosen.pictures, held_out=chosen.held_out, seed=chosen.seed)
    print(", ".join(f"{count} samples in {name}.jsonl" for name, count in made.items()))


if __name__ == "__main__":
    main()
