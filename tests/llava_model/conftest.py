"""Tiny tokenizers and models, made on the spot from a seed; nothing is downloaded."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # training_world lies beside the tests, which are no packages

CORPUS = [
    "The quick brown fox jumps over the lazy dog. How many chairs did the factory in Rome make in 1994?",
    "user assistant system <|im_start|> [INST] USER: ASSISTANT: a curious human and an artificial intelligence.",
    "It was the best of times, it was the worst of times; 12,345.67 € – naïve café, Ärger, 東京, Привет.",
]

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'"
    " + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def _byte_level(specials: list[str], **roles: str) -> Any:
    """GPT-2's family: Llama-3, Qwen, SmolLM."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400 + len(specials),
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)


def _metaspace(specials: list[Any], **roles: str) -> Any:
    """sentencepiece's family: Llama-2, Vicuna, Mistral, Phi-3; unknown characters fall back to bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    teacher = Tokenizer(models.BPE())
    spaces = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    teacher.normalizer = spaces
    trainer = trainers.BpeTrainer(vocab_size=200, show_progress=False)
    teacher.train_from_iterator([word for line in CORPUS for word in line.split()], trainer)
    import json

    learned = json.loads(teacher.to_str())["model"]
    words = ["<unk>", "<s>", "</s>", *bytes_, *learned["vocab"]]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in learned["merges"]]
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = spaces
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    backend.add_special_tokens(specials)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token=roles.pop("eos_token", "</s>"), unk_token="<unk>", **roles
    )


def _shouting() -> Any:
    """The nastiest: special tokens are searched in lower-cased, NFKC-normalised text, word joiners dropped."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel(unk_token="[unk]"))
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex("[\u2060\u200b]"), ""), normalizers.Lowercase()]
    )
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=80, special_tokens=["[unk]"], show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[unk]")
    marks = [AddedToken(mark, special=True, normalized=True) for mark in ("<|im_start|>", "<|im_end|>", "</s>")]
    tokenizer.add_special_tokens({"additional_special_tokens": marks, "eos_token": marks[1]})
    return tokenizer


def _make_tokenizer(kind: str) -> Any:
    from tokenizers import AddedToken

    if kind == "chatml":
        tokenizer = _byte_level(
            ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"],
            eos_token="<|im_end|>",
            bos_token="<|im_start|>",
            pad_token="<|endoftext|>",
        )
        tokenizer.chat_template = CHATML
        return tokenizer
    if kind == "llama_3":
        marks = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
        return _byte_level(marks, bos_token=marks[0], eos_token=marks[4])
    if kind == "phi":
        marks = ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
        return _metaspace(
            [AddedToken(mark, special=True, normalized=False, rstrip=True) for mark in marks], eos_token=marks[0]
        )
    if kind == "shouting":
        return _shouting()
    return _metaspace([])


TOKENIZERS = ("chatml", "llama_3", "llama_2", "phi", "shouting")


@pytest.fixture(scope="session")
def make_tokenizer() -> Callable[[str], Any]:
    """A fresh tokenizer of this kind, with `<image>`; see TOKENIZERS."""
    return make_tiny_tokenizer


def make_tiny_tokenizer(kind: str) -> Any:
    """One of TOKENIZERS, for processes that pytest does not run too."""
    from llava_model.text.tokenize import prepare_tokenizer

    return prepare_tokenizer(_make_tokenizer(kind))


def make_tiny_foreign(
    *, tower: str = "clip", select: str = "default", activation: str = "gelu", layer: int = -2,
    vocabulary: int = 512, image_token: int = 500, tied: bool = False,
) -> Any:  # fmt: skip
    """transformers' LLaVA with random weights: 3 layers of vision, 2 of Llama, 512 words."""
    import torch
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        SiglipVisionConfig,
    )

    torch.set_num_threads(1)  # two threads only wait for each other in models this small
    torch.manual_seed(0)
    vision_class = {"clip": CLIPVisionConfig, "siglip": SiglipVisionConfig}[tower]
    vision = vision_class(
        hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=28,
        patch_size=14,
    )  # fmt: skip
    text = LlamaConfig(
        hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=vocabulary, max_position_embeddings=512, tie_word_embeddings=tied,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=image_token, projector_hidden_act=activation,
        vision_feature_select_strategy=select, vision_feature_layer=layer, image_seq_length=4,
    )  # fmt: skip
    foreign = LlavaForConditionalGeneration(config).eval()
    for parameter in foreign.parameters():  # biases and norms differ from their neutral start
        parameter.data += 0.05 * torch.randn_like(parameter)
    return foreign


@pytest.fixture(scope="session")
def make_foreign() -> Callable[..., Any]:
    """See `make_tiny_foreign`."""
    return make_tiny_foreign


@pytest.fixture(scope="session")
def save_llava(
    make_foreign: Callable[..., Any], make_tokenizer: Callable[[str], Any]
) -> Callable[[Path], None]:  # fmt: skip
    """Writes a tiny LLaVA as transformers does, whose pictures matter for what it says."""
    from llava_model.checkpoints.hf import from_hf_model, save_hf
    from llava_model.images import ImagePreprocess
    from llava_model.text.tokenize import image_token_id

    def save(folder: Path) -> None:
        tokenizer = make_tokenizer("chatml")
        tokenizer.chat_template = CHATML
        foreign = make_foreign(vocabulary=len(tokenizer), image_token=image_token_id(tokenizer))
        for parameter in foreign.model.language_model.parameters():
            parameter.data *= 4
        save_hf(from_hf_model(foreign, ImagePreprocess(size=28)), folder, tokenizer)

    return save


@pytest.fixture(scope="session")
def photograph() -> Callable[..., Image.Image]:
    """A smooth random picture of this size, the same for the same seed."""

    def make(width: int = 60, height: int = 40, seed: int = 0) -> Image.Image:
        noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)

    return make


@pytest.fixture(scope="session")
def shared() -> SimpleNamespace:
    """Names that tests share without importing each other."""
    return SimpleNamespace(tokenizers=TOKENIZERS, chatml=CHATML)


@pytest.fixture(scope="session")
def save_language(make_tokenizer: Callable[[str], Any]) -> Callable[..., Any]:
    """Write a folder with a tiny Llama of random weights and its tokenizer; returns the model."""

    def save(folder: Path, *, kind: str = "chatml", template: str | None = CHATML, seed: int = 1) -> Any:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        tokenizer = make_tokenizer(kind)
        tokenizer.chat_template = template
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        config = LlamaConfig(
            hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=len(tokenizer), max_position_embeddings=256, bos_token_id=None, eos_token_id=None,
            initializer_range=0.3,
        )  # fmt: skip
        language = LlamaForCausalLM(config).eval()
        language.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return language

    return save


@pytest.fixture(scope="session")
def save_parrot(make_tokenizer: Callable[[str], Any]) -> Callable[..., None]:
    """Write a model that always says the same: each token's successor is fixed by one-hot weights.

    The reply's tokens must differ from each other; behind the last one comes `end`, then the reply again.
    """

    def save(folder: Path, reply: str, *, end: str = "<|im_end|>") -> None:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.set_num_threads(1)
        tokenizer = make_tokenizer("chatml")
        tokenizer.chat_template = CHATML
        said = tokenizer.encode(reply + end, add_special_tokens=False)
        assert len(set(said)) == len(said), "a parrot cannot say a token twice"
        before = tokenizer.encode("<|im_start|>assistant\n", add_special_tokens=False)[-1]
        config = LlamaConfig(
            hidden_size=512, intermediate_size=8, num_hidden_layers=1, num_attention_heads=4, vocab_size=512,
            max_position_embeddings=512, tie_word_embeddings=False, bos_token_id=None, eos_token_id=None,
        )  # fmt: skip
        language = LlamaForCausalLM(config).eval()
        state = language.state_dict()
        for name, tensor in state.items():
            tensor.zero_()
            if name.endswith("norm.weight"):
                tensor.fill_(1)
        state["model.embed_tokens.weight"].copy_(torch.eye(512))
        for token, successor in zip([before, *said], [*said, said[0]], strict=True):
            state["lm_head.weight"][successor, token] = 1
        language.load_state_dict(state)
        language.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    return save
