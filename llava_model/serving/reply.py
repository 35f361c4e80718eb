"""A reply while it is written: its text in pieces, what it cost in tokens, and why it ended."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Literal

Finish = Literal["stop", "length", "cancelled"]
"""At an end mark or a stop string; at the most tokens that were asked for; because nobody wanted more of it."""


class Reply(Generator[str, None, None]):
    """Iterate for the text; `completion_tokens` and `finish` are final when it is used up. Close what you give up.

    `write` gets the reply itself, for counting, and gives the text. It runs in the thread that iterates.
    """

    def __init__(self, write: "Callable[[Reply], Generator[str, None, None]]", *, prompt_tokens: int) -> None:
        self.prompt_tokens, self.completion_tokens = prompt_tokens, 0
        self.finish: Finish = "stop"
        self._text = write(self)

    def send(self, value: None) -> str:
        """The next piece, as `next` gives it."""
        return self._text.send(value)

    def throw(self, *fault: Any) -> str:
        """Into the code that writes, as with any generator."""
        return self._text.throw(*fault)

    def close(self) -> None:
        """Let the next reply have the model."""
        self._text.close()

    def counted(self, ids: Generator[int, None, Finish]) -> Generator[int, None, None]:
        """The same ids, counted. A reply that nobody reads to its end (behind a stop string) has come to a stop."""
        while True:
            try:
                token = next(ids)
            except StopIteration as end:
                self.finish = end.value
                return
            self.completion_tokens += 1
            yield token


# ---
# Token ids of a reply → pieces of text as they become final.
# ---

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
    """Sentencepiece models write the space between the prompt's last word and the reply."""
    begun = False
    for piece in pieces:
        text = piece if begun else piece.lstrip()
        begun = begun or bool(text)
        if text:
            yield text
