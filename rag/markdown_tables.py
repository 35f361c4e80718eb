"""Markdown tables, as a chunk's text holds them: cells between `|`, and a line of dashes under the header.

| Part | Every |
| --- | --- |
| Pump | 12 months |
"""

import re

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
