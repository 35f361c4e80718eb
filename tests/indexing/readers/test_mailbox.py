from email.message import EmailMessage
from pathlib import Path

import pytest
from reading_doubles import make_pdf, read_here, text_at, words_of

from indexing.readers.registry import recognise
from indexing.settings import ReadLimits


def letter(number: int, words: str, *, attached: str = "") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ann <ann@example.org>", "b@c.d", f"Letter {number}"
    message["Date"] = "Mon, 02 Feb 2026 10:01:00 +0000"
    message.set_content(words, cte="base64")
    if attached:
        data = make_pdf([text_at(72, 700, attached)])
        message.add_attachment(data, maintype="application", subtype="pdf", filename=f"{number}.pdf")
    return b"From ann@example.org Mon Feb  2 10:01:00 2026\n" + message.as_bytes() + b"\n"


def test_every_letter_stands_under_its_own_heading_with_what_is_attached_to_it(tmp_path: Path) -> None:
    data = letter(1, "The key is green.", attached="Words of file one") + letter(2, "It rains.", attached="And of two")
    (tmp_path / "old.mbox").write_bytes(data)
    reading = read_here(tmp_path / "old.mbox", tmp_path / "out")
    assert [(block.text, block.level) for block in reading.blocks if block.kind == "heading"] == [
        ("Letter 1, Ann <ann@example.org>, Mon, 02 Feb 2026 10:01:00 +0000", 1),
        ("Attachment: 1.pdf", 2),
        ("Letter 2, Ann <ann@example.org>, Mon, 02 Feb 2026 10:01:00 +0000", 1),
        ("Attachment: 2.pdf", 2),
    ]
    assert "The key is green." in words_of(reading.blocks) and "It rains." in words_of(reading.blocks)
    assert {block.text: block.page for block in reading.blocks if block.page} == {
        "Words of file one": 1, "And of two": 2,
    }  # fmt: skip


def test_a_line_of_a_letter_that_begins_with_from_begins_no_letter(tmp_path: Path) -> None:
    words = b"From: a@b.c\nTo: d@e.f\nSubject: s\n\nDear Bob,\n\nFrom here on it is downhill.\n>From the mill too.\n\n"
    data = b"From a@b.c Mon Feb  2 10:01:00 2026\n" + words
    (tmp_path / "old.mbox").write_bytes(data + data)
    reading = read_here(tmp_path / "old.mbox", tmp_path / "out")
    assert [block.text for block in reading.blocks[2:5]] == [
        "Dear Bob,", "From here on it is downhill.", "From the mill too.",
    ]  # fmt: skip
    assert sum(block.kind == "heading" for block in reading.blocks) == 2


def test_letters_over_the_limit_are_told(tmp_path: Path) -> None:
    (tmp_path / "old.mbox").write_bytes(b"".join(letter(number, "words") for number in range(5)))
    reading = read_here(tmp_path / "old.mbox", tmp_path / "out", ReadLimits(max_letters=2))
    assert sum(block.kind == "heading" for block in reading.blocks) == 2
    assert [(note.number, note.unread) for note in reading.notes] == [(3, True)]


def test_every_letter_may_have_as_many_attachments_as_a_mail(tmp_path: Path) -> None:
    (tmp_path / "old.mbox").write_bytes(letter(1, "a", attached="First") + letter(2, "b", attached="Second"))
    reading = read_here(tmp_path / "old.mbox", tmp_path / "out", ReadLimits(max_attachments=1))
    assert "Second" in words_of(reading.blocks) and reading.notes == ()


def test_a_mailbox_of_one_letter_is_that_letter(tmp_path: Path) -> None:
    (tmp_path / "one.eml").write_bytes(letter(1, "The only words."))
    reading = read_here(tmp_path / "one.eml", tmp_path / "out")
    assert (reading.title, reading.metadata["from"]) == ("Letter 1", "Ann <ann@example.org>")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_mailboxes_of_other_programs_are_read(tmp_path: Path, ending: str) -> None:
    one = "From - Mon Feb 02 10:01:00 2026\nX-Mozilla-Status: 0001\nSubject: Wells\n\nThe key is green.\n\n"
    other = "From 17@xxx Mon Feb 02 10:01:00 2026\nX-GM-THRID: 17\nSubject: Mill\n\nIt rains.\n\n"
    for number, text in enumerate((one + other, other + one)):
        path = tmp_path / f"Inbox{number}"
        path.write_bytes(text.replace("\n", ending).encode())
        words = words_of(read_here(path, tmp_path / "out").blocks)
        assert all(each in words for each in ("Wells", "The key is green.", "Mill", "It rains."))
        assert "From " not in words


@pytest.mark.parametrize(
    "text", ["From here to there: a walk\nin the hills\n", "From: a@b.c\nTo: d@e.f\nSubject: s\n\nx"]
)
def test_other_texts_that_begin_so_are_no_mailboxes(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert recognise(tmp_path / "a.txt").reader.type != "mailbox"
