"""Small things about text in markup: its encoding, and tables from HTML to rows of cells."""

import re
from collections.abc import Sequence
from pathlib import Path

from indexing.content_type import guess_encoding
from indexing.readers.limits import ReadLimits

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{2,40})[\"']")
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_MOST_SPAN = 200


def read_text(path: Path, limits: ReadLimits, *, is_html: bool = False) -> tuple[str, tuple[str, ...]]:
    """The file as text, and notes: byte order mark, declared encoding, UTF-8, UTF-16, else Windows-1252."""
    with path.open("rb") as file:
        data = file.read(4 * limits.max_text_characters)
    text = clean(decoded(data, is_html=is_html))
    if is_html:
        text = _XML_DECLARATION.sub("", text)
    if len(text) > limits.max_text_characters:
        limit = limits.max_text_characters
        return text[:limit], (f"longer than {limit:,} characters, of which the first were read",)
    return text, ()


def clean(text: str) -> str:
    """Without control characters, which neither XML parsers nor databases take."""
    return _UNREADABLE.sub(" ", text)


def table_cells(html: str) -> list[list[str]]:
    """Rows of cells; a spanning cell has its words in its first place and empty ones in the others."""
    from lxml import html as lxml_html

    root = lxml_html.fragment_fromstring(html, create_parent="div")
    table = root.find(".//table")
    if table is None:
        return []
    rows: list[list[str]] = []
    taken: dict[tuple[int, int], bool] = {}
    for y, row in enumerate(table.iter("tr")):
        cells: list[str] = []
        for cell in row.iterchildren("td", "th"):
            while taken.pop((y, len(cells)), False):
                cells.append("")
            x, width, height = len(cells), _span(cell.get("colspan")), _span(cell.get("rowspan"))
            cells += [" ".join(cell.text_content().split()), *[""] * (width - 1)]
            for below in range(1, height):
                for across in range(width):
                    taken[(y + below, x + across)] = True
        while taken.pop((y, len(cells)), False):
            cells.append("")
        rows.append(cells)
    return without_empty(rows)


def without_empty(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The same width for every row; rows and columns with nothing in them left out."""
    width = max((len(row) for row in rows), default=0)
    full = [[*row, *[""] * (width - len(row))] for row in rows if any(cell.strip() for cell in row)]
    kept = [x for x in range(width) if any(row[x].strip() for row in full)]
    return [[row[x] for x in kept] for row in full]


def _span(value: str | None) -> int:
    return min(_MOST_SPAN, max(1, int(value))) if value and value.strip().isdigit() else 1


def decoded(data: bytes, *, is_html: bool = False) -> str:
    """Bytes of an unknown encoding as text; never fails."""
    guessed = guess_encoding(data)
    if is_html and guessed in ("utf-8", "cp1252"):
        declared = _XML_ENCODING.search(data[:1024]) or _CHARSET.search(data[:4096])
        if declared:
            text = _try(data, declared.group(1).decode("ascii"))
            if text is not None:
                return text
    text = _try(data, guessed)
    return text if text is not None else data.decode("cp1252", errors="replace")


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None
