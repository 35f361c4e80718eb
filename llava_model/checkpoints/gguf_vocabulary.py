"""A tokenizer's vocabulary and its way to split text, as llama.cpp's loader wants them.

llama.cpp has two kinds of tokenizers that are used here. "gpt2" is byte-level BPE: the merges are in the file, and a
name says which regular expression splits the text first. "llama" is sentencepiece: the pair with the best score is
merged first, so the scores must follow the order of the merges. Any other tokenizer is refused: llama.cpp would split
text differently than in training, and nobody would notice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llava_model.errors import ExportError
from llava_model.model.config import IMAGE_TOKEN

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6  # gguf.TokenType
_NO_SCORE = -1e6
_ROLES = ("bos", "eos", "unk", "pad")

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {
    _CONTRACTIONS + r"\p{N}{1,3}" + _REST: "llama-bpe",
    _CONTRACTIONS + r"\p{N}" + _REST: "qwen2",
}
"""The regular expressions of Llama-3 and Qwen2, and llama.cpp's names for them."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The vocabulary, with one entry per row of the embedding table."""

    model: str
    pre: str
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    scores: tuple[float, ...] | None
    merges: tuple[str, ...] | None
    special: Mapping[str, int]
    adds: Mapping[str, bool]
    """Whether the tokenizer adds bos and eos to every text."""

    space_first: bool
    chat_template: str | None
    notes: tuple[str, ...]

    def describe(self, writer: Any) -> None:
        """Write it with a `gguf.GGUFWriter`."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(list(self.tokens))
        writer.add_token_types(list(self.types))
        if self.scores is not None:
            writer.add_token_scores(list(self.scores))
        if self.merges is not None:
            writer.add_token_merges(list(self.merges))
        for role, number in self.special.items():
            getattr(writer, f"add_{role}_token_id")(number)
        writer.add_add_bos_token(self.adds["bos"])
        writer.add_add_eos_token(self.adds["eos"])
        writer.add_add_space_prefix(self.space_first)
        if self.chat_template:
            writer.add_chat_template(self.chat_template)


def read_vocabulary(tokenizer: Any, rows: int) -> Vocabulary:
    """The vocabulary of a fast tokenizer, for an embedding table with `rows` rows. Raises ExportError.

    Rows without a word get a placeholder. `<image>` is left out if it has no row: llama.cpp inserts pictures itself.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    model = backend["model"]
    if model["type"] != "BPE":
        raise ExportError(f"llama.cpp's files hold BPE tokenizers, this one is {model['type']}")
    is_sentencepiece = bool(model.get("byte_fallback"))
    words = _words(backend, rows)
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    return Vocabulary(
        model="llama" if is_sentencepiece else "gpt2",
        pre="default" if is_sentencepiece else _pre_tokenizer(backend),
        tokens=tuple(words),
        types=tuple(_types(words, backend, tokenizer.unk_token if is_sentencepiece else None)),
        scores=tuple(_scores(words, merges)) if is_sentencepiece else None,
        merges=None if is_sentencepiece else tuple(f"{_spaced(left)} {_spaced(right)}" for left, right in merges),
        special=_special(tokenizer, rows),
        adds=_adds(tokenizer),
        space_first=is_sentencepiece
        and tokenizer.backend_tokenizer.encode("a", add_special_tokens=False).tokens[0] != "a",
        chat_template=tokenizer.chat_template if isinstance(tokenizer.chat_template, str) else None,
        notes=tuple(_notes(tokenizer, words, merges if is_sentencepiece else None)),
    )


def _words(backend: Mapping[str, Any], rows: int) -> list[str]:
    places = dict(backend["model"]["vocab"]) | {token["content"]: token["id"] for token in backend["added_tokens"]}
    behind = sorted(word for word, row in places.items() if row >= rows and word != IMAGE_TOKEN)
    if behind:
        raise ExportError(
            f"the tokenizer has {len(behind)} words behind the {rows} rows of the model, such as {behind[0]!r}"
        )
    words = [f"[PAD{row}]" for row in range(rows)]
    for word, row in places.items():
        if row < rows:
            words[row] = word
    return words


def _types(words: Sequence[str], backend: Mapping[str, Any], unknown: str | None) -> list[int]:
    known = backend["model"]["vocab"]
    added = {token["content"]: _CONTROL if token["special"] else _USER_DEFINED for token in backend["added_tokens"]}
    types = [added.get(word, _NORMAL if word in known else _UNUSED) for word in words]
    if unknown is not None:
        types = [
            _BYTE if _is_byte(word) else _UNKNOWN if word == unknown else kind
            for word, kind in zip(words, types, strict=True)
        ]
    return types


def _is_byte(word: str) -> bool:
    return len(word) == 6 and word.startswith("<0x") and word.endswith(">")


def _scores(words: Sequence[str], merges: Sequence[tuple[str, ...]]) -> list[float]:
    """The score of each word: minus the rank of the first merge that makes it. Words that no merge makes come last."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        ranks.setdefault("".join(merge), rank)
    return [-float(ranks[word]) if word in ranks else _NO_SCORE if len(word) > 1 else 0.0 for word in words]


def _pre_tokenizer(backend: Mapping[str, Any]) -> str:
    """llama.cpp's name for the split before BPE, found from the tokenizer's own settings. Raises ExportError."""
    pre = backend["pre_tokenizer"] or {}
    steps = pre.get("pretokenizers", [pre])
    byte_level = steps[-1]
    normalizer = (backend["normalizer"] or {"type": "NFC"})["type"]
    if byte_level.get("type") == "ByteLevel" and not byte_level["add_prefix_space"] and normalizer == "NFC":
        first = steps[0] if len(steps) == 2 else None
        if len(steps) == 1 and byte_level["use_regex"]:
            return "gpt-2"
        if first and first["type"] == "Digits" and first["individual_digits"] and byte_level["use_regex"]:
            return "smollm"
        if first and first["type"] == "Split" and not byte_level["use_regex"]:
            pattern = first["pattern"].get("Regex")
            if pattern in _SPLITS and first["behavior"] == "Isolated" and not first["invert"]:
                return _SPLITS[pattern]
    error = ExportError(
        f"llama.cpp's name for this tokenizer's way to split text is not known: {json.dumps(pre)[:200]}"
    )
    error.add_note("Known here: GPT-2's, SmolLM's, Llama-3's and Qwen2's, and sentencepiece.")
    raise error


def _spaced(part: str) -> str:
    """The part with Ġ for each space, as byte-level BPE spells it: a merge in the file ends at a space."""
    return part.replace(" ", "Ġ")


def _special(tokenizer: Any, rows: int) -> dict[str, int]:
    numbers = {role: getattr(tokenizer, f"{role}_token_id") for role in _ROLES}
    return {role: int(number) for role, number in numbers.items() if number is not None and number < rows}


def _adds(tokenizer: Any) -> dict[str, bool]:
    """Whether it adds bos and eos, found by tokenising a text: settings may say otherwise."""
    ids = tokenizer("a")["input_ids"]
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    longer = len(ids) > len(bare)
    return {"bos": longer and ids[0] == tokenizer.bos_token_id, "eos": longer and ids[-1] == tokenizer.eos_token_id}


def _notes(tokenizer: Any, words: Sequence[str], merges: Sequence[tuple[str, ...]] | None) -> list[str]:
    notes = []
    if not isinstance(tokenizer.chat_template, str):
        notes.append("the tokenizer brings no chat template: name one with llama.cpp's --chat-template")
    if merges is not None and (more := _implied(merges, words) - set(merges)):
        notes.append(
            f"llama.cpp also joins {len(more)} pairs that this tokenizer keeps apart, such as {sorted(more)[0]}: "
            "some texts are cut otherwise there"
        )
    return notes


def _implied(merges: Sequence[tuple[str, ...]], words: Sequence[str]) -> set[tuple[str, ...]]:
    """Every pair of words that together are a merged word: sentencepiece would merge them all."""
    made = {"".join(merge) for merge in merges}
    parts = {part for merge in merges for part in merge} & set(words)
    return {
        (word[:cut], word[cut:])
        for word in made
        for cut in range(1, len(word))
        if word[:cut] in parts and word[cut:] in parts
    }
