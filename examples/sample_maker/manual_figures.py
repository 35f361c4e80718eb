"""The five figures of the manual, drawn as vectors."""

from collections.abc import Callable
from itertools import pairwise

from reportlab.graphics.shapes import Circle, Drawing, Group, Line, Polygon, Rect, String
from reportlab.graphics.shapes import Path as Curve
from reportlab.lib import colors

from sample_maker.manual_layout import COLUMN, COPPER, INK, PALE, STEEL

WATER, STEAM, HOT = colors.HexColor("#2d7fb8"), colors.HexColor("#9aa7ab"), colors.HexColor("#c8452f")


def _label(number: int, x: float, y: float, to: tuple[float, float]) -> Group:
    return Group(
        Line(x, y, *to, strokeColor=COPPER, strokeWidth=0.7),
        Circle(x, y, 6.5, fillColor=COPPER, strokeColor=None),
        String(x, y - 3, str(number), fontName="Lato-Bold", fontSize=8.5, fillColor=colors.white, textAnchor="middle"),
    )


def machine(*, labelled: bool) -> Drawing:
    """The front of the machine, 226 × 165 points; labelled, with eight numbers."""
    drawing = Drawing(COLUMN, 165)
    steel, dark, light = colors.HexColor("#cfd8d9"), colors.HexColor("#39474a"), colors.HexColor("#f7f9f9")
    add = drawing.add
    for left in (34, 186):
        add(Rect(left, 8, 16, 10, fillColor=dark, strokeColor=None))
    add(Rect(24, 18, 188, 18, rx=4, fillColor=steel, strokeColor=dark, strokeWidth=0.8))  # drip tray
    for x in range(32, 206, 8):
        add(Line(x, 31, x + 4, 31, strokeColor=dark, strokeWidth=1.2))
    add(Rect(34, 36, 168, 52, fillColor=light, strokeColor=dark, strokeWidth=0.8))  # back plate
    add(Rect(20, 84, 196, 44, rx=7, fillColor=steel, strokeColor=dark, strokeWidth=1))  # head
    add(Rect(20, 84, 196, 5, fillColor=COPPER, strokeColor=None))
    add(Rect(28, 128, 180, 4, fillColor=dark, strokeColor=None))
    add(Rect(30, 132, 176, 3, fillColor=steel, strokeColor=dark, strokeWidth=0.5))  # cup tray
    for x in (50, 66, 82, 140, 156):
        add(Polygon([x - 6, 135, x + 6, 135, x + 8, 147, x - 8, 147], fillColor=light, strokeColor=dark))
    add(Rect(92, 98, 52, 20, rx=3, fillColor=dark, strokeColor=None))
    add(String(118, 105, "93.0°  28 s", fontName="Lato", fontSize=7.5, fillColor=light, textAnchor="middle"))
    for x in (76, 160):
        add(Rect(x - 15, 72, 30, 14, rx=3, fillColor=dark, strokeColor=None))
        add(Rect(x - 17, 64, 34, 9, rx=2, fillColor=steel, strokeColor=dark, strokeWidth=0.8))
        add(Rect(x - 4, 44, 8, 22, rx=3, fillColor=COPPER, strokeColor=dark, strokeWidth=0.6))
        add(Polygon([x - 9, 36, x + 9, 36, x + 11, 44, x - 11, 44], fillColor=light, strokeColor=dark))
    for x, bend in ((30, -7), (206, 7)):
        wand = Curve(strokeColor=colors.HexColor("#8c9a9d"), strokeWidth=2.8, fillColor=None)
        wand.moveTo(x, 96)
        wand.curveTo(x + bend, 80, x + bend, 70, x + bend * 0.4, 50)
        add(wand)
    add(Rect(115, 66, 6, 20, fillColor=steel, strokeColor=dark, strokeWidth=0.8))  # tea tap
    add(Circle(118, 27, 5, fillColor=HOT, strokeColor=dark, strokeWidth=0.6))  # emergency knob
    if labelled:
        for number, x, y, to in (
            (1, 112, 158, (112, 135)),
            (2, 168, 156, (138, 110)),
            (3, 8, 112, (64, 80)),
            (4, 8, 66, (72, 56)),
            (5, 228, 100, (210, 66)),
            (6, 228, 136, (119, 78)),
            (7, 228, 44, (208, 27)),
            (8, 8, 22, (114, 27)),
        ):
            add(_label(number, x, y, to))
    return drawing


def counter() -> Drawing:
    """The machine on its counter from the side, with the distances to wall and shelf."""
    drawing = Drawing(COLUMN, 150)
    add, dark = drawing.add, colors.HexColor("#39474a")
    add(Rect(0, 0, COLUMN, 150, fillColor=PALE, strokeColor=None))
    add(Rect(196, 0, 10, 150, fillColor=STEEL, strokeColor=None))  # wall
    add(Rect(20, 22, 176, 10, fillColor=COPPER, strokeColor=None))  # counter
    add(Rect(116, 134, 80, 6, fillColor=STEEL, strokeColor=None))  # shelf
    add(Rect(66, 36, 92, 12, rx=3, fillColor=colors.white, strokeColor=dark))
    add(Rect(104, 48, 50, 28, fillColor=colors.white, strokeColor=dark))
    add(Rect(58, 68, 100, 32, rx=6, fillColor=colors.HexColor("#cfd8d9"), strokeColor=dark))
    for x in (76, 144):
        add(Rect(x, 32, 7, 4, fillColor=dark, strokeColor=None))
    for x0, y0, x1, y1, text, where in (
        (158, 58, 196, 58, "15", (177, 62)),
        (140, 100, 140, 134, "40", (149, 113)),
        (58, 10, 158, 10, "56", (108, 13)),
        (40, 32, 40, 100, "51", (30, 63)),
    ):
        add(Line(x0, y0, x1, y1, strokeColor=COPPER, strokeWidth=1))
        across = y0 == y1
        for x, y in ((x0, y0), (x1, y1)):
            tick = (x, y - 3, x, y + 3) if across else (x - 3, y, x + 3, y)
            add(Line(*tick, strokeColor=COPPER, strokeWidth=1))
        add(String(*where, text, fontName="Lato-Bold", fontSize=9, fillColor=INK, textAnchor="middle"))
    for x, y, text in ((108, 80, "ZD-2"), (76, 24, "counter"), (154, 142.5, "shelf")):
        colour = colors.white if text == "counter" else INK
        add(String(x, y, text, fontName="Lato", fontSize=8, fillColor=colour, textAnchor="middle"))
    return drawing


def group_in_section() -> Drawing:
    """A brewing group cut through the middle."""
    drawing = Drawing(COLUMN, 150)
    add, dark, steel = drawing.add, colors.HexColor("#39474a"), colors.HexColor("#cfd8d9")
    add(Rect(0, 0, COLUMN, 150, fillColor=PALE, strokeColor=None))
    add(Rect(70, 104, 96, 34, rx=5, fillColor=steel, strokeColor=dark))
    add(Rect(112, 104, 12, 34, fillColor=WATER, strokeColor=None))
    add(Rect(84, 96, 68, 6, fillColor=dark, strokeColor=None))  # shower screen
    for x in range(88, 150, 6):
        add(Line(x, 95, x, 90, strokeColor=WATER, strokeWidth=1.2))
    for x in (70, 154):
        add(Rect(x, 94, 12, 9, fillColor=HOT, strokeColor=dark, strokeWidth=0.6))  # gasket, cut through
    outer = [68, 92, 78, 92, 82, 62, 154, 62, 158, 92, 168, 92, 164, 50, 126, 46, 110, 46, 72, 50]
    add(Polygon(outer, fillColor=steel, strokeColor=dark))
    add(Polygon([80, 88, 156, 88, 151, 64, 85, 64], fillColor=colors.HexColor("#5b3a26"), strokeColor=None))
    add(Rect(164, 66, 52, 12, rx=5, fillColor=COPPER, strokeColor=dark, strokeWidth=0.6))  # handle
    for x in (104, 122):
        add(Rect(x, 26, 10, 21, fillColor=steel, strokeColor=dark, strokeWidth=0.7))
        add(Line(x + 5, 25, x + 5, 8, strokeColor=colors.HexColor("#5b3a26"), strokeWidth=2))
    for number, x, y, to in (
        (1, 200, 122, (148, 99)),
        (2, 34, 118, (74, 99)),
        (3, 34, 84, (98, 76)),
        (4, 34, 52, (78, 56)),
        (5, 186, 30, (130, 34)),
    ):
        add(_label(number, x, y, to))
    return drawing


def _box(x: float, y: float, width: float, height: float, text: str, colour: colors.Color) -> Group:
    lines = text.split("\n")
    group = Group(Rect(x, y, width, height, rx=4, fillColor=colors.white, strokeColor=colour, strokeWidth=1.4))
    for place, line in enumerate(lines):
        middle = y + height / 2 - 2.8 + 4.8 * (len(lines) - 1) - 9.6 * place
        group.add(String(x + width / 2, middle, line, fontName="Lato", fontSize=8, fillColor=INK, textAnchor="middle"))
    return group


def _pipe(*points: tuple[float, float], colour: colors.Color) -> Group:
    group = Group()
    for (x0, y0), (x1, y1) in pairwise(points):
        group.add(Line(x0, y0, x1, y1, strokeColor=colour, strokeWidth=2, strokeLineCap=1))
    (x0, y0), (x1, y1) = points[-2:]
    tip: Callable[[float, float], list[float]] = lambda dx, dy: [  # noqa: E731  # two lines, used twice
        x1, y1, x1 - 6 * dx + 3.2 * dy, y1 - 6 * dy + 3.2 * dx, x1 - 6 * dx - 3.2 * dy, y1 - 6 * dy - 3.2 * dx,
    ]  # fmt: skip
    across = abs(x1 - x0) > abs(y1 - y0)
    direction = (1 if x1 > x0 else -1, 0) if across else (0, 1 if y1 > y0 else -1)
    group.add(Polygon(tip(*direction), fillColor=colour, strokeColor=None))
    return group


def water_circuit() -> Drawing:
    """Where the water goes, from the wall to the cup."""
    drawing = Drawing(COLUMN, 172)
    drawing.add(Rect(0, 0, COLUMN, 172, fillColor=PALE, strokeColor=None))
    parts = (
        _pipe((52, 146), (74, 146), colour=WATER),
        _pipe((126, 146), (152, 146), colour=WATER),
        _pipe((178, 134), (178, 112), (64, 112), (64, 100), colour=WATER),
        _pipe((178, 134), (178, 100), colour=WATER),
        _pipe((64, 78), (64, 62), colour=WATER),
        _pipe((178, 78), (178, 62), colour=WATER),
        _pipe((121, 112), (121, 62), colour=HOT),
        _pipe((121, 32), (121, 14), colour=STEAM),
        _pipe((44, 32), (44, 14), colour=COPPER),
        _pipe((198, 32), (198, 14), colour=COPPER),
        _box(6, 134, 46, 24, "wall valve", WATER),
        _box(74, 134, 52, 24, "softener", WATER),
        _box(152, 134, 48, 24, "pump", WATER),
        _box(34, 78, 60, 22, "flow meter L", WATER),
        _box(148, 78, 60, 22, "flow meter R", WATER),
        _box(16, 32, 64, 30, "group boiler\nleft", COPPER),
        _box(91, 32, 60, 30, "steam\nboiler", HOT),
        _box(162, 32, 64, 30, "group boiler\nright", COPPER),
    )
    for part in parts:
        drawing.add(part)
    for x, text in ((44, "coffee"), (121, "steam, tea"), (198, "coffee")):
        drawing.add(String(x, 4, text, fontName="Lato-Italic", fontSize=8, fillColor=INK, textAnchor="middle"))
    return drawing


def pressure_curve() -> Drawing:
    """Pressure at the coffee against the seconds of a shot."""
    drawing = Drawing(COLUMN, 142)
    left, bottom, width, height = 30, 26, COLUMN - 42, 104
    drawing.add(Rect(0, 0, COLUMN, 142, fillColor=PALE, strokeColor=None))
    for bar in range(0, 11, 2):
        y = bottom + height * bar / 10
        drawing.add(Line(left, y, left + width, y, strokeColor=STEEL, strokeWidth=0.5))
        drawing.add(String(left - 5, y - 3, str(bar), fontName="Lato", fontSize=8, fillColor=INK, textAnchor="end"))
    for second in range(0, 31, 5):
        x = left + width * second / 30
        drawing.add(
            String(x, bottom - 11, str(second), fontName="Lato", fontSize=8, fillColor=INK, textAnchor="middle")
        )
    drawing.add(String(left + width, 4, "seconds", fontName="Lato-Italic", fontSize=8, fillColor=INK, textAnchor="end"))
    drawing.add(String(4, bottom + height + 4, "bar", fontName="Lato-Italic", fontSize=8, fillColor=INK))
    points = ((0, 0), (1, 3), (4, 3), (6.5, 9), (20, 9), (28, 6.4), (28.6, 0))
    curve = Curve(strokeColor=COPPER, strokeWidth=2.2, fillColor=None)
    for place, (second, bar) in enumerate(points):
        x, y = left + width * second / 30, bottom + height * bar / 10
        curve.moveTo(x, y) if place == 0 else curve.lineTo(x, y)
    drawing.add(curve)
    return drawing
