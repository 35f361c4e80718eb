"""Where the fonts of the papers lie; all come from Debian packages, named in make_sample.py."""

from pathlib import Path

from PIL import ImageFont


def find(fonts: Path, name: str) -> Path:
    """The font file of that name anywhere below the folder."""
    found = sorted(fonts.rglob(name))
    if not found:
        raise FileNotFoundError(f"no font file {name} below {fonts}; see the docstring of make_sample.py")
    return found[0]


def for_pictures(fonts: Path, name: str, pixels: int) -> ImageFont.FreeTypeFont:
    """A font for Pillow. The basic layout needs no library that may be missing, so it is the same everywhere."""
    return ImageFont.truetype(find(fonts, name), pixels, layout_engine=ImageFont.Layout.BASIC)


def register_lato(fonts: Path) -> None:
    """Lato in four cuts for reportlab, embedded as subsets."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for cut in ("Regular", "Bold", "Italic", "BoldItalic"):
        name = "Lato" if cut == "Regular" else f"Lato-{cut}"
        pdfmetrics.registerFont(TTFont(name, str(find(fonts, f"Lato-{cut}.ttf"))))
    pdfmetrics.registerFontFamily(
        "Lato", normal="Lato", bold="Lato-Bold", italic="Lato-Italic", boldItalic="Lato-BoldItalic"
    )
