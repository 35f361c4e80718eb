"""A reply while it is written: its text in pieces, what it cost in tokens, and why it ended."""

from collections.abc import Callable, Generator
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
