"""How the manual looks: two columns, headings, numbered steps, tables, captions."""

from collections.abc import Sequence

from reportlab.graphics.shapes import Drawing
from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    ListFlowable,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

PETROL, COPPER, PALE, INK, STEEL = (
    colors.HexColor(code) for code in ("#14484f", "#b5622d", "#eef3f2", "#22292b", "#aab8ba")
)
WIDTH, HEIGHT = A4
MARGIN, GUTTER = 17 * mm, 8 * mm
COLUMN = (WIDTH - 2 * MARGIN - GUTTER) / 2

BODY = ParagraphStyle("body", fontName="Lato", fontSize=10, leading=14, textColor=INK, spaceAfter=6)
HEADING = ParagraphStyle(
    "heading", fontName="Lato-Bold", fontSize=15, leading=18, textColor=PETROL, spaceBefore=12, spaceAfter=5
)
CAPTION = ParagraphStyle(
    "caption", fontName="Lato-Italic", fontSize=8.8, leading=11.4, textColor=PETROL, spaceBefore=3, spaceAfter=9
)
CELL = ParagraphStyle("cell", fontName="Lato", fontSize=9, leading=11.4, textColor=INK, alignment=TA_LEFT)
HEAD_CELL = ParagraphStyle("head", parent=CELL, fontName="Lato-Bold", textColor=colors.white)


def columns(*, top: float) -> list[Frame]:
    """Two frames side by side below `top` (points from the foot of the page)."""
    bottom = 19 * mm
    lefts = (MARGIN, MARGIN + COLUMN + GUTTER)
    return [
        Frame(left, bottom, COLUMN, top - bottom, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
        for left in lefts
    ]


def later_page(canvas: Canvas, _: BaseDocTemplate) -> None:
    """The running head and the page number."""
    canvas.setFillColor(PETROL)
    canvas.setFont("Lato-Bold", 8.5)
    canvas.drawString(MARGIN, HEIGHT - 14 * mm, "Zefira Duo ZD-2")
    canvas.setFont("Lato", 8.5)
    canvas.drawRightString(WIDTH - MARGIN, HEIGHT - 14 * mm, "Operating manual")
    canvas.setStrokeColor(COPPER)
    canvas.setLineWidth(1.2)
    canvas.line(MARGIN, HEIGHT - 16.5 * mm, WIDTH - MARGIN, HEIGHT - 16.5 * mm)
    footer(canvas)


def footer(canvas: Canvas) -> None:
    """The page number, in the middle of the foot."""
    canvas.setFillColor(PETROL)
    canvas.setFont("Lato-Bold", 9)
    canvas.drawCentredString(WIDTH / 2, 10 * mm, str(canvas.getPageNumber()))


class Together(KeepTogether):
    """Flowables that stay in one column; keeps its list, because one inside another leaves holes in the page."""

    def __init__(self, flowables: list[Flowable]) -> None:
        super().__init__(flowables)
        self.flowables = flowables


def text(*paragraphs: str) -> list[Flowable]:
    """Paragraphs of running text."""
    return [Paragraph(paragraph, BODY) for paragraph in paragraphs]


def section(title: str, first: Flowable, *rest: Flowable) -> list[Flowable]:
    """A heading never stands alone at the foot of a column."""
    together = first.flowables if isinstance(first, Together) else [first]
    return [Together([Paragraph(title, HEADING), *together]), *rest]


def steps(*steps: str) -> ListFlowable:
    """A numbered list."""
    return ListFlowable(
        [Paragraph(step, BODY) for step in steps],
        bulletType="1",
        bulletFontName="Lato-Bold",
        bulletFontSize=9,
        bulletColor=COPPER,
        leftIndent=14,
    )


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float]) -> Flowable:
    """A captioned table; the widths are fractions of the column."""
    cells = [[Paragraph(text, HEAD_CELL) for text in header]]
    cells += [[Paragraph(text, CELL) for text in row] for row in rows]
    table = Table(cells, colWidths=[COLUMN * width for width in widths], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, 0), PETROL),
                ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.white, PALE]),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, STEEL),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
                ("LEFTPADDING", (0, 0), (-1, -1), 4),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ]
        )
    )
    return Together([Spacer(0, 3), Paragraph(caption, CAPTION), table, Spacer(0, 9)])


def figure(drawing: Drawing, caption: str) -> Flowable:
    """A drawing with its caption below."""
    return Together([Spacer(0, 4), drawing, Paragraph(caption, CAPTION)])


class RuledLines(Flowable):
    """Empty lines for notes, down to the foot of the column."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count, self.width, self.height = count, COLUMN, count * 22

    def draw(self) -> None:
        """Draw them; called by reportlab."""
        self.canv.setStrokeColor(STEEL)
        self.canv.setLineWidth(0.5)
        for line in range(self.count):
            self.canv.line(0, 22 * line, COLUMN, 22 * line)
