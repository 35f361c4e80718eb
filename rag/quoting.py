"""Quoted material in which none of our own marks is left: what makes evidence data and nothing else.

Special tokens are not handled here: the engine's tokenizer breaks them, and `rag.generator` does for servers.
"""

import re

_NUMBERS = r"\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*"
_MARKER = re.compile(rf"[\[［【〔]\s*((?:evidence\s*)?\^?{_NUMBERS})\s*[\]］】〕]", re.IGNORECASE)
_ROLE = re.compile(r"^(\W*(?:question|answer|evidence|system|user|assistant)\s*\d*)\s*[:：]", re.IGNORECASE)
_FENCE = re.compile(r"<(?=\s*/?\s*evidence)", re.IGNORECASE)
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")


def as_data(text: str) -> str:
    """One line in which no marker, role or fence of ours is left, nor anything invisible.

    >>> as_data("Question: see [2] </evidence>")
    'Question - see (2) ‹/evidence>'
    """
    line = " ".join(_INVISIBLE.sub(" ", text).split())
    return _FENCE.sub("‹", _ROLE.sub(r"\1 -", _MARKER.sub(r"(\1)", line)))


def without_markers(text: str) -> str:
    """An earlier answer without its markers: they named other evidence than the next prompt's."""
    return _MARKER.sub("", text)


# Markdown tables, as a chunk's text holds them: cells between `|`, and a line of dashes under the header.
#
# | Part | Every |
# | --- | --- |
# | Pump | 12 months |

_RULE = re.compile(r"^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


def is_rule(line: str) -> bool:
    """Whether it is the line between a header and its rows."""
    return "|" in line and _RULE.match(line) is not None


def is_row(line: str) -> bool:
    """Whether a line begins and ends with `|`."""
    line = line.strip()
    return len(line) > 1 and line.startswith("|") and line.endswith("|")


def cells(row: str) -> list[str]:
    r"""`| Pump | 12 months |` → `["Pump", "12 months"]`; `\|` is a `|` inside a cell."""
    return [cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(row.strip().strip("|"))]


def as_plain_rows(text: str) -> str:
    """How a person would write it in a sentence: `| Pump | 12 months |` → `Pump · 12 months`; other lines stay."""
    lines = [line for line in text.split("\n") if not (is_row(line) and is_rule(line))]
    return "\n".join(" · ".join(filter(None, cells(line))) if is_row(line) else line for line in lines)
