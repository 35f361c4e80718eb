"""The glass conservators' invoice, one page with a text layer."""

from pathlib import Path

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from sample_maker.fonts import register_lato

NAME = "documents/invoice-SD-2025-118.pdf"
GREEN, INK = colors.HexColor("#2f6b5e"), colors.HexColor("#222222")
VAT_PERCENT = 21

LINES: tuple[tuple[str, str, int], ...] = (  # what, how much, cents
    ("Dismantling of the lens, eleven crates, transport", "flat rate", 235_000),
    ("Cleaning of prisms", "42 × 95.00", 399_000),
    ("Prisms cast to the old pattern", "5 × 640.00", 320_000),
    ("Brass frame: straightening, brazing, new putty", "64 h × 78.00", 499_200),
    ("Mounting and alignment on site", "3 days × 690.00", 207_000),
)


def write(collection: Path, fonts: Path) -> None:
    """Write the invoice."""
    register_lato(fonts)
    target = collection / NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    canvas = Canvas(str(target), pagesize=A4, invariant=1)
    canvas.setTitle("Invoice SD-2025-118")
    canvas.setAuthor("Sandvold & Daughter")
    _letterhead(canvas)
    _addresses(canvas)
    _lines(canvas)
    _closing(canvas)
    canvas.save()


def _write(canvas: Canvas, x: float, y: float, text: str, *, size: float = 10, bold: bool = False) -> None:
    canvas.setFont("Lato-Bold" if bold else "Lato", size)
    canvas.drawString(x * mm, y * mm, text)


def _write_right(canvas: Canvas, x: float, y: float, text: str, *, size: float = 10, bold: bool = False) -> None:
    canvas.setFont("Lato-Bold" if bold else "Lato", size)
    canvas.drawRightString(x * mm, y * mm, text)


def _money(cents: int) -> str:
    return f"{cents / 100:,.2f}"


def _letterhead(canvas: Canvas) -> None:
    canvas.setFillColor(GREEN)
    canvas.rect(0, 281 * mm, 210 * mm, 16 * mm, stroke=0, fill=1)
    for place in range(7):  # the prisms of a lens, seen from the side
        canvas.setFillColor(colors.Color(1, 1, 1, 0.25 + 0.1 * place))
        left, lower = (172 + 3.4 * place) * mm, 283.5 * mm
        path = canvas.beginPath()
        path.moveTo(left, lower)
        path.lineTo(left + 2.6 * mm, lower)
        path.lineTo(left + (2.6 if place < 3 else 0) * mm, lower + 11 * mm)
        path.close()
        canvas.drawPath(path, stroke=0, fill=1)
    canvas.setFillColor(colors.white)
    _write(canvas, 22, 286.5, "Sandvold & Daughter", size=17, bold=True)
    canvas.setFillColor(INK)
    _write(canvas, 22, 272, "Glass conservators · Kiln Lane 27 · Oskarsund · accounts@sandvold.example", size=9)


def _addresses(canvas: Canvas) -> None:
    for place, line in enumerate(("Marevale Harbour Museum", "Ines Calder", "Old Quay 3", "Marevale")):
        _write(canvas, 22, 252 - 5.2 * place, line)
    for place, (name, value) in enumerate(
        (
            ("Invoice number", "SD-2025-118"),
            ("Date of invoice", "22 August 2025"),
            ("Delivered", "14 August 2025"),
            ("Your order", "MHM 2024/31"),
        )
    ):
        _write(canvas, 124, 252 - 5.2 * place, name)
        _write_right(canvas, 188, 252 - 5.2 * place, value, bold=True)
    canvas.setFillColor(GREEN)
    _write(canvas, 22, 216, "Invoice", size=22, bold=True)
    canvas.setFillColor(INK)
    _write(canvas, 22, 207, "Restoration of the first-order lighthouse lens of Farol Point, inventory number MHM-0047")


def _lines(canvas: Canvas) -> None:
    y = 194.0
    canvas.setFillColor(colors.HexColor("#e6efec"))
    canvas.rect(22 * mm, (y - 2.6) * mm, 166 * mm, 8 * mm, stroke=0, fill=1)
    canvas.setFillColor(INK)
    _write(canvas, 24, y, "Work", bold=True)
    _write_right(canvas, 152, y, "Quantity", bold=True)
    _write_right(canvas, 186, y, "Amount (EUR)", bold=True)
    canvas.setStrokeColor(colors.HexColor("#bccdc8"))
    for work, quantity, cents in LINES:
        y -= 9
        _write(canvas, 24, y, work)
        _write_right(canvas, 152, y, quantity)
        _write_right(canvas, 186, y, _money(cents))
        canvas.line(22 * mm, (y - 2.8) * mm, 188 * mm, (y - 2.8) * mm)
    net = sum(cents for *_, cents in LINES)
    vat = round(net * VAT_PERCENT / 100)
    for name, cents, bold in (("Net", net, False), (f"VAT {VAT_PERCENT} %", vat, False), ("Total", net + vat, True)):
        y -= 9
        _write_right(canvas, 152, y, name, bold=bold, size=12 if bold else 10)
        _write_right(canvas, 186, y, _money(cents), bold=bold, size=12 if bold else 10)


def _closing(canvas: Canvas) -> None:
    for place, line in enumerate(
        (
            "Please pay within 30 days, by 21 September 2025, without deduction.",
            "Two of the five new prisms carry our mark on the lower edge, so that nobody takes them for old "
            "ones later.",
            "Please do not clean the lens with spirit. Warm water, a soft brush, and patience.",
        )
    ):
        _write(canvas, 22, 104 - 6 * place, line)
    _write(canvas, 22, 78, "Liv Sandvold")
    canvas.setFillColor(GREEN)
    _write(
        canvas,
        22,
        20,
        "Account: Oskarsund Savings Bank 0042 1187 · Tax number OS-88 1204 · All glass is insured in transit",
        size=8,
    )
