"""Letters in letters, with thousands of files, with names that lead elsewhere."""

import base64
from collections.abc import Iterator
from email.message import EmailMessage

from makers import HostileFile, World
from makers.base import WORDS, docx, mail, mail_with
from makers.bombs import swollen
from makers.pictures import png

_HEAD = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: harbour\r\nDate: Mon, 06 Oct 2025 10:00:00 +0200\r\n"
_SOUND = {"2000 files.eml", "names.eml", "bomb.eml", "picture bomb.eml", "fetch.eml", "program.eml"}
"""The letter itself is in order: what is wrong with an attachment must not cost it."""


def attacks(world: World) -> Iterator[HostileFile]:
    kind = "mail"
    many = [(f"note {number}.txt", f"attachment {number}".encode()) for number in range(2_000)]
    outside = str(world.canary / "pwned.txt")
    named = [("../" * 12 + outside, b"out"), (outside, b"out"), ("..", b"x"), ("a/b\0c.txt", b"x"), ("x" * 5_000, b"x")]
    for name, data, why in (
        ("sixty deep.eml", _forwarded(60), "letters in letters"),
        ("2000 files.eml", mail_with(many), "2,000 attachments"),
        ("names.eml", _named(named), "attachments whose names lead out of every folder"),
        ("bomb.eml", mail_with([("body.docx", swollen(docx(), "word/document.xml"))]), "an attachment of 200 MB"),
        ("picture bomb.eml", mail_with([("photo.png", png(30_000, 30_000))]), "a picture of 900 million pixels"),
        ("parts in parts.eml", _parts(400), "multipart in multipart, 400 deep"),
        ("endless boundary.eml", _HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 20_000,
         "20,000 empty parts"),
        ("no boundary.eml", _HEAD + b"Content-Type: multipart/mixed\r\n\r\n" + WORDS.encode(), "no boundary"),
        ("same boundary.eml", _HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: "
         b"multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n" + WORDS.encode(), "a part with its parent's boundary"),
        ("long header.eml", _HEAD + b"X-Long: " + b"a" * 1_000_000 + b"\r\n\r\n" + WORDS.encode(), "a header of 1 MB"),
        ("many headers.eml", _HEAD + b"X-A: b\r\n" * 50_000 + b"\r\n" + WORDS.encode(), "50,000 headers"),
        ("folded.eml", _HEAD + b"X-Folded: a\r\n" + b" a\r\n" * 50_000 + b"\r\n" + WORDS.encode(), "50,000 folds"),
        ("encoded words.eml", _HEAD + b"X: " + b"=?utf-8?b?" * 5_000 + b"\r\n\r\n" + WORDS.encode(), "unfinished"),
        ("addresses.eml", b"From: a@b.c\r\nDate: x\r\nTo: " + b"<(" * 999 + b"\r\n\r\n" + WORDS.encode(), "brackets"),
        ("charset.eml", _HEAD + b"Content-Type: text/plain; charset='../../x'\r\n\r\n" + WORDS.encode(), "no charset"),
        ("base64.eml", _HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=A" * 50_000, "no base64"),
        ("quoted.eml", _HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n" * 50_000, "breaks"),
        ("binary.eml", _HEAD + b"\r\n" + bytes(range(256)) * 40, "every byte"),
        ("fetch.eml", _html(f"<img src='{world.address}/mail.png'><link rel=stylesheet href='{world.address}/m.css'>"),
         "pictures at an address"),
        ("program.eml", mail_with([("run.exe", b"MZ" + bytes(99)), ("x.sh", b"#!/bin/sh\ntouch pwned\n")]), "programs"),
    ):  # fmt: skip
        yield HostileFile(kind=kind, name=name, why=why, content=data, fate="read" if name in _SOUND else "listed")


def _forwarded(depth: int) -> bytes:
    data = mail()
    for _ in range(depth):
        data = _HEAD + b"Content-Type: message/rfc822\r\n\r\n" + data
    return data


def _named(files: list[tuple[str, bytes]]) -> bytes:
    """The library's own writer refuses such names; other people's programs do not."""
    parts = [
        b'--x\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="%s"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n%s\r\n" % (name.encode(), base64.b64encode(data))
        for name, data in files
    ]
    head = _HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n" + WORDS.encode() + b"\r\n"
    return head + b"".join(parts) + b"--x--\r\n"


def _parts(depth: int) -> bytes:
    data = _HEAD
    for number in range(depth):
        data += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number)
    return data + b"Content-Type: text/plain\r\n\r\n" + WORDS.encode()


def _html(body: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "x"
    message.set_content(f"<html><body>{body}<p>{WORDS}</p></body></html>", subtype="html")
    return message.as_bytes()
