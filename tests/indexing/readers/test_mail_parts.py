"""Every part of a mail is read or told, however programs have nested them."""

import base64
import binascii
from email.message import EmailMessage, Message
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from email.mime.image import MIMEImage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from io import BytesIO
from pathlib import Path

import pytest
from asn1crypto import cms
from PIL import Image
from reading_doubles import make_pdf, read_here, text_at, words_of

from indexing.records import Reading


def several(kind: str, *parts: Message, **parameters: str) -> MIMEMultipart:
    return MIMEMultipart(kind, _subparts=parts, **parameters)


def read(tmp_path: Path, message: Message) -> Reading:
    for name, value in (("From", "a@b.c"), ("To", "d@e.f"), ("Subject", "s")):
        if name not in message:
            message[name] = value
    (tmp_path / "a.eml").write_bytes(message.as_bytes())
    return read_here(tmp_path / "a.eml", tmp_path / "out")


def plain(words: str) -> MIMEText:
    return MIMEText(words, "plain", "utf-8")


def html(words: str) -> MIMEText:
    return MIMEText(words, "html", "utf-8")


def pdf(words: str, *, disposition: str = "attachment", name: str = "quote.pdf") -> MIMEApplication:
    part = MIMEApplication(make_pdf([text_at(72, 700, words)]), "pdf")
    part.add_header("Content-Disposition", disposition, filename=name)
    return part


def picture(*, disposition: str, name: str = "boat.png") -> MIMEImage:
    file = BytesIO()
    Image.new("RGB", (200, 160), "navy").save(file, "PNG")
    part = MIMEImage(file.getvalue(), "png")
    part.add_header("Content-Disposition", disposition, filename=name)
    part.add_header("Content-ID", f"<{name}@x>")
    return part


def said(reading: Reading) -> list[str]:
    """The letter's blocks without its header."""
    return [block.text for block in reading.blocks[1:]]


def test_a_plain_version_that_says_more_than_the_other_keeps_what_it_says(tmp_path: Path) -> None:
    words = "Dear Ann,\n\nthe offer is below.\n\nThe code for the gate is 4711.\n\nBest, Bob"
    message = several("alternative", plain(words), html("<p>Dear Ann,</p><p>The offer is below.</p><p>Best, Bob</p>"))
    assert said(read(tmp_path, message)) == [
        "Dear Ann,", "The offer is below.", "Best, Bob", "The code for the gate is 4711.",
    ]  # fmt: skip


def test_a_version_that_only_says_that_it_is_none_hides_nothing(tmp_path: Path) -> None:
    message = several("alternative", plain("The meeting is at noon."), html("<p>Open this with another program.</p>"))
    assert "The meeting is at noon." in said(read(tmp_path, message))


@pytest.mark.parametrize(
    ("words", "markup"),
    [
        ("- one\n- two\nSee <https://example.org/a?b=1> [1]", "<ul><li>one<li>two</ul>See"),
        ("[cid:image001.png@01D]\nDon\u2019t wait", "<img src='cid:image001.png@01D'>Don\u2019t wait"),
        ("倉庫の鍵は青い\n引き出しにある", "<p>倉庫の鍵は青い引き出しにある"),
        ("HELLO\n-----\nfine\u00a0print", "<h1>Hello</h1>fine print"),
    ],
)
def test_the_same_words_written_in_another_way_are_read_once(tmp_path: Path, words: str, markup: str) -> None:
    once = said(read(tmp_path, several("alternative", plain("x"), html(f"<body>x {markup}"))))
    assert said(read(tmp_path, several("alternative", plain(f"x {words}"), html(f"<body>x {markup}")))) == once


def test_a_word_said_twice_in_one_version_is_not_hidden_by_one_in_the_other(tmp_path: Path) -> None:
    message = several("alternative", plain("Pay 12.\n\nPay 12."), html("<p>Pay 12.</p>"))
    assert said(read(tmp_path, message)) == ["Pay 12.", "Pay 12."]


def test_parts_inside_one_version_are_read_in_their_order_and_files_after_the_letter(tmp_path: Path) -> None:
    rich = several("mixed", html("<p>The offer is attached.</p>"), pdf("The sail costs 2380", disposition="inline"),
                   html("<p>The loft is closed in July.</p>"))  # fmt: skip
    reading = read(tmp_path, several("alternative", plain("The offer is attached."), rich))
    assert said(reading) == [
        "The offer is attached.", "The loft is closed in July.", "Attachment: quote.pdf", "The sail costs 2380",
    ]  # fmt: skip


def test_pictures_in_a_letter_are_figures_at_their_place(tmp_path: Path) -> None:
    message = several("mixed", plain("This is the boat:"), picture(disposition="inline"), plain("Built in 1958."))
    blocks = read(tmp_path, message).blocks[1:]
    assert [(block.kind, block.text or block.caption) for block in blocks] == [
        ("text", "This is the boat:"), ("figure", "boat.png"), ("text", "Built in 1958."),
    ]  # fmt: skip
    related = several("related", html("<p>The boat: <img src='cid:boat.png@x'></p>"), picture(disposition="inline"))
    blocks = read(tmp_path, several("alternative", plain("The boat:"), related)).blocks[1:]
    assert [block.kind for block in blocks] == ["text", "figure"]


def test_a_report_on_a_delivery_says_which_address_failed(tmp_path: Path) -> None:
    status = Message()
    status["Content-Type"] = "message/delivery-status"
    lines = Message()
    lines["Final-Recipient"] = "rfc822; nobody@example.org"
    lines["Diagnostic-Code"] = "smtp; 550 no such mailbox"
    status.set_payload([lines])
    original = MIMEMessage(letter_about("The rent"))
    reading = read(tmp_path, several("report", plain("It could not be delivered."), status, original))
    words = words_of(reading.blocks)
    assert "nobody@example.org" in words and "550 no such mailbox" in words and "Words about The rent" in words
    assert "Attachment: The rent" in words


def letter_about(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@b.c", "d@e.f", subject
    message.set_content(f"Words about {subject}")
    return message


def test_the_mails_of_a_digest_stand_under_their_subjects(tmp_path: Path) -> None:
    message = several("digest", *(MIMEMessage(letter_about(each)) for each in ("Apples", "Pears")))
    words = words_of(read(tmp_path, message).blocks)
    assert [words.count(f"Words about {each}") for each in ("Apples", "Pears")] == [1, 1]
    assert "Attachment: Pears" in words


def test_a_mail_inside_a_mail_is_read_though_it_is_encoded(tmp_path: Path) -> None:
    part = MIMEBase("message", "rfc822")
    part["Content-Transfer-Encoding"] = "base64"
    inner = base64.encodebytes(letter_about("Wells").as_bytes()).decode()
    data = several("mixed", plain("See below.")).as_bytes()
    boundary = data.split(b'boundary="')[1].split(b'"')[0]
    whole = b"From: a@b.c\nTo: d@e.f\nSubject: s\n" + data.replace(
        b"--" + boundary + b"--",
        b"--" + boundary + b"\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
        + inner.encode() + b"\n--" + boundary + b"--",
    )  # fmt: skip
    (tmp_path / "b.eml").write_bytes(whole)
    assert "Words about Wells" in words_of(read_here(tmp_path / "b.eml", tmp_path / "out").blocks)


def signed(content: bytes | None, kind: str = "signed_data") -> bytes:
    """An envelope without a signer, which parsers take as well."""
    inside = {"content_type": "data"} | ({"content": content} if content is not None else {})
    data = cms.SignedData({"version": "v1", "digest_algorithms": [], "encap_content_info": inside, "signer_infos": []})
    return bytes(cms.ContentInfo({"content_type": kind, "content": data}).dump())


def sealed(data: bytes, name: str = "smime.p7m") -> MIMEApplication:
    part = MIMEApplication(data, "pkcs7-mime", name=name)
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part


def test_a_letter_inside_its_signature_is_read(tmp_path: Path) -> None:
    inner = several("mixed", plain("The signed words."), pdf("Words of the signed file"))
    reading = read(tmp_path, sealed(signed(inner.as_bytes())))
    assert "The signed words." in said(reading) and "Words of the signed file" in said(reading)
    assert reading.notes == ()


def test_a_document_inside_its_signature_is_read_by_its_own_reader(tmp_path: Path) -> None:
    invoice = make_pdf([text_at(72, 700, "Invoice 77 of the mill")])
    (tmp_path / "invoice.pdf.p7m").write_bytes(signed(invoice))
    reading = read_here(tmp_path / "invoice.pdf.p7m", tmp_path / "out")
    assert reading.title == "invoice.pdf" and reading.pages[0].image
    assert words_of(reading.blocks) == "Invoice 77 of the mill"
    attached = read(tmp_path, several("mixed", plain("See."), sealed(signed(invoice), "invoice.pdf.p7m")))
    assert said(attached) == ["See.", "Attachment: invoice.pdf.p7m", "Invoice 77 of the mill"]


ENVELOPED = b"\x30\x20\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03" + bytes(30)
PGP = "-----BEGIN PGP MESSAGE-----\n\nhQEMA6d0m3Vd\n=abcd\n-----END PGP MESSAGE-----\n"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (sealed(ENVELOPED), "the letter was not read: it is encrypted (S/MIME)"),
        (
            several("encrypted", MIMEApplication(b"Version: 1", "pgp-encrypted"), MIMEApplication(PGP.encode()),
                    protocol="application/pgp-encrypted"),
            "a part that is encrypted (PGP) was not read",
        ),
        (plain(f"See below.\n{PGP}"), "a part that is encrypted (PGP) was not read"),
    ],
)  # fmt: skip
def test_what_only_a_key_opens_is_told(tmp_path: Path, part: Message, words: str) -> None:
    reading = read(tmp_path, several("mixed", plain("Hello."), part))
    assert reading.notes == (words,)
    assert (reading.notes[0].kind, reading.notes[0].unread) == ("attachment", True)
    assert "hQEMA" not in words_of(reading.blocks) and "Hello." in said(reading)


def test_a_signature_beside_the_letter_is_a_remark_and_the_words_in_it_are_read(tmp_path: Path) -> None:
    signature = MIMEApplication(b"-----BEGIN PGP SIGNATURE-----", "pgp-signature", name="signature.asc")
    reading = read(tmp_path, several("signed", plain("The signed words."), signature))
    assert said(reading) == ["The signed words."]
    assert [(note.number, note.unread) for note in reading.notes] == [(1, False)]


def test_armour_around_signed_words_is_not_read(tmp_path: Path) -> None:
    words = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nThe key is green.\n- --\nBob\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQEzBAEB\n-----END PGP SIGNATURE-----\n"
    )
    reading = read(tmp_path, plain(words))
    assert said(reading) == ["The key is green.", "--", "Bob"] and reading.notes == ()


def test_a_file_written_into_the_letter_is_attached(tmp_path: Path) -> None:
    data = b"The old numbers of the mill, written as letters by a program of 1993.\n"
    lines = b"".join(binascii.b2a_uu(data[start : start + 45]) for start in range(0, len(data), 45)).decode()
    words = f"Here they are.\n\nbegin 644 mill.txt\n{lines}`\nend\n\nBye."
    assert said(read(tmp_path, plain(words))) == [
        "Here they are.", "Bye.", "Attachment: mill.txt", data.decode().strip(),
    ]  # fmt: skip
    assert said(read(tmp_path, plain("Please\nbegin 644 steps\nwith care."))) == [
        "Please", "begin 644 steps", "with care.",
    ]  # fmt: skip


def test_a_part_that_lies_elsewhere_is_told(tmp_path: Path) -> None:
    part = MIMEBase("message", "external-body", **{"access-type": "URL", "URL": "http://example.org/a"})
    part.set_payload([Message()])
    (note,) = read(tmp_path, several("mixed", plain("See."), part)).notes
    assert note.unread and "elsewhere" in note


def test_an_attached_text_is_read_in_the_encoding_that_the_mail_names(tmp_path: Path) -> None:
    part = MIMEText("Пётр: 12 рублей", "csv", "koi8-r")
    part.add_header("Content-Disposition", "attachment", filename="a.csv")
    assert "Пётр: 12 рублей" in words_of(read(tmp_path, several("mixed", plain("See."), part)).blocks)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_header_of_bare_bytes_is_read(tmp_path: Path, encoding: str) -> None:
    header = "From: a@b.c\nTo: d@e.f\nSubject: Grüße aus Köln, für dich\n\nwords".encode(encoding)
    (tmp_path / "a.eml").write_bytes(header)
    assert read_here(tmp_path / "a.eml", tmp_path / "out").title == "Grüße aus Köln, für dich"


def test_a_letter_as_apples_program_keeps_it_is_read_without_what_it_adds(tmp_path: Path) -> None:
    data = letter_about("Wells").as_bytes()
    (tmp_path / "1.emlx").write_bytes(b"%d      \n" % len(data) + data + b"<?xml version='1.0'?><plist>flags</plist>")
    reading = read_here(tmp_path / "1.emlx", tmp_path / "out")
    assert reading.title == "Wells" and said(reading) == ["Words about Wells"]
