"""What a person sees on a slide besides words in shapes."""

from pathlib import Path

import pptx
import pytest
from office_doubles import OFFICE, as_strict, rewritten
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches
from reading_doubles import read_here

from indexing.records import Reading

AT = (Inches(1), Inches(1), Inches(4), Inches(3))


@pytest.fixture
def show(tmp_path: Path) -> Path:
    """Two slides: a chart in the first; the second is hidden and has a group with a table's neighbour."""
    slides = pptx.Presentation()
    for number in (1, 2):
        slide = slides.slides.add_slide(slides.slide_layouts[5])
        slide.shapes.title.text = f"Slide {number}"
    data = CategoryChartData(number_format="0.0%")
    data.categories = ["May", "June"]
    data.add_series("Share", (0.25, 0.755))
    chart = slides.slides[0].shapes.add_chart(XL_CHART_TYPE.PIE, *AT, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Water used"
    group = slides.slides[1].shapes.add_group_shape()
    group.shapes.add_textbox(*AT).text_frame.text = "words in a group"
    slides.slides[1]._element.set("show", "0")
    path = tmp_path / "a.pptx"
    slides.save(str(path))
    return path


def read(path: Path) -> Reading:
    return read_here(path, path.parent / "out")


def test_a_chart_is_a_table_on_its_slide_and_its_workbook_is_not_missed(show: Path) -> None:
    reading = read(show)
    (table,) = [block for block in reading.blocks if block.kind == "table"]
    assert (table.page, table.caption) == (1, "Chart: Water used")
    assert table.text == "|  | Share |\n| --- | --- |\n| May | 25.0% |\n| June | 75.5% |"
    assert not any(note.unread for note in reading.notes)


def test_a_hidden_slide_is_read_marked_and_told(show: Path) -> None:
    reading = read(show)
    assert [block.text for block in reading.blocks if block.page == 2] == [
        "Slide 2", "words in a group", "(hidden slide)",
    ]  # fmt: skip
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("hidden", 1, False)]


COMMENTS = (
    '<p:cmLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main">'
    '<p:cm authorId="0"><p:text>the bill was paid</p:text></p:cm></p:cmLst>'
)
AUTHORS = (
    '<p:cmAuthorLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main">'
    '<p:cmAuthor id="0" name="R. Quill"/></p:cmAuthorLst>'
)
DIAGRAM = (
    '<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><dgm:pt><dgm:t><a:p><a:r><a:t>'
    "Order</a:t></a:r></a:p>"
    "</dgm:t></dgm:pt><dgm:pt><dgm:t><a:p><a:r><a:t>Deliver</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:dataModel>"
)
CHOICE = (
    '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
    '<mc:Choice Requires="p14">'
    '<p:sp><p:nvSpPr><p:cNvPr id="90" name="x"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr>'
    '<p:spPr><a:xfrm><a:off x="-90" y="-90"/>'
    '<a:ext cx="9" cy="9"/></a:xfrm></p:spPr><p:txBody><a:bodyPr/>'
    "<a:p><a:r><a:t>for new programs</a:t></a:r></a:p></p:txBody>"
    "</p:sp></mc:Choice><mc:Fallback/></mc:AlternateContent>"
)


def related(xml: str, *relations: tuple[str, str]) -> str:
    new = "".join(f'<Relationship Id="x{kind}" Type="{OFFICE}/{kind}" Target="{to}"/>' for kind, to in relations)
    return xml.replace("</Relationships>", f"{new}</Relationships>")


def test_comments_diagrams_and_alternatives_are_read_with_their_slide(show: Path) -> None:
    rewritten(
        show,
        {
            "ppt/slides/_rels/slide1.xml.rels": lambda xml: related(
                xml, ("comments", "../comments/comment1.xml"), ("diagramData", "../diagrams/data1.xml")
            ),
            "ppt/_rels/presentation.xml.rels": lambda xml: related(xml, ("commentAuthors", "commentAuthors.xml")),
            "ppt/slides/slide1.xml": lambda xml: xml.replace("</p:spTree>", f"{CHOICE}</p:spTree>"),
        },
        **{
            "ppt/comments/comment1.xml": COMMENTS,
            "ppt/commentAuthors.xml": AUTHORS,
            "ppt/diagrams/data1.xml": DIAGRAM,
        },
    )
    reading = read(show)
    words = [block.text for block in reading.blocks if block.page == 1 and block.kind == "text"]
    assert words == ["for new programs", "Order\nDeliver", "Comment by R. Quill: the bill was paid"]
    assert not any(note.unread for note in reading.notes)


def test_a_strict_show_is_read_as_the_ordinary_kind(show: Path) -> None:
    ordinary = read(show)
    assert read(as_strict(show)).blocks == ordinary.blocks
