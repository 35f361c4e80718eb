"""A document as a picture file: printed on paper, a little askew, with the dust of a scanner.

Only for what indexing and OCR are tested with; training reads text, which needs no pixels.
"""

import random
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from recipes.pocket.documents.document import Document, Table, Written

_WIDTHS = {"receipt": 620, "card": 900}
_MARGIN = 40
_WRITTEN_BY_THE_FONT = 0x2100  # Pillow's typeface has the Latin letters and signs, no Chinese ones


def draw(document: Document, draw_from: random.Random, *, noise: float = 0.5) -> Image.Image:
    """An upright grey page of about 100 dots an inch. `noise` 0 is a clean print, 1 a bad fax."""
    size = draw_from.choice([18, 20, 22])
    width = _WIDTHS.get(document.kind, 1000)
    font, bold = _font(size), _font(size + 4)
    rows = [row for block in document.blocks for row in _rows(block)]
    page = Image.new("L", (width, 2 * _MARGIN + sum(_height(row, size) for row in rows)), 255)
    pen, top = ImageDraw.Draw(page), _MARGIN
    for row in rows:
        _print(pen, row, top, width, bold if row[2] else font)
        top += _height(row, size)
    return _worn(page, draw_from, noise) if noise else page


_Row = tuple[Sequence[str], float, bool]
"""The cells of a printed row, where it stands (0 left, 1 right), and whether it is a heading."""


def _rows(block: Written | Table) -> list[_Row]:
    if isinstance(block, Table):
        return [(block.header, 0.0, False), *((tuple(cell.text for cell in row), 0.0, False) for row in block.rows)]
    return [((block.text,), block.align, block.heading)]


def _height(row: _Row, size: int) -> int:
    return round(size * (2.2 if row[2] else 1.6))


def _print(pen: ImageDraw.ImageDraw, row: _Row, top: int, width: int, font: ImageFont.FreeTypeFont) -> None:
    cells, align, _ = row
    room = width - 2 * _MARGIN
    column = room / len(cells)
    for place, cell in enumerate(cells):
        text = "".join(sign for sign in cell if ord(sign) < _WRITTEN_BY_THE_FONT)
        while text and pen.textlength(text, font=font) > column:
            text = text[:-1]
        left = _MARGIN + place * column + align * (column - pen.textlength(text, font=font))
        pen.text((left, top), text, fill=20, font=font)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own typeface: the same on every machine."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow is built with FreeType
    return font


def _worn(page: Image.Image, draw_from: random.Random, noise: float) -> Image.Image:
    """Turned by up to two degrees, blurred, greyed, with grains."""
    turned = page.rotate(
        draw_from.uniform(-2, 2) * noise, expand=True, fillcolor=255, resample=Image.Resampling.BILINEAR
    )
    soft = turned.filter(ImageFilter.GaussianBlur(draw_from.uniform(0, 0.8) * noise))
    grains = np.random.default_rng(draw_from.randrange(2**32)).normal(0, 14 * noise, (soft.height, soft.width))
    paper = np.asarray(soft, dtype=np.float32) * (1 - 0.12 * noise) + grains
    return Image.fromarray(np.clip(paper, 0, 255).astype(np.uint8))
