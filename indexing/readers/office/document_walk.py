"""The body of an OpenDocument file → blocks in reading order.

    <text:p>oak<text:note>…1437…</text:note> beams</text:p>   →   "oak beams" · "Footnote 1: 1437"

What hangs on a paragraph (notes, comments, frames with boxes, charts and pictures) follows it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from indexing.readers.document import clean, markdown_table, without_empty
from indexing.readers.office.open_xml import Package, local
from indexing.readers.office.word_beside import comment_line
from indexing.readers.symbols import CROSSED, EMPTY_BOX
from indexing.records import Block, Note

_NAMESPACE = "{{urn:oasis:names:tc:opendocument:xmlns:{}:1.0}}"
OFFICE, TEXT, TABLE, DRAW, STYLE, PRESENTATION, FORM, CHART = (
    _NAMESPACE.format(name) for name in ("office", "text", "table", "drawing", "style", "presentation", "form", "chart")
)
_LINK = "{http://www.w3.org/1999/xlink}href"
_ID = "{http://www.w3.org/XML/1998/namespace}id"
_SPACES = re.compile(r"[ \t\r\n]+")
_MOST_REPEATED = 200
_DEEPEST = 200
_BESIDE = (
    f"{TEXT}note", f"{OFFICE}annotation", f"{DRAW}frame", f"{DRAW}custom-shape", f"{DRAW}g", f"{DRAW}rect",
    f"{DRAW}text-box", f"{DRAW}a", f"{DRAW}caption", f"{DRAW}ellipse", f"{DRAW}polygon", f"{DRAW}path",
)  # fmt: skip
"""What hangs on a paragraph and is no part of its line."""
_SILENT = (
    f"{TEXT}tracked-changes", f"{OFFICE}forms", f"{TEXT}sequence-decls", f"{TEXT}ruby-text", f"{TEXT}variable-decls",
    f"{TEXT}user-field-decls", "{http://www.w3.org/2000/svg}title", "{http://www.w3.org/2000/svg}desc",
    f"{TABLE}calculation-settings", f"{DRAW}glue-point", f"{OFFICE}event-listeners",
)  # fmt: skip


class DocumentWalk:
    """Collects, on its way, the pictures and what a person shall be told."""

    def __init__(self, package: Package) -> None:
        self.page: int | None = None
        self.pictures: dict[str, int | None] = {}
        """Their names in the package, and the page that shows them."""
        self._package = package
        self._controls: dict[str, str] = {}
        self._changes: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._depth = 0

    def blocks(self, parent: Any) -> Iterator[Block]:
        """Everything below an element."""
        if self._depth > _DEEPEST:
            self._unread["parts that are nested too deeply"] += 1
            return
        self._depth += 1
        for child in parent:
            yield from self.blocks_of(child)
        self._depth -= 1

    def blocks_of(self, element: Any) -> Iterator[Block]:
        """One element and all in it."""
        tag = element.tag
        if tag == f"{TEXT}h":
            level = element.get(f"{TEXT}outline-level", "1")
            yield from self._paragraph(element, level=int(level) if level.isdecimal() else 1)
        elif tag == f"{TEXT}p":
            yield from self._paragraph(element)
        elif tag == f"{TABLE}table":
            yield from self._table(element)
        elif tag in (f"{TEXT}tracked-changes", f"{OFFICE}forms"):
            self._remember(element)
        elif tag == f"{TEXT}note":
            kind = "Endnote" if element.get(f"{TEXT}note-class") == "endnote" else "Footnote"
            number = (element.findtext(f"{TEXT}note-citation") or "").strip()
            text = words_of(element.find(f"{TEXT}note-body")).strip()
            yield from self._text(f"{kind} {number}".strip() + f": {text}" if text else "")
        elif tag == f"{OFFICE}annotation":
            yield from self._text(annotation_line(element))
        elif tag == f"{DRAW}frame":
            yield from self._frame(element)
        elif tag not in _SILENT:
            yield from self.blocks(element)

    def notes(self) -> Iterator[Note]:
        """On changes that were taken as accepted, and on what was left out."""
        if self._changes:
            inserted, deleted = self._changes["insertion"], self._changes["deletion"]
            sentence = (
                f"tracked changes were read as accepted: {inserted:,} insertions are in the text, "
                f"{deleted:,} deletions are not"
            )
            yield Note(sentence, kind="revision", number=inserted + deleted)
        for what, count in self._unread.items():
            yield Note(f"{count:,} {what} were not read", kind="embedded", number=count, unread=True)

    def _text(self, text: str) -> Iterator[Block]:
        if text.strip():
            yield Block(kind="text", text=clean(text).strip(), page=self.page)

    def _paragraph(self, element: Any, level: int = 0) -> Iterator[Block]:
        text = words_of(element, self._controls).strip()
        if level and text:
            yield Block(kind="heading", text=" ".join(clean(text).split()), page=self.page, level=level)
        else:
            yield from self._text(text)
        for each in _outermost(element, _BESIDE):
            yield from self.blocks_of(each)

    def _table(self, element: Any) -> Iterator[Block]:
        rows = without_empty([[" ".join(text.split()) for text in row] for row in _cells(element)])
        if len(rows) > 1 and len(rows[0]) > 1:
            yield Block(kind="table", text=markdown_table(rows), page=self.page)
        else:
            yield from self._text("\n".join(cell for row in rows for cell in row if cell))
        for each in _outermost(element, _BESIDE):
            yield from self.blocks_of(each)

    def _frame(self, element: Any) -> Iterator[Block]:
        """The first of its contents that is known; the others show the same to programs that do not know it."""
        for child in element:
            name = local(child)
            if name == "image":
                self._picture(child.get(_LINK, ""))
                return
            if name in ("object", "object-ole"):
                yield from self._object(child.get(_LINK, ""), name)
                return
            if name in ("text-box", "table"):
                yield from self.blocks_of(child)
                return
            if name in ("plugin", "applet", "floating-frame"):
                self._unread["recordings or programs in frames"] += 1
                return

    def _picture(self, link: str) -> None:
        name = link.removeprefix("./")
        if name in self._package.names:
            self.pictures.setdefault(name, self.page)

    def _object(self, link: str, name: str) -> Iterator[Block]:
        """A chart is its table, a formula its words; other documents are told."""
        part = f"{link.removeprefix('./')}/content.xml"
        root = self._package.parsed(part) if name == "object" else None
        chart = next(root.iter(f"{CHART}chart"), None) if root is not None else None
        if chart is not None:
            title = words_of(chart.find(f"{CHART}title")).strip()
            rows = without_empty([row for table in chart.iter(f"{TABLE}table") for row in _cells(table)])
            caption = f"Chart: {title}".rstrip(": ")
            if rows:
                yield Block(kind="table", text=markdown_table(rows), caption=caption, page=self.page)
        elif root is not None and local(root) == "math":
            written = next((each.text or "" for each in root.iter("{*}annotation")), "")
            yield from self._text(written or " ".join(" ".join(root.itertext()).split()))
        else:
            self._unread["embedded files"] += 1

    def _remember(self, element: Any) -> None:
        for change in element.iter(f"{TEXT}insertion", f"{TEXT}deletion"):
            self._changes[local(change)] += 1
        for control in element.iter():
            key = control.get(_ID) or control.get(f"{FORM}id") if isinstance(control.tag, str) else None
            if key and control.tag.startswith(FORM):
                self._controls[key] = _state_of(control)


def annotation_line(element: Any) -> str:
    """A comment with its author."""
    author = next((each.text or "" for each in element if local(each) == "creator"), "")
    return comment_line(author, "\n".join(words_of(each) for each in element if local(each) in ("p", "list")))


def words_of(element: Any, controls: dict[str, str] | None = None) -> str:
    """The words of a line, or of all lines below, without what hangs on them; paragraphs end with a line break."""
    if element is None:
        return ""
    from lxml import etree

    parts: list[str] = []
    walk = etree.iterwalk(element, events=("start", "end"))
    for event, each in walk:
        if event == "end":
            parts.append("\n" if each is not element and local(each) in ("p", "h") else "")
            parts.append(_SPACES.sub(" ", each.tail or "") if each is not element else "")
            continue
        if each is not element and (each.tag in _SILENT or each.tag in _BESIDE) and not _is_line_of(element, each):
            walk.skip_subtree()
            continue
        parts.append(_inline(each, controls or {}))
        parts.append(_SPACES.sub(" ", each.text or ""))
    return clean("".join(parts))


def _is_line_of(element: Any, each: Any) -> bool:
    """In a frame that is asked for its words the box is the frame's own."""
    return bool(each.tag == f"{DRAW}text-box" and element.tag == f"{DRAW}frame")


def _inline(element: Any, controls: dict[str, str]) -> str:
    name = local(element)
    if name == "s":
        count = element.get(f"{TEXT}c", "1")
        return " " * min(_MOST_REPEATED, int(count) if count.isdecimal() else 1)
    if name == "control":
        return controls.get(element.get(f"{DRAW}control", ""), "")
    return {"tab": "\t", "line-break": "\n"}.get(name, "")


def _state_of(control: Any) -> str:
    """What a form's control shows."""
    label = control.get(f"{FORM}label", "")
    if local(control) in ("checkbox", "radio"):
        state = (
            control.get(f"{FORM}current-state") or control.get(f"{FORM}state") or control.get(f"{FORM}current-selected")
        )
        return f"{CROSSED if state in ('checked', 'true') else EMPTY_BOX} {label}".strip()
    return str(control.get(f"{FORM}current-value") or control.get(f"{FORM}value") or label)


def _outermost(element: Any, tags: tuple[str, ...]) -> Iterator[Any]:
    from lxml import etree

    walk = etree.iterwalk(element, events=("start",))
    for _, each in walk:
        if each is not element and each.tag in tags:
            walk.skip_subtree()
            yield each


def _cells(table: Any) -> list[list[str]]:
    rows: list[list[str]] = []
    for row in table.iter(f"{TABLE}table-row"):
        if next(row.iterancestors(f"{TABLE}table")) is not table:
            continue
        cells: list[str] = []
        for cell in row:
            if local(cell) in ("table-cell", "covered-table-cell"):
                count = cell.get(f"{TABLE}number-columns-repeated", "1")
                cells += [words_of(cell).strip()] * min(_MOST_REPEATED, int(count) if count.isdecimal() else 1)
        rows.append(cells)
    return rows
