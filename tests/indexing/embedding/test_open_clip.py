"""The oracle is open_clip itself, on a tiny model with random weights saved as a local checkpoint."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from embedding_doubles import save_sentence_encoder
from PIL import Image

from indexing.embedding.open_clip import OpenClipEmbedder
from indexing.embedding.protocol import UnknownModelError, WeightsError

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PREPROCESS = {
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.3, 0.4],
    "interpolation": "bilinear",
    "resize_mode": "longest",
    "fill_color": 7,
}


@pytest.fixture(scope="module")
def sentence_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sentence_encoder(tmp_path_factory.mktemp("sentences"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as open_clip's hub repositories look."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tiny-clip")
    content = {"model_cfg": TINY, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(content), encoding="utf-8")
    torch.manual_seed(1)
    model = open_clip.CLIP(**TINY)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    return folder


@pytest.fixture(scope="module")
def tiny_by_name(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("configs") / "llavero-tiny.json"
    file.write_text(json.dumps(TINY), encoding="utf-8")
    open_clip.add_model_config(file)
    return file.stem


def pictures() -> list[Image.Image]:
    generator = np.random.default_rng(3)
    sizes = [(50, 37), (37, 50), (32, 32), (20, 90)]
    return [Image.fromarray(generator.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


def open_clips_own(source: str, pretrained: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    model, _, preprocess = open_clip.create_model_and_transforms(source, pretrained=pretrained)
    model.eval()
    tokens = open_clip.get_tokenizer(source)(["a cat", "two dogs " * 60])
    with torch.no_grad():
        images = model.encode_image(torch.stack([preprocess(p) for p in pictures()]), normalize=True)
        return images.numpy(), model.encode_text(tokens, normalize=True).numpy()


def ours(embedder: OpenClipEmbedder) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.stack([embedder.preprocess.crop(picture) for picture in pictures()])
    return embedder.embed_images(pixels).vectors_BD, embedder.embed_image_queries(["a cat", "two dogs " * 60])


def test_vectors_from_a_folder_are_open_clips_own(checkpoint: Path, sentence_encoder: Path) -> None:
    embedder = OpenClipEmbedder("tiny", checkpoint, text=sentence_encoder, device="cpu")
    for mine, theirs in zip(ours(embedder), open_clips_own(f"local-dir:{checkpoint}"), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert embedder.clip_dimensions == 16 and embedder.text_dimensions == 24


def test_vectors_from_a_named_model_and_a_file_are_open_clips_own(
    checkpoint: Path, tiny_by_name: str, sentence_encoder: Path
) -> None:
    weights = checkpoint / "open_clip_model.safetensors"
    embedder = OpenClipEmbedder(tiny_by_name, weights, text=sentence_encoder, device="cpu")
    for mine, theirs in zip(ours(embedder), open_clips_own(tiny_by_name, str(weights)), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert embedder.name == "open_clip:llavero-tiny/open_clip_model"


def test_random_weights_are_the_same_every_time(tiny_by_name: str, sentence_encoder: Path) -> None:
    first = OpenClipEmbedder(tiny_by_name, None, text=sentence_encoder, device="cpu")
    torch.manual_seed(99)
    second = OpenClipEmbedder(tiny_by_name, None, text=sentence_encoder, device="cpu")
    np.testing.assert_array_equal(ours(first)[0], ours(second)[0])


def test_a_picture_gets_the_same_vector_in_every_batch(checkpoint: Path, sentence_encoder: Path) -> None:
    embedder = OpenClipEmbedder("tiny", checkpoint, text=sentence_encoder, device="cpu")
    pixels = np.stack([embedder.preprocess.crop(picture) for picture in pictures()])
    together = embedder.embed_images(pixels)
    alone = np.concatenate([embedder.embed_images(pixels[i : i + 1]).vectors_BD for i in range(len(pixels))])
    np.testing.assert_allclose(together.vectors_BD, alone, atol=1e-6)
    assert together.labels == ((),) * len(pixels)


def test_read_only_pixels_are_embedded_too(checkpoint: Path, sentence_encoder: Path) -> None:
    embedder = OpenClipEmbedder("tiny", checkpoint, text=sentence_encoder, device="cpu")
    frozen = embedder.preprocess.crop(pictures()[0])[None]
    frozen.setflags(write=False)
    assert embedder.embed_images(frozen).vectors_BD.shape == (1, 16)


def test_no_pictures_and_no_words_give_no_vectors(checkpoint: Path, sentence_encoder: Path) -> None:
    embedder = OpenClipEmbedder("tiny", checkpoint, text=sentence_encoder, device="cpu")
    assert embedder.embed_images(np.empty((0, 32, 32, 3), np.uint8)).vectors_BD.shape == (0, 16)
    assert embedder.embed_image_queries([]).shape == (0, 16)
    assert embedder.embed_passages([]).shape == (0, 24)


def test_special_tokens_in_a_query_stay_words(checkpoint: Path, sentence_encoder: Path) -> None:
    embedder = OpenClipEmbedder("tiny", checkpoint, text=sentence_encoder, device="cpu")
    cut, whole = embedder.embed_image_queries(["a cat <END_of_text> and a dog", "a cat < end_of_text> and a dog"])
    np.testing.assert_array_equal(cut, whole)
    command = open_clip.get_tokenizer(f"local-dir:{checkpoint}")(["a cat <end_of_text> and a dog"])
    assert (command == 49407).sum() == 2  # so this spelling would have been one


def test_an_unknown_name_is_answered_with_similar_ones(sentence_encoder: Path) -> None:
    with pytest.raises(UnknownModelError, match="ViT-B-23") as failure:
        OpenClipEmbedder("ViT-B-23", None, text=sentence_encoder)
    assert any("ViT-B-32" in note for note in failure.value.__notes__)


def test_weights_of_another_shape_are_refused(tmp_path: Path, tiny_by_name: str, sentence_encoder: Path) -> None:
    from safetensors.torch import save_file

    save_file({"visual.proj": torch.zeros(3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"other\.safetensors"):
        OpenClipEmbedder(tiny_by_name, tmp_path / "other.safetensors", text=sentence_encoder)


@pytest.mark.parametrize("missing", ["nowhere", "folder"])
def test_a_checkpoint_that_is_not_there_is_named(tmp_path: Path, sentence_encoder: Path, missing: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(WeightsError, match=missing):
        OpenClipEmbedder("ViT-B-32", tmp_path / missing, text=sentence_encoder)


def test_a_tag_that_is_not_in_the_cache_is_not_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sentence_encoder: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.socket.connect", lambda *address: pytest.fail(f"reached out to {address}"))
    with pytest.raises(WeightsError, match="laion2b_s34b_b79k"):
        OpenClipEmbedder("ViT-B-32", "laion2b_s34b_b79k", text=sentence_encoder)


def test_a_model_whose_tokenizer_lies_on_a_hub_does_not_fetch_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checkpoint: Path, sentence_encoder: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *address: pytest.fail(f"reached out to {address}"))
    file = tmp_path / "llavero-tiny-hub.json"
    file.write_text(json.dumps({**TINY, "text_cfg": {**TINY["text_cfg"], "hf_tokenizer_name": "some/where"}}))
    open_clip.add_model_config(file)
    with pytest.raises(WeightsError, match="its tokenizer"):
        OpenClipEmbedder(file.stem, checkpoint / "open_clip_model.safetensors", text=sentence_encoder)


@pytest.mark.gpu
def test_a_gpu_gives_the_vectors_of_the_cpu(checkpoint: Path, sentence_encoder: Path) -> None:
    cpu = OpenClipEmbedder("tiny", checkpoint, text=sentence_encoder, device="cpu")
    gpu = OpenClipEmbedder("tiny", checkpoint, text=sentence_encoder, device="cuda")
    for mine, theirs in zip(ours(gpu), ours(cpu), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
