import io
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest
from PIL import Image
from reading_doubles import make_pdf, read_here, text_at, words_of

from indexing.records import Reading
from indexing.settings import ReadLimits


def letter() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ann <ann@example.org>"
    message["To"] = "Bob <bob@example.org>"
    message["Subject"] = "Grüße from the office"
    message["Date"] = "Tue, 01 Oct 2024 12:34:56 -0500"
    message.set_content("The plain words.")
    return message


def read_mail(tmp_path: Path, data: bytes, **limits: int) -> Reading:
    (tmp_path / "a.eml").write_bytes(data)
    return read_here(tmp_path / "a.eml", tmp_path / "out", ReadLimits(**limits))


def test_the_header_is_metadata_and_words(tmp_path: Path) -> None:
    reading = read_mail(tmp_path, letter().as_bytes())
    assert reading.title == reading.metadata["subject"] == "Grüße from the office"
    assert reading.metadata["from"] == "Ann <ann@example.org>"
    assert reading.blocks[0].text.startswith("From: Ann <ann@example.org>\nTo: Bob")
    assert reading.blocks[1].text == "The plain words."


def test_the_html_part_is_preferred(tmp_path: Path) -> None:
    message = letter()
    message.add_alternative("<h1>Title</h1><p>The <b>plain</b> words.</p>", subtype="html")
    reading = read_mail(tmp_path, message.as_bytes())
    assert [block.text for block in reading.blocks[1:]] == ["Title", "The plain words."]


def test_attachments_are_read_under_their_names_and_their_pages_are_counted_on(tmp_path: Path) -> None:
    message = letter()
    for number in (1, 2):
        data = make_pdf([text_at(72, 700, f"Words of invoice number {number}")])
        message.add_attachment(data, maintype="application", subtype="pdf", filename=f"invoice {number}.pdf")
    picture = io.BytesIO()
    Image.new("RGB", (200, 160), "red").save(picture, "PNG")
    message.add_attachment(picture.getvalue(), maintype="image", subtype="png", filename="red.png")
    message.add_attachment(letter(), filename="older.eml")
    reading = read_mail(tmp_path, message.as_bytes())
    assert [block.text for block in reading.blocks if block.kind == "heading"] == [
        "Attachment: invoice 1.pdf",
        "Attachment: invoice 2.pdf",
        "Attachment: red.png",
        "Attachment: older.eml",
    ]
    found = {block.text: block.page for block in reading.blocks if "Words of invoice" in block.text}
    assert found == {"Words of invoice number 1": 1, "Words of invoice number 2": 2}
    assert [page.image.name for page in reading.pages if page.image] == ["page-0001.jpg", "page-0002.jpg"]
    assert [block.caption for block in reading.blocks if block.kind == "figure"] == ["red.png"]
    assert words_of(reading.blocks).count("The plain words.") == 2


@pytest.mark.parametrize(
    "name", ["../../../escaped.txt", "/tmp/escaped.txt", "..\\escaped.txt", "x\0y.txt", "a" * 4_000]
)
def test_an_attachment_never_becomes_a_file_of_its_own_name(tmp_path: Path, name: str) -> None:
    message = letter()
    message.add_attachment(b"attached words", maintype="text", subtype="plain", filename="harmless.txt")
    data = message.as_bytes().replace(b"harmless.txt", name.encode())
    reading = read_mail(tmp_path, data)
    assert "attached words" in words_of(reading.blocks)
    assert not list(tmp_path.parent.rglob("*escaped*"))
    assert not Path("/tmp/escaped.txt").exists()
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {"en_core_web_sm"}


def test_an_attachment_that_cannot_be_read_is_a_note(tmp_path: Path) -> None:
    message = letter()
    message.add_attachment(b"\x7fELF" + bytes(99), maintype="application", subtype="octet-stream", filename="a.out")
    reading = read_mail(tmp_path, message.as_bytes())
    assert reading.notes == ("attachment 'a.out' was not read: a program is not read here",)


def test_mails_inside_mails_are_followed_only_so_far(tmp_path: Path) -> None:
    message = letter()
    for _ in range(10):
        outer = letter()
        outer.add_attachment(message)
        message = outer
    reading = read_mail(tmp_path, message.as_bytes(), max_depth=3)
    assert words_of(reading.blocks).count("The plain words.") == 3
    assert "nested too deeply" in reading.notes[0]


def test_more_attachments_than_allowed_are_noted(tmp_path: Path) -> None:
    message = letter()
    for number in range(5):
        message.add_attachment(f"part {number}".encode(), maintype="text", subtype="plain", filename=f"{number}.txt")
    reading = read_mail(tmp_path, message.as_bytes(), max_attachments=2)
    assert sum(block.kind == "heading" for block in reading.blocks) == 2
    assert [(note.number, note.unread) for note in reading.notes] == [(3, True)]


@pytest.mark.parametrize(
    "data",
    [
        b"From: a@b.c\nTo: d@e.f\nSubject: =?utf-8?q?broken",
        b"From: a@b.c\nSubject: s\nContent-Type: text/plain; charset=no-such-thing\n\nwords \xff\xfe",
        b"From: a@b.c\nSubject: s\nContent-Transfer-Encoding: base64\n\n!!!not base64!!!",
        b'From: a@b.c\nSubject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n--y\n',
        b"From: a@b.c\nSubject: s\nDate: not a date\nContent-Type: text/html\n\n<!-- nothing -->",
        b"Subject: \xe4\xf6\xfc\nFrom: \xff\n\nwords",
    ],
)
def test_broken_mails_are_read_as_far_as_they_go(tmp_path: Path, data: bytes) -> None:
    assert not read_mail(tmp_path, data).is_picture


def test_a_mail_saved_as_utf_16_is_a_mail(tmp_path: Path) -> None:
    reading = read_mail(tmp_path, letter().as_string().encode("utf-16"))
    assert reading.metadata["from"] == "Ann <ann@example.org>"


def test_attachments_between_parts_of_a_letter_and_inside_alternatives_are_read(tmp_path: Path) -> None:
    """As Apple's mail writes them: plain words, or else words, a document and words again."""
    rich = MIMEMultipart("mixed")
    rich.attach(MIMEText("<p>Before the document.</p>", "html"))
    document = MIMEApplication(make_pdf([text_at(72, 700, "Words of the document in the middle")]), "pdf")
    document.add_header("Content-Disposition", "inline", filename="offer.pdf")
    rich.attach(document)
    rich.attach(MIMEText("<p>After the document.</p>", "html"))
    message = MIMEMultipart("alternative")
    message["From"], message["To"], message["Subject"] = "a@b.c", "d@e.f", "s"
    message.attach(MIMEText("Before the document. After the document."))
    message.attach(rich)
    words = words_of(read_mail(tmp_path, message.as_bytes()).blocks)
    assert [words.count(f"{where} the document.") for where in ("Before", "After")] == [1, 1]
    assert "Words of the document in the middle" in words


def test_a_header_of_any_length_is_words(tmp_path: Path) -> None:
    message = letter()
    message["Cc"] = ", ".join(f"person{number}@example.org" for number in range(300))
    assert "person299@example.org" in words_of(read_mail(tmp_path, message.as_bytes()).blocks)


def test_a_letter_is_read_whose_attachment_breaks_its_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsers raise whatever they like: lxml did for a document of 200 MB, and the letter was lost with it."""

    def broken(*_: object) -> Reading:
        raise SyntaxError("Resource limit exceeded")

    message = letter()
    message.add_attachment(b"%PDF-1.4 something", maintype="application", subtype="pdf", filename="plan.pdf")
    monkeypatch.setattr("indexing.readers.pdf.reader._Document", broken)
    monkeypatch.setattr("indexing.readers.pdf.reader._opened", lambda path: io.BytesIO())
    reading = read_mail(tmp_path, message.as_bytes())
    assert len(reading.blocks) > 1
    assert any("plan.pdf" in note and "Resource limit exceeded" in note for note in reading.notes)
