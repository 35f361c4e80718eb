"""PDFs whose objects point at each other in circles, lie about their number, or ask a reader to act."""

from collections.abc import Iterator

from makers import HostileFile, World
from makers.base import CATALOGUE, page, pdf, pdf_of, stream, written

_ONE_PAGE = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
_CHAPTER = b"<< /First 5 0 R /Last 5 0 R /Next 5 0 R /Title (x) /Count 9 >>"


def attacks(world: World) -> Iterator[HostileFile]:
    yield from _circles()
    yield from _lies()
    yield from _acts(world)


def _circles() -> Iterator[HostileFile]:
    kind = "PDFs in circles"
    text = stream(written())
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 100 100] /Resources << /XObject << /X 5 0 R >> >>"
    for name, data, why in (
        ("tree.pdf", pdf(CATALOGUE, b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"), "the page tree holds itself"),
        ("parent.pdf", pdf(CATALOGUE, b"<< /Type /Pages /Kids [3 0 R 2 0 R] /Count 9 >>", page(), text),
         "a page, and then the tree again"),
        ("contents.pdf", pdf_of(more=b"/Contents 5 0 R", objects=[b"[5 0 R 4 0 R]"]), "contents that hold themselves"),
        ("form.pdf", pdf_of(b"/X Do", more=b"/Resources << /XObject << /X 5 0 R >> >>",
                            objects=[stream(b"/X Do", form)]), "a form that draws itself"),
        ("outline.pdf", pdf(CATALOGUE[:-2] + b"/Outlines 5 0 R >>", _ONE_PAGE, page(), text, _CHAPTER), "chapters"),
        ("reference.pdf", pdf(b"1 0 R"), "the catalogue is itself"),
        ("previous.pdf", pdf_of().replace(b"/Root 1 0 R ", b"/Root 1 0 R /Prev 9 "), "an earlier table that is none"),
        ("length.pdf", pdf_of(objects=[stream(b"x").replace(b"/Length 1", b"/Length 5 0 R")]), "its own length"),
    ):  # fmt: skip
        yield HostileFile(kind=kind, name=name, why=why, content=data)


def _lies() -> Iterator[HostileFile]:
    kind = "PDFs that lie"
    kids = b"<< /Type /Pages /Kids [%s] /Count 20000 >>" % (b"3 0 R " * 20_000)
    repeated = pdf(CATALOGUE, kids, page(), stream(written()))
    yield HostileFile(
        kind=kind, name="20000 times.pdf", why="one page object 20,000 times: no more to read than once",
        content=repeated, words=("pelicans",), most_chunks=100,
    )  # fmt: skip
    one = b"<< /Type /Pages /Kids [3 0 R] /Count %s >>"
    text = stream(written())
    deep = pdf_of(objects=[b"[" * 100_000 + b"]" * 100_000])
    for name, data, why in (
        ("count.pdf", pdf(CATALOGUE, one % b"2147483647", page(), text), "two thousand million pages"),
        ("negative.pdf", pdf(CATALOGUE, one % b"-5", page(), text), "fewer than no pages"),
        ("wide.pdf", pdf(CATALOGUE, one % b"1", page(box=b"0 0 1e9 1e9"), text), "a page of 350 km"),
        ("flat.pdf", pdf(CATALOGUE, one % b"1", page(box=b"0 0 0 0"), text), "a page without a size"),
        ("backwards.pdf", pdf(CATALOGUE, one % b"1", page(box=b"612 792 -9e9 0"), text), "corners swapped"),
        ("narrow.pdf", pdf(CATALOGUE, one % b"1", page(box=b"0 0 14000 1"), text), "14,000 wide and 1 high"),
        ("deep.pdf", deep, "a list 100,000 deep"),
        ("saved states.pdf", pdf_of(b"q " * 500_000 + written()), "half a million saved states"),
        ("marks.pdf", pdf_of(more=b"/Annots [%s]" % (b"<< /Subtype /Text /Rect [0 0 9 9] >>" * 20_000)), "notes"),
        ("lines.pdf", pdf_of(b"0 0 m 9 9 l S " * 60_000 + written()), "60,000 lines, which could be a table"),
        ("giant letters.pdf", pdf_of(written(size=10_000_000)), "letters larger than the page"),
        ("no words.pdf", pdf_of(b"BT /F 0 Tf ET" * 5_000), "text without letters"),
        ("table.pdf", pdf_of()[:-30] + b"startxref\n-1\n%%EOF", "a table before the beginning"),
        ("only a header.pdf", b"%PDF-1.7\n", "nothing else"),
    ):  # fmt: skip
        yield HostileFile(kind=kind, name=name, why=why, content=data)


def _acts(world: World) -> Iterator[HostileFile]:
    kind = "documents that act"
    secret = str(world.canary / "secret.txt").encode()
    for name, action in {
        "script.pdf": b"<< /S /JavaScript /JS (app.launchURL('%s')) >>" % world.address.encode(),
        "address.pdf": b"<< /S /URI /URI (%s/pdf) >>" % world.address.encode(),
        "program.pdf": b"<< /S /Launch /F (calc) >>",
        "file.pdf": b"<< /S /GoToR /F (%s) /D [0 /Fit] >>" % secret,
        "form.pdf": b"<< /S /SubmitForm /F (%s/form) >>" % world.address.encode(),
    }.items():
        catalogue = CATALOGUE[:-2] + b"/OpenAction %s >>" % action
        data = pdf(catalogue, _ONE_PAGE, page(b"/AA << /O %s >>" % action),
                   stream(written()))  # fmt: skip
        yield HostileFile(kind=kind, name=name, why="opening it is meant to do something", content=data, fate="read")
    outside = pdf_of(more=b"/Contents 5 0 R", objects=[stream(b"", b"/F (%s)" % secret)])
    yield HostileFile(kind=kind, name="contents elsewhere.pdf", why="its page lies in another file", content=outside)
