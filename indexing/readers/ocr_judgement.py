"""Which of the recogniser's lines are words that stand there, and which are guesses.

The recogniser knows the Latin, Chinese and Japanese scripts. Over letters of another script it does one of two things:
it passes over them, so that a long line has hardly any characters ("  14" for МОСКВА, УЛИЦА ЛЕНИНА 14), or it names
look-alikes and is not sure of them ("uAlCL auuut" for Hebrew). Both are measured: the characters of a line for each
line height of its length, and the recogniser's confidence. Of Greek it knows some letters; what it makes of Greek words
has holes. On 3 fonts in 2 sizes of 12 such scripts at most 65 % of a page's length counted as known (Greek aside), on
10 languages in known scripts all of it, on 30 scanned receipts 85–100 % (once 50 %: a receipt too blurred to be read).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_CONFIDENCE = 0.5
"""A line of less is left out wherever it stands."""
_SURE = 0.8
_CERTAIN = 0.95
_CHARACTERS_PER_HEIGHT = 0.8
"""A known line has at least so many characters for each time that its height goes into its length; Latin print has
1.6–2.9, Chinese 1.2."""
_PASSED_OVER = 0.5
"""With fewer the recogniser has passed over letters. Cyrillic lines have 0–0.37, Arabic ones 0–0.2."""
_TELLING = 2.5
"""Lines that are at least so many heights long tell of their script."""
_KNOWN_SHARE = 0.6
"""A picture of which less is known, measured along its lines, is written in another script, by hand, or blurred."""
_LEAST_LENGTH = 4.0
_MOST_LENGTH = 8.0
"""No line counts for more: a rule across the page can pass for one of 60 heights."""
_PAGE = 3
"""In a picture of fewer lines those that the recogniser is in doubt of may be shapes that are no letters at all."""
_FEW = 5
"""In a picture of fewer lines a single stroke or shape can pass for a letter."""
_SINGLE = 0.9
_GREEK = re.compile("[Ͱ-Ͽἀ-῿]")


@dataclass(frozen=True, kw_only=True, slots=True)
class RecognisedLine:
    """One line as the recogniser read it."""

    text: str
    confidence: float
    length: float  # its width over its height

    @property
    def characters(self) -> int:
        """Without spaces."""
        return len("".join(self.text.split()))

    @property
    def density(self) -> float:
        """Characters for each line height."""
        return self.characters / max(self.length, 0.1)

    @property
    def is_known(self) -> bool:
        """In a script that the recogniser knows, and legible."""
        return self.confidence >= _SURE and self.density >= _CHARACTERS_PER_HEIGHT and not self.is_greek

    @property
    def is_passed_over(self) -> bool:
        """There is more written than was read."""
        return self.length >= _TELLING and self.density < _PASSED_OVER

    @property
    def is_greek(self) -> bool:
        """Words, not the signs of a formula."""
        greek = len(_GREEK.findall(self.text))
        return greek >= 4 and 2 * greek >= sum(char.isalpha() for char in self.text)

    @property
    def is_word(self) -> bool:
        """Two characters or more that nobody invents: by itself enough to say that a picture has words."""
        characters = sum(char.isalnum() for char in self.text)
        return characters >= 2 and self.confidence >= (_SURE if characters > 2 else _SINGLE)

    @property
    def is_known_word(self) -> bool:
        """A word, in a script that the recogniser knows."""
        return self.is_word and self.is_known


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What is kept of a picture's lines."""

    kept: tuple[bool, ...]
    """For each line."""
    unread_lines: tuple[bool, ...]
    """For each line, whether it is written there and could not be read."""

    @property
    def unread(self) -> int:
        """How many those are."""
        return sum(self.unread_lines)


def judged(lines: Sequence[RecognisedLine]) -> Judgement:
    """Lines of an unknown script are left out and counted; guesses at shapes that are no letters only left out."""
    telling = [line for line in lines if line.length >= _TELLING]
    foreign = _is_foreign(telling)
    few_tell = len(telling) < _PAGE
    kept = [_is_kept(line, foreign) for line in lines]
    unread = tuple(
        not keep and _is_unread(line, foreign, sure=few_tell) for line, keep in zip(lines, kept, strict=True)
    )
    if len(lines) < _FEW:
        kept = [
            keep and (line.characters > 1 or line.confidence >= _SINGLE) for line, keep in zip(lines, kept, strict=True)
        ]
    if not any(keep and line.is_word for line, keep in zip(lines, kept, strict=True)):
        kept = [False] * len(lines)
    return Judgement(kept=tuple(kept), unread_lines=unread)


def _is_unread(line: RecognisedLine, foreign: bool, *, sure: bool) -> bool:
    """Something is written there. Over a rule, a bar code or a shape the recogniser is not `sure` that it saw any."""
    if line.length < _TELLING or not (foreign or line.is_greek or line.is_passed_over):
        return False
    return line.confidence >= LEAST_CONFIDENCE or (foreign and not sure)


def _is_foreign(telling: Sequence[RecognisedLine]) -> bool:
    whole = sum(min(line.length, _MOST_LENGTH) for line in telling)
    known = sum(min(line.length, _MOST_LENGTH) for line in telling if line.is_known)
    return whole >= _LEAST_LENGTH and known < _KNOWN_SHARE * whole


def _is_kept(line: RecognisedLine, foreign: bool) -> bool:
    if not line.characters or line.confidence < LEAST_CONFIDENCE or line.is_passed_over or line.is_greek:
        return False
    return not foreign or (line.is_known and line.confidence >= _CERTAIN)
