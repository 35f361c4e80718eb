"""Docstrings as the API pages show them: our docstrings are plain text, and plain text is not always Markdown."""

import re
from typing import Any

import griffe

_DRAWN = re.compile(r"^[├└│]|\S {2,}\S", re.MULTILINE)
_CODE = re.compile(r"(`+.+?`+)", re.DOTALL)


class PlainDocstrings(griffe.Extension):
    """Rewrites each docstring when its object has been read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Griffe's hook: called once for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """The same text, in which Markdown changes nothing.

    Trees and columns keep their lines in a fence, code stays code, and `<image>` in a sentence is no tag.
    """
    return "\n\n".join(_paragraph(part) for part in re.split(r"\n\s*\n", text))


def _paragraph(text: str) -> str:
    if all(line.startswith("    ") for line in text.splitlines()):
        return text
    if _DRAWN.search(text):
        return f"```text\n{text}\n```"
    parts = _CODE.split(text)
    parts[::2] = [part.replace("<", "&lt;").replace("*", "&#42;") for part in parts[::2]]
    return "".join(parts)
