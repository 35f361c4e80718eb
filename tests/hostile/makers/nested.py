"""Depth: parsers that call themselves run out of stack, others leave out what lies too deep."""

from collections.abc import Iterator

from makers import HostileFile, World
from makers.base import docx, edited, members, zipped

_INSIDE, _AFTER = "innermost cormorant", "afterwards albatross"


def attacks(world: World) -> Iterator[HostileFile]:
    kind = "300 deep and deeper"
    yield from _pages(kind)
    yield from _plain(kind)
    for name, data, why in (
        ("drawing.svg", _wrapped("<g>", "</g>", 3_000, "<text>{}</text>"), "groups in groups"),
        ("data.xml", '<?xml version="1.0"?>' + _wrapped("<a>", "</a>", 5_000), "elements in elements"),
        ("runs.docx", _deep_docx(400), "controls in controls"),
        ("tables.docx", _deep_tables(40), "tables in tables"),
    ):  # fmt: skip
        content = data if isinstance(data, bytes) else data.encode()
        yield HostileFile(kind=kind, name=name, why=why, content=content)


def _pages(kind: str) -> Iterator[HostileFile]:
    for depth in (200, 254, 255, 256, 300, 1_000, 5_000):
        body = _wrapped("<div>", "</div>", depth)
        yield HostileFile(
            kind=kind, name=f"{depth} divs.html", why="an element that deep, and everything behind it, was dropped",
            content=_page(body), words=("cormorant", "albatross"),
        )  # fmt: skip
    for tag, depth in (("b", 600), ("blockquote", 400), ("table><tr><td", 120), ("ul><li", 200), ("font", 300)):
        closing = "".join(f"</{part}>" for part in reversed(tag.replace(">", "").split("<")))
        body = _wrapped(f"<{tag}>", closing, depth)
        yield HostileFile(
            kind=kind, name=f"{depth} {tag.split('>')[0]}.html", why=f"<{tag}> in itself", content=_page(body),
            words=("cormorant", "albatross"),
        )  # fmt: skip
    unclosed = _page("<div><span><b>" * 2_000 + f"<p>{_INSIDE}</p>")
    yield HostileFile(
        kind=kind, name="unclosed.html", why="nothing is ever closed", content=unclosed, words=("cormorant",)
    )


def _plain(kind: str) -> Iterator[HostileFile]:
    for name, text, why in (
        ("quotes.md", "> " * 400 + f"{_INSIDE}\n\n{_AFTER}\n", "quotations in quotations"),
        ("list.md", "".join("  " * depth + f"- level {depth}\n" for depth in range(300)) + f"\n{_AFTER}\n", "lists"),
        ("emphasis.md", "*" * 700 + _INSIDE + "*" * 700 + f"\n\n{_AFTER}\n", "emphasis"),
        ("links.md", "[" * 1_000 + _INSIDE + "](x)" * 1_000 + f"\n\n{_AFTER}\n", "links in links"),
        ("data.json", '{"a":' * 300 + f'"{_INSIDE}"' + "}" * 300, "objects in objects"),
        ("lists.json", "[" * 100_000 + "]" * 100_000, "100,000 lists in lists"),
        ("brackets.txt", "(" * 300 + _INSIDE + ")" * 300 + f"\n\n{_AFTER}\n", "brackets"),
        ("quotes.txt", "".join(">" * depth + f" level {depth}\n" for depth in range(300)) + f"\n{_AFTER}", "a thread"),
    ):  # fmt: skip
        words = tuple(word for word in ("cormorant", "albatross") if word in text)
        yield HostileFile(kind=kind, name=name, why=why, content=text.encode(), words=words)


def _wrapped(opening: str, closing: str, depth: int, inside: str = "<p>{}</p>") -> str:
    return opening * depth + inside.format(_INSIDE) + closing * depth + inside.format(_AFTER)


def _page(body: str) -> bytes:
    return f"<!doctype html><html><body><p>first</p>{body}</body></html>".encode()


def _deep_docx(depth: int) -> bytes:
    part = members(docx())["word/document.xml"].decode()
    inside = f"<w:p><w:r><w:t>{_INSIDE}</w:t></w:r></w:p>"
    body = "<w:sdt><w:sdtContent>" * depth + inside + "</w:sdtContent></w:sdt>" * depth
    return edited(docx(), word__document=part.replace("<w:sectPr", body + "<w:sectPr", 1).encode())


def _deep_tables(depth: int) -> bytes:
    parts = members(docx())
    opening = "<w:tbl><w:tblPr/><w:tblGrid><w:gridCol/></w:tblGrid><w:tr><w:tc>"
    inside = f"<w:p><w:r><w:t>{_INSIDE}</w:t></w:r></w:p>"
    body = opening * depth + inside + "<w:p/></w:tc></w:tr></w:tbl>" * depth
    text = parts["word/document.xml"].decode().replace("<w:sectPr", body + "<w:sectPr", 1)
    return zipped(parts | {"word/document.xml": text.encode()})
