"""Small archives and streams that unpack to hundreds of megabytes."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator

from makers import HostileFile, World
from makers.base import docx, epub, members, pdf_of, pptx, stream, xlsx, zipped
from makers.pictures import png
from makers.postscript import docx_with_picture

_MEGABYTES = 200


def attacks(world: World) -> Iterator[HostileFile]:
    kind = "archives that explode"
    zeros = gzip.compress(bytes(50_000_000), 1)
    inner = zipped({f"{number}.bin": zeros for number in range(5)})
    for name, data, why in (
        ("zeros.gz", zeros, "50 MB in 200 kB"),
        ("nested.zip", _nested(inner, 6), "an archive in an archive, six deep"),
        ("as a document.docx", _nested(inner, 3), "an archive of archives that calls itself a document"),
        ("body.docx", swollen(docx(), "word/document.xml"), "a body that unpacks to 200 MB"),
        ("beside.docx", swollen(docx(), "word/padding.bin"), "200 MB in a part that nobody asks for"),
        ("slide.pptx", swollen(pptx(), "ppt/slides/slide1.xml"), "a slide of 200 MB"),
        ("sheet.xlsx", swollen(xlsx(), "xl/worksheets/sheet1.xml"), "a sheet of 200 MB"),
        ("chapter.epub", swollen(epub(), "one.xhtml"), "a chapter of 200 MB"),
        ("many members.docx", zipped(members(docx()) | {f"word/{n}.xml": b"" for n in range(30_000)}), "30,000 parts"),
        ("picture.docx", docx_with_picture(png(30_000, 30_000)), "a picture of 900 million pixels in a document"),
        ("lies about its size.docx", _lying(docx()), "a directory that says 1 byte for each part"),
        ("contents.pdf", _pdf_with_stream(bytes(150_000_000)), "page contents of 150 MB"),
        ("twice packed.pdf", _twice_packed(), "a stream packed in a stream"),
        ("image.pdf", _pdf_with_image(40_000), "an image of 1,600 million pixels on a page"),
        ("drawing.svgz", gzip.compress(b"<svg>" + bytes(50_000_000)), "a packed drawing"),
    ):  # fmt: skip
        yield HostileFile(kind=kind, name=name, why=why, content=data)


def swollen(archive: bytes, member: str) -> bytes:
    """The archive with 200 MB of spaces at the beginning of one member."""
    parts = members(archive)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for name, data in parts.items():
            if name != member:
                out.writestr(name, data)
        with out.open(member, "w") as file:
            for _ in range(_MEGABYTES):
                file.write(b" " * 1_000_000)
            file.write(parts.get(member, b""))
    return buffer.getvalue()


def _nested(data: bytes, depth: int) -> bytes:
    for number in range(depth):
        data = zipped({f"{number}.zip": data, f"copy {number}.zip": data})
    return data


def _lying(archive: bytes) -> bytes:
    """Every unpacked size in the central directory becomes 1."""
    out, place = bytearray(archive), 0
    while (place := out.find(b"PK\x01\x02", place)) >= 0:
        out[place + 24 : place + 28] = b"\1\0\0\0"
        place += 4
    return bytes(out)


def _pdf_with_stream(data: bytes) -> bytes:
    return pdf_of(b"", more=b"/Contents 5 0 R", objects=[stream(zlib.compress(data, 1), b"/Filter /FlateDecode")])


def _twice_packed() -> bytes:
    packed = zlib.compress(zlib.compress(bytes(150_000_000), 1))
    return pdf_of(b"", more=b"/Contents 5 0 R", objects=[stream(packed, b"/Filter [/FlateDecode /FlateDecode]")])


def _pdf_with_image(side: int) -> bytes:
    head = b"/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 1 /ColorSpace /DeviceGray " % (
        side,
        side,
    )
    image = stream(zlib.compress(bytes(side * side // 8), 1), head + b"/Filter /FlateDecode")
    return pdf_of(b"q 500 0 0 500 50 50 cm /I Do Q", more=b"/Resources << /XObject << /I 5 0 R >> >>", objects=[image])
