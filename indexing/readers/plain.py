"""Plain text, and Markdown by way of HTML.

Markdown whose nesting would cost its parser the square of its length, or all of its stack, is made flat first: a quote
or list inside more than `DEEPEST` others becomes a paragraph of its own; square brackets that can be no link, since
they have no partner or stand too deep in others, are escaped. Ordinary text comes back as it is.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.readers.document import finished, read_text, without_bullet
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.readers.web import Markup, read_markup
from indexing.records import Block, Note, Reading

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
"""Values above the text, between two lines of dashes; the second would make a heading of the line above it."""
DEEPEST = 80
"""Quotes and lists inside each other: markdown-it drops, without a word, what is deeper than it may go."""
_MARKERS = re.compile(r"(?:[ \t]*(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t])))*[ \t]*")
_MARKER = re.compile(r">|[-+*]|\d+[.)]")
_BRACKET = re.compile(r"\\.|[\[\]]", re.DOTALL)
_DEEPEST_BRACKET = 10
_MOST_LONELY = 50
"""So many brackets without a partner in one paragraph cost nothing."""
_PROSE = ("", ".txt", ".text", ".asc")
_MARKDOWN = (".md", ".markdown")
_TASK = re.compile(r"\[([ xX])\][ \t]+")
_BOXES = {" ": "☐ ", "x": "☒ ", "X": "☒ "}


def read_plain(path: Path, output: ReaderOutput) -> Reading:
    """Plain text in any encoding that it is likely to have."""
    text, notes = read_text(path, output.limits)
    blocks = plain_blocks(text) if path.suffix.lower() in _PROSE else _blocks_as_written(text)
    return finished(path, blocks, output, title=path.stem, notes=notes)


def plain_blocks(text: str) -> list[Block]:
    """One block a line; nothing in it is taken for a heading."""
    return [Block(kind="text", text=line) for line in _lines(text)]


def _blocks_as_written(text: str) -> list[Block]:
    """Of programs, settings and differences: there a dash or a star at the beginning of a line means something."""
    return [Block(kind="text", text=line.rstrip()) for line in text.split("\n") if line.strip()]


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        words = without_bullet(line.strip())
        if words:
            yield words


def read_markdown(path: Path, output: ReaderOutput) -> Reading:
    """Markdown (CommonMark, with tables) by way of HTML."""
    text, notes = read_text(path, output.limits)
    page = markdown_page(text)
    return finished(path, page.blocks, output, notes=(*notes, *page.notes))


def markdown_page(text: str) -> Markup:
    """The blocks of a text in Markdown."""
    from markdown_it import MarkdownIt

    values = _FRONT_MATTER.match(text)
    text = text[values.end() :] if values else text
    above = [Block(kind="text", text=values[1])] if values and values[1].strip() else []
    text, flattened = flat_markdown(text, deepest=DEEPEST)
    # a quote inside an item of a list counts twice: the list, the item
    parser = MarkdownIt("commonmark", {"maxNesting": 6 * DEEPEST}).enable("table")
    tokens = parser.parse(text)
    _write_marks_of_items(tokens)
    page = read_markup(parser.renderer.render(tokens, parser.options, {}))
    return Markup(title=page.title, blocks=(*above, *page.blocks), notes=(*flattened, *page.notes))


def _write_marks_of_items(tokens: "Sequence[Token]") -> None:
    """The numbers of lists, which pages do not have in their text, and the boxes of lists of tasks, as words.

    "3. Close the valve\n4. - [x] Drain"   →   "3. Close the valve" · "4. ☒ Drain"
    """
    next_number: list[int | None] = []  # of the lists around the current place; None in one without numbers
    mark = ""
    for token in tokens:
        if token.type == "ordered_list_open":
            next_number.append(int(token.attrGet("start") or 1))
        elif token.type == "bullet_list_open":
            next_number.append(None)
        elif token.type in ("ordered_list_close", "bullet_list_close"):
            next_number.pop()
        elif token.type == "list_item_open" and next_number[-1] is not None:
            mark += f"{next_number[-1]}{token.markup} "
            next_number[-1] += 1
        elif token.type == "list_item_close":
            mark = ""
        elif token.type == "inline" and token.children:
            is_item = token.level > 1 and bool(next_number)
            box = _TASK.match(token.content) if is_item else None
            first = token.children[0]
            if first.type == "text":
                words = first.content[box.end() :] if box else first.content
                first.content = f"{mark}{_BOXES[box[1]] if box else ''}{words}"
                mark = ""


def flat_markdown(text: str, *, deepest: int) -> tuple[str, tuple[Note, ...]]:
    """The text, and a note where lines lost their place in a list or quote."""
    lines = [_flat_line(line, deepest) for line in text.split("\n")]
    flattened = sum(flat is not None for flat in lines)
    if flattened:
        text = "\n".join(line if flat is None else flat for line, flat in zip(text.split("\n"), lines, strict=True))
    text = "\n\n".join(_without_lonely_brackets(paragraph) for paragraph in text.split("\n\n"))
    if not flattened:
        return text, ()
    sentence = f"{flattened:,} lines nested deeper than {deepest} were read as paragraphs of their own"
    return text, (Note(sentence, number=flattened),)


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


def _is_markdown(start: FileStart) -> bool:
    return start.text is not None and start.suffix in _MARKDOWN


def _is_plain(start: FileStart) -> bool:
    return start.text is not None


READERS = (
    Reader(type="markdown", extensions=_MARKDOWN, recognise=_is_markdown, order=70, read=read_markdown, is_text=True),
    Reader(type="text", extensions=(), recognise=_is_plain, order=90, read=read_plain, is_text=True),
)
