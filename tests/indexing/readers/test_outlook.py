from datetime import UTC, datetime
from pathlib import Path

import pytest
from compressed_rtf import compress
from outlook_files import Folder, mapi, msg, ole, storage, tnef
from reading_doubles import make_pdf, read_here, text_at, words_of

from indexing.errors import DamagedFileError
from indexing.records import Reading

SENT = round((datetime(2026, 2, 3, 9, 0, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
LETTER = {
    0x0037: "Your sail", 0x1000: "Dear Tom,\r\nthe offer is attached.", 0x0C1A: "Ines Halvorsen",
    0x5D01: "ines@sails.example", 0x0E04: "Tom Reed", 0x0039: SENT,
}  # fmt: skip


def pdf(words: str) -> bytes:
    return make_pdf([text_at(72, 700, words)])


def attached(name: str, data: bytes) -> Folder:
    return storage({0x3707: name, 0x3701: data, 0x3705: 1}, header_bytes=8)


def read(tmp_path: Path, data: bytes, name: str = "letter.msg") -> Reading:
    (tmp_path / name).write_bytes(data)
    return read_here(tmp_path / name, tmp_path / "out")


def test_a_message_is_read_as_a_mail_with_what_is_attached_to_it(tmp_path: Path) -> None:
    reading = read(tmp_path, ole(msg(LETTER, [attached("quote.pdf", pdf("The sail costs 2380"))])))
    assert (reading.title, reading.notes) == ("Your sail", ())
    assert reading.metadata == {
        "from": "Ines Halvorsen <ines@sails.example>", "to": "Tom Reed", "subject": "Your sail",
        "date": "Tue, 03 Feb 2026 09:00:00 +0000",
    }  # fmt: skip
    assert [block.text for block in reading.blocks[1:]] == [
        "Dear Tom,", "the offer is attached.", "Attachment: quote.pdf", "The sail costs 2380",
    ]  # fmt: skip


def test_the_html_of_a_message_is_read_and_its_header_as_it_came(tmp_path: Path) -> None:
    came = "From: Ines <ines@sails.example>\r\nTo: tom@reed.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    html = "<p>Dear Tom, the offer is attached.</p><p>It ends on 1 März.</p>".encode("cp1252")
    reading = read(tmp_path, ole(msg(LETTER | {0x007D: came, 0x1013: html, 0x3FDE: 1252})))
    assert reading.metadata["subject"] == "Grüße" and reading.metadata["to"] == "tom@reed.example"
    assert [block.text for block in reading.blocks[1:]] == ["Dear Tom, the offer is attached.", "It ends on 1 März."]


def test_a_message_inside_a_message_is_read_and_what_lies_elsewhere_is_told(tmp_path: Path) -> None:
    inner = msg({0x0037: "Older", 0x1000: "The older words."}, [attached("a.txt", b"deep words")], header_bytes=24)
    message = storage({0x3705: 5, 0x3001: "Older"}, header_bytes=8, inside={"__substg1.0_3701000D": inner})
    link = storage({0x3705: 7, 0x3707: "cloud.docx"}, header_bytes=8)
    reading = read(tmp_path, ole(msg(LETTER, [message, link])))
    words = words_of(reading.blocks)
    assert "The older words." in words and "deep words" in words and "Attachment: Older" in words
    (note,) = reading.notes
    assert "'cloud.docx'" in note and note.unread


def test_a_letter_that_outlook_kept_as_rtf_alone_is_read(tmp_path: Path) -> None:
    rtf = compress(rb"{\rtf1\ansi\ansicpg1252 The key is gr\'fcn.\par It hangs by the clock.}", compressed=True)
    reading = read(tmp_path, ole(msg({0x0037: "Key", 0x1009: rtf})))
    assert [block.text for block in reading.blocks[1:]] == [
        "Attachment: letter.rtf", "The key is grün.", "It hangs by the clock.",
    ]  # fmt: skip


def test_a_damaged_container_is_refused(tmp_path: Path) -> None:
    whole = ole(msg(LETTER, [attached("quote.pdf", pdf("words"))]))
    for size in (700, len(whole) // 2):
        with pytest.raises(Exception, match=r"damaged|OLE|ends early|unknown"):
            read(tmp_path, whole[:size])


def test_a_container_that_names_more_bytes_than_it_has_is_refused_at_once(tmp_path: Path) -> None:
    whole = ole(msg(LETTER))
    name = "__properties_version1.0".encode("utf-16-le")
    place = whole.index(name) + 120  # its size in the directory
    huge = whole[:place] + (1_900_000_000).to_bytes(8, "little") + whole[place + 8 :]
    with pytest.raises(DamagedFileError, match="names 1,9"):
        read(tmp_path, huge)


@pytest.mark.parametrize("long_name", [True, False])
def test_files_in_outlooks_envelope_are_read_also_inside_a_mail(tmp_path: Path, long_name: bool) -> None:
    values = {0x3707: "quotation of the sail.pdf"} if long_name else {}
    envelope = tnef([
        (1, 0x9003, mapi({0x0037: "Your sail", 0x0039: SENT})),
        (1, 0x800C, b"The offer is inside.\0"),
        (2, 0x9002, bytes(14)),
        (2, 0x8010, b"QUOTE~1.PDF\0"),
        (2, 0x800F, pdf("The sail costs 2380")),
        (2, 0x9005, mapi(values)),
        (2, 0x9002, bytes(14)),
        (2, 0x8010, b"a.txt\0"),
        (2, 0x800F, b"Second file."),
    ])  # fmt: skip
    words = words_of(read(tmp_path, envelope, "winmail.dat").blocks)
    name = "quotation of the sail.pdf" if long_name else "QUOTE~1.PDF"
    for each in (
        "Subject: Your sail",
        "The offer is inside.",
        f"Attachment: {name}",
        "The sail costs 2380",
        "Second file.",
    ):
        assert each in words
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@b.c", "d@e.f", "s"
    mail.set_content("See the file.")
    mail.add_attachment(envelope, maintype="application", subtype="ms-tnef", filename="winmail.dat")
    blocks = read(tmp_path, mail.as_bytes(), "a.eml").blocks
    assert [(block.text, block.level) for block in blocks if block.kind == "heading"][:2] == [
        ("Attachment: winmail.dat", 1), (f"Attachment: {name}", 2),
    ]  # fmt: skip


def test_a_message_in_outlooks_envelope_is_read(tmp_path: Path) -> None:
    inner = tnef([(1, 0x9003, mapi({0x0037: "Older", 0x1000: "The older words."}))])
    attached_message = mapi({0x3701: bytes(16) + inner})
    envelope = tnef([(1, 0x9003, mapi({0x0037: "New"})), (2, 0x9002, bytes(14)), (2, 0x9005, attached_message)])
    assert "The older words." in words_of(read(tmp_path, envelope, "winmail.dat").blocks)


def test_an_envelope_that_ends_early_gives_what_is_whole(tmp_path: Path) -> None:
    envelope = tnef([(1, 0x8004, b"Sails\0"), (1, 0x800C, b"Whole words.\0"), (2, 0x800F, bytes(999))])
    assert "Whole words." in words_of(read(tmp_path, envelope[:-500], "winmail.dat").blocks)
    with pytest.raises(DamagedFileError, match=r"winmail\.dat"):
        read(tmp_path, b"\x78\x9f\x3e\x22\x00\x01" + bytes(range(256)), "winmail.dat")
    for size in range(6, len(envelope), 7):
        (tmp_path / "a.dat").write_bytes(envelope[:size])
        try:
            read_here(tmp_path / "a.dat", tmp_path / "out")
        except DamagedFileError:
            continue


def test_an_rtf_document_is_its_words_and_its_pictures_are_told(tmp_path: Path) -> None:
    data = rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\f0 The key is green.\par Caf\u233?{\pict\pngblip 8950}\par}"
    reading = read(tmp_path, data, "a.rtf")
    assert [block.text for block in reading.blocks] == ["The key is green.", "Café"]
    assert [(note.number, note.unread, note.kind) for note in reading.notes] == [(1, True, "picture")]
