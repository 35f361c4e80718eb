"""Word F1 as SQuAD counts it, and what a model knows of reference answers without writing them."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from training_world import World

from llava_model.benchmarks.asking import Forced, forced
from llava_model.benchmarks.figures import likeness, token_f1
from llava_model.data.batches import no_pictures
from llava_model.data.samples import SampleEncoder
from llava_model.model.composition import LlavaModel
from llava_model.text.tokenize import PromptEncoder, image_token_id, load_tokenizer


@pytest.mark.parametrize(
    ("answer", "reference", "wanted"),
    [
        ("The red circle.", "a red circle", 1.0),
        ("red", "red circle", 2 / 3),
        ("red red", "red circle", 0.5),  # a word counts as often as both have it
        ("blue", "red", 0.0),
        ("", "red", 0.0),
        ("the", "a", 1.0),  # nothing on both sides
        ("It's the U.S.", "its us", 1.0),
    ],
)
def test_words_in_common_are_counted_as_squad_counts_them(answer: str, reference: str, wanted: float) -> None:
    assert token_f1(answer, reference) == pytest.approx(wanted)


def test_a_missing_answer_counts_as_an_empty_one() -> None:
    found = likeness({"a": "red", "b": "blue"}, {"a": "Red."})
    assert (found.f1, found.exact, found.n) == (50.0, 50.0, 2)
    with pytest.raises(ValueError, match="reference"):
        likeness({}, {})


@pytest.fixture
def world(tmp_path: Path, make_foreign: Callable[..., Any], make_tokenizer: Callable[[str], Any]) -> World:
    (tmp_path / "data").mkdir()
    return World(tmp_path / "data", make_foreign, make_tokenizer("chatml"))


def known(world: World, samples: list[Any]) -> Forced:
    model = world.model().eval()
    return forced(
        model, world.encoder(), samples, features=lambda images: model.image_features(world.pixels(images)), pad_id=0
    )


def test_perplexity_is_that_of_transformers_losses(world: World) -> None:
    samples = [sample for file in world.mixture().files for sample in file if len(sample.images) == 1]
    found = known(world, samples)
    summed, targets = 0.0, 0
    foreign = world.foreign().eval()
    for sample in samples:
        example = world.encoder().encode(sample)
        labels = [token if flag else -100 for token, flag in zip(example.ids, example.learned, strict=True)]
        with torch.no_grad():
            loss = foreign(
                input_ids=torch.tensor([example.ids]), labels=torch.tensor([labels]),
                pixel_values=world.pixels(sample.images),
            ).loss  # fmt: skip
        count = sum(label >= 0 for label in labels[1:])
        summed, targets = summed + float(loss) * count, targets + count
    assert found.perplexity == pytest.approx(math.exp(summed / targets), rel=1e-4) and found.n == len(samples)


def test_exact_are_the_answers_that_the_model_would_write(tmp_path: Path, save_parrot: Callable[..., None]) -> None:
    from llava_model.checkpoints.parts import load_language
    from llava_model.data.samples import Sample
    from llava_model.serving.engine import Engine, Turn
    from llava_model.text.templates import Message

    save_parrot(tmp_path / "parrot", "The quick fox")
    written = "".join(Engine.load(tmp_path / "parrot", dtype="float32").stream([Turn(role="user", text="Who?")]))
    tokenizer = load_tokenizer(tmp_path / "parrot")
    model = LlavaModel(
        language=load_language(tmp_path / "parrot", dtype=torch.float32), image_token_id=image_token_id(tokenizer)
    ).eval()

    def sample(answer: str) -> Sample:
        return Sample(id=answer, messages=(Message.of("user", "Who?"), Message.of("assistant", answer)))

    references = [written, f"{written} jumps", "The quick", "The lazy dog"]  # longer and shorter ones are others
    found = forced(
        model, SampleEncoder(PromptEncoder(tokenizer), max_tokens=256), [sample(one) for one in references],
        features=no_pictures, pad_id=0,
    )  # fmt: skip
    assert written == "The quick fox" and (found.exact, found.n) == (25.0, 4)
    assert Forced.from_json(found.to_json()) == found
