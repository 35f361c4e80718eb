"""Every template against what its model's authors published; the oracle is transformers' own rendering."""

from collections.abc import Callable
from typing import Any

import pytest

from llava_model.errors import ConversationError, NoChatTemplateError, UnknownTemplateError
from llava_model.text.templates import Message, Slot, get_template, template_names
from llava_model.text.tokenize import PromptEncoder

# Written after the chat templates that the models' authors published; the end-of-document token that Phi-3's
# puts behind a finished conversation is left out.
PUBLISHED = {
    "chatml": "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "qwen": "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are Qwen, created by Alibaba "
    "Cloud. You are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "llama_3": "{% for m in messages %}{% set content = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n'"
    " + m['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    "llama_2": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
    "{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}"
    "{% for m in rest %}{% if loop.index0 == 0 and system != false %}"
    "{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + m['content'] %}{% else %}"
    "{% set content = m['content'] %}{% endif %}{% if m['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% else %}"
    "{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "mistral": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
    "{% set system = messages[0]['content'] + '\\n\\n' %}{% else %}{% set rest = messages %}{% set system = '' %}"
    "{% endif %}{{ bos_token }}{% for m in rest %}{% if m['role'] == 'user' %}"
    "{{ '[INST] ' + (system if loop.first else '') + m['content'] + ' [/INST]' }}{% else %}"
    "{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
    "phi": "{% for m in messages %}{{'<|' + m['role'] + '|>\\n' + m['content'] + '<|end|>\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
}
SPEAKS = {"chatml": "chatml", "qwen": "chatml", "llama_3": "llama_3", "llama_2": "llama_2", "mistral": "llama_2",
          "phi": "phi"}  # fmt: skip

SYSTEM, ASK, ANSWER, ASK_AGAIN = (
    ("system", "Be brief."),
    ("user", "  What is 2 + 3?\n"),
    ("assistant", "It is five. "),
    ("user", "And 東京?"),
)
CONVERSATIONS = [
    ([ASK], True),
    ([SYSTEM, ASK], True),
    ([ASK, ANSWER], False),
    ([SYSTEM, ASK, ANSWER, ASK_AGAIN], True),
    ([SYSTEM, ASK, ANSWER, ASK_AGAIN, ANSWER], False),
]


def _messages(turns: list[tuple[Any, str]]) -> list[Message]:
    return [Message.of(role, text) for role, text in turns]


@pytest.mark.parametrize("own", [False, True], ids=["built in", "tokenizer's"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_text_and_ids_are_those_of_the_published_template(
    name: str, own: bool, make_tokenizer: Callable[[str], Any]
) -> None:
    tokenizer = make_tokenizer(SPEAKS[name])
    tokenizer.chat_template = PUBLISHED[name]
    encoder = PromptEncoder(tokenizer, "auto" if own else name)
    for turns, open_reply in CONVERSATIONS:
        dictionaries = [{"role": role, "content": text} for role, text in turns]
        options: dict[str, Any] = {"add_generation_prompt": open_reply}
        encoded = encoder.encode(_messages(turns), open_reply=open_reply)
        assert encoded.text == tokenizer.apply_chat_template(dictionaries, tokenize=False, **options)
        oracle = tokenizer.apply_chat_template(dictionaries, tokenize=True, return_dict=True, **options)
        assert list(encoded.ids) == oracle["input_ids"]


def test_vicuna_reads_as_llava_trained_it(make_tokenizer: Callable[[str], Any]) -> None:
    encoder = PromptEncoder(make_tokenizer("llama_2"), "vicuna_v1", tokens_per_image=2)
    messages = [Message.of("user", "Who?", images=1), Message.of("assistant", "Ann"), Message.of("user", "Why?")]
    assert encoder.encode(messages, open_reply=True).text == (
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the user's questions. "
        "USER: <image>\nWho? ASSISTANT: Ann</s>USER: Why? ASSISTANT:"
    )


def test_vicuna_begins_with_the_begin_token_where_the_tokenizer_adds_one(make_tokenizer: Callable[[str], Any]) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = make_tokenizer("llama_2")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    encoded = PromptEncoder(tokenizer, "vicuna_v1").encode([Message.of("user", "Who?")], open_reply=True)
    assert encoded.text.startswith("<s>A chat")
    assert encoded.ids.count(tokenizer.bos_token_id) == 1


def test_plain_is_the_picture_and_its_caption_only(make_tokenizer: Callable[[str], Any]) -> None:
    encoder = PromptEncoder(make_tokenizer("llama_2"), "plain", tokens_per_image=1)
    messages = [
        Message.of("system", "Describe."),
        Message.of("user", "What is this?", images=1),
        Message.of("assistant", "a red cup"),
    ]
    encoded = encoder.encode(messages, open_reply=False)
    assert encoded.text == "<image>a red cup\n"
    assert [encoded.text[start:end] for start, end in encoded.supervised] == ["a red cup\n"]


@pytest.mark.parametrize("name", [*PUBLISHED, "vicuna_v1"])
def test_supervised_characters_are_the_replies_and_their_end_marks(
    name: str, make_tokenizer: Callable[[str], Any]
) -> None:
    encoder = PromptEncoder(make_tokenizer(SPEAKS.get(name, "llama_2")), name)
    encoded = encoder.encode(
        _messages([SYSTEM, ASK, ("assistant", "Five."), ASK_AGAIN, ("assistant", "Six.")]), open_reply=False
    )
    end = encoder.template.end
    assert end.strip()
    assert [encoded.text[start:stop] for start, stop in encoded.supervised] == [f"Five.{end}", f"Six.{end}"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_tokenizers_own_template_supervises_what_the_built_in_one_does(
    name: str, make_tokenizer: Callable[[str], Any]
) -> None:
    tokenizer = make_tokenizer(SPEAKS[name])
    tokenizer.chat_template = PUBLISHED[name]
    turns = _messages([SYSTEM, ASK, ANSWER, ASK_AGAIN, ANSWER])
    own, built_in = (PromptEncoder(tokenizer, template).encode(turns, open_reply=False) for template in ("auto", name))
    assert own.supervised == built_in.supervised
    assert PromptEncoder(tokenizer, "auto").stops() == PromptEncoder(tokenizer, name).stops()


def test_a_template_without_system_turn_gets_the_systems_words_in_the_first_question(
    make_tokenizer: Callable[[str], Any],
) -> None:
    tokenizer = make_tokenizer("chatml")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{{ '<|im_start|>' + m['content'] | trim + '<|im_end|>' }}{% endfor %}"
    )
    encoded = PromptEncoder(tokenizer).encode(_messages([SYSTEM, ("user", "Hi. ")]), open_reply=True)
    assert encoded.text == "<|im_start|>Be brief.\n\nHi.<|im_end|>"


def test_a_template_for_lists_of_parts_writes_the_pictures_itself(make_tokenizer: Callable[[str], Any]) -> None:
    tokenizer = make_tokenizer("llama_2")
    tokenizer.chat_template = (  # after llava-hf's processors
        "{% for m in messages %}{% if m['role'] != 'system' %}{{ m['role'].upper() + ': ' }}{% endif %}"
        "{% for c in m['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}"
        "{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}{{ c['text'] + ' ' }}{% endfor %}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
    )
    encoded = PromptEncoder(tokenizer, tokens_per_image=3).encode([Message.of("user", "What?", 2)], open_reply=True)
    assert encoded.text == "USER: <image>\n<image>\nWhat? ASSISTANT:"
    assert (encoded.images, encoded.ids.count(tokenizer.convert_tokens_to_ids("<image>"))) == (2, 6)


def test_a_chat_template_that_drops_pictures_is_an_error(make_tokenizer: Callable[[str], Any]) -> None:
    tokenizer = make_tokenizer("llama_2")
    tokenizer.chat_template = (
        "{% for m in messages %}{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}{{ c['text'] }}"
        "{% endfor %}{% endfor %}"
    )
    with pytest.raises(ConversationError, match="kept 0 of 1 pictures"):
        PromptEncoder(tokenizer, tokens_per_image=3).encode([Message.of("user", "What?", 1)], open_reply=True)


def test_pictures_may_stand_between_words(make_tokenizer: Callable[[str], Any]) -> None:
    message = Message(role="user", parts=("Left: ", Slot.IMAGE, " right: ", Slot.IMAGE, "?"))
    encoded = PromptEncoder(make_tokenizer("chatml"), tokens_per_image=1).encode([message], open_reply=True)
    assert "Left: <image> right: <image>?" in encoded.text


def test_neighbours_of_one_role_become_one_turn_and_late_system_words_are_the_users(
    make_tokenizer: Callable[[str], Any],
) -> None:
    template = get_template("mistral", make_tokenizer("llama_2"))
    turns = _messages([("user", "a"), ("user", "b"), ("assistant", "c"), ("system", "d"), ("user", "e")])
    text = "".join(piece.text for piece in template.render(turns, open_reply=True))
    assert text == "<s>[INST] a\n\nb [/INST] c</s>[INST] d\n\ne [/INST]"


@pytest.mark.parametrize("turns", [[], [("assistant", "Hello!")], [("system", "s"), ("assistant", "Hello!")]])
def test_a_conversation_without_a_question_first_is_an_error(
    turns: list[tuple[Any, str]], make_tokenizer: Callable[[str], Any]
) -> None:
    with pytest.raises(ConversationError):
        get_template("llama_2", make_tokenizer("llama_2")).render(_messages(turns), open_reply=True)


def test_a_tokenizer_without_chat_template_names_the_templates(make_tokenizer: Callable[[str], Any]) -> None:
    with pytest.raises(NoChatTemplateError, match="brings no chat template") as caught:
        PromptEncoder(make_tokenizer("llama_2"), "auto")
    assert "vicuna_v1" in caught.value.__notes__[0]


def test_a_broken_chat_template_is_named_at_once(make_tokenizer: Callable[[str], Any]) -> None:
    tokenizer = make_tokenizer("chatml")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] {% endfor %}"
    with pytest.raises(NoChatTemplateError, match="fails"):
        PromptEncoder(tokenizer, "auto")


def test_an_unknown_template_names_the_known_ones(make_tokenizer: Callable[[str], Any]) -> None:
    with pytest.raises(UnknownTemplateError, match="'vicuna'") as caught:
        PromptEncoder(make_tokenizer("llama_2"), "vicuna")
    assert all(name in caught.value.__notes__[0] for name in template_names())
