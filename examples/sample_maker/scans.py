"""Three papers that nobody typed into a computer: a letter, a receipt and a fax. None has a text layer."""

import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from sample_maker import fonts as font_files
from sample_maker.paper import aged, folded, grain, lit_from, scanned

LETTER_DPI = 170
SIGNATURE_FONT = "DancingScript-Regular.otf"
A4_INCHES = (8.27, 11.69)
DAY_OF_SCAN = time.struct_time((2025, 3, 4, 9, 30, 0, 1, 63, 0))

LETTER_HEAD = ("FAROL POINT LIGHT", "Marevale Harbour Board")
LETTER = """\
                                        3 November 1927


To the Harbour Master
Old Quay
Marevale


Sir,

I beg to report the loss of the schooner HALCYON ROSE upon the
Farol ledge in the night of the 29th of October.

At ten minutes past eleven a gannet or some other great bird
was thrown by the storm through the lantern and broke two panes
on the weather side. The wind put out the lamp. My assistant
Elias Thorne and I kept a hand lantern burning in the gallery,
but the great light was dark for two hours and forty minutes,
for which I take the blame upon myself.

The schooner was bound from Oskarsund with timber and eleven
casks of herring. She struck at a quarter to one. All seven
hands were brought ashore by the pilot cutter, the cook with a
broken arm. The ship's cat swam.

I ask the Board for four panes of plate glass, two cases of lamp
oil, and a new oilskin for Mr Thorne, who gave his to the cook.
The lens itself is whole, but five of its prisms are cracked.

        I am, Sir, your obedient servant,



        Tomas Averell
        Keeper
"""

RECEIPT_ITEMS: tuple[tuple[str, int], ...] = (
    ("Brass polish 500 ml", 1290),
    ("Cotton rags 1 kg", 750),
    ("Manila rope 20 m", 3400),
    ("Snap hook  4 x 3.95", 1580),
    ("Linseed oil 1 l", 1120),
)
VAT_PERCENT = 21

FAX_PAGES: tuple[tuple[str, ...], ...] = (
    (
        "# SORREL ISLAND FERRIES",
        "Pier 2, Marevale      office@sorrel-ferries.example",
        "",
        "## FAX",
        "",
        "To:     Marevale Harbour Museum, visits desk",
        "From:   Sorrel Island Ferries, Bruno Aske",
        "Date:   28 March 2025",
        "Pages:  2",
        "",
        "Dear visits desk,",
        "",
        "on page 2 you find the timetable from 1 May to",
        "30 September. Please put it up beside the lift.",
        "",
        "The crossing takes 35 minutes. A return ticket costs",
        "14 euros; with a museum ticket of the same day it is",
        "10 euros. Bicycles travel free, but only eight of them.",
        "",
        "On 19 July, the day of the regatta, there is no ferry",
        "between 11 and 15 o'clock.",
        "",
        "Yes, we still have a fax machine.",
        "",
        "Bruno Aske",
    ),
    (
        "# TIMETABLE 1 May to 30 September 2025",
        "",
        "## Marevale - Sorrel Island",
        "",
        "                  Monday to      Sundays and",
        "                  Saturday       holidays",
        "",
        "First ferry       07:15          08:30",
        "                  09:00          10:30",
        "                  11:30          13:00",
        "                  14:00          15:30",
        "Last ferry        17:45          18:00",
        "",
        "## Sorrel Island - Marevale",
        "",
        "                  Monday to      Sundays and",
        "                  Saturday       holidays",
        "",
        "First ferry       08:00          09:20",
        "                  10:10          11:45",
        "                  12:40          14:15",
        "                  15:20          16:40",
        "Last ferry        18:30          19:10",
        "",
        "In wind above force 8 we stay in port.",
    ),
)


def write_all(collection: Path, fonts: Path) -> None:
    """Write the letter (PDF), the receipt (JPEG) and the fax (TIFF, two pages)."""
    folder = collection / "scans"
    folder.mkdir(parents=True, exist_ok=True)
    _letter(fonts).save(
        folder / "letter-1927-11-03.pdf",
        resolution=LETTER_DPI,
        quality=58,
        title="scan0042",
        creationDate=DAY_OF_SCAN,
        modDate=DAY_OF_SCAN,
    )
    _receipt(fonts).save(folder / "receipt-ship-chandler.jpg", quality=80, optimize=True, dpi=(200, 200))
    first, second = (_fax_page(lines, fonts, seed) for seed, lines in enumerate(FAX_PAGES, start=31))
    first.save(
        folder / "fax-ferry-timetable.tif", save_all=True, append_images=[second], compression="group4", dpi=(204, 196)
    )


def _letter(fonts: Path) -> Image.Image:
    size = (round(A4_INCHES[0] * LETTER_DPI), round(A4_INCHES[1] * LETTER_DPI))
    page = Image.new("L", size, 255)
    draw = ImageDraw.Draw(page)
    head = font_files.for_pictures(fonts, "EBGaramond12-Regular.ttf", 52)
    small = font_files.for_pictures(fonts, "EBGaramond12-Italic.ttf", 30)
    draw.text((size[0] / 2, 130), LETTER_HEAD[0], fill=30, font=head, anchor="mm")
    draw.text((size[0] / 2, 180), LETTER_HEAD[1], fill=40, font=small, anchor="mm")
    draw.line((size[0] / 2 - 190, 212, size[0] / 2 + 190, 212), fill=60, width=2)
    _typewritten(page, LETTER, fonts)
    _signed(page, "Tomas Averell", (310, 1425), fonts)
    ink_spread = page.filter(ImageFilter.GaussianBlur(0.7))
    paper = aged(ink_spread, seed=1927, tint=(222, 213, 192), blotches=5, dust=5)
    paper = folded(paper, (0.335, 0.667), depth=26)
    return scanned(paper, degrees=0.9, blur=0.6, lid=(128, 128, 124))


def _typewritten(page: Image.Image, text: str, fonts: Path) -> None:
    """A worn machine: every type strikes a little high or low, hard or soft, and the margin is not quite straight."""
    rng = np.random.default_rng(7)
    font = font_files.for_pictures(fonts, "GNUTypewriter.ttf", 29)
    draw = ImageDraw.Draw(page)
    step, line_height, left, top = 17.1, 40, 150, 270
    for row, line in enumerate(text.split("\n")):
        start = left + rng.normal(0, 0.8)
        for column, letter in enumerate(line):
            if letter != " ":
                x = start + column * step + rng.normal(0, 0.5)
                y = top + row * line_height + rng.normal(0, 0.9)
                draw.text((x, y), letter, fill=int(np.clip(rng.normal(48, 22), 0, 110)), font=font)


def _signed(page: Image.Image, name: str, at: tuple[int, int], fonts: Path) -> None:
    """In ink, rising a little."""
    pen = Image.new("L", (520, 200), 0)
    ImageDraw.Draw(pen).text((20, 60), name, fill=225, font=font_files.for_pictures(fonts, SIGNATURE_FONT, 84))
    page.paste(20, at, pen.rotate(4, Image.Resampling.BICUBIC))


def _receipt(fonts: Path) -> Image.Image:
    """A thermal print, a little curled, photographed on a dark table."""
    strip = _printed_strip(fonts)
    strip = aged(strip, seed=612, tint=(243, 241, 236), blotches=3, dust=2.5)
    strip = folded(strip, (0.46,), depth=16)
    table = _wooden_table((strip.width + 330, strip.height + 240))
    shadow = Image.new("L", table.size, 0)
    corner = (165, 118)
    ImageDraw.Draw(shadow).rectangle(
        (corner[0] + 10, corner[1] + 14, corner[0] + 10 + strip.width, corner[1] + 10 + strip.height), fill=150
    )
    table.paste((22, 14, 10), mask=shadow.filter(ImageFilter.GaussianBlur(12)))
    table.paste(strip, corner)
    photo = table.rotate(-2.4, Image.Resampling.BICUBIC, expand=False, fillcolor=(60, 40, 28))
    inner = (60, 50, photo.width - 60, photo.height - 50)
    return lit_from(photo.crop(inner), darkest=0.78).filter(ImageFilter.GaussianBlur(0.6))


def _wooden_table(size: tuple[int, int]) -> Image.Image:
    """Boards with grain along their length."""
    fine = grain((size[0] // 10, size[1]), seed=5, coarse=2, strength=7)
    streaks = np.asarray(Image.fromarray(fine).resize(size, Image.Resampling.BICUBIC))
    broad = grain(size, seed=6, coarse=120, strength=6)
    colours = np.asarray((104, 70, 46), dtype=np.float32) + (streaks + broad)[..., None]
    colours[np.arange(size[1]) % 260 < 3] *= 0.45
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))


def _printed_strip(fonts: Path) -> Image.Image:
    width, left, right = 640, 34, 606
    plain = font_files.for_pictures(fonts, "DejaVuSansMono.ttf", 27)
    strong = font_files.for_pictures(fonts, "DejaVuSansMono-Bold.ttf", 42)
    strip = Image.new("L", (width, 1180), 255)
    draw = ImageDraw.Draw(strip)
    y = 46.0

    def centred(text: str, font: ImageFont.FreeTypeFont = plain, step: float = 40) -> None:
        nonlocal y
        draw.text((width / 2, y), text, fill=25, font=font, anchor="mt")
        y += step

    def columns(text: str, amount: str, font: ImageFont.FreeTypeFont = plain, step: float = 42) -> None:
        nonlocal y
        draw.text((left, y), text, fill=25, font=font)
        draw.text((right, y), amount, fill=25, font=font, anchor="ra")
        y += step

    centred("KETTLE & CLEAT", strong, 62)
    for line in ("Ship Chandlers", "9 Rope Walk, Marevale", "Tel. 555 0174", "VAT No. MV 204 118 96"):
        centred(line)
    y += 18
    columns("Date 12/06/2025", "16:42")
    columns("Receipt 003871", "Till 2")
    y += 12
    centred("-" * 34)
    for name, cents in RECEIPT_ITEMS:
        columns(name, f"{cents / 100:.2f}")
    y += 12
    centred("-" * 34, step=48)
    total = sum(cents for _, cents in RECEIPT_ITEMS)
    columns("TOTAL EUR", f"{total / 100:.2f}", strong, 70)
    columns(f"incl. VAT {VAT_PERCENT}%", f"{total * VAT_PERCENT / (100 + VAT_PERCENT) / 100:.2f}")
    columns("Paid by card", f"{total / 100:.2f}")
    columns("Card ending", "**** 5518")
    y += 22
    for line in ("You were served by Marten", "Goods back within 30 days", "with this receipt", "Fair winds!"):
        centred(line)
    return strip.crop((0, 0, width, round(y) + 40))


def _fax_page(lines: tuple[str, ...], fonts: Path, seed: int) -> Image.Image:
    """Black and white, 204 dots an inch, with the sender's line on top and specks of the roller."""
    page = Image.new("L", (1728, 2292), 255)
    draw = ImageDraw.Draw(page)
    plain = font_files.for_pictures(fonts, "Courier Prime.otf", 46)
    strong = font_files.for_pictures(fonts, "Courier Prime Bold.otf", 54)
    sender = f"28/03/2025  10:07   SORREL ISLAND FERRIES   555 0126      P.{seed - 30:02d}/02"
    draw.text((90, 24), sender, fill=0, font=font_files.for_pictures(fonts, "Courier Prime.otf", 32))
    for row, line in enumerate(lines):
        heading = line.startswith("#")
        words = line.lstrip("# ") if heading else line
        draw.text((150, 190 + 78 * row), words, fill=0, font=strong if heading else plain)
    page = page.rotate(0.35 if seed % 2 else -0.25, Image.Resampling.BICUBIC, fillcolor=255)
    rng = np.random.default_rng(seed)
    pixels = np.asarray(page.filter(ImageFilter.GaussianBlur(0.8)), dtype=np.float32)
    pixels = pixels + rng.normal(0, 12, pixels.shape)
    specks = rng.random(pixels.shape) < 0.00006
    pixels[specks] = 0
    return Image.fromarray(np.where(pixels < 140, 0, 255).astype(np.uint8)).convert("1")
