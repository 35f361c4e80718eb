"""The slides about the opening of the gallery (PPTX)."""

from collections.abc import Sequence
from io import BytesIO

from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.shapes import MSO_SHAPE
from pptx.presentation import Presentation as Slides
from pptx.slide import Slide
from pptx.util import Cm, Pt

from sample_maker.chart import visitors_chart
from sample_maker.museum import CORAL, INK, NAME, NAVY, SAND, VISITORS

PROGRAMME: tuple[tuple[str, str, str], ...] = (
    ("10:00", "Doors open, coffee for early birds", "The Lamp Room"),
    ("11:00", "Ribbon cut by Adela Quint, our oldest pilot", "Quay steps"),
    ("12:30", "The lens is lit for the first time since 1988", "Lighthouse Gallery"),
    ("14:00", "Knot workshop for children", "Boat shed"),
    ("15:30", "Old Quay Brass Band", "Courtyard"),
    ("17:00", "Talk: From sextant to satellite", "Navigation Room"),
    ("20:45", "Night of the lamp, all other lights out", "Whole quay"),
)


def slides() -> Slides:
    """Seven slides with notes: a table of the day, a chart of the visitors."""
    slides = Presentation()
    slides.slide_width, slides.slide_height = Cm(33.867), Cm(19.05)
    slides.core_properties.author = "Ines Calder"
    slides.core_properties.title = "Opening of the Lighthouse Gallery"
    _cover(slides)
    _bullets(
        slides,
        "Why a gallery for one lamp",
        (
            "The lens of Farol Point lay in eleven crates for 34 years",
            "Three generations in town have never seen it turn",
            "Visitors ask for it more often than for the toilets",
            "The conservators have finished: all 42 prisms are back in their frame",
        ),
        notes="Do not show the photograph of the crates in the flooded cellar. The insurer is in the room.",
    )
    _bullets(
        slides,
        "Five stations around the light",
        (
            "1  The keeper's kitchen, as it was in 1927",
            "2  Oil, gas, electricity: touch and lift the lamps",
            "3  The lens, turning once every 90 seconds",
            "4  The wreck of the Halcyon Rose, told by letters",
            "5  A window on the working lighthouse across the bay",
        ),
        notes="Station 2 is the one for children. The oil lamp is filled with coloured water.",
    )
    _programme(slides)
    _visitors(slides)
    _bullets(
        slides,
        "Who does what on the day",
        (
            "24 volunteers in three shifts, led by Sam Oyelaran",
            "Tower: two people at the top, never more than twelve visitors on the stairs",
            "First aid: the harbour watch, tent beside the crane",
            "Pilot, the museum cat, stays in the office until the band has left",
        ),
        notes="Lunch for volunteers is soup, at 13:00 in the boat shed. Four of them do not eat fish.",
    )
    _bullets(
        slides,
        "What happens afterwards",
        (
            "October: school classes every Tuesday morning, while we are closed to others",
            "November: the handrail in the tower",
            "January: first evaluation, with a questionnaire at the exit",
            "Spring: the pilot cutter Guillemot comes into the boat shed",
        ),
        notes="The mayor speaks before this slide. Her speech must not be longer than six minutes: the tide turns "
        "at a quarter past eleven and the harbour tug leaves with it.",
    )
    return slides


def _blank(slides: Slides, colour: str) -> Slide:
    slide = slides.slides.add_slide(slides.slide_layouts[5])  # "Title Only": the title stays a real title
    slide.background.fill.solid()
    slide.background.fill.fore_color.rgb = RGBColor.from_string(colour)
    return slide


def _title(slide: Slide, text: str, *, colour: str, top: float, size: int) -> None:
    title = slide.shapes.title
    title.left, title.top, title.width, title.height = Cm(2), Cm(top), Cm(29.8), Cm(2.6)
    title.text_frame.text = text
    title.text_frame.word_wrap = True
    paragraph = title.text_frame.paragraphs[0]
    paragraph.alignment = 1
    font = paragraph.runs[0].font
    font.size, font.bold, font.name = Pt(size), True, "Georgia"
    font.color.rgb = RGBColor.from_string(colour)


def _bar(slide: Slide, left: float, top: float, width: float, height: float, colour: str) -> None:
    bar = slide.shapes.add_shape(MSO_SHAPE.RECTANGLE, Cm(left), Cm(top), Cm(width), Cm(height))
    bar.fill.solid()
    bar.fill.fore_color.rgb = RGBColor.from_string(colour)
    bar.line.fill.background()


def _lens(slide: Slide, middle: tuple[float, float], radius: float, colour: str) -> None:
    """The lighthouse lens seen from the front: rings around a lamp."""
    for share in (1.0, 0.84, 0.69, 0.55, 0.42, 0.30):
        reach = radius * share
        left, top = Cm(middle[0] - reach), Cm(middle[1] - reach)
        ring = slide.shapes.add_shape(MSO_SHAPE.OVAL, left, top, Cm(2 * reach), Cm(2 * reach))
        ring.fill.background()
        ring.line.color.rgb = RGBColor.from_string(colour)
        ring.line.width = Pt(max(1.5, radius * share * 0.7))
    reach = radius * 0.16
    lamp = slide.shapes.add_shape(
        MSO_SHAPE.OVAL, Cm(middle[0] - reach), Cm(middle[1] - reach), Cm(2 * reach), Cm(2 * reach)
    )
    lamp.fill.solid()
    lamp.fill.fore_color.rgb = RGBColor.from_string("F2C14E")
    lamp.line.fill.background()


def _text(slide: Slide, lines: Sequence[str], top: float, height: float, *, size: int, colour: str) -> None:
    frame = slide.shapes.add_textbox(Cm(2), Cm(top), Cm(29.8), Cm(height)).text_frame
    frame.word_wrap = True
    for place, line in enumerate(lines):
        paragraph = frame.paragraphs[0] if place == 0 else frame.add_paragraph()
        paragraph.space_after = Pt(18)
        run = paragraph.add_run()
        run.text = line
        run.font.size, run.font.name = Pt(size), "Georgia"
        run.font.color.rgb = RGBColor.from_string(colour)


def _cover(slides: Slides) -> None:
    slide = _blank(slides, NAVY)
    _lens(slide, (33.6, 9.2), 7.4, "2F5F80")
    _bar(slide, 2, 10.9, 9, 0.25, CORAL)
    _title(slide, "The lamp comes home", colour="FFFFFF", top=7.6, size=54)
    lines = ("Opening of the Lighthouse Gallery", f"{NAME}, Saturday 4 October 2025")
    _text(slide, lines, 11.5, 4, size=24, colour="CFE0EA")
    slide.notes_slide.notes_text_frame.text = "Wait until the shutters are down before the first slide."


def _bullets(slides: Slides, title: str, lines: Sequence[str], *, notes: str) -> None:
    slide = _blank(slides, SAND)
    _bar(slide, 0, 0, 0.9, 19.05, CORAL)
    _lens(slide, (30.4, 16.0), 2.2, "B9CAD3")
    _title(slide, title, colour=NAVY, top=1.4, size=40)
    _text(slide, lines, 5, 12, size=28, colour=INK)
    slide.notes_slide.notes_text_frame.text = notes


def _programme(slides: Slides) -> None:
    slide = _blank(slides, SAND)
    _bar(slide, 0, 0, 0.9, 19.05, CORAL)
    _title(slide, "Programme of the opening day", colour=NAVY, top=1.0, size=38)
    shape = slide.shapes.add_table(len(PROGRAMME) + 1, 3, Cm(2), Cm(4.4), Cm(29.6), Cm(13))
    table = shape.table
    for column, width in enumerate((4.0, 17.4, 8.2)):
        table.columns[column].width = Cm(width)
    for row, cells in enumerate((("Time", "What", "Where"), *PROGRAMME)):
        for column, text in enumerate(cells):
            cell = table.cell(row, column)
            cell.text = text
            cell.fill.solid()
            cell.fill.fore_color.rgb = RGBColor.from_string(NAVY if row == 0 else "FFFFFF" if row % 2 else "E8EFF3")
            font = cell.text_frame.paragraphs[0].runs[0].font
            font.size, font.name, font.bold = Pt(20), "Georgia", row == 0
            font.color.rgb = RGBColor.from_string("FFFFFF" if row == 0 else INK)
    slide.notes_slide.notes_text_frame.text = (
        "If it rains, the band plays in the Ferry Hall and the brass will be heard on Sorrel Island."
    )


def _visitors(slides: Slides) -> None:
    slide = _blank(slides, SAND)
    _bar(slide, 0, 0, 0.9, 19.05, CORAL)
    _title(slide, "A good year so far", colour=NAVY, top=1.0, size=38)
    chart = visitors_chart(
        [month for month, *_ in VISITORS],
        [sum(counts) for _, *counts in VISITORS],
        title="Visitors a month, January to September 2025",
    )
    picture = slide.shapes.add_picture(BytesIO(chart), Cm(2.6), Cm(4), width=Cm(26.5))
    picture._element._nvXxPr.cNvPr.set("descr", "Bar chart of the visitors a month; August is the highest bar")
    slide.notes_slide.notes_text_frame.text = (
        "July was better than in any year since counting began in 1994. The exact numbers are in the workbook."
    )
