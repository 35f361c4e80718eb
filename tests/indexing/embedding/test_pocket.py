import os
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from embedding_doubles import save_classifier, save_sentence_encoder
from PIL import Image
from safetensors.torch import save_file

from indexing.embedding import pocket as module
from indexing.embedding.pocket import (
    MIN_PROBABILITY,
    SHIPPED,
    PocketEmbedder,
    encode_classes,
    imagenet_classes,
    shipped_words,
)
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


def test_the_largest_layers_see_one_picture_at_a_time(embedder: PocketEmbedder, pixels: np.ndarray) -> None:
    seen: dict[str, set[int]] = {"first": set(), "last": set()}
    first, last = embedder._network.conv_stem[0], embedder._network.conv_head
    handles = [
        layer.register_forward_hook(lambda _, inputs, __, name=name: seen[name].add(len(inputs[0])))
        for name, layer in (("first", first), ("last", last))
    ]
    embedder.embed_images(np.concatenate([pixels, pixels]))
    for handle in handles:
        handle.remove()
    assert seen["first"] == {1} and max(seen["last"]) > 1


def test_read_only_pixels_are_embedded_too(embedder: PocketEmbedder, pixels: np.ndarray) -> None:
    """As they come from `np.asarray(picture)[None]` or a memory map."""
    frozen = pixels[:1].copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(
        embedder.embed_images(frozen).vectors_BD, embedder.embed_images(pixels[:1]).vectors_BD
    )


@pytest.fixture
def with_map(folders: tuple[Path, Path], classes: np.ndarray, tmp_path: Path) -> Path:
    """As it ships for e5: the encoder's own classes (24-d), and a map from there to MiniLM's space (384-d)."""
    rng = np.random.default_rng(0)
    tensors = {"class_vectors": classes.astype(np.float16), "map": rng.normal(size=(24, 384)).astype(np.float16)}
    tensors["shift"] = rng.normal(size=384).astype(np.float32)
    save_file({key: torch.from_numpy(value) for key, value in tensors.items()}, tmp_path / "map.safetensors")
    return tmp_path / "map.safetensors"


def joint_space_for_minilm(folder: Path) -> Path:
    """Random, of the shapes that the network and 384-d words ask for."""
    from indexing.embedding.joint_space import NUMBERS, _shapes

    network = timm.create_model("tf_efficientnet_lite0")
    sizes = {"stored": (5, 8), "captions": (12, 6), "pictured": (12, 7)}
    generator = torch.Generator().manual_seed(0)
    shapes = _shapes(network, 384, sizes)
    tensors = {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}
    for key in shapes:
        if key in NUMBERS:
            tensors[key] = torch.ones(1)
        elif f"{key}.factors" in shapes:
            tensors[key] = (tensors[key] * 40).to(torch.int8)
            tensors[f"{key}.factors"] = torch.full((shapes[key][0],), 1e-3)
    save_file(tensors, folder / "joint_space.safetensors")
    return folder / "joint_space.safetensors"


def test_a_mapped_encoders_vector_holds_its_own_classes_and_minilms_joint_space(
    monkeypatch: pytest.MonkeyPatch,
    folders: tuple[Path, Path],
    classes: np.ndarray,
    with_map: Path,
    tmp_path: Path,
    pixels: np.ndarray,
) -> None:
    monkeypatch.setattr(module, "SHIPPED_WITH_MAP", with_map)
    space = joint_space_for_minilm(tmp_path)
    embedder = PocketEmbedder(*folders, joint_space=space, device="cpu", kit="tiny")
    assert embedder.name.startswith("tiny-1+joint_space-")
    assert (embedder.text_dimensions, embedder.clip_dimensions) == (24, 24 + 384 + 7 + 1)
    _, logits = plain_network(folders[0], pixels)
    pictures, queries = embedder.embed_images(pixels).vectors_BD, embedder.embed_image_queries(["a cat", "red"])
    expected = expected_vectors(classes.astype(np.float16).astype(np.float32), logits)
    np.testing.assert_allclose(pictures[:, :24] * np.sqrt(2), expected, atol=1e-3)
    for vectors in (pictures, queries):
        assert vectors.dtype == np.float32
        for half in (vectors[:, :24], vectors[:, 24:]):
            np.testing.assert_allclose(np.linalg.norm(half, axis=1), np.sqrt(0.5), atol=1e-5)


def test_what_ships_for_an_encoder_is_used_for_no_other(
    monkeypatch: pytest.MonkeyPatch, folders: tuple[Path, Path], classes: np.ndarray, with_map: Path
) -> None:
    encoder = SentenceEncoder(folders[1], device="cpu")
    assert shipped_words(encoder, *imagenet_classes()) == {}
    monkeypatch.setattr(module, "SHIPPED_WITH_MAP", with_map)
    assert shipped_words(encoder, *imagenet_classes()).keys() == {"class_vectors", "map", "shift"}
    turned = torch.from_numpy(classes[::-1].copy())
    save_file({"class_vectors": turned, "map": torch.eye(24), "shift": torch.zeros(24)}, with_map)
    assert shipped_words(encoder, *imagenet_classes()) == {}


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


# With the kit small, where it is installed.


@pytest.mark.parametrize("texts", [["a cup of coffee", "un gato durmiendo", "eine Rakete"], ["咖啡", "кошка", "صاروخ"]])
def test_words_of_many_languages_find_their_picture_with_the_kit_small(texts: list[str]) -> None:
    from llava_model.kits import find, shipped_weights

    kit = find("small")
    if not kit.is_installed():
        pytest.skip("the kit small is not installed: llavero kit install small")
    space = shipped_weights("small").joint_space
    small = PocketEmbedder(kit.path("vision"), kit.path("text"), joint_space=space, device="cpu", kit="small")
    assert small._bridge is not None and small.clip_dimensions == 896
    pictures = small.embed_images(np.stack([square(name) for name in ("coffee", "chelsea", "rocket")])).vectors_BD
    assert (small.embed_image_queries(texts) @ pictures.T).argmax(1).tolist() == [0, 1, 2]
