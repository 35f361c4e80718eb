"""A bar chart of the visitors, drawn with Pillow and the font inside it, so that it needs no font file."""

from collections.abc import Sequence
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

NAVY, CORAL, SAND, INK = "#17405c", "#d9573f", "#f6f2ea", "#1d2b36"
SIZE = (1500, 800)
OVERSAMPLING = 2  # Pillow draws bars without smoothing; drawing larger and shrinking smooths them


def visitors_chart(months: Sequence[str], visitors: Sequence[int], *, title: str) -> bytes:
    """A PNG with one bar a month; the highest bar is coloured and carries its number."""
    scale = OVERSAMPLING
    image = Image.new("RGB", (SIZE[0] * scale, SIZE[1] * scale), SAND)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = 150 * scale, 130 * scale, 1460 * scale, 700 * scale
    highest = 10_000
    draw.text((left, 40 * scale), title, fill=INK, font=_font(40 * scale))
    for step in range(0, highest + 1, 2000):
        y = bottom - (bottom - top) * step / highest
        draw.line((left, y, right, y), fill="#d8cdb9", width=2 * scale)
        draw.text((left - 20 * scale, y), f"{step:,}", fill=INK, font=_font(26 * scale), anchor="rm")
    slot = (right - left) / len(months)
    for place, (month, count) in enumerate(zip(months, visitors, strict=True)):
        x, y = left + slot * (place + 0.5), bottom - (bottom - top) * count / highest
        best = count == max(visitors)
        box = (x - slot * 0.33, y, x + slot * 0.33, bottom)
        draw.rounded_rectangle(box, 8 * scale, fill=CORAL if best else NAVY, corners=(True, True, False, False))
        draw.text((x, bottom + 18 * scale), month[:3], fill=INK, font=_font(28 * scale), anchor="mt")
        if best:
            draw.text((x, y - 12 * scale), f"{month}", fill=CORAL, font=_font(28 * scale), anchor="mb")
    written = BytesIO()
    image.resize(SIZE, Image.Resampling.LANCZOS).quantize(48, dither=Image.Dither.NONE).save(
        written, "PNG", optimize=True
    )
    return written.getvalue()


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
