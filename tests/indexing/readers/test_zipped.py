import io
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from reading_doubles import make_pdf, read_here, text_at, words_of

from indexing.errors import EncryptedFileError, UnsupportedFileError
from indexing.records import Reading
from indexing.settings import ReadLimits


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def locked(data: bytes, *names: bytes) -> bytes:
    """The archive with the members' flags saying that they are encrypted, in both of their headers."""
    for name in names:
        for signature, flags, place in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
            start = data.index(name)
            while data[start - place : start - place + 4] != signature:
                start = data.index(name, start + 1)
            position = start - place + flags
            data = data[:position] + bytes([data[position] | 1]) + data[position + 1 :]
    return data


def read(tmp_path: Path, data: bytes, **limits: int) -> Reading:
    (tmp_path / "papers.zip").write_bytes(data)
    return read_here(tmp_path / "papers.zip", tmp_path / "out", ReadLimits(**limits))


def pdf(words: str) -> bytes:
    return make_pdf([text_at(72, 700, words)])


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_files_in_an_archive_stand_under_their_paths(tmp_path: Path, method: int) -> None:
    files = {"a/quote.pdf": pdf("The sail costs 2380"), "notes.md": b"# Mill\n\nIt turns.", "../b.txt": b"Plain words."}
    reading = read(tmp_path, zipped(files | {"__MACOSX/._b": b"x", "a/.DS_Store": b"x", "empty/": b""}, method))
    assert reading.title == "papers.zip" and reading.notes == ()
    assert [(block.text, block.level) for block in reading.blocks if block.kind == "heading"] == [
        ("a/quote.pdf", 1), ("notes.md", 1), ("Mill", 2), ("../b.txt", 1),
    ]  # fmt: skip
    assert "The sail costs 2380" in words_of(reading.blocks) and "Plain words." in words_of(reading.blocks)
    assert not list(tmp_path.parent.rglob("b.txt"))


def test_an_archive_attached_to_a_mail_is_read_with_the_archive_inside_of_it(tmp_path: Path) -> None:
    inner = zipped({"deep.txt": b"The deepest words."})
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@b.c", "d@e.f", "s"
    message.set_content("See the archive.")
    data = zipped({"a/quote.pdf": pdf("The sail costs 2380"), "inner.zip": inner})
    message.add_attachment(data, maintype="application", subtype="zip", filename="papers.zip")
    (tmp_path / "a.eml").write_bytes(message.as_bytes())
    reading = read_here(tmp_path / "a.eml", tmp_path / "out")
    assert [(block.text, block.level) for block in reading.blocks if block.kind == "heading"] == [
        ("Attachment: papers.zip", 1), ("a/quote.pdf", 2), ("inner.zip", 2), ("deep.txt", 3),
    ]  # fmt: skip
    assert "The deepest words." in words_of(reading.blocks)


def test_archives_inside_each_other_are_followed_only_so_far(tmp_path: Path) -> None:
    data = zipped({"a.txt": b"The deepest words."})
    for _ in range(6):
        data = zipped({"inner.zip": data})
    assert any(note.unread and "nested too deeply" in note for note in read(tmp_path, data).notes)


def test_members_that_ask_for_a_password_are_told_and_the_others_read(tmp_path: Path) -> None:
    data = zipped({"open.txt": b"Open words.", "secret.txt": b"Secret words."})
    reading = read(tmp_path, locked(data, b"secret.txt"))
    assert "Open words." in words_of(reading.blocks)
    (note,) = reading.notes
    assert (note.number, note.unread) == (1, True) and "'secret.txt'" in note
    with pytest.raises(EncryptedFileError, match="password"):
        read(tmp_path, locked(data, b"secret.txt", b"open.txt"))


def test_what_unpacks_to_too_much_is_left_out_with_all_after_it(tmp_path: Path) -> None:
    files = {"a.txt": b"Words.", "bomb.txt": bytes(60_000_000), "b.txt": b"x", "c.txt": b"y"}
    reading = read(tmp_path, zipped(files))
    assert "Words." in words_of(reading.blocks)
    assert [(note.number, note.unread) for note in reading.notes] == [(1, True), (2, True)]
    data = zipped({"a.txt": b"Words.", "b.zip": zipped({"c.txt": b"x" * 3_000, "d.txt": b"y" * 3_000})})
    assert any("unpacks to more" in note for note in read(tmp_path, data, max_unpacked_bytes=5_000).notes)


def test_more_files_than_are_read_are_counted(tmp_path: Path) -> None:
    reading = read(tmp_path, zipped({f"{number}.txt": b"words" for number in range(9)}), max_archive_files=4)
    assert [(note.number, note.unread) for note in reading.notes] == [(5, True)]


def test_a_damaged_member_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    data = zipped({"a.txt": b"Words of the first.", "b.txt": b"Words of the second."}, zipfile.ZIP_STORED)
    reading = read(tmp_path, data.replace(b"the first", b"the worst", 1))
    assert "Words of the second." in words_of(reading.blocks)
    assert [note.unread for note in reading.notes] == [True]


def test_names_of_other_systems_are_read(tmp_path: Path) -> None:
    data = zipped({"Xbersicht der Schlüssel.txt": b"words"})
    plain = data.replace("Schlüssel".encode(), b"Schl\x81ssel_"[:10])
    assert "Xbersicht" in words_of(read(tmp_path, plain.replace(b"\x00\x08", b"\x00\x00")).blocks)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("META-INF/MANIFEST.MF", "a program"),
        ("Index/Document.iwa", "Apple Pages"),
        ("[Content_Types].xml", "zipped doc"),
    ],
)
def test_zips_that_are_no_folders_are_refused_with_their_kind(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UnsupportedFileError, match=words):
        read(tmp_path, zipped({name: b"x", "b": b"y"}))
