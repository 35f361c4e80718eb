"""The board's minutes (DOCX), the slides about the opening (PPTX) and the museum's workbook (XLSX)."""

import re
import zipfile
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path

from docx import Document
from docx.document import Document as DocxDocument
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.shared import Pt as DocxPoints
from docx.shared import RGBColor as DocxColour
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet
from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.shapes import MSO_SHAPE
from pptx.presentation import Presentation as Slides
from pptx.slide import Slide
from pptx.util import Cm, Pt

from sample_maker.chart import visitors_chart

MUSEUM = "Marevale Harbour Museum"
NAVY, CORAL, SAND, INK = "17405C", "D9573F", "F6F2EA", "1D2B36"
WRITTEN = datetime(2025, 9, 30, 12, 0, 0)

Cell = str | int | float

BUDGET: tuple[tuple[str, str, int, int], ...] = (
    ("Income", "Admissions", 148_000, 131_460),
    ("Income", "Café and roastery", 96_500, 88_215),
    ("Income", "Museum shop", 41_000, 37_940),
    ("Income", "Grant of the town", 120_000, 120_000),
    ("Income", "Donations", 22_000, 27_310),
    ("Expenses", "Salaries", 214_000, 158_700),
    ("Expenses", "Heating and power", 28_400, 19_865),
    ("Expenses", "Lighthouse Gallery", 64_000, 66_120),
    ("Expenses", "Boat shed restoration", 37_500, 21_480),
    ("Expenses", "Coffee beans and café supplies", 31_200, 27_995),
    ("Expenses", "Insurance", 12_600, 12_600),
    ("Expenses", "Printing and advertising", 14_300, 11_050),
    ("Expenses", "Reserve", 10_000, 0),
)

INVENTORY: tuple[tuple[str, str, str, str, int], ...] = (
    ("MHM-0012", "Brass sextant in a mahogany box", "1884", "Navigation Room, case 4", 2_800),
    ("MHM-0019", "Octant, ebony and ivory scale", "1802", "Navigation Room, case 2", 3_350),
    ("MHM-0031", "Model of the schooner Halcyon Rose, 1:48", "1930", "Main Hall, centre", 14_500),
    ("MHM-0047", "First-order lighthouse lens, 42 prisms", "1891", "Lighthouse Gallery", 185_000),
    ("MHM-0058", "Diving helmet, three bolts", "1922", "Deep Water, case 1", 6_400),
    ("MHM-0063", "Keeper's logbooks, nine volumes", "1919-1931", "Archive, drawer 12", 1_900),
    ("MHM-0077", "Bell of the ferry Adelina", "1936", "Ferry Hall", 3_200),
    ("MHM-0090", "Signal flags, complete set of forty", "1950", "Boat shed, locker 3", 760),
    ("MHM-0104", "Barometer with storm glass", "1868", "Navigation Room, north wall", 1_450),
    ("MHM-0119", "Foghorn with compressed-air tank", "1909", "Ramp, lower floor", 8_900),
    ("MHM-0133", "Diving bell, riveted iron", "1878", "Courtyard", 11_000),
    ("MHM-0162", "Coffee roaster, cast iron, drum of 5 kg", "1954", "The Lamp Room", 4_100),
)

VISITORS: tuple[tuple[str, int, int, int, int], ...] = (
    ("January", 812, 301, 164, 0),
    ("February", 1_047, 388, 240, 95),
    ("March", 1_390, 512, 377, 210),
    ("April", 2_655, 940, 1_012, 388),
    ("May", 3_120, 1_154, 986, 742),
    ("June", 3_874, 1_301, 1_233, 815),
    ("July", 5_216, 1_622, 2_048, 61),
    ("August", 5_739, 1_713, 2_406, 0),
    ("September", 3_402, 1_288, 901, 467),
)


def write_all(collection: Path) -> None:
    """Write the three files."""
    office = collection / "office"
    office.mkdir(parents=True, exist_ok=True)
    for name, written in (
        ("board-minutes-2025-05-06.docx", _bytes(_minutes())),
        ("lighthouse-gallery-opening.pptx", _bytes(_slides())),
        ("museum-workbook-2025.xlsx", _bytes(_workbook())),
    ):
        (office / name).write_bytes(_without_clock(written))


def _bytes(document: DocxDocument | Slides | Workbook) -> bytes:
    written = BytesIO()
    document.save(written)
    return written.getvalue()


def _without_clock(package: bytes) -> bytes:
    """The same ZIP package with fixed times, so that drawing it again gives the same bytes."""
    written = BytesIO()
    stamp = WRITTEN.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(BytesIO(package)) as old, zipfile.ZipFile(written, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:(created|modified)[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            entry = zipfile.ZipInfo(name, WRITTEN.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content, compresslevel=9)
    return written.getvalue()


# --- minutes -------------------------------------------------------------------------------------------------


def _minutes() -> DocxDocument:
    document = Document()
    document.core_properties.author = "Greta Lind"
    document.core_properties.title = "Minutes of the board, 6 May 2025"
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = "Georgia", DocxPoints(11)
    title = document.add_heading("Minutes of the board", level=0)
    title.alignment = WD_ALIGN_PARAGRAPH.LEFT
    document.add_paragraph(f"{MUSEUM}, Navigation Room. Tuesday 6 May 2025, 18:30 to 20:50.")
    document.add_paragraph(
        "Present: Ines Calder (director), Tobias Wren (collections), Greta Lind (treasurer, minutes), "
        "Noor Haddad (The Lamp Room), João Brandt (boat shed), Sam Oyelaran (volunteers), Adela Quint (friends' "
        "association). Excused: the town's delegate."
    )
    for heading, paragraphs in MINUTES:
        _heading(document, heading)
        for paragraph in paragraphs:
            document.add_paragraph(paragraph)
    _heading(document, "Actions")
    _docx_table(document, ("Who", "What", "Until"), ACTIONS)
    document.add_paragraph()
    document.add_paragraph("Next meeting: Tuesday 9 September 2025, 18:30, in the heated end of the boat shed.")
    document.add_paragraph("Greta Lind")
    return document


MINUTES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("1. Minutes of 4 March", ("Approved without changes.",)),
    (
        "2. The pilot cutter Guillemot",
        (
            "The owners' heirs offer the cutter, built in 1949, for 18,000 euros, lying at Sorrel Island. João Brandt "
            "has looked at her: the planking is sound, the engine is not, the rig needs two winters.",
            "Greta Lind reminds the board that the boat shed has no second cradle. Adela Quint says that there will "
            "not be a second Guillemot either.",
            "Decision: the museum buys the cutter, if the survey does not find rot in the keel. Five votes in favour, "
            "two against. The price is paid from the bequest and not from this year's budget.",
        ),
    ),
    (
        "3. A new espresso machine",
        (
            "The old machine of The Lamp Room leaks for the third time. Noor Haddad proposes the Zefira Duo with two "
            "groups. It is bought second-hand with a year of guarantee for 5,400 euros. Decided unanimously.",
            "The old machine goes to the boat shed, where nobody minds a puddle.",
        ),
    ),
    (
        "4. Handrail in the tower",
        (
            "The last twenty steps of the lighthouse have no handrail. The tower stays closed on days with wind above "
            "force 7 until the rail is there. An offer from the smithy is asked for.",
        ),
    ),
    (
        "5. Winter hours",
        (
            "Last winter's Mondays brought eleven visitors on average. From November to March the museum will open "
            "from Wednesday to Sunday only. Sam Oyelaran tells the volunteers.",
        ),
    ),
    (
        "6. The cat",
        (
            "A visitor has complained about hair on the bench in the Ferry Hall. The board thanks the visitor. "
            "The cat stays. A brush will be bought.",
        ),
    ),
)

ACTIONS: tuple[tuple[str, str, str], ...] = (
    ("João Brandt", "Order the survey of the cutter's keel", "30 May"),
    ("Noor Haddad", "Collect the espresso machine, with its manual", "16 May"),
    ("Ines Calder", "Offer for the handrail from the smithy", "20 June"),
    ("Sam Oyelaran", "Buy a brush", "tomorrow"),
)


def _heading(document: DocxDocument, text: str) -> None:
    heading = document.add_heading(text, level=1)
    heading.runs[0].font.color.rgb = DocxColour.from_string(NAVY)
    heading.runs[0].font.name = "Georgia"


def _docx_table(document: DocxDocument, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = document.add_table(rows=1, cols=len(header), style="Light Grid Accent 1")
    for cell, text in zip(table.rows[0].cells, header, strict=True):
        cell.text = text
    for row in rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text


# --- slides --------------------------------------------------------------------------------------------------

PROGRAMME: tuple[tuple[str, str, str], ...] = (
    ("10:00", "Doors open, coffee for early birds", "The Lamp Room"),
    ("11:00", "Ribbon cut by Adela Quint, our oldest pilot", "Quay steps"),
    ("12:30", "The lens is lit for the first time since 1988", "Lighthouse Gallery"),
    ("14:00", "Knot workshop for children", "Boat shed"),
    ("15:30", "Old Quay Brass Band", "Courtyard"),
    ("17:00", "Talk: From sextant to satellite", "Navigation Room"),
    ("20:45", "Night of the lamp, all other lights out", "Whole quay"),
)


def _slides() -> Slides:
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
    lines = ("Opening of the Lighthouse Gallery, Saturday 4 October 2025", MUSEUM)
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


# --- workbook ------------------------------------------------------------------------------------------------


def _workbook() -> Workbook:
    book = Workbook()
    book.properties.creator = "Greta Lind"
    book.properties.title = f"{MUSEUM}, workbook 2025"
    budget = book.active
    assert isinstance(budget, Worksheet)
    _budget(budget)
    _inventory(book.create_sheet("Inventory"))
    _visitors_by_month(book.create_sheet("Visitors"))
    return book


def _sheet(sheet: Worksheet, header: Sequence[str], rows: Sequence[Sequence[Cell]], widths: Sequence[int]) -> None:
    """Numbers stand as values, not as formulas: a formula that no spreadsheet program has opened has no result."""
    sheet.append(list(header))
    for row in rows:
        sheet.append(list(row))
    for cell in sheet[1]:
        cell.font = Font(name="Georgia", bold=True, color="FFFFFF")
        cell.fill = PatternFill("solid", fgColor=NAVY)
        is_number = isinstance(rows[0][cell.column - 1], int)
        cell.alignment = Alignment(horizontal="right" if is_number else "left")
    for row in sheet.iter_rows(min_row=2):
        total = "otal" in str(row[0].value) + str(row[1].value)
        for cell in row:
            cell.font = Font(name="Georgia", bold=total)
            if isinstance(cell.value, int):
                cell.number_format = "#,##0"
            if total:
                cell.fill = PatternFill("solid", fgColor="E8EFF3")
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    for letter, width in zip("ABCDEFGH", widths, strict=False):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"


def _budget(sheet: Worksheet) -> None:
    sheet.title = "Budget"
    rows: list[tuple[Cell, ...]] = []
    for side in ("Income", "Expenses"):
        lines = [line for line in BUDGET if line[0] == side]
        rows += [(*line, line[3] - line[2]) for line in lines]
        plan, actual = sum(line[2] for line in lines), sum(line[3] for line in lines)
        rows.append((side, f"Total {side.lower()}", plan, actual, actual - plan))
    header = ("Side", "Line", "Plan 2025 (€)", "Actual to 30 September (€)", "Difference (€)")
    _sheet(sheet, header, rows, (12, 34, 16, 28, 18))


def _inventory(sheet: Worksheet) -> None:
    rows: list[tuple[Cell, ...]] = list(INVENTORY)
    rows.append(("Total", f"{len(INVENTORY)} objects", "", "", sum(row[-1] for row in INVENTORY)))
    _sheet(sheet, ("Number", "Object", "Made", "Place", "Insured value (€)"), rows, (13, 44, 13, 32, 20))


def _visitors_by_month(sheet: Worksheet) -> None:
    rows: list[tuple[Cell, ...]] = [(month, *counts, sum(counts)) for month, *counts in VISITORS]
    sums = [sum(row[column] for row in VISITORS) for column in range(1, 5)]  # type: ignore[misc]
    rows.append(("Total", *sums, sum(sums)))
    header = ("Month 2025", "Full price", "Reduced", "Children", "School groups", "All visitors")
    _sheet(sheet, header, rows, (16, 14, 14, 14, 16, 16))
