"""The composition against transformers' LLaVA with the same random weights."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from llava_model.checkpoints.hf import from_hf_model
from llava_model.errors import CheckpointMismatchError, ImageCountMismatchError, ImagesNotSupportedError
from llava_model.images import ImagePreprocess
from llava_model.model.composition import LlavaModel, Projector

IMAGE = 500
PREPROCESS = ImagePreprocess(size=28)
Foreign = Callable[..., Any]


def _ids(lengths: list[int], pictures: list[int], per_picture: int, pad: str) -> tuple[torch.Tensor, torch.Tensor]:
    """token_ids_BT and attention_mask_BT: random words, pictures one word apart, padded on one side."""
    generator = torch.Generator().manual_seed(7)
    rows, masks = [], []
    longest = max(length + count * per_picture for length, count in zip(lengths, pictures, strict=True))
    for length, count in zip(lengths, pictures, strict=True):
        words = torch.randint(1, IMAGE, (length,), generator=generator).tolist()
        for number in range(count):
            place = 1 + number * (per_picture + 1)
            words[place:place] = [IMAGE] * per_picture
        empty = longest - len(words)
        rows.append([0] * empty + words if pad == "left" else words + [0] * empty)
        masks.append([0] * empty + [1] * len(words) if pad == "left" else [1] * len(words) + [0] * empty)
    return torch.tensor(rows), torch.tensor(masks)


def _pixels(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 28, 28, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("pad", ["left", "right"])
@pytest.mark.parametrize(
    ("tower", "select", "layer", "per_picture"),
    [("clip", "default", -2, 4), ("clip", "full", -2, 5), ("clip", "default", -1, 4), ("siglip", "full", -2, 4)],
)
def test_logits_equal_transformers_llava(
    tower: str, select: str, layer: int, per_picture: int, pad: str, make_foreign: Foreign
) -> None:
    foreign = make_foreign(tower=tower, select=select, layer=layer)
    model = from_hf_model(foreign, PREPROCESS)
    token_ids, mask = _ids([9, 4, 12], [1, 0, 2], per_picture, pad)
    pixels = _pixels(3)
    with torch.no_grad():
        ours = model(token_ids, pixels_NCHW=pixels, attention_mask=mask).logits_BKL
        theirs = foreign(input_ids=token_ids, pixel_values=pixels, attention_mask=mask).logits
    assert model.tokens_per_image == per_picture
    torch.testing.assert_close(ours[mask.bool()], theirs[mask.bool()], rtol=0, atol=1e-5)


@pytest.mark.parametrize("pad", ["left", "right"])
def test_a_padded_row_equals_transformers_on_that_sample_alone(pad: str, make_foreign: Foreign) -> None:
    foreign = make_foreign()
    model = from_hf_model(foreign, PREPROCESS)
    token_ids, mask = _ids([9, 4, 12], [1, 0, 2], 4, pad)
    pixels, taken = _pixels(3), 0
    with torch.no_grad():
        ours = model(token_ids, pixels_NCHW=pixels, attention_mask=mask).logits_BKL
        for row, count in enumerate([1, 0, 2]):
            alone = foreign(
                input_ids=token_ids[row][mask[row].bool()][None],
                pixel_values=pixels[taken : taken + count] if count else None,
            ).logits[0]
            taken += count
            torch.testing.assert_close(ours[row][mask[row].bool()], alone, rtol=0, atol=1e-5)


def test_text_alone_equals_the_language_model(make_foreign: Foreign) -> None:
    foreign = make_foreign()
    token_ids, mask = _ids([9, 5], [0, 0], 4, "left")
    with torch.no_grad():
        ours = from_hf_model(foreign, PREPROCESS)(token_ids, attention_mask=mask).logits_BKL
        theirs = foreign(input_ids=token_ids, attention_mask=mask).logits
    torch.testing.assert_close(ours[mask.bool()], theirs[mask.bool()], rtol=0, atol=1e-5)


def test_features_from_a_cache_give_the_same_logits_bitwise(make_foreign: Foreign) -> None:
    model = from_hf_model(make_foreign(), PREPROCESS)
    token_ids, mask = _ids([9, 6], [1, 1], 4, "right")
    pixels = _pixels(2)
    with torch.no_grad():
        from_pixels = model(token_ids, pixels_NCHW=pixels, attention_mask=mask).logits_BKL
        features = model.image_features(pixels)
        from_features = model(token_ids, features_NPV=features, attention_mask=mask).logits_BKL
    assert torch.equal(from_pixels, from_features)


def test_packed_samples_do_not_see_each_other(make_foreign: Foreign) -> None:
    model = from_hf_model(make_foreign(), PREPROCESS)
    rows = [_ids([length], [1], 4, "right")[0][0] for length in (7, 10)]
    pixels = _pixels(2)
    lengths = [len(row) for row in rows]
    position_ids = torch.cat([torch.arange(length) for length in lengths])[None]
    sample = torch.repeat_interleave(torch.arange(2), torch.tensor(lengths))
    allowed = (sample[:, None] == sample[None, :]) & torch.ones(len(sample), len(sample)).tril().bool()
    with torch.no_grad():
        packed = model(
            torch.cat(rows)[None],
            pixels_NCHW=pixels,
            attention_mask=allowed[None, None],
            position_ids_BT=position_ids,
        ).logits_BKL[0]
        alone = [model(row[None], pixels_NCHW=pixels[n : n + 1]).logits_BKL[0] for n, row in enumerate(rows)]
    torch.testing.assert_close(packed, torch.cat(alone), rtol=0, atol=1e-5)


def test_only_the_asked_positions_get_logits(make_foreign: Foreign) -> None:
    model = from_hf_model(make_foreign(), PREPROCESS)
    token_ids, _ = _ids([9], [1], 4, "right")
    with torch.no_grad():
        all_ = model(token_ids, pixels_NCHW=_pixels(1)).logits_BKL
        some = model(token_ids, pixels_NCHW=_pixels(1), logits_to_keep=torch.tensor([2, 11])).logits_BKL
    torch.testing.assert_close(some, all_[:, [2, 11]], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("pictures", "positions"), [(1, 8), (2, 4), (0, 4), (1, 3)])
def test_image_positions_and_pictures_that_disagree_are_an_error_naming_both(
    pictures: int, positions: int, make_foreign: Foreign
) -> None:
    model = from_hf_model(make_foreign(), PREPROCESS)
    token_ids = torch.tensor([[1, *([IMAGE] * positions), 2]])
    with pytest.raises(ImageCountMismatchError, match=f"{positions} image positions, but {pictures} images") as caught:
        model(token_ids, pixels_NCHW=_pixels(pictures) if pictures else None)
    assert (caught.value.placeholders, caught.value.images) == (positions, pictures)


def test_the_image_token_may_lie_behind_the_embedding_table(make_foreign: Foreign) -> None:
    model = from_hf_model(make_foreign(), PREPROCESS)
    token_ids, _ = _ids([9], [1], 4, "right")
    with torch.no_grad():
        inside = model(token_ids, pixels_NCHW=_pixels(1)).logits_BKL
        model.image_token_id = 99_999
        behind = model(token_ids.masked_fill(token_ids == IMAGE, 99_999), pixels_NCHW=_pixels(1)).logits_BKL
    assert torch.equal(inside, behind)


def test_the_tower_is_frozen_and_stays_in_eval_mode(make_foreign: Foreign) -> None:
    model = from_hf_model(make_foreign(), PREPROCESS).train()
    token_ids, _ = _ids([9], [1], 4, "right")
    model(token_ids, pixels_NCHW=_pixels(1)).logits_BKL.sum().backward()
    assert model.tower is not None
    assert model.projector is not None
    assert not any(module.training for module in model.tower.modules())
    assert not any(parameter.requires_grad for parameter in model.tower.parameters())
    assert all(parameter.grad is not None for parameter in model.projector.parameters())


def test_pictures_for_a_model_without_a_tower_are_an_error(make_foreign: Foreign) -> None:
    whole = from_hf_model(make_foreign(), PREPROCESS)
    blind = LlavaModel(language=whole.language, image_token_id=IMAGE)
    with pytest.raises(ImagesNotSupportedError, match="1 images"):
        blind(torch.tensor([[1, 2]]), pixels_NCHW=_pixels(1))


def test_a_projector_of_other_widths_is_an_error_with_both_numbers(make_foreign: Foreign) -> None:
    whole = from_hf_model(make_foreign(), PREPROCESS)
    other = Projector("linear", vision_width=64, text_width=48)
    with pytest.raises(CheckpointMismatchError, match=r"\(64, 48\).*\(32, 48\)"):
        LlavaModel(language=whole.language, image_token_id=IMAGE, tower=whole.tower, projector=other)


def test_a_tower_without_projector_is_an_error(make_foreign: Foreign) -> None:
    whole = from_hf_model(make_foreign(), PREPROCESS)
    with pytest.raises(CheckpointMismatchError, match="both a tower and a projector"):
        LlavaModel(language=whole.language, image_token_id=IMAGE, tower=whole.tower)


def test_siglip_has_no_class_token_to_drop(make_foreign: Foreign) -> None:
    with pytest.raises(CheckpointMismatchError, match="no class token"):
        from_hf_model(make_foreign(tower="siglip", select="default"), PREPROCESS)
