"""PDF files made on the spot, object by object: what `make_pdf` is too small for."""

import io
import zlib

from PIL import Image, ImageDraw, ImageFont

FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


class PdfFile:
    """Objects 1 to 3 are the catalog, the page tree and the font F1."""

    def __init__(self) -> None:
        self.catalog = ""
        self._objects: list[bytes] = [b"", b"", FONT.encode()]
        self._pages: list[int] = []

    def add(self, body: str) -> str:
        """An object; the reference to it comes back."""
        return self._add(body.encode("cp1252"))

    def stream(self, data: str | bytes, entries: str = "") -> str:
        """A stream; the reference to it comes back."""
        packed = zlib.compress(data.encode("cp1252") if isinstance(data, str) else data)
        head = f"<< /Filter /FlateDecode /Length {len(packed)} {entries} >>\nstream\n".encode("cp1252")
        return self._add(head + packed + b"\nendstream")

    def page(self, content: str, *, annotations: str = "", resources: str = "", extra: str = "") -> str:
        """A page of 612 × 792 points; `resources` may name its own fonts and pictures."""
        resources = resources or "/Font << /F1 3 0 R >>"
        drawn = self.stream(content)
        page = self.add(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {drawn} /Resources << {resources} >>"
            f" /Annots [{annotations}] {extra} >>"
        )
        self._pages.append(int(page.split()[0]))
        return page

    def picture(self, image: Image.Image) -> str:
        """A picture to be drawn; the reference to it comes back."""
        entries = f"/Type /XObject /Subtype /Image /Width {image.width} /Height {image.height}"
        return self.stream(image.convert("L").tobytes(), f"{entries} /ColorSpace /DeviceGray /BitsPerComponent 8")

    def data(self) -> bytes:
        """The file."""
        self._objects[0] = f"<< /Type /Catalog /Pages 2 0 R {self.catalog} >>".encode("cp1252")
        kids = " ".join(f"{page} 0 R" for page in self._pages)
        self._objects[1] = f"<< /Type /Pages /Kids [{kids}] /Count {len(self._pages)} >>".encode()
        out = io.BytesIO()
        out.write(b"%PDF-1.7\n")
        offsets = []
        for number, body in enumerate(self._objects, start=1):
            offsets.append(out.tell())
            out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
        start = out.tell()
        out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1))
        out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
        out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(offsets) + 1, start))
        return out.getvalue()

    def _add(self, body: bytes) -> str:
        self._objects.append(body)
        return f"{len(self._objects)} 0 R"


def written(lines: list[str], *, size: tuple[int, int] = (1240, 1754), font_size: int = 44) -> Image.Image:
    """A picture of lines of words, black on white, as a scanner makes them."""
    image = Image.new("L", size, 255)
    font = ImageFont.load_default(font_size)
    for row, line in enumerate(lines):
        ImageDraw.Draw(image).text((font_size * 2, font_size * (3 + 2 * row)), line, fill=0, font=font)
    return image
