import os
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from embedding_doubles import save_classifier, save_sentence_encoder
from PIL import Image
from safetensors.torch import save_file

from indexing.embedding.pocket import MIN_PROBABILITY, SHIPPED, PocketEmbedder, encode_classes, imagenet_classes
from indexing.embedding.protocol import WeightsError
from indexing.embedding.text import SentenceEncoder

PICTURES = Path(__file__).parents[1] / "pictures"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    home = tmp_path_factory.mktemp("kit")
    return save_classifier(home / "vision"), save_sentence_encoder(home / "text")


@pytest.fixture(scope="module")
def classes(folders: tuple[Path, Path]) -> np.ndarray:
    """What the tiny encoder makes of ImageNet's classes; the shipped vectors are not its own."""
    return encode_classes(SentenceEncoder(folders[1], device="cpu"), *imagenet_classes())


@pytest.fixture(scope="module")
def embedder(folders: tuple[Path, Path]) -> PocketEmbedder:
    return PocketEmbedder(*folders, device="cpu")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 224, 224, 3), dtype=np.uint8)


def plain_network(vision: Path, pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and logits of timm's network as it is, on `(x - 127) / 128`."""
    network = timm.create_model(f"local-dir:{vision}", pretrained=True).eval()
    inputs = ((torch.from_numpy(pixels).float() - 127) / 128).permute(0, 3, 1, 2)
    with torch.no_grad():
        features = network.forward_head(network.forward_features(inputs), pre_logits=True)
        return features, network.classifier(features)


def expected_vectors(classes: np.ndarray, logits: torch.Tensor) -> np.ndarray:
    """ConSE by hand: probabilities at temperature 1.5 times centred class vectors."""
    mixed = (logits / 1.5).softmax(-1).numpy() @ (classes - classes.mean(0))
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def test_a_picture_is_the_mean_of_its_probable_classes(
    folders: tuple[Path, Path], classes: np.ndarray, embedder: PocketEmbedder, pixels: np.ndarray
) -> None:
    """Also the proof that the folded network is the unfolded one."""
    _, logits = plain_network(folders[0], pixels)
    np.testing.assert_allclose(embedder.embed_images(pixels).vectors_BD, expected_vectors(classes, logits), atol=1e-5)


def test_a_class_name_lies_where_a_picture_of_that_class_alone_would(
    classes: np.ndarray, embedder: PocketEmbedder
) -> None:
    certain = torch.full((1, 1000), -1e4)
    certain[0, 282] = 0
    similarities = embedder.embed_image_queries(imagenet_classes()[0]) @ expected_vectors(classes, certain)[0]
    assert similarities[282] > 0.9 and embedder.embed_image_queries(["a cat"]).shape == (1, 24)


def test_labels_are_the_best_classes_above_the_floor_best_first(
    folders: tuple[Path, Path], embedder: PocketEmbedder, pixels: np.ndarray
) -> None:
    _, logits = plain_network(folders[0], pixels)
    names = imagenet_classes()[0]
    for labels, probabilities in zip(embedder.embed_images(pixels).labels, logits.softmax(-1), strict=True):
        best = probabilities.topk(5)
        expected = [(names[i], p) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
        expected = [(name, p) for name, p in expected if p >= MIN_PROBABILITY]
        assert [label.text for label in labels] == [name for name, _ in expected]
        np.testing.assert_allclose([label.probability for label in labels], [p for _, p in expected], atol=1e-5)


def test_two_classes_of_one_name_become_one_label(embedder: PocketEmbedder) -> None:
    cranes = [index for index, name in enumerate(imagenet_classes()[0]) if name == "crane"]
    assert len(cranes) == 2
    labels = embedder._named([7, *cranes, 8], [0.4, 0.3, 0.25, 0.01])
    assert [(label.text, round(label.probability, 2)) for label in labels] == [("crane", 0.55), ("cock", 0.4)]


def test_a_large_batch_gives_the_vectors_of_small_ones(embedder: PocketEmbedder) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (35, 224, 224, 3), dtype=np.uint8)
    together = embedder.embed_images(pixels)
    assert together.vectors_BD.shape == (35, 24) and len(together.labels) == 35
    np.testing.assert_allclose(together.vectors_BD[-4:], embedder.embed_images(pixels[-4:]).vectors_BD, atol=1e-5)


def test_read_only_pixels_are_embedded_too(embedder: PocketEmbedder, pixels: np.ndarray) -> None:
    """As they come from `np.asarray(picture)[None]` or a memory map."""
    frozen = pixels[:1].copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(
        embedder.embed_images(frozen).vectors_BD, embedder.embed_images(pixels[:1]).vectors_BD
    )


def test_no_pictures_give_no_vectors(embedder: PocketEmbedder) -> None:
    empty = embedder.embed_images(np.empty((0, 224, 224, 3), np.uint8))
    assert empty.vectors_BD.shape == (0, 24) and empty.labels == ()


def test_a_joint_space_of_another_shape_is_refused_with_both_shapes(folders: tuple[Path, Path], tmp_path: Path) -> None:
    save_file({"text_map": torch.zeros(16, 16), "shift": torch.zeros(512)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"\(512,\).*\(24, 24\)"):
        PocketEmbedder(*folders, joint_space=tmp_path / "a.safetensors", device="cpu")


def test_a_network_with_other_classes_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="10 classes"):
        PocketEmbedder(save_classifier(tmp_path, classes=10), folders[1], device="cpu")


def test_a_vision_folder_without_files_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=str(tmp_path)):
        PocketEmbedder(tmp_path, folders[1], device="cpu")


# With the real kit, where it is installed.


@pytest.fixture(scope="module")
def pocket() -> PocketEmbedder:
    home = os.environ.get("LLAVERO_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "llavero")
    kit = Path(home).expanduser() / "kits" / "pocket"
    if not (kit / "vision" / "manifest.json").exists() or not (kit / "text" / "manifest.json").exists():
        pytest.skip("the pocket kit is not installed: llavero kit install pocket")
    return PocketEmbedder(kit / "vision", kit / "text", device="cpu")


def square(name: str) -> np.ndarray:
    return np.asarray(Image.open(PICTURES / f"{name}.webp").convert("RGB"))


def test_the_pocket_kit_reproduces_the_measured_imagenet_answers(pocket: PocketEmbedder) -> None:
    labels = pocket.embed_images(np.stack([square(name) for name in ("chelsea", "coffee", "rocket")])).labels
    assert [(best[0].text, round(best[0].probability, 2)) for best in labels] == [
        ("tiger cat", 0.39),
        ("espresso", 0.95),
        ("missile", 0.30),
    ]


def test_words_find_their_picture_with_the_pocket_kit(pocket: PocketEmbedder) -> None:
    names = {
        "astronaut": "an astronaut",
        "camera": "a photographer with a camera on a tripod",
        "chelsea": "a cat",
        "coffee": "a cup of coffee",
        "rocket": "a rocket launch",
    }
    pictures = pocket.embed_images(np.stack([square(name) for name in names])).vectors_BD
    similarities = pocket.embed_image_queries(list(names.values())) @ pictures.T
    assert similarities.argmax(axis=1).tolist() == list(range(len(names)))


def test_the_shipped_class_vectors_are_what_the_kits_encoder_makes(pocket: PocketEmbedder) -> None:
    from safetensors.numpy import load_file

    names, entries = imagenet_classes()
    some = slice(3, None, 37)
    fresh = encode_classes(pocket._sentences, names[some], entries[some])
    np.testing.assert_allclose(load_file(SHIPPED)["class_vectors"][some], fresh, atol=1e-5)


def test_the_kits_sentence_vectors_are_transformers_own(pocket: PocketEmbedder) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = pocket._sentences.folder
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    texts = ["What does the invoice of 3 March say?", "Naïve café, 東京", "word " * 700, "short"]
    vectors = pocket.embed_questions(texts)
    for text, vector in zip(texts, vectors, strict=True):
        with torch.no_grad():
            hidden = model(**tokenizer([text], return_tensors="pt", truncation=True)).last_hidden_state[0]
        np.testing.assert_allclose(vector, torch.nn.functional.normalize(hidden.mean(0), dim=0).numpy(), atol=1e-5)
