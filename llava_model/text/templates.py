"""Turns → the exact text a language model was trained on, in pieces that name their source.

A template never touches the content of a turn except to trim it where the published format does. Every piece says
whether it comes from the template, the content or a picture, and whether the training loss counts it (the assistant's
replies with their end marks). Training, serving and export share this module.

Sources: haotian-liu/LLaVA `conversation.py` (plain, vicuna_v1), the chat templates published with Llama-2,
Llama-3, Mistral-Instruct, Phi-3 and Qwen2.5, OpenAI's ChatML.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, Protocol

from llava_model.errors import ConversationError, NoChatTemplateError, UnknownTemplateError
from llava_model.model.config import IMAGE_TOKEN

Role = Literal["system", "user", "assistant"]


class Slot(Enum):
    """A place in a turn that is not text."""

    IMAGE = IMAGE_TOKEN


@dataclass(frozen=True, slots=True)
class Frame:
    """Words of the template inside a turn, such as Llama-2's marks around the system's text."""

    text: str


Part = str | Slot | Frame


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn: text with places for pictures in it, in reading order."""

    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, role: Role, text: str, images: int = 0) -> "Message":
        """Pictures first, each on its own line, then the words: LLaVA's `<image>\\n…`."""
        return cls(role=role, parts=(*(part for _ in range(images) for part in (Slot.IMAGE, "\n")), text))

    @property
    def images(self) -> int:
        """How many pictures this turn has."""
        return sum(part is Slot.IMAGE for part in self.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptPiece:
    """A stretch of the prompt. Only pieces from "template" and "image" may hold special tokens."""

    text: str
    source: Literal["template", "content", "image"]
    supervised: bool = False


class Template(Protocol):
    """A format that conversations are written in."""

    @property
    def name(self) -> str:
        """The name in `template_names`, or "tokenizer"."""

    @property
    def end(self) -> str:
        """What closes an assistant's reply; a model that writes it is done. "" if nothing does."""

    def render(self, messages: Sequence[Message], *, open_reply: bool) -> tuple[PromptPiece, ...]:
        """The whole conversation; with `open_reply` it ends where the assistant should begin to write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnMarkup:
    """A published format: what is written around the text of each role.

    A reply is `opener + gap + text + end + after`; `text + end` is supervised, and generation starts after
    the opener, because sentencepiece models write the gap themselves (" Paris" is one token).
    """

    name: str
    start: str = ""  # once, at the very beginning
    system: tuple[str, str] = ("", "")
    system_inside_user: bool = False  # the format has no system turn: its text opens the first question
    default_system: str = ""
    user: tuple[str, str]
    opener: str = ""
    gap: str = ""
    end: str = ""
    after: str = ""
    trims: bool = False  # the published format strips the text of every turn
    pictures_only: bool = False  # a user's words are left out (LLaVA's `preprocess_plain`)

    def render(self, messages: Sequence[Message], *, open_reply: bool) -> tuple[PromptPiece, ...]:
        """See `Template.render`."""
        messages = in_order(messages)
        if self.default_system and messages[0].role != "system":
            messages = (Message.of("system", self.default_system), *messages)
        pieces = [_frame(self.start)]
        if self.system_inside_user:
            messages = fold_system(messages, before=self.system[0], between=self.system[1])
        for message in messages:
            pieces += self._turn(message)
        if open_reply:
            pieces.append(_frame(self.opener))
        return tuple(piece for piece in pieces if piece.text)

    def _turn(self, message: Message) -> list[PromptPiece]:
        parts = trimmed(message.parts) if self.trims else message.parts
        if message.role == "assistant":
            content = [replace(piece, supervised=piece.source == "content") for piece in contents(parts)]
            return [
                _frame(self.opener + self.gap),
                *content,
                PromptPiece(text=self.end, source="template", supervised=True),
                _frame(self.after),
            ]
        if message.role == "user" and self.pictures_only:
            parts = tuple(part for part in parts if part is Slot.IMAGE)
        if message.role == "system" and self.pictures_only:
            return []
        before, behind = self.system if message.role == "system" else self.user
        return [_frame(before), *contents(parts), _frame(behind)]


def _plain(bos: str, eos: str, added: str) -> TurnMarkup:
    return TurnMarkup(name="plain", start=added, user=("", ""), end="\n", pictures_only=True)


def _vicuna_v1(bos: str, eos: str, added: str) -> TurnMarkup:
    return TurnMarkup(
        name="vicuna_v1",
        start=added,
        default_system="A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions.",
        system=("", " "),
        user=("USER: ", " "),
        opener="ASSISTANT:",
        gap=" ",
        end=eos,
    )


def _llama_2(bos: str, eos: str, added: str) -> TurnMarkup:
    return TurnMarkup(
        name="llama_2",
        system=("<<SYS>>\n", "\n<</SYS>>\n\n"),
        system_inside_user=True,
        user=(f"{bos}[INST] ", " [/INST]"),
        gap=" ",
        end=f" {eos}",
        trims=True,
    )


def _mistral(bos: str, eos: str, added: str) -> TurnMarkup:
    return TurnMarkup(
        name="mistral",
        start=bos,
        system=("", "\n\n"),
        system_inside_user=True,
        user=("[INST] ", " [/INST]"),
        gap=" ",
        end=eos,
    )


def _chatml(bos: str, eos: str, added: str) -> TurnMarkup:
    return TurnMarkup(
        name="chatml",
        system=("<|im_start|>system\n", "<|im_end|>\n"),
        user=("<|im_start|>user\n", "<|im_end|>\n"),
        opener="<|im_start|>assistant\n",
        end="<|im_end|>",
        after="\n",
    )


def _qwen(bos: str, eos: str, added: str) -> TurnMarkup:
    system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    return replace(_chatml(bos, eos, added), name="qwen", default_system=system)


def _phi(bos: str, eos: str, added: str) -> TurnMarkup:
    return TurnMarkup(
        name="phi",
        system=("<|system|>\n", "<|end|>\n"),
        user=("<|user|>\n", "<|end|>\n"),
        opener="<|assistant|>\n",
        end="<|end|>",
        after="\n",
    )


def _llama_3(bos: str, eos: str, added: str) -> TurnMarkup:
    return TurnMarkup(
        name="llama_3",
        start=bos,
        system=("<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"),
        user=("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
        opener="<|start_header_id|>assistant<|end_header_id|>\n\n",
        end="<|eot_id|>",
        trims=True,
    )


_MARKUPS: dict[str, Callable[[str, str, str], TurnMarkup]] = {
    "plain": _plain,
    "vicuna_v1": _vicuna_v1,
    "llama_2": _llama_2,
    "mistral": _mistral,
    "chatml": _chatml,
    "phi": _phi,
    "llama_3": _llama_3,
    "qwen": _qwen,
}


def template_names() -> tuple[str, ...]:
    """What `get_template` knows; "auto" and "tokenizer" both mean the tokenizer's own chat template."""
    return (*_MARKUPS, "tokenizer", "auto")


def get_template(name: str, tokenizer: Any) -> Template:
    """The template of this name, with the tokenizer's own begin and end tokens in it."""
    if name in ("auto", "tokenizer"):
        return TokenizerTemplate(tokenizer)
    if name not in _MARKUPS:
        raise UnknownTemplateError(name, template_names())
    bos, eos = tokenizer.bos_token or "", tokenizer.eos_token or ""
    # LLaVA lets the tokenizer put its begin token before plain and Vicuna text, if it is one that does.
    first = tokenizer("x").input_ids[:1]
    added = bos if bos and first == [tokenizer.bos_token_id] else ""
    return _MARKUPS[name](bos, eos, added)


_SLOT = re.compile("(\u2003?)llaveroslot([0-9]+)x(\u2003?)")  # an em space on each side shows who trims


class TokenizerTemplate:
    """The chat template that came with the tokenizer, run on stand-ins instead of the turns' texts.

    So the template decides about the frame only: no text can steer it, and the place of every text in the
    result is known. A template without a system turn gets the system's words in front of the first question.
    """

    name = "tokenizer"

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.chat_template:
            self._refuse(tokenizer, "brings no chat template")
        self._tokenizer = tokenizer
        marks = sorted((token for token in tokenizer.get_added_vocab() if token.strip()), key=len, reverse=True)
        self._end_marks = re.compile(rf"\s*+(?:{'|'.join(map(re.escape, marks)) or '(?!)'})")
        question, answer = Message.of("user", "?"), Message.of("assistant", "!")
        self._as_list = False
        try:
            self.render((question,), open_reply=True)
        except ConversationError:
            self._as_list = True
        try:
            with_reply = self.render((question, answer), open_reply=False)
        except ConversationError as error:
            self._refuse(tokenizer, f"brings a chat template that fails: {error}")
        self.end = "".join(piece.text for piece in with_reply if piece.source == "template" and piece.supervised)

    @staticmethod
    def _refuse(tokenizer: Any, reason: str) -> None:
        raise NoChatTemplateError(str(tokenizer.name_or_path), reason, tuple(_MARKUPS))

    def render(self, messages: Sequence[Message], *, open_reply: bool) -> tuple[PromptPiece, ...]:
        """See `Template.render`."""
        messages = in_order(messages)
        try:
            return self._render(messages, open_reply)
        except ConversationError:
            if messages[0].role != "system":
                raise
            return self._render(fold_system(messages, before="", between="\n\n"), open_reply)

    def _render(self, messages: Sequence[Message], open_reply: bool) -> tuple[PromptPiece, ...]:
        turns = [
            {"role": message.role, "content": self._stand_in(message, number)}
            for number, message in enumerate(messages)
        ]
        try:
            text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=open_reply)
        except Exception as error:  # the template is somebody's program and may raise anything
            raise ConversationError(f"the tokenizer's chat template refuses these turns: {error}") from error
        return self._fill(str(text), messages)

    def _stand_in(self, message: Message, number: int) -> Any:
        slot = f"\u2003llaveroslot{number}x\u2003"
        if not self._as_list:
            return slot
        pictures = [{"type": "image"} for part in message.parts if part is Slot.IMAGE]
        return [*pictures, {"type": "text", "text": slot}]

    def _fill(self, text: str, messages: Sequence[Message]) -> tuple[PromptPiece, ...]:
        found = [int(match[2]) for match in _SLOT.finditer(text)]
        if found != list(range(len(messages))):
            raise ConversationError(f"the tokenizer's chat template kept turns {found} of {len(messages)}")
        pieces: list[PromptPiece] = []
        position = 0
        for match, message in zip(_SLOT.finditer(text), messages, strict=True):
            pieces += self._frames(text[position : match.start()])
            parts = trimmed(message.parts, left=not match[1], right=not match[3])
            if self._as_list:  # the template has already written the pictures
                parts = trimmed(tuple(part for part in parts if part is not Slot.IMAGE))
            replied = message.role == "assistant"
            pieces += [replace(piece, supervised=replied) for piece in contents(parts)]
            position = match.end()
            if replied:
                end = self._end_after(text, position)
                pieces.append(PromptPiece(text=end, source="template", supervised=True))
                position += len(end)
        pieces += self._frames(text[position:])
        return tuple(piece for piece in pieces if piece.text)

    def _frames(self, text: str) -> list[PromptPiece]:
        """Template text; where it wrote image tokens itself, they become image pieces."""
        if not self._as_list:
            return [_frame(text)]
        return [
            PromptPiece(text=part, source="image") if part == IMAGE_TOKEN else _frame(part)
            for part in re.split(f"({re.escape(IMAGE_TOKEN)})", text)
        ]

    def _end_after(self, text: str, position: int) -> str:
        """The end mark that directly follows a reply: white space, then one special token."""
        found = self._end_marks.match(text, position)
        return found[0] if found else ""


def in_order(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation as every format can say it: an optional system turn, then user and assistant in turns.

    Neighbours of the same role become one turn, a blank line between them; a system turn in the middle is
    said by the user. Raises ConversationError if nothing is left, or the assistant speaks first.
    """
    ordered: list[tuple[Role, list[Part]]] = []
    for message in messages:
        role = message.role
        if role == "system" and ordered and ordered[-1][0] != "system":
            role = "user"
        if ordered and ordered[-1][0] == role:
            ordered[-1][1].extend(("\n\n", *message.parts))
        else:
            ordered.append((role, list(message.parts)))
    if not ordered:
        raise ConversationError("a conversation needs at least one turn")
    speakers = [role for role, _ in ordered if role != "system"]
    if speakers[:1] == ["assistant"]:
        raise ConversationError("the assistant speaks first; a conversation begins with the user")
    return tuple(Message(role=role, parts=tuple(parts)) for role, parts in ordered)


def fold_system(messages: Sequence[Message], *, before: str, between: str) -> tuple[Message, ...]:
    """The system's words at the head of the first question, as `before + system + between + question`."""
    if messages[0].role != "system":
        return tuple(messages)
    system, *rest = messages
    head: tuple[Part, ...] = (Frame(before), *system.parts, Frame(between))
    if not rest:
        return (Message(role="user", parts=head),)
    return (replace(rest[0], parts=(*head, *rest[0].parts)), *rest[1:])


def contents(parts: Sequence[Part]) -> list[PromptPiece]:
    """A turn's parts as pieces."""
    return [_piece(part) for part in parts]


def _piece(part: Part) -> PromptPiece:
    if isinstance(part, str):
        return PromptPiece(text=part, source="content")
    return _frame(part.text) if isinstance(part, Frame) else PromptPiece(text=part.value, source="image")


def trimmed(parts: tuple[Part, ...], *, left: bool = True, right: bool = True) -> tuple[Part, ...]:
    """Without white space at the ends of the turn; pictures count as text."""
    kept = list(parts)
    while left and kept and isinstance(kept[0], str):
        kept[0] = kept[0].lstrip()
        if kept[0]:
            break
        kept.pop(0)
    while right and kept and isinstance(kept[-1], str):
        kept[-1] = kept[-1].rstrip()
        if kept[-1]:
            break
        kept.pop()
    return tuple(kept)


def _frame(text: str) -> PromptPiece:
    return PromptPiece(text=text, source="template")
