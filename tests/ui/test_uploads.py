import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from ui import uploads
from ui.uploads import UploadRefusedError

MEGABYTE = 1_000_000


@given(st.text())
@example("../../etc/passwd")
@example("..\\..\\windows\\system32")
@example("con.txt")
@example(".htaccess")
@example("a\x00b\n\u202egnp.exe")
@example("x" * 500 + ".pdf")
@example("\ud800")
def test_any_name_becomes_a_file_name_and_nothing_more(name: str) -> None:
    safe = uploads.safe_name(name)
    assert Path(safe).name == safe and safe not in ("", ".", "..")
    assert not safe.startswith(".") and not safe.endswith((" ", "."))
    assert len(safe.encode()) <= uploads.MAX_NAME_BYTES
    assert not set(safe) & set('/\\<>:"|?*\x00\n')
    assert safe.isprintable()


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ("report 2024.pdf", "report 2024.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\scan.png", "scan.png"),
        ("Ñandú — 写真.jpeg", "Ñandú — 写真.jpeg"),
        ("what?.pdf", "what_.pdf"),
        ("nul.txt", "_nul.txt"),
        ("...", "upload"),
        ("x" * 300 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
def test_a_name_stays_as_close_to_the_original_as_is_safe(original: str, expected: str) -> None:
    assert uploads.safe_name(original) == expected


def test_an_upload_lies_inside_the_library_whatever_it_was_called(tmp_path: Path) -> None:
    path = uploads.save(tmp_path / "library", "../../../evil.pdf", b"x", max_bytes=MEGABYTE)
    assert path == tmp_path / "library" / "uploads" / "evil.pdf"
    assert path.read_bytes() == b"x"


def test_another_file_of_the_same_name_gets_a_number_and_the_same_file_does_not(tmp_path: Path) -> None:
    first = uploads.save(tmp_path, "a.pdf", b"one", max_bytes=MEGABYTE)
    second = uploads.save(tmp_path, "a.pdf", b"two", max_bytes=MEGABYTE)
    again = uploads.save(tmp_path, "a.pdf", b"two", max_bytes=MEGABYTE)
    assert (first.name, second.name, again) == ("a.pdf", "a (2).pdf", second)
    assert first.read_bytes() == b"one"


def test_a_link_laid_in_the_folder_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "a.pdf").symlink_to(victim)
    path = uploads.save(tmp_path, "a.pdf", b"x", max_bytes=MEGABYTE)
    assert path.name == "a (2).pdf" and not victim.exists()


@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (b"x" * 11, "more than")])
def test_empty_and_oversized_uploads_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UploadRefusedError, match=reason):
        uploads.save(tmp_path, "a.pdf", content, max_bytes=10)
    assert not (tmp_path / "uploads" / "a.pdf").exists()


def test_only_files_of_the_uploads_folder_count_as_uploads(tmp_path: Path) -> None:
    own = uploads.save(tmp_path, "a.pdf", b"x", max_bytes=MEGABYTE)
    other = tmp_path / "b.pdf"
    other.write_bytes(b"x")
    assert uploads.is_upload(tmp_path, own)
    assert not uploads.is_upload(tmp_path, other)
    assert not uploads.is_upload(tmp_path, tmp_path / "uploads" / ".." / "b.pdf")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_a_question_picture_is_upright_small_and_on_white() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held on its side
    photo = uploads.question_picture("a.jpg", encoded(Image.new("RGB", (4000, 2000)), "JPEG", exif=turned))
    assert photo.size == (768, 1536)
    clear = uploads.question_picture("a.png", encoded(Image.new("RGBA", (10, 10), (0, 0, 0, 0)), "PNG"))
    assert clear.mode == "RGB" and clear.getpixel((5, 5)) == (255, 255, 255)


def test_what_is_no_picture_is_refused_with_its_name() -> None:
    with pytest.raises(UploadRefusedError, match=r"'a\.png' cannot be used as a picture"):
        uploads.question_picture("a.png", b"hello")


def test_a_picture_cut_short_is_refused() -> None:
    content = encoded(Image.effect_noise((200, 200), 50), "PNG")
    with pytest.raises(UploadRefusedError):
        uploads.question_picture("a.png", content[: len(content) // 2])


@pytest.mark.parametrize("side", [9_500, 30_000])
def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_decoded(side: int) -> None:
    header = encoded(Image.new("1", (8, 8)), "PNG")
    lying = header[:16] + side.to_bytes(4) * 2 + header[24:]
    with pytest.raises(UploadRefusedError):
        uploads.question_picture("bomb.png", lying)


def test_a_file_that_has_arrived_is_kept_beside_others_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = tmp_path / "uploads" / ".arriving" / "part"
    arrived.parent.mkdir(parents=True)
    arrived.write_bytes(b"one")
    first = uploads.keep(tmp_path, "../a.txt", arrived)
    assert first == tmp_path / "uploads" / "a.txt" and uploads.keep(tmp_path, "a.txt", arrived) == first
    arrived.unlink()
    arrived.write_bytes(b"two")

    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    second = uploads.keep(tmp_path, "a.txt", arrived)
    assert second.name == "a (2).txt" and second.read_bytes() == b"two"
