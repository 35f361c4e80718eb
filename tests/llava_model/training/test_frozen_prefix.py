"""Rows without their common beginning, against the same rows whole."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_world import World

from llava_model.data.batches import Batch, collate
from llava_model.data.samples import EncodedSample
from llava_model.model.composition import LlavaModel, set_attention
from llava_model.text.templates import Message
from llava_model.training.loss import FrozenPrefix, loss_sum

CLOSE = {"rtol": 0.0, "atol": 1e-6}


@pytest.fixture
def world(tmp_path: Path, make_foreign: Callable[..., Any], make_tokenizer: Callable[[str], Any]) -> World:
    return World(tmp_path, make_foreign, make_tokenizer("chatml"))


def aligning(world: World, attention: Any = "eager") -> LlavaModel:
    """Only the projector learns."""
    model = world.model().train()
    set_attention(model.language, attention)
    model.requires_grad_(False)
    assert model.projector is not None
    model.projector.requires_grad_(True)
    return model


def examples_of(world: World) -> list[EncodedSample]:
    """As the world's, each behind the same system message."""
    system, mixture, encoder = Message.of("system", "the quick brown fox in Rome"), world.mixture(), world.encoder()
    samples = [mixture[pair] for pair in mixture.epoch(seed=0, epoch=0)]
    return [encoder.encode(replace(each, messages=(system, *each.messages))) for each in samples]


def batch_of(world: World, *, pictures: bool = True) -> Batch:
    chosen = [example for example in examples_of(world) if bool(example.images) == pictures]
    return collate(chosen, layout="padded", pad_id=0)


def learned(model: LlavaModel, batch: Batch, world: World, prefix: FrozenPrefix | None) -> tuple[float, torch.Tensor]:
    features = model.image_features(world.pixels(batch.images)) if batch.images else None
    loss = loss_sum(model, batch, features, prefix=prefix) / batch.targets
    assert model.projector is not None
    model.projector.zero_grad()
    loss.backward()
    gradients = [each.grad.flatten() for each in model.projector.parameters() if each.grad is not None]
    return float(loss.detach()), torch.cat(gradients)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("pictures", [True, False])
def test_loss_and_gradient_are_those_of_the_whole_rows(world: World, attention: str, pictures: bool) -> None:
    model, batch = aligning(world, attention), batch_of(world, pictures=pictures)
    prefix = FrozenPrefix(model)
    rest, kept = prefix.split(batch)
    assert kept is not None and rest.ids_BT.shape[1] <= batch.ids_BT.shape[1] - 4
    loss, gradient = learned(model, batch, world, None)
    for _ in range(2):  # computed, and kept
        fast_loss, fast_gradient = learned(model, batch, world, prefix)
        assert fast_loss == pytest.approx(loss, abs=1e-6)
        torch.testing.assert_close(fast_gradient, gradient, **CLOSE)


def test_it_ends_before_a_picture_and_before_what_tells_the_first_answer_token(world: World) -> None:
    model = aligning(world)
    for batch in (batch_of(world), batch_of(world, pictures=False)):
        rest, _ = FrozenPrefix(model).split(batch)
        gone = batch.ids_BT.shape[1] - rest.ids_BT.shape[1]
        assert not (batch.ids_BT[:, :gone] == model.image_token_id).any()
        assert not batch.targets_BT[:, : gone + 1].any()
        assert rest.targets_BT.sum() == batch.targets_BT.sum()
        assert rest.positions_BT[0, 0] == gone


def test_equal_rows_keep_what_they_learn(world: World) -> None:
    """All rows say the same to the end: the answers are still in the loss."""
    model, example = aligning(world), next(each for each in examples_of(world) if not each.images)
    batch = collate([example, example], layout="padded", pad_id=0)
    found = learned(model, batch, world, FrozenPrefix(model))[0]
    assert found == pytest.approx(learned(model, batch, world, None)[0], abs=1e-6)


def test_a_language_model_that_learns_or_recomputes_gets_whole_rows(world: World) -> None:
    batch = batch_of(world)
    learning = aligning(world)
    next(learning.language.parameters()).requires_grad_(True)
    recomputing = aligning(world)
    for module in recomputing.language.modules():
        if hasattr(module, "gradient_checkpointing"):
            module.gradient_checkpointing = True
    for model in (learning, recomputing):
        rest, kept = FrozenPrefix(model).split(batch)
        assert kept is None and rest is batch


def test_packed_rows_and_a_single_one_stay_whole(world: World) -> None:
    prefix, examples = FrozenPrefix(aligning(world)), examples_of(world)
    assert prefix.split(collate(examples[:3], layout="packed", pad_id=0))[1] is None
    assert prefix.split(collate(examples[:1], layout="padded", pad_id=0))[1] is None
