"""PowerPoint: a slide is a page, its title a heading; charts, diagrams, comments and speaker notes follow their slide.

unstructured reads the shapes of a slide, also those in groups. The slides are given to it with their markup made
plain; what is no shape with words is read here, from the parts that the slide points to.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from indexing.readers.archive import check_archive, media
from indexing.readers.document import clean
from indexing.readers.office.charts import chart_tables
from indexing.readers.office.elements import PLAIN, element_blocks, office_reading, own_properties, prepare
from indexing.readers.office.open_xml import A, Package, R, copy_with, is_on, local
from indexing.readers.office.word_beside import comment_line, diagram_lines
from indexing.readers.office.word_markup import choose_alternatives, formula_line
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Note, Reading

_PRESENTATION = "ppt/presentation.xml"
_FORMULA = "{http://schemas.microsoft.com/office/drawing/2010/main}m"
_MOST_COMMENTS = 2_000
"""On one slide."""


def read_pptx(path: Path, output: ReaderOutput) -> Reading:
    """Hidden slides are read and marked."""
    check_archive(path, output.limits)
    package = Package(path)
    slides = _slides(package)
    changes = _plain_slides(package, slides)
    prepare()
    from pptx import Presentation
    from unstructured.partition.pptx import partition_pptx

    with copy_with(package, changes, output) as copy:
        del changes
        elements = partition_pptx(str(copy), include_slide_notes=False, **PLAIN)
        presentation = Presentation(str(copy))
        own = own_properties(path, presentation)
        texts = list(element_blocks(elements, paged=True, deepest_heading=0))
        spoken = _speaker_notes(presentation)
    hidden = [number for number, slide in enumerate(slides, start=1) if _is_hidden(package, slide)]
    blocks = list(_in_order(texts, _Beside(package, slides), spoken, hidden))
    return office_reading(path, "pptx", blocks, output, own, _notes_on_hidden(hidden), pictures=_pictures(path, slides))


def _slides(package: Package) -> list[str]:
    """The slides' parts in the order of the show; the numbers in their names are those of their making."""
    main = package.main_part(_PRESENTATION)
    relations, root = package.relations(main), package.parsed(main)
    ids = [] if root is None else [each.get(f"{R}id", "") for each in root.iter("{*}sldId")]
    return [relations[each].target for each in ids if each in relations]


def _plain_slides(package: Package, slides: Sequence[str]) -> dict[str, bytes]:
    from lxml import etree

    parts: dict[str, bytes] = {}
    for name in dict.fromkeys(slides):
        root = package.parsed(name)
        if root is None:
            continue
        choose_alternatives(root)
        _write_formulas(root)
        for offset in root.iter(f"{A}off"):  # a shape that reaches over the edge would count as beside the slide
            for side in ("x", "y"):
                if offset.get(side, "").startswith("-"):
                    offset.set(side, "0")
        parts[name] = etree.tostring(root, encoding="UTF-8", xml_declaration=True, standalone=True)
    return parts


def _write_formulas(root: Any) -> None:
    from lxml import etree

    for each in list(root.iter(_FORMULA)):
        run = etree.Element(f"{A}r")
        etree.SubElement(run, f"{A}t").text = formula_line(each)
        each.addprevious(run)
        each.getparent().remove(each)


def _is_hidden(package: Package, slide: str) -> bool:
    root = package.parsed(slide)
    return root is not None and not is_on(root.get("show"))


def _speaker_notes(presentation: Any) -> dict[int, str]:
    found: dict[int, str] = {}
    for number, slide in enumerate(presentation.slides, start=1):
        frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        if frame is not None and frame.text.strip():
            found[number] = clean(frame.text).strip()
    return found


def _in_order(
    texts: Sequence[Block], beside: "_Beside", spoken: Mapping[int, str], hidden: Sequence[int]
) -> Iterator[Block]:
    of_slide: dict[int | None, list[Block]] = {}
    for block in texts:
        of_slide.setdefault(block.page, []).append(block)
    for number in range(1, beside.slides + 1):
        yield from of_slide.pop(number, ())
        if number in hidden:
            yield Block(kind="text", text="(hidden slide)", page=number)
        yield from beside.blocks(number)
        if number in spoken:
            yield Block(kind="text", text=f"Speaker notes: {spoken[number]}", page=number)
    for left in of_slide.values():
        yield from left


class _Beside:
    """Charts, diagrams and comments of the slides."""

    def __init__(self, package: Package, slides: Sequence[str]) -> None:
        self._package, self._names = package, slides
        self.slides = len(slides)
        self._authors = dict(self._all_authors())

    def blocks(self, number: int) -> Iterator[Block]:
        """Of one slide, counted from 1."""
        slide = self._names[number - 1]
        for part in self._package.related(slide, "chart", "chartEx"):
            yield from (chart.block(number) for chart in chart_tables(self._package.parsed(part)))
        for part in self._package.related(slide, "diagramData"):
            lines = diagram_lines(self._package.parsed(part))
            if lines:
                yield Block(kind="text", text="\n".join(lines), page=number)
        for part in self._package.related(slide, "comments"):
            for text in islice(self._comments(self._package.parsed(part)), _MOST_COMMENTS):
                yield Block(kind="text", text=text, page=number)

    def _comments(self, root: Any) -> Iterator[str]:
        for each in root.iter("{*}cm", "{*}reply"):
            line = comment_line(self._authors.get(each.get("authorId", ""), ""), _comment_words(each))
            if line:
                yield line

    def _all_authors(self) -> Iterator[tuple[str, str]]:
        """From the lists of the older kind of comments and of the newer one."""
        for part in self._package.related(self._package.main_part(_PRESENTATION), "commentAuthors", "authors"):
            for each in self._package.parsed(part).iter("{*}cmAuthor", "{*}author"):
                yield each.get("id", ""), each.get("name", "")


def _comment_words(comment: Any) -> str:
    """Without its answers, which are comments of their own."""
    for child in comment:
        if local(child) == "text":
            return child.text or ""
        if local(child) == "txBody":
            return "\n".join("".join(t.text or "" for t in p.iter(f"{A}t")) for p in child.iter(f"{A}p"))
    return ""


def _notes_on_hidden(hidden: Sequence[int]) -> list[Note]:
    if not hidden:
        return []
    sentence = f"{len(hidden):,} hidden slides were read (marked as hidden)"
    return [Note(sentence, kind="hidden", number=len(hidden), place=f"slide {hidden[0]}")]


def _pictures(path: Path, slides: Sequence[str]) -> Iterator[tuple[int | None, bytes]]:
    numbers = {name: number for number, name in reversed(list(enumerate(slides, start=1)))}
    for slide, data in media(path):
        yield numbers.get(f"ppt/slides/slide{slide}.xml", slide), data


def _is_pptx(start: FileStart) -> bool:
    return start.members is not None and start.members.has_folder("ppt/")


READERS = (
    Reader(
        type="pptx", extensions=(".pptx", ".pptm", ".ppsx", ".ppsm", ".potx"), recognise=_is_pptx, order=32,
        read=read_pptx,
    ),
)  # fmt: skip
