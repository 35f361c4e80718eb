"""E-books, made on the spot: their own list decides what is read and in which order."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from PIL import Image
from reading_doubles import read_here, words_of

from indexing.errors import DamagedFileError, EncryptedFileError
from indexing.records import Reading
from indexing.settings import ReadLimits

CONTAINER = (
    '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PACKAGE = """<package version="3.0" xmlns="http://www.idpf.org/2007/opf">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Rain and other weather</dc:title>
<dc:creator>A. Writer</dc:creator></metadata>
<manifest><item id="two" href="text/chapter%202.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one.xhtml#start" media-type="application/xhtml+xml"/>
<item id="picture" href="cover.png" media-type="image/png"/></manifest>
<spine><itemref idref="picture"/><itemref idref="one"/><itemref idref="two"/><itemref idref="nobody"/></spine>
</package>"""


def page(words: str) -> str:
    return (
        f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{words}</h1><p>It rained &amp; rained.</p></body></html>'
    )


def book(changes: Mapping[str, str | None] = MappingProxyType({})) -> bytes:
    """A book of two chapters; None takes a member out."""
    members: dict[str, str | None] = {
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": PACKAGE,
        "OEBPS/text/one.xhtml": page("One"),
        "OEBPS/text/chapter 2.xhtml": page("Two"),
        **changes,
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    return data.getvalue()


def read(tmp_path: Path, data: bytes) -> Reading:
    (tmp_path / "a.epub").write_bytes(data)
    return read_here(tmp_path / "a.epub", tmp_path / "out")


def test_a_chapter_without_end_is_cut_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.epub").write_bytes(book({"OEBPS/text/one.xhtml": page("One") + "x" * 10_000}))
    reading = read_here(tmp_path / "a.epub", tmp_path / "out", ReadLimits(max_text_characters=2_000))
    assert "Two" in words_of(reading.blocks)
    assert reading.notes[0] == "page 'one.xhtml': longer than 2,000 characters, of which the first were read"


def test_chapters_come_in_the_order_of_the_books_own_list(tmp_path: Path) -> None:
    reading = read(tmp_path, book())
    assert [block.text for block in reading.blocks] == ["One", "It rained & rained.", "Two", "It rained & rained."]
    assert (reading.title, reading.metadata) == ("Rain and other weather", {"author": "A. Writer"})
    assert reading.notes == ()


def test_a_chapter_that_is_not_in_the_file_is_told(tmp_path: Path) -> None:
    reading = read(tmp_path, book({"OEBPS/text/one.xhtml": None}))
    assert [block.text for block in reading.blocks] == ["Two", "It rained & rained."]
    assert "1 of the book's pages" in reading.notes[0]


def test_a_book_without_a_container_is_read_by_its_package_file(tmp_path: Path) -> None:
    assert len(read(tmp_path, book({"META-INF/container.xml": None})).blocks) == 4


@pytest.mark.parametrize(
    ("algorithm", "is_protected"),
    [("http://www.w3.org/2001/04/xmlenc#aes256-cbc", True), ("http://www.idpf.org/2008/embedding", False)],
)
def test_copy_protection_is_told_and_scrambled_fonts_are_none(
    tmp_path: Path, algorithm: str, is_protected: bool
) -> None:
    encryption = f'<encryption><e:EncryptionMethod xmlns:e="x" Algorithm="{algorithm}"/></encryption>'
    data = book({"META-INF/encryption.xml": encryption})
    if is_protected:
        with pytest.raises(EncryptedFileError, match="copy protection"):
            read(tmp_path, data)
    else:
        assert len(read(tmp_path, data).blocks) == 4


@pytest.mark.parametrize("package", ["<package", ""])
def test_a_damaged_list_of_pages_is_told(tmp_path: Path, package: str) -> None:
    with pytest.raises(DamagedFileError, match="list of pages is damaged"):
        read(tmp_path, book({"OEBPS/book.opf": package}))


def test_a_list_of_pages_cannot_name_a_file_outside_the_book(tmp_path: Path) -> None:
    package = PACKAGE.replace("text/one.xhtml#start", "../../../etc/passwd")
    reading = read(tmp_path, book({"OEBPS/book.opf": package}))
    assert [block.text for block in reading.blocks] == ["Two", "It rained & rained."]


def test_a_page_that_the_list_names_many_times_is_read_once(tmp_path: Path) -> None:
    spine = '<itemref idref="one"/>'
    reading = read(tmp_path, book({"OEBPS/book.opf": PACKAGE.replace(spine, spine * 20_000)}))
    assert [block.text for block in reading.blocks].count("One") == 1
    assert "the book's list names 20,001 pages, of which 2 are different ones" in reading.notes


def test_a_page_with_an_xml_declaration_is_read(tmp_path: Path) -> None:
    declared = '<?xml version="1.0" encoding="UTF-8"?>' + page("Declared")
    assert "Declared" in words_of(read(tmp_path, book({"OEBPS/text/one.xhtml": declared})).blocks)


def picture_of(colour: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (200, 160), colour).save(data, "PNG")
    return data.getvalue()


def with_pictures(tmp_path: Path, pages: Mapping[str, str], pictures: Mapping[str, bytes]) -> Reading:
    (tmp_path / "a.epub").write_bytes(book(pages))
    with zipfile.ZipFile(tmp_path / "a.epub", "a") as archive:
        for name, data in pictures.items():
            archive.writestr(name, data)
    return read_here(tmp_path / "a.epub", tmp_path / "out")


def test_pictures_follow_the_words_of_the_page_that_shows_them(tmp_path: Path) -> None:
    first = page("One").replace("</p>", '</p><img src="../images/a%20b.png"/><img src="../images/a%20b.png"/>')
    second = page("Two").replace(
        "</p>", '</p><svg xmlns="http://www.w3.org/2000/svg"><image xlink:href="../images/c.png" '
        'xmlns:xlink="http://www.w3.org/1999/xlink"/></svg>'
    )  # fmt: skip
    reading = with_pictures(
        tmp_path,
        {"OEBPS/text/one.xhtml": first, "OEBPS/text/chapter 2.xhtml": second},
        {"OEBPS/images/a b.png": picture_of("red"), "OEBPS/images/c.png": picture_of("blue"),
         "OEBPS/cover.png": picture_of("green")},
    )  # fmt: skip
    assert [block.kind for block in reading.blocks] == [
        "heading",
        "text",
        "figure",
        "heading",
        "text",
        "figure",
        "figure",
    ]
    assert reading.notes == () and all(block.page is None for block in reading.blocks)


def test_a_book_of_pictures_has_figures_and_drawings_are_told(tmp_path: Path) -> None:
    only = '<html xmlns="http://www.w3.org/1999/xhtml"><body><img src="../g.png"/></body></html>'
    pages = {"OEBPS/text/one.xhtml": only, "OEBPS/text/chapter 2.xhtml": only}
    reading = with_pictures(tmp_path, pages, {"OEBPS/g.png": picture_of("red"), "OEBPS/h.svg": b"<svg/>"})
    assert [block.kind for block in reading.blocks] == ["figure"]
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("picture", 1, True)]


def test_a_broken_picture_is_told(tmp_path: Path) -> None:
    reading = with_pictures(tmp_path, {}, {"OEBPS/cover.png": b"no picture"})
    assert [(note.kind, note.unread) for note in reading.notes] == [("picture", True)]


def test_a_damaged_chapter_does_not_cost_the_others(tmp_path: Path) -> None:
    data = book({"OEBPS/text/one.xhtml": None})
    (tmp_path / "a.epub").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.epub", "a") as archive:
        archive.writestr("OEBPS/text/one.xhtml", page("One"))
    whole = (tmp_path / "a.epub").read_bytes()
    assert whole.count(b"One") == 1  # it is not packed
    (tmp_path / "a.epub").write_bytes(whole.replace(b"<h1>One", b"<h1>0ne"))
    reading = read_here(tmp_path / "a.epub", tmp_path / "out")
    assert [block.text for block in reading.blocks] == ["Two", "It rained & rained."]
    assert reading.notes[0].unread and "damaged" in reading.notes[0]
