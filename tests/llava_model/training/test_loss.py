"""Every fast path against the plain one, and all of them against transformers' own Trainer."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_world import World

from llava_model.data.batches import collate, plan
from llava_model.data.samples import EncodedSample, learned_tokens, parse_sample, single_questions
from llava_model.errors import BadSampleError
from llava_model.model.composition import set_attention
from llava_model.text.tokenize import PromptEncoder
from llava_model.training.loop import compile_layers
from llava_model.training.loss import loss_sum

CLOSE = {"rtol": 0.0, "atol": 1e-6}


@pytest.fixture
def world(tmp_path: Path, make_foreign: Callable[..., Any], make_tokenizer: Callable[[str], Any]) -> World:
    return World(tmp_path, make_foreign, make_tokenizer("chatml"))


def step_of(
    world: World, layout: Any, *, sparse: bool, cached: bool, pass_tokens: int, compiled: bool = False
) -> tuple[float, torch.Tensor]:
    """Loss per target, and the gradient of everything that learns, over all examples."""
    model, examples = world.model(), world.examples()
    if compiled:
        compile_layers(model.language)
    model.requires_grad_(False)
    model.language.requires_grad_(True)
    assert model.projector is not None
    model.projector.requires_grad_(True)
    shares = plan([len(e.ids) for e in examples], layout=layout, max_tokens=pass_tokens, processes=1)
    total, targets = torch.zeros(()), sum(example.targets for example in examples)
    for group in shares[0]:
        batch = collate([examples[each] for each in group], layout=layout, pad_id=0)
        features = model.image_features(world.pixels(batch.images)) if batch.images else None
        loss = loss_sum(model, batch, features.clone() if cached and features is not None else features, sparse=sparse)
        (loss / targets).backward()
        total += loss.detach() / targets
    free = [each for each in model.parameters() if each.requires_grad and each.grad is not None]
    return float(total), torch.cat([each.grad.flatten() for each in free if each.grad is not None])


@pytest.mark.parametrize("layout", ["padded", "packed"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("pass_tokens", [60, 400])
def test_every_path_gives_the_loss_and_the_gradient_of_the_plain_one(
    world: World, layout: str, sparse: bool, pass_tokens: int
) -> None:
    loss, gradient = step_of(world, "padded", sparse=False, cached=False, pass_tokens=100_000)
    fast_loss, fast_gradient = step_of(world, layout, sparse=sparse, cached=True, pass_tokens=pass_tokens)
    assert fast_loss == pytest.approx(loss, abs=1e-6)
    torch.testing.assert_close(fast_gradient, gradient, **CLOSE)


@pytest.mark.filterwarnings("default")  # torch._dynamo touches .grad of what is no leaf, and warns of itself
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_compiled_layers_give_the_loss_and_the_gradient_of_the_plain_ones(world: World, layout: str) -> None:
    loss, gradient = step_of(world, "padded", sparse=False, cached=False, pass_tokens=100_000)
    fast_loss, fast_gradient = step_of(world, layout, sparse=True, cached=True, pass_tokens=60, compiled=True)
    assert fast_loss == pytest.approx(loss, abs=1e-6)
    torch.testing.assert_close(fast_gradient, gradient, **CLOSE)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_changing_one_packed_sample_leaves_the_others_logits_bitwise_unchanged(world: World, attention: Any) -> None:
    model, examples = world.model().eval(), [e for e in world.examples() if not e.images][:4]
    set_attention(model.language, attention)
    length = len(examples[1].ids)
    other = EncodedSample(id="other", ids=(7,) * length, learned=examples[1].learned, images=())

    def logits(chosen: list[EncodedSample]) -> torch.Tensor:
        batch = collate(chosen, layout="packed", pad_id=0)
        mask = batch.mask_B1TT
        assert mask is not None
        if attention == "eager":
            mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
        with torch.no_grad():
            return model(batch.ids_BT, attention_mask=mask, position_ids_BT=batch.positions_BT).logits_BKL[0]

    before, after = logits(examples), logits([examples[0], other, *examples[2:]])
    start = len(examples[0].ids)
    assert torch.equal(before[:start], after[:start])
    assert torch.equal(before[start + length :], after[start + length :])
    assert not torch.equal(before[start : start + length], after[start : start + length])


def test_a_batch_without_pictures_still_gives_the_projector_a_gradient(world: World) -> None:
    model = world.model()
    batch = collate([e for e in world.examples() if not e.images][:2], layout="padded", pad_id=0)
    loss_sum(model, batch, None).backward()
    assert model.projector is not None
    assert all(each.grad is not None and not each.grad.any() for each in model.projector.parameters())


def test_a_pass_with_nothing_to_do_teaches_nothing(world: World) -> None:
    model = world.model()
    loss = loss_sum(model, collate([], layout="packed", pad_id=0), None)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(each.grad is None or not each.grad.any() for each in model.language.parameters())


@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=40),
    st.sampled_from(["padded", "packed"]),
    st.integers(1, 300),
    st.integers(1, 5),
)
def test_a_plan_holds_every_example_once_in_passes_that_fit_and_equally_many_for_all(
    lengths: list[int], layout: Any, room: int, processes: int
) -> None:
    shares = plan(lengths, layout=layout, max_tokens=room, processes=processes)
    assert len(shares) == processes and len({len(share) for share in shares}) == 1
    groups = [group for share in shares for group in share]
    assert sorted(each for group in groups for each in group) == list(range(len(lengths)))
    for group in groups:
        held = [lengths[each] for each in group]
        width = sum(held) if layout == "packed" else len(held) * max(held, default=0)
        assert width <= room or len(held) == 1


@pytest.mark.parametrize("kind", ["chatml", "llama_3", "llama_2", "phi"])
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(alphabet="ab é東\n .<|", min_size=1, max_size=12), min_size=2, max_size=6))
def test_learned_tokens_cover_exactly_the_supervised_characters(
    kind: str, texts: list[str], make_tokenizer: Callable[[str], Any]
) -> None:
    names = {"chatml": "chatml", "llama_3": "llama_3", "llama_2": "vicuna_v1", "phi": "phi"}
    encoder = PromptEncoder(make_tokenizer(kind), names[kind])
    turns = [
        {"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts[: len(texts) // 2 * 2])
    ]
    try:
        sample = parse_sample({"id": "x", "messages": turns}, root=Path(), position=0)
    except BadSampleError:
        return
    encoded = encoder.encode(sample.messages, open_reply=False)
    supervised = {place for start, end in encoded.supervised for place in range(start, end)}
    for (start, end), learned in zip(encoded.spans, learned_tokens(encoded), strict=True):
        assert learned == bool(supervised & set(range(start, end)))


def test_a_sample_that_would_train_nothing_or_lose_a_picture_is_an_error_with_its_name(world: World) -> None:
    sample = next(s for pair in world.mixture().epoch(seed=0, epoch=0) if len((s := world.mixture()[pair]).images) == 2)
    encoder = PromptEncoder(world.tokenizer, "chatml", tokens_per_image=4)
    from llava_model.data.samples import SampleEncoder

    whole = len(SampleEncoder(encoder, max_tokens=256).encode(sample).ids)
    for most in range(1, whole):
        try:
            SampleEncoder(encoder, max_tokens=most).encode(sample)
        except BadSampleError as error:
            assert error.sample == sample.id and ("picture" in error.reason or "nothing" in error.reason)
    with pytest.raises(BadSampleError, match=r"1 pictures, and '<image>' 2 times"):
        parse_sample(
            {"id": "two", "image": "a.png", "conversations": [{"from": "human", "value": "<image><image>"}] },
            root=Path(), position=3,
        )  # fmt: skip


def test_drawn_instructions_depend_on_seed_epoch_and_sample_alone(world: World) -> None:
    sample = next(s for pair in world.mixture().epoch(seed=0, epoch=0) if len((s := world.mixture()[pair]).images) == 1)
    drawn = [world.encoder(caption_prompt="drawn", seed=1).encode(sample, epoch=epoch).ids for epoch in range(8)]
    again = [world.encoder(caption_prompt="drawn", seed=1).encode(sample, epoch=epoch).ids for epoch in range(8)]
    assert drawn == again and len(set(drawn)) > 1


def test_plain_captions_are_the_picture_and_the_caption_and_nothing_else(world: World) -> None:
    sample = next(s for pair in world.mixture().epoch(seed=0, epoch=0) if len((s := world.mixture()[pair]).images) == 1)
    example = world.encoder(caption_prompt="plain").encode(sample)
    image = world.encoder()._encoder.image_token_id
    assert example.ids[:4] == (image,) * 4 and all(example.learned[4:]) and not any(example.learned[:4])


@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_independent_questions_about_a_picture_are_learned_as_if_each_stood_alone(world: World, layout: Any) -> None:
    sample = next(
        s
        for pair in world.mixture().epoch(seed=0, epoch=0)
        if len((s := world.mixture()[pair]).messages) == 4 and s.images
    )
    together = [replace(sample, independent=True), *[world.mixture()[(0, number)] for number in (0, 4)]]
    alone = [*single_questions(sample), *together[1:]]
    assert [s.messages[0].images for s in alone[:2]] == [len(sample.images)] * 2
    encoder = world.encoder()
    found = []
    for chosen in (together, alone):
        model = world.model()
        batch = collate([encoder.encode(each) for each in chosen], layout=layout, pad_id=0)
        loss = loss_sum(model, batch, model.image_features(world.pixels(batch.images)) if batch.images else None)
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in model.language.parameters() if p.grad is not None])
        found.append((float(loss.detach()) / batch.targets, gradient / batch.targets, batch.targets, batch.tokens))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1], **CLOSE)
    assert found[0][2] == found[1][2] and found[0][3] < found[1][3]
