"""When a reply should end: at the end of its line (small models), in a loop, or when it starts to play the user."""

from collections.abc import Generator, Iterator
from contextlib import closing

_PLAYS_ON = ("\nquestion:", "\nuser:", "\nhuman:", "\nevidence:", "\nanswer:")  # the marks of prompts and of chats
_LOOP_LENGTHS = range(4, 121)  # letters of what is said over and over
_LOOP_ROUNDS = 3
_HELD_BACK = 24  # the longest beginning of a stop that is not shown until it is known to be none


class Stopper:
    """Passes a model's words on until it should stop; `notes` says why it was stopped, if it was."""

    def __init__(self, *, one_line: bool) -> None:
        self._one_line = one_line
        self.text = ""  # the whole reply, cut where it was stopped; may be shorter than what was shown of a loop
        self.notes: tuple[str, ...] = ()

    def until_stop(self, pieces: Generator[str, None, None]) -> Iterator[str]:
        """The words up to the stop; then the model is closed. Leading blank space is left out."""
        text, shown = "", 0
        with closing(pieces):
            for piece in pieces:
                text = (text + piece).lstrip() if not text.strip() else text + piece
                end = self._end(text)
                if end is not None:
                    self.text = text[:end].strip()
                    if text[shown:end]:
                        yield text[shown:end]
                    return
                self.text = text.strip()
                safe = self._safe(text)
                if safe > shown:
                    yield text[shown:safe]
                    shown = safe
        if text[shown:].rstrip():
            yield text[shown:].rstrip()

    def _end(self, text: str) -> int | None:
        """Where the text must end, if it must."""
        if self._one_line and "\n" in text:
            return len(text[: text.index("\n")].rstrip())
        plays = [start for mark in _PLAYS_ON if (start := text.casefold().find(mark)) >= 0]
        if plays:
            return min(plays)
        period = _loop_length(text)
        if period:
            self.notes = ("The model repeated itself and was stopped.",)
            return len(text) - (_LOOP_ROUNDS - 1) * period
        return None

    def _safe(self, text: str) -> int:
        """How much may be shown: not a last line that may yet turn out to be a stop."""
        line = text.rfind("\n")
        return line if line >= 0 and len(text) - line <= _HELD_BACK else len(text)


def _loop_length(text: str) -> int:
    """How long the stretch is that the text ends with three times over; 0 if it does not."""
    for length in _LOOP_LENGTHS:
        round_ = text[-length:]
        if (
            len(text) >= _LOOP_ROUNDS * length
            and text.endswith(round_ * _LOOP_ROUNDS)
            and any(map(str.isalnum, round_))
        ):
            return length
    return 0
