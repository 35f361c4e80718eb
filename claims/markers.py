"""An answer's text → its sentences and the numbers in their markers, however a model wrote these; and back.

claims_of            each sentence without its markers, and what these named
take_markers         one text without its markers, and the numbers
in_square_brackets   the "(2)" that small models end with, as a marker
with_markers         a sentence with its markers, in one writing
"""

import re
from collections.abc import Iterator, Sequence, Set

from claims.tokens import read

_OPENING, _CLOSING, _STOPS = "［【〔[", "］】〕]", ".!?。！？…؟।"
_BRACKET = re.compile(
    rf"[\[{_OPENING[:-1]}][ \t]*(?:evidence[ \t]*)?\^?(\d[\d.,;:/ \t–—-]*)(?:[\]{_CLOSING[:-1]}]|\s*\Z)", re.IGNORECASE
)  # with what a prompt of ours calls its evidence; or the answer was cut off there
_WIDEST_RANGE = 20


def in_square_brackets(text: str, markers: Set[int]) -> str:
    """Small models also end with "(2)": that is a marker where there is evidence of that number."""
    body = text.rstrip(_STOPS + " ")
    head, bracket, number = body.removesuffix(")").rpartition("(")
    if not (body.endswith(")") and bracket and number.isdecimal() and int(number) in markers):
        return text
    return f"{head}[{number}]{text[len(body) :]}"


def claims_of(text: str) -> Iterator[tuple[str, list[int]]]:
    """Each sentence without its markers, with the numbers that these named. A marker alone belongs to the sentence
    before it."""
    waiting: tuple[str, list[int]] | None = None
    for start, end in _sentences(text):
        plain, named = take_markers(text[start:end])
        if waiting and not read(plain):
            waiting = (waiting[0] + plain, list(dict.fromkeys([*waiting[1], *named])))
            continue
        if waiting:
            yield waiting
        waiting = (plain, named)
    if waiting:
        yield waiting


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each line, and in it of each sentence: a stop, its quotes and markers, a blank, no small
    letter."""
    start = at = 0
    while at < len(text):
        sign, at = text[at], at + 1
        if sign != "\n" and sign not in _STOPS:
            continue
        if sign != "\n" and not is_ended(text[start:at]):
            continue
        end = _after_marks(text, at)
        rest = text[end:].lstrip()[:1]
        blank = end == len(text) or text[end].isspace() or sign in "。！？"
        if sign == "\n" or (blank and not rest.islower()):
            yield start, end
            start = at = end
    if text[start:].strip():
        yield start, len(text)


def is_ended(text: str) -> bool:
    """Whether it ends with a stop that ends a sentence: not after one letter, a day's number, or two letters with a
    capital ("B.", "4.", "Dr.")."""
    if text[-1:] not in _STOPS or not text:
        return False
    word = (text[:-1].rsplit(maxsplit=1)[-1:] or [""])[0]
    return text[-1] != "." or len(word) > 2 or not (len(word) < 2 or word.isdecimal() or word[0].isupper())


def _after_marks(text: str, at: int) -> int:
    """Behind the quotes, brackets and markers that follow a stop."""
    while at < len(text) and (text[at] in "\"'”’»)*" or text[at] in _CLOSING or text[at] in _STOPS):
        at += 1
    blanks = len(text[at:]) - len(text[at:].lstrip(" \t"))
    marker = _BRACKET.match(text, at + blanks)
    return _after_marks(text, marker.end()) if marker else at


def take_markers(text: str) -> tuple[str, list[int]]:
    """The text without its markers, and the numbers they name, each once, in order.

    >>> take_markers("It holds 1.8 litres [1, 3][Evidence 2].")
    ('It holds 1.8 litres.', [1, 3, 2])
    """
    numbers: list[int] = []
    text, at = _without_torn(text), 0
    while match := _BRACKET.search(text, at):
        named = _listed(match.group(1))
        last = not any(sign.isalnum() for sign in text[match.end() :])
        if named is None and not last:  # "[18:25]": no marker
            at = match.start() + 1
            continue
        numbers += named or []  # at the end small models also bracket the number that they just wrote
        before, after = text[: match.start()], text[match.end() :]
        if not after or not after[0].isalnum():
            before = before.rstrip(" \t")
        text, at = _without_torn(before + after), 0  # again: taking one out can close the gap in another, as in "[1[2]"
    return text, list(dict.fromkeys(numbers))


def _without_torn(text: str) -> str:
    """Without a bracket that opens at the end: it would take the next sentence's first number for its own."""
    body = text.rstrip()
    if body[-1:] and body[-1] in _OPENING:
        return body.rstrip(_OPENING + " \t\n") + text[len(body) :]
    return text


def _listed(written: str) -> list[int] | None:
    """The numbers of "1, 3-5"; None where it lists none, as in "18:25"."""
    listed: list[int] = []
    for part in written.replace(";", ",").split(","):
        ends = [end.strip() for end in part.replace("–", "-").replace("—", "-").split("-")]
        if not all(end.isdecimal() and len(end) < 3 for end in ends):
            return None
        first, last = int(ends[0]), int(ends[-1])
        listed += range(first, last + 1) if first <= last < first + _WIDEST_RANGE else map(int, ends)
    return listed


def with_markers(plain: str, markers: Sequence[int]) -> str:
    """Put the markers in front of the full stop: `It opens on 2 May [1].`"""
    if not markers:
        return plain
    written = "".join(f"[{marker}]" for marker in dict.fromkeys(markers))
    body = plain.rstrip()
    bare = body.rstrip("\"'”’»)]*")
    cut = len(bare.rstrip(_STOPS)) if bare[-1:] and bare[-1] in _STOPS else len(body)
    return f"{body[:cut].rstrip()} {written}{body[cut:]}{plain[len(body) :]}"
