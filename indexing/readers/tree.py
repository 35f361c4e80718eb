"""HTML as a tree, however deep it is nested; what the parser cut is told in a note.

libxml2 stops at 2,048 elements inside each other and drops the rest of the file without an error. A page that comes so
far is parsed again with its deepest tags turned into line breaks: all words stay, only that nesting is lost.
"""

import re
from typing import Any

_DEEPEST = 1_000
_TAG = re.compile(r"<(/?)([A-Za-z][^\s/<>]*)[^<>]*>")
_KEPT = frozenset({"script", "style", "title", "textarea", "noscript", "head", "body", "html"})
"""Tags that decide whether words are words; they are never taken away."""
_HIDING = {"<!--": "-->", **{f"<{name}": f"</{name}" for name in ("script", "style", "title", "textarea", "noscript")}}
"""What hides everything up to its end, and so the rest of the page where it has none."""
_WITHOUT_END = frozenset({
    "area", "base", "basefont", "br", "col", "embed", "frame", "hr", "img", "input", "isindex", "keygen", "link",
    "meta", "param", "source", "track", "wbr",
})  # fmt: skip


def parse_html(text: str) -> tuple[Any, tuple[str, ...]]:
    """The root element (None where there is nothing) and notes on what was lost."""
    notes = _hidden(text)
    root, cut = _parsed(text)
    if not cut:
        return root, notes
    flat, taken = _flattened(text)
    root, cut = _parsed(flat)
    lost = [f"{taken:,} tags nested deeper than {_DEEPEST:,} were read as line breaks"] if taken else []
    return root, (*notes, *lost, *cut)


def _hidden(text: str) -> tuple[str, ...]:
    lowered = text.lower()
    last = {start: lowered.rfind(start) for start in _HIDING}
    ends = {start: lowered.find(_HIDING[start], at) for start, at in last.items() if at >= 0}
    return tuple(
        f"'{start}' without an end hides the last {len(text) - last[start]:,} characters of the markup"
        for start, end in ends.items()
        if end < 0
    )


def _parsed(text: str) -> tuple[Any, list[str]]:
    """As bytes: lxml refuses a string that says an encoding of its own."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True, no_network=True)
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:  # no element at all
        root = None
    fatal = [error for error in parser.error_log if error.level_name == "FATAL" and "LIMIT" in error.type_name]
    return root, [f"the parser stopped in line {error.line:,} of the markup ({error.message})" for error in fatal]


def _flattened(text: str) -> tuple[str, int]:
    """Without the tags deeper than `_DEEPEST`, counted as if every element had an end; and how many they were."""
    depth = taken = 0

    def shallow(tag: re.Match[str]) -> str:
        nonlocal depth, taken
        name = tag[2].lower()
        if name in _WITHOUT_END or name in _KEPT:
            return tag[0]
        depth = max(0, depth - 1) if tag[1] else depth + 1
        if depth + bool(tag[1]) <= _DEEPEST:
            return tag[0]
        taken += 1
        return "<br>"

    return _TAG.sub(shallow, text), taken
