"""Web pages, the HTML parts of mails, and the pages of e-books: one walk over the tree, markup → blocks.

    <h2>Duck</h2><p>A <b>bird</b>.<p>It swims.   →   heading "Duck" (level 2) · text "A bird." · text "It swims."

A block element ends a paragraph, every other element is part of one. Scripts and styles are no words; menus, form
controls and what browsers show only in need are words that belong to no text: they are left out and counted.

libxml2 stops at 2,048 elements inside each other and drops the rest of the file without an error. A page that comes so
far is parsed again with its deepest tags turned into line breaks: all words stay, only that nesting is lost.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexing.readers.document import (
    BLOCKS,
    HEADINGS,
    cells_of,
    finished,
    has_words,
    markdown_table,
    read_text,
    without_bullet,
)
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Reading

LONGEST_HEADING = 200
_NO_WORDS = ("del", "link", "meta", "noscript", "script", "style", "head", "ix:header", "xml")
_LEFT_OUT = frozenset({
    "audio", "button", "canvas", "datalist", "dialog", "iframe", "nav", "noembed", "noframes", "object", "select",
    "svg", "template", "textarea", "title", "video",
})  # fmt: skip
_TEX = ("application/x-tex", "tex", "latex", "application/x-latex")
_HTML_EXTENSIONS = (".htm", ".html", ".xhtml")
_BEGINS_AS_HTML = re.compile(r"(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE)

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Markup:
    """What a page says."""

    title: str
    blocks: tuple[Block, ...]
    notes: tuple[Note, ...]


def read_html(path: Path, output: ReaderOutput) -> Reading:
    """Web pages; scripts, styles and everything that lies elsewhere are left out."""
    text, notes = read_text(path, output.limits, is_html=True)
    page = read_markup(text)
    return finished(path, page.blocks, output, title=page.title, notes=(*notes, *page.notes))


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
    walk = _BlockWalk()
    if main is not None and _words(main.itertext()):
        walk.left_out += _words(body.itertext()) - _words(main.itertext())
        body = main
    blocks = tuple(walk.over(body))
    if walk.left_out:
        sentence = f"{walk.left_out:,} words in menus, form controls or beside the page's main part were left out"
        notes = (*notes, Note(sentence, number=walk.left_out))
    return Markup(title=title, blocks=blocks, notes=notes)


def _words(texts: Iterable[str]) -> int:
    return sum(len(text.split()) for text in texts)


class _BlockWalk:
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
        yield Block(kind="table", text=markdown_table(cells), caption=" ".join(caption))
        return
    texts = [" ".join(caption), *(cell for row in cells for cell in row if has_words(cell))]
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


def parse_html(text: str) -> tuple[Any, tuple[Note, ...]]:
    """The root element (None where there is nothing) and notes on what was lost."""
    notes = _hidden(text)
    root, cut = _parsed(text)
    if not cut:
        return root, notes
    flat, taken = _flattened(text)
    root, cut = _parsed(flat)
    lost = (
        [Note(f"{taken:,} tags nested deeper than {_DEEPEST:,} were read as line breaks", number=taken)]
        if taken
        else []
    )
    return root, (*notes, *lost, *cut)


def _hidden(text: str) -> tuple[Note, ...]:
    lowered = text.lower()
    last = {start: lowered.rfind(start) for start in _HIDING}
    ends = {start: lowered.find(_HIDING[start], at) for start, at in last.items() if at >= 0}
    return tuple(
        Note(
            f"'{start}' without an end hides the last {len(text) - last[start]:,} characters of the markup", unread=True
        )
        for start, end in ends.items()
        if end < 0
    )


def _parsed(text: str) -> tuple[Any, list[Note]]:
    """As bytes: lxml refuses a string that says an encoding of its own."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True, no_network=True)
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:  # no element at all
        root = None
    fatal = [error for error in parser.error_log if error.level_name == "FATAL" and "LIMIT" in error.type_name]
    return root, [
        Note(f"the parser stopped in line {error.line:,} of the markup ({error.message})", unread=True)
        for error in fatal
    ]


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


def _is_html(start: FileStart) -> bool:
    if start.text is None:
        return False
    return start.suffix in _HTML_EXTENSIONS or bool(_BEGINS_AS_HTML.match(_after_prolog(start.text)))


def _after_prolog(text: str) -> str:
    """The text after an XML declaration and comments; a loop, because a pattern for it can take forever."""
    text = text.lstrip("\ufeff \t\r\n")
    while text.startswith(("<?xml", "<!--")):
        _, end, text = text.partition("?>" if text.startswith("<?") else "-->")
        text = text.lstrip() if end else ""
    return text


READERS = (
    Reader(type="html", extensions=_HTML_EXTENSIONS, recognise=_is_html, order=61, read=read_html, is_text=True),
)
