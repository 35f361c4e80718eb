"""What stands beside Word's text → paragraphs and tables behind the paragraph that it belongs to.

Text boxes, footnotes, endnotes, comments, charts, diagrams (SmartArt) and the words of a watermark hang on a run of
some paragraph; readers of paragraphs pass over them. Each is put once behind that paragraph, so that it is found with
it: "Footnote 1: …", "Comment by Ann: …", "Chart: …".
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from indexing.readers.document import clean
from indexing.readers.office.charts import chart_tables
from indexing.readers.office.open_xml import A, Package, R, W, local
from indexing.readers.office.word_markup import Found, made_plain, run_with, text_of

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_CX = "{http://schemas.microsoft.com/office/drawing/2014/chartex}chart"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_TEXTPATH = "{urn:schemas-microsoft-com:vml}textpath"
_BESIDE = (
    f"{W}txbxContent", f"{W}footnoteReference", f"{W}endnoteReference", f"{W}commentReference", _C, _CX, _DIAGRAM,
    _TEXTPATH,
)  # fmt: skip
_MOST_DIAGRAM_POINTS = 5_000
_LONGEST_NAME = 200


class Beside:
    """The parts that the document points to, read when they are first asked for; each is given out once."""

    def __init__(self, package: Package, document: str, found: Found) -> None:
        self._package, self._document = package, document
        self._relations = package.relations(document)
        self._footnotes = self._texts("footnotes", "footnote", found)
        self._endnotes = self._texts("endnotes", "endnote", found)
        self._comments = self._comment_texts(found)
        self._given: set[str] = set()

    def put_behind(self, root: Any) -> None:
        """Everything behind its paragraph. From the end to the beginning, so that the order of the file stays."""
        numbers = _numbers(root)
        for element in reversed(list(root.iter(*_BESIDE))):
            paragraph = next(element.iterancestors(f"{W}p"), None)
            if paragraph is not None:
                for each in reversed(list(self._blocks(element, numbers))):
                    paragraph.addnext(each)
        body = root.find(f"{W}body")
        if body is not None:
            for key, text in self._comments.items():
                if text and f" {key}" not in self._given:
                    _append(body, _paragraph(text))

    def never_shown(self) -> list[str]:
        """Footnotes and endnotes that no paragraph points to any more."""
        of_kinds = (("F", self._footnotes), ("E", self._endnotes))
        return [text for kind, texts in of_kinds for key, text in texts.items() if f"{kind} {key}" not in self._given]

    def _blocks(self, element: Any, numbers: dict[Any, int]) -> Iterator[Any]:
        """Paragraphs and tables for one element; the element itself says nothing any more."""
        name, key = local(element), element.get(f"{W}id", "")
        if name == "txbxContent":
            yield from list(element)
        elif name == "textpath":
            yield _paragraph(element.get("string", ""))
        elif name == "footnoteReference":
            yield from self._once(self._footnotes, key, _opening("Footnote", numbers.get(element)))
        elif name == "endnoteReference":
            yield from self._once(self._endnotes, key, _opening("Endnote", numbers.get(element)))
        elif name == "commentReference":
            yield from self._once(self._comments, key, "")
        elif element.tag == _DIAGRAM:
            yield from self._diagram(element.get(f"{R}dm", ""))
        else:
            yield from self._chart(element.get(f"{R}id", ""))

    def _once(self, texts: dict[str, str], key: str, opening: str) -> Iterator[Any]:
        """A reference that is there a thousand times costs nothing."""
        mark = f"{opening[:1]} {key}"
        if mark not in self._given and texts.get(key):
            self._given.add(mark)
            yield _paragraph(opening + texts[key])

    def _part(self, relation: str) -> str:
        found = self._relations.get(relation)
        if found is None or found.target in self._given or found.target not in self._package.names:
            return ""
        self._given.add(found.target)
        return found.target

    def _chart(self, relation: str) -> Iterator[Any]:
        part = self._part(relation)
        for chart in chart_tables(self._package.parsed(part)) if part else ():
            yield _paragraph(f"Chart: {chart.title}".rstrip(": "))
            yield _table(chart.rows)

    def _diagram(self, relation: str) -> Iterator[Any]:
        part = self._part(relation)
        for line in diagram_lines(self._package.parsed(part)) if part else ():
            yield _paragraph(line)

    def _roots(self, kind: str, found: Found) -> Iterator[Any]:
        for part in self._package.related(self._document, kind):
            root = self._package.parsed(part)
            made_plain(root, found)
            yield root

    def _texts(self, kind: str, element: str, found: Found) -> dict[str, str]:
        """Id → text, of footnotes or endnotes; those with a type are the lines that part them from the page."""
        return {
            each.get(f"{W}id", ""): text_of(each)
            for root in self._roots(kind, found)
            for each in root.iter(f"{W}{element}")
            if each.get(f"{W}type", "normal") == "normal"
        }

    def _comment_texts(self, found: Found) -> dict[str, str]:
        return {
            each.get(f"{W}id", ""): comment_line(each.get(f"{W}author", ""), text_of(each))
            for root in self._roots("comments", found)
            for each in root.iter(f"{W}comment")
        }


def comment_line(author: str, text: str, place: str = "") -> str:
    """How a comment is written into the text, in all kinds of office files; "" for an empty one."""
    name = " ".join(clean(author).split())[:_LONGEST_NAME]
    where = f" ({place})" if place else ""
    return f"Comment{' by ' + name if name else ''}{where}: {clean(text).strip()}" if text.strip() else ""


def diagram_lines(root: Any) -> list[str]:
    """The words of a diagram's points, in the order of the file."""
    lines = (" ".join(_paragraph_words(point)) for point in islice(root.iter("{*}pt"), _MOST_DIAGRAM_POINTS))
    return [clean(line) for line in lines if line.strip()]


def _paragraph_words(point: Any) -> Iterator[str]:
    for paragraph in point.iter(f"{A}p"):
        yield "".join(each.text or "" for each in paragraph.iter(f"{A}t"))


def _numbers(root: Any) -> dict[Any, int]:
    """Footnotes and endnotes as they are numbered on the page, each from 1 on."""
    numbers: dict[Any, int] = {}
    for name in ("footnoteReference", "endnoteReference"):
        references = [each for each in root.iter(f"{W}{name}") if each.get(f"{W}customMarkFollows") is None]
        numbers |= {each: number for number, each in enumerate(references, start=1)}
    return numbers


def _opening(name: str, number: int | None) -> str:
    """A note with a mark of its own (an asterisk) has no number."""
    return f"{name}: " if number is None else f"{name} {number}: "


def _paragraph(text: str) -> Any:
    from lxml import etree

    paragraph = etree.Element(f"{W}p")
    paragraph.append(run_with(clean(text)))
    return paragraph


def _table(rows: list[list[str]]) -> Any:
    from lxml import etree

    table = etree.Element(f"{W}tbl")
    etree.SubElement(table, f"{W}tblPr")
    grid = etree.SubElement(table, f"{W}tblGrid")
    for _ in rows[0]:
        etree.SubElement(grid, f"{W}gridCol")
    for row in rows:
        line = etree.SubElement(table, f"{W}tr")
        for cell in row:
            etree.SubElement(line, f"{W}tc").append(_paragraph(cell))
    return table


def _append(body: Any, paragraph: Any) -> None:
    """Before the properties of the last section, which end the body."""
    last = body[-1] if len(body) else None
    if last is not None and last.tag == f"{W}sectPr":
        last.addprevious(paragraph)
    else:
        body.append(paragraph)
