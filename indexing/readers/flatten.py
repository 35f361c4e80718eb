"""Markdown whose nesting would cost its parser the square of its length, or all of its stack, made flat first.

Ordinary text comes back as it is. A quote or list inside more than `deepest` others becomes a paragraph of its own;
square brackets that can be no link, since they have no partner or stand too deep in others, are escaped.
"""

import re
from collections.abc import Sequence

_MARKERS = re.compile(r"(?:[ \t]*(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t])))*[ \t]*")
_MARKER = re.compile(r">|[-+*]|\d+[.)]")
_BRACKET = re.compile(r"\\.|[\[\]]", re.DOTALL)
_DEEPEST_BRACKET = 10
_MOST_LONELY = 50
"""So many brackets without a partner in one paragraph cost nothing."""


def flat_markdown(text: str, *, deepest: int) -> tuple[str, tuple[str, ...]]:
    """The text, and a note where lines lost their place in a list or quote."""
    lines = [_flat_line(line, deepest) for line in text.split("\n")]
    flattened = sum(flat is not None for flat in lines)
    if flattened:
        text = "\n".join(line if flat is None else flat for line, flat in zip(text.split("\n"), lines, strict=True))
    text = "\n\n".join(_without_lonely_brackets(paragraph) for paragraph in text.split("\n\n"))
    if not flattened:
        return text, ()
    return text, (f"{flattened:,} lines nested deeper than {deepest} were read as paragraphs of their own",)


def _flat_line(line: str, deepest: int) -> str | None:
    """The line's words as a paragraph, or None where it is not too deep. Two spaces can be another level of a list."""
    if len(line) < deepest:
        return None
    markers = _MARKERS.match(line)
    assert markers is not None  # it also matches nothing at all
    count = len(_MARKER.findall(markers[0]))
    spaces = sum(markers[0].count(sign) * width for sign, width in ((" ", 1), ("\t", 4)))
    depth = count + max(0, spaces - count) // 2
    return f"\n{line[markers.end() :]}\n" if depth > deepest else None


def _without_lonely_brackets(paragraph: str) -> str:
    if paragraph.count("[") <= _DEEPEST_BRACKET:
        return paragraph
    lonely = _lonely(paragraph)
    if len(lonely) <= _MOST_LONELY:
        return paragraph
    return _escaped(paragraph, lonely)


def _lonely(paragraph: str) -> list[int]:
    """Where brackets stand that can be no link's."""
    lonely: list[int] = []
    open_at: list[int] = []
    for found in _BRACKET.finditer(paragraph):
        if found[0] == "[":
            open_at.append(found.start())
        elif found[0] == "]" and open_at:
            start = open_at.pop()
            lonely += [start, found.start()] if len(open_at) >= _DEEPEST_BRACKET else []
    return sorted([*lonely, *open_at])


def _escaped(paragraph: str, places: Sequence[int]) -> str:
    ends = [*places, len(paragraph)]
    parts = [paragraph[start:end] for start, end in zip([0, *places], ends, strict=True)]
    return "\\".join(parts)
