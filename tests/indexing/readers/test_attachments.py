import io
from pathlib import Path

from PIL import Image
from reading_doubles import SMALL, make_pdf, text_at, words_of

from indexing.errors import EncryptedFileError
from indexing.readers.attachments import Attachments
from indexing.readers.output import ReaderOutput
from indexing.settings import ReadLimits


def output_in(folder: Path, **limits: int) -> ReaderOutput:
    return ReaderOutput(folder, preprocess=SMALL, limits=ReadLimits(**limits))


def pdf(*words: str) -> bytes:
    return make_pdf([text_at(72, 700, each) for each in words])


def test_a_file_inside_another_stands_under_its_name_and_its_pages_are_counted_on(tmp_path: Path) -> None:
    attachments = Attachments(output_in(tmp_path), pages_before=2)
    first = attachments.read("quote.pdf", pdf("First words of the quote", "Second words of the quote"))
    second = attachments.read("terms.pdf", pdf("Words of the terms"))
    assert [block.text for block in (first[0], second[0])] == ["Attachment: quote.pdf", "Attachment: terms.pdf"]
    assert {block.text: block.page for block in [*first[1:], *second[1:]]} == {
        "First words of the quote": 3, "Second words of the quote": 4, "Words of the terms": 5,
    }  # fmt: skip
    assert [(page.number, page.image and page.image.name) for page in attachments.pages] == [
        (3, "page-0003.jpg"), (4, "page-0004.jpg"), (5, "page-0005.jpg"),
    ]  # fmt: skip
    assert {path.suffix for path in tmp_path.iterdir()} <= {".jpg", ".bin"}


def test_an_attached_fax_of_several_frames_is_read_to_its_last(tmp_path: Path) -> None:
    fax = io.BytesIO()
    frames = [Image.new("RGB", (200, 160), colour) for colour in ("red", "green", "blue")]
    frames[0].save(fax, "TIFF", save_all=True, append_images=frames[1:])
    attachments = Attachments(output_in(tmp_path))
    attachments.read("fax.tif", fax.getvalue())
    assert [page.number for page in attachments.pages] == [1, 2, 3]


def test_the_name_tells_kinds_of_text_apart_and_is_no_path(tmp_path: Path) -> None:
    (block_of_heading, first, second) = Attachments(output_in(tmp_path)).read("../../a.md", b"# Pump\n\nIt hums.")
    assert block_of_heading.text == "Attachment: ../../a.md"
    assert (first.kind, first.level, second.text) == ("heading", 2, "It hums.")
    assert not list(tmp_path.iterdir())


def test_what_comes_in_pieces_may_turn_out_unreadable(tmp_path: Path) -> None:
    def pieces() -> "list[bytes]":
        raise EncryptedFileError("it asks for a password")

    attachments = Attachments(output_in(tmp_path), word="file")
    blocks = attachments.read("secret.txt", (piece for each in [pieces] for piece in each()), heading="{name}")
    assert words_of(tuple(blocks)) == "secret.txt"
    (note,) = attachments.notes
    assert note == "file 'secret.txt' was not read: it asks for a password"
    assert (note.kind, note.place, note.unread) == ("attachment", "file 'secret.txt'", True)


def test_files_over_the_limit_of_the_whole_are_one_note_with_their_number(tmp_path: Path) -> None:
    output = output_in(tmp_path, max_attachments=2)
    attachments = Attachments(output)
    for number in range(5):
        attachments.read(f"{number}.txt", b"words")
    assert [(note.number, note.unread) for note in attachments.notes] == [(3, True)]


def test_an_empty_attachment_is_a_remark(tmp_path: Path) -> None:
    attachments = Attachments(output_in(tmp_path))
    attachments.read("empty.txt", b"")
    assert [note.unread for note in attachments.notes] == [False]
