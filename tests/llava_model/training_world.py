"""A tiny LLaVA, a tokenizer and a handful of samples with pictures, for tests of training."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from llava_model.checkpoints.hf import from_hf_model
from llava_model.checkpoints.manifest import Manifest
from llava_model.data.batches import Mixture
from llava_model.data.sample_file import SampleFile
from llava_model.data.samples import SampleEncoder
from llava_model.images import ImagePreprocess, open_picture
from llava_model.model.composition import LlavaModel, Pixels
from llava_model.text.tokenize import PromptEncoder, image_token_id

PREPROCESS = ImagePreprocess(size=28)
SENTENCE = "the fox dog factory in Rome chairs best worst times quick lazy brown human answer"
WORDS = SENTENCE.split()


class World:
    """What a stage needs, in one place."""

    def __init__(self, folder: Path, make_foreign: Callable[..., Any], tokenizer: Any) -> None:
        self.folder, self.tokenizer, self._make_foreign = folder, tokenizer, make_foreign
        write_samples(folder, 14)

    def foreign(self) -> Any:
        """transformers' LLaVA with the same weights every time."""
        return self._make_foreign(vocabulary=512, image_token=image_token_id(self.tokenizer))

    def model(self) -> LlavaModel:
        """Ours, from the same weights."""
        return from_hf_model(self.foreign(), PREPROCESS)

    def mixture(self) -> Mixture:
        return Mixture([(SampleFile.open(self.folder / "samples.jsonl"), 1.0)])

    def encoder(self, **options: Any) -> SampleEncoder:
        return SampleEncoder(PromptEncoder(self.tokenizer, "chatml", tokens_per_image=4), max_tokens=256, **options)

    def examples(self) -> list[Any]:
        mixture, encoder = self.mixture(), self.encoder()
        return [encoder.encode(mixture[pair]) for pair in mixture.epoch(seed=0, epoch=0)]

    def pixels(self, images: Any) -> torch.Tensor:
        return PREPROCESS.pixels([open_picture(image) for image in images])

    def load_pictures(self, images: Any) -> Pixels:
        return Pixels(self.pixels(images))


def write_samples(folder: Path, count: int) -> None:
    """With no, one or two pictures, and one or two turns, of different lengths."""
    chance = random.Random(5)
    lines = []
    for number in range(count):
        images = [f"{number}-{which}.png" for which in range(number % 3)]
        for name in images:
            colour = tuple(chance.randrange(256) for _ in range(3))
            Image.new("RGB", (40, 30), (colour[0], colour[1], colour[2])).save(folder / name)
        messages = []
        for turn in range(1 + number % 2):
            places = "<image>\n" * len(images) if turn == 0 else ""
            messages += [
                {"role": "user", "content": places + " ".join(chance.choices(WORDS, k=chance.randint(1, 12)))},
                {"role": "assistant", "content": " ".join(chance.choices(WORDS, k=chance.randint(1, 9)))},
            ]
        lines.append(json.dumps({"id": f"s{number}", "images": images, "messages": messages}))
    (folder / "samples.jsonl").write_text("\n".join(lines), encoding="utf-8")


def a_manifest() -> Manifest:
    return Manifest(stage="instruct", step=0, seed=0, config={}, llava={}, data_fingerprint="d", git_hash="", base={})
