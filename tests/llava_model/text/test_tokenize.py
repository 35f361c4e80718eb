"""No text becomes a special token, in any template, with any kind of tokenizer; and nothing else changes."""

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llava_model.errors import ImagesNotSupportedError, MissingFileError, TokenizerError
from llava_model.text import tokenize
from llava_model.text.templates import Message
from llava_model.text.tokenize import PromptEncoder, _borders, image_token_id, load_tokenizer, prepare_tokenizer

KINDS = ("chatml", "llama_3", "llama_2", "phi", "shouting")
TEMPLATES = ("plain", "vicuna_v1", "llama_2", "mistral", "chatml", "phi", "llama_3", "qwen", "auto")
SPELLINGS = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<repo_name>", "<|begin_of_text|>", "<|end_of_text|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<s>", "</s>", "<unk>", "<|system|>", "<|user|>",
    "<|assistant|>", "<|end|>", "<image>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "USER:", "ASSISTANT:",
    "＜|IM_END|＞", "<|Im_Start|>", "</S>", "[unk]", "<0x0A>", "▁",
)  # fmt: skip
FRAGMENTS = sorted({word[:cut] for word in SPELLINGS for cut in range(1, len(word) + 1)}
                   | {word[cut:] for word in SPELLINGS for cut in range(1, len(word))})  # fmt: skip
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(FRAGMENTS), st.sampled_from(SPELLINGS), st.sampled_from([" ", "\n", "\u2060", "a b", "東"])
    ),
    max_size=8,
).map("".join)


@pytest.fixture(scope="module")
def encoder_of(make_tokenizer: Callable[[str], Any], shared: Any) -> Callable[[str, str], PromptEncoder]:
    @lru_cache
    def make(kind: str, template: str) -> PromptEncoder:
        tokenizer = make_tokenizer(kind)
        tokenizer.chat_template = shared.chatml
        return PromptEncoder(tokenizer, template, tokens_per_image=2)

    return make


def _special_tokens(encoder: PromptEncoder, texts: list[str]) -> list[int]:
    """Ids of special tokens, in order, of a conversation with these texts."""
    roles = ("system", "user", "assistant", "user")
    messages = [Message.of(role, text, images=int(role == "user")) for role, text in zip(roles, texts, strict=True)]
    tokenizer = encoder.tokenizer
    encoded = encoder.encode(messages, open_reply=True)
    specials = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    found = []
    for token, (start, end) in zip(encoded.ids, encoded.spans, strict=True):
        unknown = token == tokenizer.unk_token_id and encoded.text[start:end].strip() != tokenizer.unk_token
        if token in specials and not unknown:
            found.append(token)
    return found


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=4, max_size=4))
def test_special_tokens_are_exactly_those_of_the_template(
    kind: str, template: str, texts: list[str], encoder_of: Callable[[str, str], PromptEncoder]
) -> None:
    encoder = encoder_of(kind, template)
    assert _special_tokens(encoder, texts) == _special_tokens(encoder, ["x", "x", "x", "x"])


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_marks_that_are_plain_text_cannot_be_forged_either(
    template: str, text: str, encoder_of: Callable[[str, str], PromptEncoder]
) -> None:
    encoder = encoder_of("llama_2", template)
    marks = re.compile(r"\[/?INST\]|<</?SYS>>|USER:|ASSISTANT:|<\|[a-z_]+\|>")

    def count(question: str) -> int:
        text = encoder.encode([Message.of("system", "x"), Message.of("user", question)], open_reply=True).text
        return len(
            [
                mark
                for mark in marks.findall(text)
                if mark in encoder.encode([Message.of("user", "x")], open_reply=True).text
            ]
        )

    assert count(text) == count("x")


class OneAtATime(PromptEncoder):
    """Breaks open one special token, tokenises again, and so on: slow and plainly right."""

    def _intruders(self, *words: Any) -> dict[int, list[tuple[int, int]]]:
        return {number: spans[:1] for number, spans in list(super()._intruders(*words).items())[:1]}


SHOUTED = st.lists(
    st.sampled_from(["＜|IM_END|＞", "<|Im_Start|>", "</S>", "</s>", "<|im_", "end|>", "\u2060", " ", "a b", "東"]),
    max_size=12,
).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.one_of(TEXTS, SHOUTED), min_size=4, max_size=4))
def test_breaking_open_all_in_one_pass_gives_what_one_at_a_time_gives(
    kind: str, texts: list[str], encoder_of: Callable[[str, str], PromptEncoder]
) -> None:
    encoder = encoder_of(kind, "chatml")
    turns = [Message.of(role, text) for role, text in zip(("system", "user", "assistant", "user"), texts, strict=True)]
    slowly = OneAtATime(encoder.tokenizer, "chatml").encode(turns, open_reply=True)
    assert encoder.encode(turns, open_reply=True) == slowly
    assert _special_tokens(encoder, texts) == _special_tokens(encoder, ["x", "x", "x", "x"])


@pytest.mark.parametrize("kind", ["chatml", "shouting"])
def test_a_longer_conversation_takes_no_more_passes(
    kind: str, encoder_of: Callable[[str, str], PromptEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps are the passes of the tokenizer; the borders of all messages are walked through in each."""
    walks: list[int] = []
    monkeypatch.setattr(tokenize, "_borders", lambda pieces: [walks.append(1), *_borders(pieces)][1:])
    counts = []
    for messages in (4, 400):
        walks.clear()
        steps: list[int] = []
        turns = [Message.of("assistant" if place % 2 else "user", "＜|IM_END|＞ " * 3) for place in range(messages)]
        encoder_of(kind, "chatml").encode(turns, open_reply=True, before_step=lambda steps=steps: steps.append(1))
        counts.append((len(steps), len(walks)))
    assert counts[0] == counts[1]


def test_whoever_waits_may_end_the_work_before_a_step(encoder_of: Callable[[str, str], PromptEncoder]) -> None:
    def nobody_waits() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        encoder_of("chatml", "chatml").encode([Message.of("user", "Hi")], open_reply=True, before_step=nobody_waits)


@pytest.mark.parametrize("kind", KINDS)
def test_no_token_stands_for_more_characters_than_the_longest(
    kind: str, encoder_of: Callable[[str, str], PromptEncoder]
) -> None:
    encoder = encoder_of(kind, "chatml")
    text = "The quick brown fox: 12,345.67 € – naïve café, Ärger, 東京, Привет. <|im_end|>"
    encoded = encoder.encode([Message.of("user", text)], open_reply=True)
    unknown = encoder.tokenizer.unk_token_id
    assert max(
        end - start for token, (start, end) in zip(encoded.ids, encoded.spans, strict=True) if token != unknown
    ) <= encoder.longest_token  # fmt: skip


@pytest.mark.parametrize("kind", ["chatml", "llama_2"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_the_text_stays_readable(kind: str, text: str, encoder_of: Callable[[str, str], PromptEncoder]) -> None:
    prompt = encoder_of(kind, "mistral").encode([Message.of("user", text)], open_reply=True).text
    assert prompt.replace("\u2060", "") == f"{prompt.split('[INST]')[0]}[INST] {text.replace(chr(0x2060), '')} [/INST]"


@pytest.mark.parametrize(
    "text", ["a < b | c > d", "x <b>bold</b> [1] [INSTALL] $5", "naïve 東京\n\t  tab", "user: hi", ""]
)
def test_ordinary_text_is_not_changed(text: str, encoder_of: Callable[[str, str], PromptEncoder]) -> None:
    for kind in KINDS:
        for template in TEMPLATES:
            assert encoder_of(kind, template).neutralise(text) == text


@pytest.mark.parametrize("kind", KINDS)
def test_spans_lead_every_token_back_to_its_characters(
    kind: str, encoder_of: Callable[[str, str], PromptEncoder]
) -> None:
    encoder = encoder_of(kind, "chatml")
    encoded = encoder.encode(
        [Message.of("user", "How many chairs?", 1), Message.of("assistant", "Two")], open_reply=False
    )
    assert len(encoded.ids) == len(encoded.spans)
    covered = {position for start, end in encoded.spans for position in range(start, end)}
    assert all(encoded.text[position].isspace() for position in set(range(len(encoded.text))) - covered)
    assert {encoded.text[start:end] for token, (start, end) in zip(encoded.ids, encoded.spans, strict=True)
            if token == image_token_id(encoder.tokenizer)} == {"<image>"}  # fmt: skip


def test_a_picture_takes_its_positions(make_tokenizer: Callable[[str], Any]) -> None:
    encoder = PromptEncoder(make_tokenizer("chatml"), tokens_per_image=5)
    encoded = encoder.encode([Message.of("user", "Compare.", images=2)], open_reply=True)
    assert encoded.images == 2
    assert encoded.ids.count(image_token_id(encoder.tokenizer)) == 10


def test_pictures_without_room_for_them_are_an_error(make_tokenizer: Callable[[str], Any]) -> None:
    with pytest.raises(ImagesNotSupportedError, match="1 images"):
        PromptEncoder(make_tokenizer("chatml")).encode([Message.of("user", "See?", images=1)], open_reply=True)


def test_an_end_mark_of_one_token_is_an_id_and_any_other_a_string(make_tokenizer: Callable[[str], Any]) -> None:
    tokenizer = make_tokenizer("chatml")
    start, end = (tokenizer.convert_tokens_to_ids(mark) for mark in ("<|im_start|>", "<|im_end|>"))
    assert PromptEncoder(tokenizer, "chatml").stops() == (frozenset({start, end}), ())
    assert PromptEncoder(tokenizer, "phi").stops() == (frozenset({end}), ("<|end|>",))


def test_a_tokenizer_that_turns_every_word_into_a_special_token_is_refused(
    make_tokenizer: Callable[[str], Any],
) -> None:
    from tokenizers import AddedToken, Regex, normalizers

    tokenizer = make_tokenizer("shouting")
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace(Regex(r"[^a-z]"), "")
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken("fox", special=True, normalized=True)]})
    with pytest.raises(TokenizerError, match="special token out of ordinary text"):
        PromptEncoder(tokenizer, "mistral").encode([Message.of("user", "f-o-x")], open_reply=True)


def test_a_tokenizer_without_offsets_is_refused(make_tokenizer: Callable[[str], Any]) -> None:
    class Slow:
        is_fast = False
        name_or_path = "old"

    with pytest.raises(TokenizerError, match="'old'"):
        prepare_tokenizer(Slow())


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=re.escape(str(tmp_path))):
        load_tokenizer(tmp_path)


def test_a_saved_tokenizer_comes_back_with_its_image_token(
    make_tokenizer: Callable[[str], Any], tmp_path: Path
) -> None:
    tokenizer = make_tokenizer("chatml")
    tokenizer.save_pretrained(tmp_path)
    assert image_token_id(load_tokenizer(tmp_path)) == image_token_id(tokenizer)
