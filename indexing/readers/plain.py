"""Plain text and Markdown."""

import re
from collections.abc import Iterator
from pathlib import Path

from indexing.readers.document import finished
from indexing.readers.flatten import flat_markdown
from indexing.readers.markup import read_text, without_bullet
from indexing.readers.spool import Spool
from indexing.readers.web import read_markup
from indexing.records import Block, Reading

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
"""Values above the text, between two lines of dashes; the second would make a heading of the line above it."""
DEEPEST = 80
"""Quotes and lists inside each other: markdown-it drops, without a word, what is deeper than it may go."""


def read_plain(path: Path, spool: Spool) -> Reading:
    """Plain text in any encoding that it is likely to have."""
    text, notes = read_text(path, spool.limits)
    return finished(path, plain_blocks(text), spool, title=path.stem, notes=notes)


def plain_blocks(text: str) -> list[Block]:
    """One block a line; nothing in it is taken for a heading."""
    return [Block(kind="text", text=line) for line in _lines(text)]


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        words = without_bullet(line.strip())
        if words:
            yield words


def read_markdown(path: Path, spool: Spool) -> Reading:
    """Markdown (CommonMark, with tables) by way of HTML."""
    from markdown_it import MarkdownIt

    text, notes = read_text(path, spool.limits)
    text = _FRONT_MATTER.sub(r"\1\n\n", text)
    text, flattened = flat_markdown(text, deepest=DEEPEST)
    # a quote inside an item of a list counts twice: the list, the item
    parser = MarkdownIt("commonmark", {"maxNesting": 6 * DEEPEST}).enable("table")
    page = read_markup(parser.render(text))
    return finished(path, page.blocks, spool, notes=(*notes, *flattened, *page.notes))
