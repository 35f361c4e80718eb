"""PostScript where a picture is expected. Pillow's EPS plugin starts Ghostscript, which runs the program that it is."""

import struct
from collections.abc import Iterator

from makers import HostileFile, World
from makers.base import docx, mail_with, members, zipped

EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 100\n%%EndComments\n"
    b"(/tmp/llavero-hostile-was-here) (w) file closefile\n{ } loop\nshowpage\n%%EOF\n"
)
_DOS_EPS = struct.pack("<IIIIIIIH", 0xC6D3D0C5, 32, len(EPS), 0, 0, 0, 0, 0xFFFF) + b"\0\0" + EPS
_NAMES = ("photo.png", "photo.jpg", "photo.gif", "scan.tif", "plot.eps", "plot.ps", "paper.pdf", "notes.txt",
          "mail.eml", "page.html")  # fmt: skip


def attacks(world: World) -> Iterator[HostileFile]:
    kind = "PostScript as a picture"
    for name in _NAMES:
        yield HostileFile(kind=kind, name=name, why="the name says picture or text, the bytes a program", content=EPS)
    for name, data in {
        "dos header.png": _DOS_EPS,
        "byte order mark.jpg": b"\xef\xbb\xbf" + EPS,
        "spaces first.png": b"\n \n" + EPS,
        "bounding box at the end.png": EPS.replace(b"0 0 200 100", b"(atend)"),
    }.items():
        yield HostileFile(kind=kind, name=name, why="another beginning that a lenient opener takes", content=data)
    picture = docx_with_picture(EPS)
    yield HostileFile(
        kind=kind, name="inside.docx", why="a document's own picture is one", content=picture, fate="read"
    )
    letter = mail_with([("photo.png", EPS), ("plot.eps", EPS)])
    yield HostileFile(kind=kind, name="attached.eml", why="an attachment is one", content=letter, words=("pelicans",))


def docx_with_picture(data: bytes, name: str = "word/media/image1.png") -> bytes:
    """Whatever the bytes are, the document calls them its picture."""
    parts = members(docx())
    drawing = (
        '<w:p><w:r><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing">'
        '<wp:extent cx="1000000" cy="1000000"/><wp:docPr id="1" name="p"/><a:graphic '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:graphicData '
        'uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic '
        'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:nvPicPr><pic:cNvPr id="1" name="p"/>'
        "<pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip xmlns:r="
        '"http://schemas.openxmlformats.org/officeDocument/2006/relationships" r:embed="rId99"/></pic:blipFill>'
        "<pic:spPr/></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"
    )
    relation = (
        '<Relationship Id="rId99" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image" '
        f'Target="{name.removeprefix("word/")}"/></Relationships>'
    )
    parts["word/document.xml"] = parts["word/document.xml"].replace(b"<w:sectPr", drawing.encode() + b"<w:sectPr", 1)
    relations = "word/_rels/document.xml.rels"
    parts[relations] = parts[relations].replace(b"</Relationships>", relation.encode())
    types = parts["[Content_Types].xml"]
    parts["[Content_Types].xml"] = types.replace(
        b"<Override", b'<Default Extension="png" ContentType="image/png"/><Override', 1
    )
    return zipped(parts | {name: data})
