"""The pocket kit's embedder: an ImageNet classifier and a sentence encoder, joined without training (ConSE) or with.

    pixels ─► EfficientNet ─► 1000 probabilities ─► mean of the class names' sentence vectors ─┐
                         └──► features, stages ─► joint space, if any (adds to the mean) ──────┴─► unit vector
    words  ─► the same sentence encoder ─► joint space, if any ─► unit vector in the same space

From "Zero-Shot Learning by Convex Combination of Semantic Embeddings" (Norouzi et al., 2014). The
mean of all class vectors is subtracted on both sides; without it everything resembles everything.
It knows ImageNet's thousand things and is weaker than CLIP.

The joint space was fitted on MiniLM's words, which are English. For a multilingual encoder a linear map ships that
carries its words there (recipes/small/word_map.py), and a vector is both: the mean of the encoder's own class vectors,
and the joint space's. Each alone finds less.

A class is its short name and a little of its dictionary entry. Encoding all of them takes ten seconds, so the vectors
for two encoders ship with the package; for another encoder they are made anew at every start. To write MiniLM's again
after a change of the recipe:

    python -m indexing.embedding.pocket TEXT_FOLDER

Legend: B batch, K classes, D width of a vector, H W pixels, C colours.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexing.embedding.joint_space import TEMPERATURE, JointSpace, load_joint_space, look, name_of
from indexing.embedding.protocol import (
    ImageEmbedding,
    Label,
    MissingEmbedderPackageError,
    Pixels,
    Preprocess,
    Vectors,
    WeightsError,
    keep_freed_memory,
    pick_device,
)
from indexing.embedding.registry import EmbedderFormat, KitParts
from indexing.embedding.text import SentenceEncoder

if TYPE_CHECKING:
    from torch import Tensor

PREPROCESS = Preprocess(size=224, resize_to=256, rounding="nearest", whole_drawings=True, crop_first=True)
MAX_LABELS = 5
MIN_PROBABILITY = 0.05  # below it a label is noise: an unknown thing spreads over many classes
_LARGE_BLOCKS = 3  # of seven: pictures 224 wide are 112, 56 and 28 wide in them
BATCH = 16  # what passes the network at once; 32 takes a fifth longer a picture, its activations fall out of the caches

SHIPPED = Path(__file__).with_name("imagenet_minilm.safetensors")
_DEFINITION_WEIGHT = 0.25  # chosen together with joint_space.TEMPERATURE
SHIPPED_WITH_MAP = Path(__file__).with_name("imagenet_e5.safetensors")
_PROBES = 8  # classes encoded at every start, to see that the shipped vectors are this encoder's
_SAME_ENCODER = 0.998  # cosine; of e5 in bfloat16 to itself in float32 0.9999, to the network before its 4 bits 0.98


def pocket_name(joint_space: Path | None, kit: str = "pocket") -> str:
    """The embedder's name, without loading a network; another joint space makes other vectors, so does another kit."""
    return f"{kit}-1" if joint_space is None else f"{kit}-1+{name_of(joint_space)}"


class PocketEmbedder:
    """EfficientNet and MiniLM behind the `Embedder` protocol. Texts have MiniLM's width, pictures the joint space's."""

    def __init__(
        self, vision: Path, text: Path, *, joint_space: Path | None = None, device: str = "auto", kit: str = "pocket"
    ) -> None:
        """Load both networks from their folders.

        Args:
            vision: a timm folder (`config.json`, `model.safetensors`) of a classifier of ImageNet's classes.
            text: a sentence encoder's folder.
            joint_space: fitted for exactly these networks, in the format of joint_space.py.
            device: "auto", "cpu", "cuda" …
            kit: begins the embedder's name.
        """
        self.preprocess = PREPROCESS
        self.device = pick_device(device)
        if self.device == "cpu":
            keep_freed_memory()
        self._sentences = SentenceEncoder(text, device=self.device)
        self.text_dimensions = self._sentences.dimensions
        self._network = load_classifier(vision, self.device)
        colours = self._network.pretrained_cfg
        self._scale_C, self._shift_C = scale_and_shift(colours["mean"], colours["std"], self.device)
        self._classes, entries = imagenet_classes()
        shipped = shipped_words(self._sentences, self._classes, entries)
        class_vectors_KD = shipped.get("class_vectors")
        if class_vectors_KD is None:
            class_vectors_KD = encode_classes(self._sentences, self._classes, entries)
        self._centre_D = class_vectors_KD.mean(0)
        self._class_vectors_KD = self._tensor(class_vectors_KD - self._centre_D)
        self.clip_dimensions = self.text_dimensions
        self._joint: JointSpace | None = None
        self._bridge: Bridge | None = None
        self.name = pocket_name(joint_space, kit)
        if joint_space is not None:
            if "map" in shipped:
                self._bridge = Bridge(map_DD=shipped["map"], shift_D=shipped["shift"])
                self._bridge_classes_KD = self._tensor(self._bridge.class_vectors_KD)
            words = len(self._bridge.centre_D) if self._bridge is not None else self.text_dimensions
            self._joint = load_joint_space(joint_space, network=self._network, dimensions=words, device=self.device)
            self.clip_dimensions = self._joint.dimensions + (self.text_dimensions if self._bridge is not None else 0)

    def embed_images(self, pixels_BHWC: Pixels) -> ImageEmbedding:
        """Unit vectors, and the classes above 5 % as labels, at most five each."""
        import torch

        vectors_BD = np.empty((len(pixels_BHWC), self.clip_dimensions), dtype=np.float32)
        labels: list[tuple[Label, ...]] = []
        for start in range(0, len(pixels_BHWC), BATCH):
            batch = pixels_BHWC[start : start + BATCH]
            with torch.inference_mode():
                batch_vectors, logits_BK = self._forward(self._tensor(batch))
                best = logits_BK.softmax(-1).topk(MAX_LABELS)
            vectors_BD[start : start + len(batch)] = batch_vectors.cpu().numpy()
            labels += map(self._named, best.indices.tolist(), best.values.tolist())
        return ImageEmbedding(vectors_BD=vectors_BD, labels=tuple(labels))

    def embed_image_queries(self, texts: Sequence[str]) -> Vectors:
        """Sentence vectors relative to the mean class, of unit length; in the joint space, if there is one."""
        words_BD = self._sentences.encode(texts)
        relative_BD: Vectors = words_BD - self._centre_D
        own_BD: Vectors = relative_BD / np.linalg.norm(relative_BD, axis=-1, keepdims=True)
        if self._joint is None:
            return own_BD
        if self._bridge is None:
            return self._joint.queries(relative_BD)
        both_BD: Vectors = np.concatenate([own_BD, self._joint.queries(self._bridge(words_BD))], axis=-1)
        return both_BD / np.float32(np.sqrt(2))

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """The sentence encoder's vectors."""
        return self._sentences.encode(texts, "passage")

    def embed_questions(self, texts: Sequence[str]) -> Vectors:
        """The sentence encoder's vectors."""
        return self._sentences.encode(texts, "query")

    def embed_passage_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """The sentence encoder's vectors of tokens."""
        return self._sentences.encode_tokens(texts, "passage")

    def embed_question_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """The sentence encoder's vectors of tokens."""
        return self._sentences.encode_tokens(texts, "query")

    def _forward(self, pixels_BHWC: "Tensor") -> tuple["Tensor", "Tensor"]:
        import torch

        seen = look(self._network, pixels_BHWC, self._scale_C, self._shift_C)
        probabilities_BK = (seen.logits_BK / TEMPERATURE).softmax(-1)
        mixed_BD = probabilities_BK @ self._class_vectors_KD
        own_BD = torch.nn.functional.normalize(mixed_BD, dim=-1)
        if self._joint is None:
            return own_BD, seen.logits_BK
        if self._bridge is None:
            return self._joint.images(seen, mixed_BD), seen.logits_BK
        joint_BD = self._joint.images(seen, probabilities_BK @ self._bridge_classes_KD)
        return torch.cat([own_BD, joint_BD], dim=-1) / 2**0.5, seen.logits_BK

    def _named(self, classes: Sequence[int], probabilities: Sequence[float]) -> tuple[Label, ...]:
        """Labels best first; two classes of one short name (two kinds of crane) count as one."""
        together: dict[str, float] = {}
        for index, probability in zip(classes, probabilities, strict=True):
            if probability >= MIN_PROBABILITY:
                text = self._classes[index]
                together[text] = together.get(text, 0.0) + probability
        best_first = sorted(together.items(), key=lambda item: -item[1])
        return tuple(Label(text=text, probability=probability) for text, probability in best_first)

    def _tensor(self, array: Any) -> "Tensor":
        import torch

        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self.device)


def load_classifier(folder: Path, device: str) -> Any:
    """A timm network from a folder of its own format, in inference form.

    Each batch normalisation is folded into the convolution before it and the weights lie
    channels-last: twice as fast on a CPU, logits within 1e-5.
    """
    try:
        import timm
        import torch
    except ImportError as error:
        raise MissingEmbedderPackageError(error.name or "timm") from error
    if not (folder / "config.json").is_file():
        raise WeightsError(folder, "config.json is missing")
    try:
        network: Any = timm.create_model(f"local-dir:{folder}", pretrained=True)
    except (RuntimeError, OSError, json.JSONDecodeError) as error:
        raise WeightsError(folder, str(error).splitlines()[0]) from error
    if (classes := int(network.num_classes)) != 1000:
        raise WeightsError(folder, f"it tells {classes} classes apart, not ImageNet's 1000")
    _fold_normalisations(network.eval())
    network.requires_grad_(False).to(device, memory_format=torch.channels_last)
    if device == "cpu":
        _begin_one_by_one(network)
    return network


def _begin_one_by_one(network: Any) -> None:
    """In place: the first layers of an EfficientNet, whose outputs are the largest, see one picture after the other.

    They then stay in the caches: an eighth less time, and 60 MB of activations for 16 pictures instead of 260.
    """
    import torch

    if not all(hasattr(network, name) for name in ("conv_stem", "bn1", "blocks")):
        return

    class _OneByOne(torch.nn.Sequential):
        def forward(self, input: "Tensor") -> "Tensor":
            layers: Callable[[Tensor], Tensor] = super().forward
            return torch.cat([layers(input[at : at + 1]) for at in range(len(input))])

    network.conv_stem = _OneByOne(network.conv_stem, network.bn1, *network.blocks[:_LARGE_BLOCKS])
    network.bn1 = torch.nn.Identity()
    for at in range(_LARGE_BLOCKS):
        network.blocks[at] = torch.nn.Identity()


def _fold_normalisations(network: Any) -> None:
    """In place. timm keeps the activation inside its BatchNormAct2d: that part stays where it is."""
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    modules: list[tuple[str, Any]] = list(network.named_modules())
    convolution: Any = None
    for name, module in modules:
        if isinstance(module, torch.nn.Conv2d):
            convolution = module
        elif isinstance(module, torch.nn.BatchNorm2d):
            if convolution is None or convolution.out_channels != module.num_features:
                continue
            assert module.running_mean is not None and module.running_var is not None
            convolution.weight, convolution.bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                module.running_mean,
                module.running_var,
                module.eps,
                module.weight,
                module.bias,
            )
            network.set_submodule(name, getattr(module, "act", torch.nn.Identity()))
            convolution = None


def scale_and_shift(mean: Sequence[float], std: Sequence[float], device: str) -> tuple["Tensor", "Tensor"]:
    """Per colour, such that `pixels * scale + shift` is `(pixels / 255 - mean) / std` in one pass."""
    import torch

    mean_C, std_C = torch.tensor(mean, device=device), torch.tensor(std, device=device)
    return 1 / (255 * std_C), -mean_C / std_C


def imagenet_classes() -> tuple[list[str], list[str]]:
    """The classes in the order of every ImageNet classifier: short names, and dictionary entries.

    "tiger cat", and "tiger cat: a cat having a striped coat".
    """
    from timm.data.imagenet_info import ImageNetInfo

    info: Any = ImageNetInfo()
    synsets = info.label_names()
    names = [info.label_name_to_description(synset).split(",")[0] for synset in synsets]
    return names, [info.label_name_to_description(synset, detailed=True) for synset in synsets]


def class_vectors(sentences: SentenceEncoder, names: Sequence[str], entries: Sequence[str]) -> Vectors:
    """(K, D), of unit length; from a shipped file where it was made with this very encoder."""
    shipped = shipped_words(sentences, names, entries)
    return shipped["class_vectors"] if shipped else encode_classes(sentences, names, entries)


def shipped_words(sentences: SentenceEncoder, names: Sequence[str], entries: Sequence[str]) -> dict[str, Vectors]:
    """The tensors of the file that was made with this very encoder, known by a few classes; none for another one."""
    from safetensors.numpy import load_file

    probes = np.linspace(0, len(names) - 1, _PROBES).astype(int)
    fresh = encode_classes(sentences, [names[k] for k in probes], [entries[k] for k in probes])
    for file in (SHIPPED, SHIPPED_WITH_MAP):
        tensors: dict[str, Vectors] = {key: value.astype(np.float32) for key, value in load_file(file).items()}
        theirs_KD = tensors["class_vectors"]
        if theirs_KD.shape == (len(names), sentences.dimensions):
            cosines = (theirs_KD[probes] * fresh).sum(-1)
            if cosines.min() > _SAME_ENCODER:
                return tensors
    return {}


class Bridge:
    """Carries an encoder's sentence vectors to where MiniLM's of the same meaning lie, and has MiniLM's classes."""

    def __init__(self, *, map_DD: Vectors, shift_D: Vectors) -> None:
        from safetensors.numpy import load_file

        self._map_DD, self._shift_D = map_DD, shift_D
        class_vectors_KD: Vectors = load_file(SHIPPED)["class_vectors"]
        self.centre_D: Vectors = class_vectors_KD.mean(0)
        self.class_vectors_KD: Vectors = class_vectors_KD - self.centre_D
        """Relative to their mean."""

    def __call__(self, words_BD: Vectors) -> Vectors:
        """(B, D) relative to the mean class."""
        mapped_BD = words_BD @ self._map_DD + self._shift_D
        relative_BD: Vectors = mapped_BD / np.linalg.norm(mapped_BD, axis=-1, keepdims=True) - self.centre_D
        return relative_BD


def encode_classes(sentences: SentenceEncoder, names: Sequence[str], entries: Sequence[str]) -> Vectors:
    """Mostly the name, whose vector lies where questions lie; the entry tells homonyms apart."""
    mixed_KD = sentences.encode(names) + _DEFINITION_WEIGHT * sentences.encode(entries)
    vectors_KD: Vectors = mixed_KD / np.linalg.norm(mixed_KD, axis=-1, keepdims=True)
    return vectors_KD


def write_shipped(text: Path) -> None:
    """Make the shipped file with the sentence encoder in the folder `text`."""
    from safetensors.numpy import save_file

    vectors_KD = encode_classes(SentenceEncoder(text, device="cpu"), *imagenet_classes())
    save_file({"class_vectors": vectors_KD}, SHIPPED, metadata={"encoder": "all-MiniLM-L6-v2"})


def _kit(parts: KitParts) -> str:
    return str(parts.options.get("embedder", "pocket"))


def _name(parts: KitParts) -> str:
    return pocket_name(parts.joint_space, _kit(parts))


def _load(parts: KitParts, device: str) -> PocketEmbedder:
    return PocketEmbedder(parts.vision, parts.text, joint_space=parts.joint_space, device=device, kit=_kit(parts))


EMBEDDER = EmbedderFormat(format="timm", load=_load, name=_name)


if __name__ == "__main__":
    write_shipped(Path(sys.argv[1]))
