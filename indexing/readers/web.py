"""Web pages, and the HTML parts of mails and books: one walk over the tree, markup → blocks.

    <h2>Duck</h2><p>A <b>bird</b>.<p>It swims.   →   heading "Duck" (level 2) · text "A bird." · text "It swims."

A block element ends a paragraph, every other element is part of one. Scripts and styles are no words; menus, form
controls and what browsers show only in need are words that belong to no text: they are left out and counted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexing.readers.document import finished
from indexing.readers.markup import BLOCKS, HEADINGS, cells_of, read_text, without_bullet
from indexing.readers.spool import Spool
from indexing.readers.tables import markdown
from indexing.readers.tree import parse_html
from indexing.records import Block, Reading

LONGEST_HEADING = 200
_NO_WORDS = ("del", "link", "meta", "noscript", "script", "style", "head", "ix:header", "xml")
_LEFT_OUT = frozenset({
    "audio", "button", "canvas", "datalist", "dialog", "iframe", "nav", "noembed", "noframes", "object", "select",
    "svg", "template", "textarea", "title", "video",
})  # fmt: skip
_TEX = ("application/x-tex", "tex", "latex", "application/x-latex")


@dataclass(frozen=True, kw_only=True, slots=True)
class Markup:
    """What a page says."""

    title: str
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]


def read_html(path: Path, spool: Spool) -> Reading:
    """Web pages; scripts, styles and everything that lies elsewhere are left out."""
    text, notes = read_text(path, spool.limits, is_html=True)
    page = read_markup(text)
    return finished(path, page.blocks, spool, title=page.title, notes=(*notes, *page.notes))


def read_markup(text: str) -> Markup:
    """The page's main part where it has one, else its body."""
    from lxml import etree

    if not text.strip():
        return Markup(title="", blocks=(), notes=())
    root, notes = parse_html(text)
    if root is None:
        return Markup(title="", blocks=(), notes=notes)
    title = root.findtext(".//title") or ""
    etree.strip_elements(root, *_NO_WORDS, with_tail=False)
    body = root.find(".//body")
    body = root if body is None else body
    main = body.find(".//main")
    walk = _Walk()
    if main is not None and _words(main.itertext()):
        walk.left_out += _words(body.itertext()) - _words(main.itertext())
        body = main
    blocks = tuple(walk.over(body))
    if walk.left_out:
        notes = (
            *notes,
            f"{walk.left_out:,} words in menus, form controls or beside the page's main part were left out",
        )
    return Markup(title=title, blocks=blocks, notes=notes)


def _words(texts: Iterable[str]) -> int:
    return sum(len(text.split()) for text in texts)


class _Walk:
    """Goes through the elements in the order of the page; nothing here calls itself, so depth costs nothing."""

    def __init__(self) -> None:
        self.left_out = 0
        self._paragraph: list[str] = []
        self._headings: list[int] = []  # levels of the headings around the current place
        self._preformatted = self._items = 0

    def over(self, root: Any) -> Iterator[Block]:
        """The blocks below one element."""
        from lxml import etree

        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "start":
                yield from self._enter(element, walk)
            else:
                yield from self._leave(element)
                if element is not root:
                    self._paragraph.append(element.tail or "")
        yield from self._flush()

    def _enter(self, element: Any, walk: Any) -> Iterator[Block]:
        tag = _name(element)
        if tag in BLOCKS or tag == "img" or (tag == "math" and element.get("display") == "block"):
            yield from self._flush()
        self._count(tag, 1)
        if tag == "table":
            walk.skip_subtree()
            yield from table_blocks(element)
        elif tag in _LEFT_OUT or _is_drawn_twice(element):
            walk.skip_subtree()
            self.left_out += 0 if tag not in _LEFT_OUT else _words(element.itertext())
        elif tag == "math":
            walk.skip_subtree()
            self._paragraph.append(_formula(element))
        elif tag == "img":
            self._paragraph.append(element.get("alt", "") if _source(element) else "")
        else:
            self._paragraph.append("\n" if tag == "br" else element.text or "")

    def _leave(self, element: Any) -> Iterator[Block]:
        tag = _name(element)
        if tag in BLOCKS or tag == "img" or (tag == "math" and element.get("display") == "block"):
            yield from self._flush()
        self._count(tag, -1)

    def _count(self, tag: str, step: int) -> None:
        """What kind of element the current place is in."""
        if tag in HEADINGS:
            self._headings.append(HEADINGS[tag]) if step > 0 else self._headings.pop()
        self._preformatted += step * (tag == "pre")
        self._items += step * (tag in ("li", "dd"))

    def _flush(self) -> Iterator[Block]:
        """The paragraph that ends here, if it has words."""
        text, self._paragraph = "".join(self._paragraph), []
        text = text.strip("\n") if self._preformatted else " ".join(text.split())
        if not self._items and not self._headings and not self._preformatted:
            text = without_bullet(text)
        if len(text) < 2 and not text.isalnum():
            return
        if self._headings and len(text) <= LONGEST_HEADING:
            yield Block(kind="heading", text=text, level=self._headings[-1])
        elif text.strip():
            yield Block(kind="text", text=text.strip())


def table_blocks(table: Any) -> Iterator[Block]:
    """A table; a frame around text is none."""
    cells = cells_of(table)
    caption = " ".join(" ".join(each.itertext()) for each in table.iterchildren("caption")).split()
    if len(cells) > 1 and len(cells[0]) > 1:
        yield Block(kind="table", text=markdown(cells), caption=" ".join(caption))
        return
    texts = [" ".join(caption), *(cell for row in cells for cell in row)]
    if any(texts):
        yield Block(kind="text", text="\n".join(text for text in texts if text))


def _name(element: Any) -> str:
    return element.tag if isinstance(element.tag, str) else ""


def _source(image: Any) -> str:
    return str(image.get("data-src", "").strip() or image.get("src", "").strip())


def _formula(math: Any) -> str:
    """As its author wrote it in TeX, where that is there."""
    for annotation in math.iter("annotation"):
        if annotation.get("encoding", "").strip().lower() in _TEX and (annotation.text or "").strip():
            return str(annotation.text).strip()
    return str(math.get("alttext", "").strip() or " ".join(" ".join(math.itertext()).split()))


def _is_drawn_twice(element: Any) -> bool:
    """KaTeX puts a formula into the page as MathML, and once more as the shapes that one sees."""
    if "katex-html" not in element.get("class", "").split():
        return False
    return any("katex-mathml" in (each.get("class") or "").split() for each in element.itersiblings(preceding=True))
