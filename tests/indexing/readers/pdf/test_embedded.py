from pathlib import Path

from pdf_doubles import PdfFile
from PIL import Image
from reading_doubles import make_pdf, read_here, text_at, words_of

from indexing.records import Reading
from indexing.settings import ReadLimits

COVER = text_at(72, 700, "The papers are attached to this page.")


def read_file(tmp_path: Path, file: PdfFile, limits: ReadLimits | None = None) -> Reading:
    (tmp_path / "papers.pdf").write_bytes(file.data())
    return read_here(tmp_path / "papers.pdf", tmp_path / "out", limits)


def holding(files: dict[str, bytes]) -> PdfFile:
    """A cover page, and these files in the name tree."""
    file = PdfFile()
    named = ""
    for name, data in files.items():
        named += f"({name}) {specification(file, name, data)} "
    file.page(COVER)
    file.catalog = f"/Names << /EmbeddedFiles << /Names [{named}] >> >> /Collection << /Type /Collection >>"
    return file


def specification(file: PdfFile, name: str, data: bytes) -> str:
    embedded = file.stream(data, "/Type /EmbeddedFile")
    return file.add(f"<< /Type /Filespec /F ({name}) /UF ({name}) /EF << /F {embedded} >> >>")


def quote() -> bytes:
    return make_pdf([text_at(72, 700, "The mast costs 1890 euros and takes six weeks")])


def test_files_inside_are_read_under_headings_with_their_names(tmp_path: Path) -> None:
    file = holding({"quote.pdf": quote(), "letter.txt": b"Dear Ottilie,\n\nthe varnish is dry."})
    reading = read_file(tmp_path, file)
    headings = [block.text for block in reading.blocks if block.kind == "heading"]
    assert headings == ["papers.pdf › quote.pdf", "papers.pdf › letter.txt"]
    text = words_of(reading.blocks)
    assert "1890 euros" in text
    assert "the varnish is dry" in text
    assert [page.number for page in reading.pages[:2]] == [1, 2]
    assert next(block.page for block in reading.blocks if "1890" in block.text) == 2
    assert reading.notes == ()


def test_a_file_that_is_pinned_to_a_page_is_read_once_though_it_is_listed_too(tmp_path: Path) -> None:
    file = PdfFile()
    listed = specification(file, "quote.pdf", quote())
    pin = file.add(f"<< /Type /Annot /Subtype /FileAttachment /FS {listed} /Rect [72 600 90 618] >>")
    file.page(COVER, annotations=pin)
    file.catalog = f"/Names << /EmbeddedFiles << /Names [(quote.pdf) {listed}] >> >>"
    assert words_of(read_file(tmp_path, file).blocks).count("1890 euros") == 1


def test_a_file_that_is_pinned_to_a_page_alone_is_read(tmp_path: Path) -> None:
    file = PdfFile()
    pinned = specification(file, "quote.pdf", quote())
    pin = file.add(f"<< /Type /Annot /Subtype /FileAttachment /FS {pinned} /Rect [72 600 90 618] >>")
    file.page(COVER, annotations=pin)
    assert "1890 euros" in words_of(read_file(tmp_path, file).blocks)


def test_a_file_inside_that_cannot_be_read_is_told_by_its_name(tmp_path: Path) -> None:
    reading = read_file(tmp_path, holding({"engine.exe": b"MZ" + bytes(200)}))
    (note,) = reading.notes
    assert (note.kind, note.unread) == ("attachment", True)
    assert "engine.exe" in note
    assert "The papers are attached" in words_of(reading.blocks)


def test_a_file_inside_that_is_named_and_missing_is_told(tmp_path: Path) -> None:
    file = PdfFile()
    missing = file.add("<< /Type /Filespec /F (lost.pdf) /UF (lost.pdf) >>")
    file.page(COVER)
    file.catalog = f"/Names << /EmbeddedFiles << /Names [(lost.pdf) {missing}] >> >>"
    (note,) = read_file(tmp_path, file).notes
    assert "lost.pdf" in note
    assert note.unread


def test_a_file_that_unpacks_to_too_much_is_told(tmp_path: Path) -> None:
    reading = read_file(tmp_path, holding({"zeros.txt": bytes(3_000_000)}), ReadLimits(max_unpacked_bytes=2_000_000))
    (note,) = reading.notes
    assert "zeros.txt" in note
    assert "2 MB" in note


def test_more_files_than_the_limit_are_counted(tmp_path: Path) -> None:
    files = {f"{number}.txt": b"words of %d" % number for number in range(5)}
    reading = read_file(tmp_path, holding(files), ReadLimits(max_attachments=2))
    assert "words of 1" in words_of(reading.blocks)
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("attachment", 3, True)]


def test_the_thumbnail_is_the_first_page_of_the_file_itself(tmp_path: Path) -> None:
    inside = make_pdf(["0 0 0 rg 0 0 612 792 re f"])
    read_file(tmp_path, holding({"dark.pdf": inside}))
    with Image.open(tmp_path / "out" / "thumb.jpg") as image:
        assert sum(image.convert("L").resize((1, 1)).get_flattened_data()) > 200
