"""A conversation → token ids, rendered once and tokenised once; the ids of a reply → text, piece by piece.

Text from a user, a file or a model stays text: wherever it spells a special token, the image placeholder or
a mark of the template, an invisible word joiner (U+2060) goes between the letters, so that people and
models still read it and the tokenizer no longer recognises it. After tokenising, every special token must
stand where the template put it; one that grew out of content, or across the border of content and template,
is broken open too.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from llava_model.errors import (
    CheckpointMismatchError,
    ConversationError,
    ImagesNotSupportedError,
    MissingFileError,
    TokenizerError,
)
from llava_model.model.config import IMAGE_TOKEN
from llava_model.text.templates import Message, PromptPiece, Template, get_template

BREAKERS = ("\u2060", " ")
"""What is put inside the spelling of a special token. The second is for tokenizers that drop the first."""

_MARKS = re.compile(r"<\|[^|\s]+\|>|\[/?[A-Z_]+\]|<</?SYS>>|<[a-z_]+>|</[a-z_]+>|\b[A-Z]{4,}:")
"""What looks like a mark in a template's frame even where the tokenizer has no token for it."""

_CONTROL = re.compile(r"<[|｜].*[|｜]>")

Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """One tokenised conversation. Each picture takes `tokens_per_image` ids in a row, all of the image token."""

    text: str
    ids: tuple[int, ...]
    spans: tuple[Span, ...]  # for each id the characters of `text` it stands for
    supervised: tuple[Span, ...]  # characters of `text` that a training loss looks at
    images: int


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in this folder, from disk only, with `<image>` as one special token.

    Raises MissingFileError, or TokenizerError if it cannot say which characters a token stands for.
    """
    from transformers import AutoTokenizer

    if not (folder / "tokenizer_config.json").is_file() and not (folder / "tokenizer.json").is_file():
        raise MissingFileError(folder / "tokenizer.json", "tokenizer")
    return prepare_tokenizer(AutoTokenizer.from_pretrained(folder, local_files_only=True))


def prepare_tokenizer(tokenizer: Any) -> Any:
    """Give the tokenizer an image token if it has none; its id may be larger than the model's embedding table."""
    from tokenizers import AddedToken

    if not tokenizer.is_fast:
        raise TokenizerError(
            f"the tokenizer of '{tokenizer.name_or_path}' does not tell which characters a token stands for"
        )
    if IMAGE_TOKEN not in tokenizer.get_vocab():
        token = AddedToken(IMAGE_TOKEN, special=True, normalized=False)
        tokenizer.add_special_tokens({"additional_special_tokens": [token]}, replace_extra_special_tokens=False)
    if tokenizer.encode(IMAGE_TOKEN, add_special_tokens=False) != [image_token_id(tokenizer)]:
        raise CheckpointMismatchError("image token", found="a tokenizer that splits '<image>'", wanted="one token")
    return tokenizer


def image_token_id(tokenizer: Any) -> int:
    """The id whose positions the picture's features take."""
    return int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))


def _go_on() -> None:
    """The default for `before_step`: never ends the work early."""


class PromptEncoder:
    """Binds a tokenizer to a template and to how many positions a picture takes (0: no pictures)."""

    def __init__(self, tokenizer: Any, template: str = "auto", *, tokens_per_image: int = 0) -> None:
        self.tokenizer = tokenizer
        self.template: Template = get_template(template, tokenizer)
        self.tokens_per_image = tokens_per_image
        self.image_token_id = image_token_id(tokenizer)
        self.longest_token = max(map(len, tokenizer.get_vocab()))
        """In characters, or more: byte-level tokenizers spell one character in up to four letters."""
        added = tokenizer.added_tokens_decoder
        frame = self._frame()
        self._controls = {
            number: token.content
            for number, token in added.items()
            if token.content.strip() and (token.special or _CONTROL.fullmatch(token.content) or token.content in frame)
        }
        self._frame_ids = {number for number, token in added.items() if token.special and token.content in frame}
        spellings = {*self._controls.values(), *_MARKS.findall(frame), IMAGE_TOKEN}
        self._spelled = re.compile("|".join(map(re.escape, sorted(spellings, key=len, reverse=True))))

    def _frame(self) -> str:
        """Everything that the template itself writes in a short conversation."""
        turns = [Message.of("system", ""), Message.of("user", ""), Message.of("assistant", ""), Message.of("user", "")]
        pieces = self.template.render(turns, open_reply=True)
        return "\n".join(piece.text for piece in pieces if piece.source == "template")

    def encode(
        self, messages: Sequence[Message], *, open_reply: bool, before_step: Callable[[], object] = _go_on
    ) -> Encoded:
        """Tokenise a conversation; with `open_reply` it ends where the assistant begins to write.

        `before_step` is called before each step that may take long; what it raises ends the work.
        """
        before_step()
        safe = [replace(message, parts=tuple(map(self._neutral_part, message.parts))) for message in messages]
        pieces = list(self.template.render(safe, open_reply=open_reply))
        wanted = sum(message.images for message in messages)
        if wanted and not self.tokens_per_image:
            raise ImagesNotSupportedError(str(self.tokenizer.name_or_path), wanted)
        images = sum(piece.source == "image" for piece in pieces)
        if images != wanted:
            raise ConversationError(f"template '{self.template.name}' kept {images} of {wanted} pictures")
        ids, spans = self._tokenise(pieces, before_step)
        return self._expanded("".join(piece.text for piece in pieces), ids, spans, pieces, images)

    def neutralise(self, text: str) -> str:
        """The text with every special spelling broken open; text without one comes back unchanged."""
        return self._spelled.sub(lambda match: match[0][0] + BREAKERS[0] + match[0][1:], text)

    def _neutral_part(self, part: Any) -> Any:
        return self.neutralise(part) if isinstance(part, str) else part

    def stops(self) -> tuple[frozenset[int], tuple[str, ...]]:
        """What ends a reply in this template: ids, and a string where its end mark is not one token.

        Every special token that the template itself uses ends a reply too: a model that opens the next turn
        by itself is done.
        """
        end = self.template.end.strip() or self.template.end
        stop_ids = {self.tokenizer.eos_token_id, *self._frame_ids} - {None}
        ids = self.tokenizer.encode(end, add_special_tokens=False) if end.strip() else []
        if len(ids) == 1:
            return frozenset(stop_ids | set(ids)), ()
        return frozenset(stop_ids), (end,) if end else ()

    def _tokenise(self, pieces: list[PromptPiece], before_step: Callable[[], object]) -> tuple[list[int], list[Span]]:
        """Encode, and break open special tokens that grew out of content until none is left.

        Changes `pieces` in place. Where the first breaker stands already and did not help, the next goes in.
        """
        while True:
            before_step()
            text = "".join(piece.text for piece in pieces)
            encoding = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
            ids, spans = list(encoding["input_ids"]), list(encoding["offset_mapping"])
            intruders = self._intruders(text, ids, spans, pieces)
            if not intruders:
                return ids, spans
            broken = {number: _broken_open(pieces[number].text, found) for number, found in intruders.items()}
            if all(pieces[number].text == after for number, after in broken.items()):
                stuck = pieces[min(broken)].text[:80]
                raise TokenizerError(f"this tokenizer makes a special token out of ordinary text: {stuck!r}")
            for number, after in broken.items():
                pieces[number] = replace(pieces[number], text=after)

    def _intruders(
        self, text: str, ids: Sequence[int], spans: Sequence[Span], pieces: Sequence[PromptPiece]
    ) -> dict[int, list[Span]]:
        """Where special tokens hold a letter of content, by piece; counted from the piece's start, in order."""
        borders = list(_borders(pieces))
        found: dict[int, list[Span]] = {}
        for token, span in zip(ids, spans, strict=True):
            if token not in self._controls:
                continue
            start, end = self._letters(text, token, span)
            number = bisect_right(borders, start, key=itemgetter(0)) - 1
            while number < len(pieces) and borders[number][0] < end:
                first, behind = borders[number]
                if pieces[number].source == "content" and max(first, start) < min(behind, end):
                    found.setdefault(number, []).append((start - first, end - first))
                    break
                number += 1
        return found

    def _letters(self, text: str, token: int, span: Span) -> Span:
        """The letters that a special token stands for, without white space at both ends, which it may swallow.

        Empty for the sign of an unknown character, unless the text spells that sign.
        """
        start, end = span
        spelled = text[start:end]
        if token == self.tokenizer.unk_token_id and spelled.strip() != self._controls[token]:
            return start, start
        start += len(spelled) - len(spelled.lstrip())
        return start, start + len(spelled.strip())

    def _expanded(
        self, text: str, ids: Sequence[int], spans: Sequence[Span], pieces: Sequence[PromptPiece], images: int
    ) -> Encoded:
        repeats = [self.tokens_per_image if token == self.image_token_id else 1 for token in ids]
        supervised = [span for span, piece in zip(_borders(pieces), pieces, strict=True) if piece.supervised]
        return Encoded(
            text=text,
            ids=tuple(token for token, times in zip(ids, repeats, strict=True) for _ in range(times)),
            spans=tuple(span for span, times in zip(spans, repeats, strict=True) for _ in range(times)),
            supervised=_joined(supervised),
            images=images,
        )


def _borders(pieces: Sequence[PromptPiece]) -> Iterator[Span]:
    """Where each piece begins and ends in the whole text."""
    position = 0
    for piece in pieces:
        yield position, position + len(piece.text)
        position += len(piece.text)


def _broken_open(text: str, intruders: Sequence[Span]) -> str:
    """The text with a breaker after the first letter of each intruder; of overlapping ones only in the first.

    An intruder that begins in front of the text is broken at its border. One that holds every breaker stays as it is.
    """
    parts: list[str] = []
    done, free = 0, 0
    for start, end in sorted(intruders):
        breaker = next((breaker for breaker in BREAKERS if breaker not in text[max(start, 0) : end]), None)
        if breaker is None or start < free:
            continue
        inside = max(start + 1, 0)
        parts += text[done:inside], breaker
        done, free = inside, end
    return "".join((*parts, text[done:]))


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Join spans that touch."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)


_BROKEN = "\ufffd"  # how a tokenizer shows bytes that are no character (yet)


def text_pieces(tokenizer: Any, ids: Iterable[int]) -> Iterator[str]:
    """Text without special tokens, never half a UTF-8 character; a character cut off at the end is left out.

    Tokens are decoded together with those before them, because sentencepiece drops a space at the start.
    """
    seen: list[int] = []
    shown_until, decoded_from = 0, 0
    for token in ids:
        seen.append(token)
        before = _decode(tokenizer, seen[decoded_from:shown_until])
        now = _decode(tokenizer, seen[decoded_from:])
        if now.endswith(_BROKEN) or len(now) <= len(before):
            continue
        yield now[len(before) :]
        decoded_from, shown_until = shown_until, len(seen)
    before = _decode(tokenizer, seen[decoded_from:shown_until])
    rest = _decode(tokenizer, seen[decoded_from:])[len(before) :].rstrip(_BROKEN)
    if rest:
        yield rest


def _decode(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def until_stop(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    """Pass text on up to the first stop string; what might be the beginning of one waits for the next piece."""
    stops = [stop for stop in stops if stop]
    held = ""
    for piece in pieces:
        held += piece
        cut = min((held.index(stop) for stop in stops if stop in held), default=None)
        if cut is not None:
            if cut:
                yield held[:cut]
            return
        keep = max((_overlap(held, stop) for stop in stops), default=0)
        if len(held) > keep:
            yield held[: len(held) - keep]
            held = held[len(held) - keep :]
    if held:
        yield held


def _overlap(text: str, stop: str) -> int:
    """How many letters at the end of `text` are the beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)


def without_leading_space(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces without white space at the reply's start, which sentencepiece models write there."""
    begun = False
    for piece in pieces:
        text = piece if begun else piece.lstrip()
        begun = begun or bool(text)
        if text:
            yield text
