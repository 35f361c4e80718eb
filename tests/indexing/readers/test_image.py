import io
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from reading_doubles import SMALL, read_here, source_of

from indexing.embedding.protocol import Preprocess
from indexing.errors import (
    DamagedFileError,
    EmptyFileError,
    FileTooLargeError,
    UnreadableFileError,
    UnsupportedFileError,
)
from indexing.facts import LIKENESS
from indexing.readers.decoding import decode
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import read
from indexing.records import Reading
from indexing.settings import ReadLimits


def pixels_of(path: Path, folder: Path) -> np.ndarray:
    """What the embedder would see: (32, 32, 3)."""
    folder.mkdir(exist_ok=True)
    output = ReaderOutput(folder, preprocess=SMALL, limits=ReadLimits())
    read(path, output)
    assert output.names == ["picture"]
    return np.frombuffer((folder / "pixels.bin").read_bytes(), np.uint8).reshape(32, 32, 3)


def half_red(mode: str = "RGB", size: tuple[int, int] = (200, 100)) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", size, (255, 0, 0))
    image.paste((0, 0, 255), (size[0] // 2, 0, *size))
    return image.convert(mode)


def is_red(pixel: np.ndarray) -> bool:
    return bool(pixel[0] > 180 and pixel[1] < 60 and pixel[2] < 60)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".tif", ".bmp", ".avif", ".jp2", ".j2k"])
def test_every_picture_format_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    half_red().save(path)
    pixels = pixels_of(path, tmp_path / "out")
    assert is_red(pixels[16, 4])
    assert not is_red(pixels[16, 28])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1", "I;16", "I", "F"])
def test_every_pixel_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = ".tif" if mode in ("CMYK", "F", "I") else ".png"
    path = tmp_path / f"p{suffix}"
    if mode in ("I;16", "I"):
        ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
        Image.fromarray(ramp.astype(np.uint16 if mode == "I;16" else np.int32)).save(path)
    elif mode == "F":
        Image.fromarray(np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)).save(path)
    else:
        half_red(mode).save(path)
    pixels = pixels_of(path, tmp_path / "out")
    assert pixels.std() > 15


def test_a_sixteen_bit_scan_keeps_its_brightness(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), 32768, np.uint16)).save(tmp_path / "grey.png")
    assert abs(int(pixels_of(tmp_path / "grey.png", tmp_path / "out").mean()) - 127) <= 1


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert pixels_of(tmp_path / "clear.png", tmp_path / "out").min() == 255


def test_a_white_drawing_on_transparent_paper_can_be_seen(tmp_path: Path) -> None:
    logo = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    logo.paste((255, 255, 255, 255), (16, 16, 48, 48))
    logo.save(tmp_path / "logo.png")
    pixels = pixels_of(tmp_path / "logo.png", tmp_path / "out")
    assert pixels[16, 16].min() > 250 and pixels[2, 2].max() < 120


def test_a_palette_with_a_transparent_colour_is_white_there(tmp_path: Path) -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([10, 10, 10] + [0, 0, 0] * 255)
    image.save(tmp_path / "clear.gif", transparency=0)
    assert pixels_of(tmp_path / "clear.gif", tmp_path / "out").min() == 255


@pytest.mark.parametrize(("orientation", "red_at"), [(1, (16, 2)), (3, (16, 29)), (6, (2, 16)), (8, (29, 16))])
def test_the_camera_s_orientation_is_obeyed(tmp_path: Path, orientation: int, red_at: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    half_red(size=(200, 200)).save(tmp_path / "turned.jpg", exif=exif)
    assert is_red(pixels_of(tmp_path / "turned.jpg", tmp_path / "out")[red_at])


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_is_its_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:], lossless=True)
    assert is_red(pixels_of(tmp_path / f"a{suffix}", tmp_path / "out")[16, 16])


def test_the_frames_of_a_tiff_are_pages(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (90, 120), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "fax.tif", save_all=True, append_images=frames[1:])
    reading = read_here(tmp_path / "fax.tif", tmp_path / "out")
    assert reading.is_picture
    assert [page.number for page in reading.pages] == [1, 2, 3]
    assert [page.image.name for page in reading.pages if page.image] == [f"page-000{n}.jpg" for n in (1, 2, 3)]


def test_frames_over_the_limit_are_left_out_with_a_note(tmp_path: Path) -> None:
    frames = [Image.new("L", (30, 30), shade) for shade in (10, 20, 30)]
    frames[0].save(tmp_path / "fax.tif", save_all=True, append_images=frames[1:])
    reading = read_here(tmp_path / "fax.tif", tmp_path / "out", ReadLimits(max_frames=2))
    assert len(reading.pages) == 2
    assert reading.notes == ("3 frames, of which the first 2 were read",)


def test_a_truncated_jpeg_is_damaged(tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.effect_noise((300, 300), 80).convert("RGB").save(data, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])
    with pytest.raises(DamagedFileError, match="ends early"):
        read_here(tmp_path / "cut.jpg", tmp_path / "out")


def test_a_picture_of_600_megapixels_is_refused_from_its_header(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 20_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\x64IDAT" + b"\0" * 104)
    with pytest.raises(FileTooLargeError, match=r"600 megapixels \(30000 × 20000\), the limit is 120"):
        read_here(tmp_path / "huge.png", tmp_path / "out")


def test_a_header_alone_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "head.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 8)
    with pytest.raises(DamagedFileError):
        read_here(tmp_path / "head.png", tmp_path / "out")


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (7, 5)])
def test_pictures_of_odd_shapes_are_read(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (255, 0, 0)).save(tmp_path / "odd.png")
    assert is_red(pixels_of(tmp_path / "odd.png", tmp_path / "out")[16, 16])


def test_a_wrong_extension_is_read_as_what_it_is_with_a_note(tmp_path: Path) -> None:
    half_red().save(tmp_path / "picture.pdf", "PNG")
    reading = read_here(tmp_path / "picture.pdf", tmp_path / "out")
    assert reading.is_picture
    assert reading.notes == ("named .pdf but read as png, which it is",)


@pytest.mark.parametrize(
    ("name", "data", "error", "reason"),
    [
        ("empty.txt", b"", EmptyFileError, "0 bytes"),
        ("noise.txt", bytes(range(256)) * 20, UnsupportedFileError, "binary data"),
        ("noise.bin", b"\x7fELF" + b"\0" * 100, UnsupportedFileError, "a program"),
        ("film.mp4", b"\0\0\0\x18ftypmp42" + b"\0" * 50, UnsupportedFileError, "a video file"),
        (
            "photo.CR3",
            b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"\0" * 50,
            UnsupportedFileError,
            "a camera's raw picture",
        ),
        ("photo.RAF", b"FUJIFILMCCD-RAW 0201" + b"\0" * 50, UnsupportedFileError, "a camera's raw picture"),
        ("photo.jxl", b"\xff\x0a" + b"\0" * 50, UnsupportedFileError, "a JPEG XL picture"),
        ("pack.zip", b"PK\x03\x04" + b"\0" * 60, DamagedFileError, "damaged or ends early"),
        ("old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, UnreadableFileError, "."),
        ("archive.rar", b"Rar!\x1a\x07\x01\0", UnsupportedFileError, "a RAR archive"),
    ],
)
def test_what_cannot_be_read_says_why(
    tmp_path: Path, name: str, data: bytes, error: type[UnreadableFileError], reason: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=reason):
        read_here(tmp_path / name, tmp_path / "out")


def test_a_large_jpeg_is_decoded_small_and_looks_the_same_to_the_embedder(tmp_path: Path) -> None:
    """A quarter of the size in the decoder changes the prepared pixels by less than one grey level on average."""
    y, x = np.mgrid[0:2400, 0:3200]
    waves = np.stack([128 + 90 * np.sin(x / 70) * np.cos(y / 50), 128 + 90 * np.sin((x + y) / 90), 255 * y / 2400], -1)
    Image.fromarray(waves.astype(np.uint8)).save(tmp_path / "large.jpg", quality=92)
    output = ReaderOutput(tmp_path, preprocess=Preprocess(size=224, resize_to=256), limits=ReadLimits())
    reading = read(tmp_path / "large.jpg", output)
    assert isinstance(reading, Reading)
    drafted = np.frombuffer((tmp_path / "pixels.bin").read_bytes(), np.uint8).reshape(224, 224, 3).astype(int)
    with Image.open(tmp_path / "large.jpg") as image:
        whole = output.preprocess.crop(image.convert("RGB")).astype(int)
    assert np.abs(drafted - whole).mean() < 1.0


def test_a_picture_of_text_has_its_words_and_a_legible_page(tmp_path: Path) -> None:
    image = Image.new("RGB", (900, 300), "white")
    draw = ImageDraw.Draw(image)
    for row, words in enumerate(
        ("Reading room open until nine", "Return all borrowed books here", "No food or drinks")
    ):
        draw.text((40, 40 + 70 * row), words, fill="black", font_size=40)
    image.save(tmp_path / "sign.png")
    reading = read_here(tmp_path / "sign.png", tmp_path / "out")
    assert "borrowed books" in " ".join(block.text for block in reading.blocks)
    assert reading.pages[0].read_by_ocr
    assert (reading.pages[0].image, reading.pages[0].width) == (tmp_path / "out" / "page-0001.jpg", 900)
    boxes = [line.box for block in reading.blocks for line in block.lines]
    assert all(box is not None and 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1 for box in boxes)


def test_a_source_is_described_by_its_bytes(tmp_path: Path) -> None:
    half_red().save(tmp_path / "a.png")
    assert source_of(tmp_path / "a.png").size_bytes == (tmp_path / "a.png").stat().st_size


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_picture_is_read_and_a_note_says_so(tmp_path: Path, kind: str) -> None:
    first, second = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "a.bin", kind, save_all=True, append_images=[second])
    first.save(tmp_path / "b.bin", kind)
    assert len(read_here(tmp_path / "a.bin", tmp_path / "out").notes) == 1
    assert read_here(tmp_path / "b.bin", tmp_path / "out").notes == ()


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1", "I;16"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_very_large_picture_is_made_smaller_band_by_band(
    mode: str, orientation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as the whole in RGB and then made smaller, up to rounding."""
    ramp_HW = np.linspace(0, 255, 4_100)[None, :] * np.linspace(0.2, 1, 2_050)[:, None]
    grey = Image.fromarray((ramp_HW * 256).astype(np.uint16) if mode == "I;16" else ramp_HW.astype(np.uint8))
    picture = grey if mode == "I;16" else grey.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "large.png"
    picture.save(path, exif=exif)
    with Image.open(path) as opened:
        whole = decode(opened, least_side=100)
    monkeypatch.setattr("indexing.readers.decoding._LARGE_PIXELS", 1_000_000)
    monkeypatch.setattr("indexing.readers.decoding._BAND_PIXELS", 100_000)
    with Image.open(path) as opened:
        small = decode(opened, least_side=100)
    assert small.mode == "RGB" and small.size == ((2_050, 1_025) if orientation == 1 else (1_025, 2_050))
    difference = np.abs(np.asarray(small, np.float32) - np.asarray(whole.reduce(2), np.float32))
    assert difference.mean() < 2 and np.percentile(difference, 99) < 8


def test_a_strip_of_a_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "strip.png"
    Image.new("1", (1, 200_000)).save(path)
    with pytest.raises(FileTooLargeError, match="1 × 200,000 pixels; a side may have 100,000"):
        read_here(path, tmp_path / "out")


def test_a_heic_picture_is_read_where_its_decoder_is_installed_and_else_says_what_is_missing(tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "pictures" / "half-red.heic"
    if find_spec("pi_heif") is None:
        with pytest.raises(UnsupportedFileError, match="pip install pi-heif, or save it as JPEG"):
            read_here(path, tmp_path / "out")
        return
    pixels = pixels_of(path, tmp_path / "out")
    assert is_red(pixels[16, 4]) and not is_red(pixels[16, 28])
    assert told_by(read_here(path, tmp_path / "again")) == {"taken": "2019-07-14T10:32:05", "camera": "Pocket 3"}


def test_of_a_camera_s_raw_picture_the_preview_is_read_and_a_note_says_so(tmp_path: Path) -> None:
    half_red().save(tmp_path / "photo.dng", "TIFF", tiffinfo={50706: b"\x01\x04\0\0"})
    reading = read_here(tmp_path / "photo.dng", tmp_path / "out")
    assert reading.notes == ("a camera's raw picture: the preview in it, of 200 × 100 pixels, was read",)
    assert not reading.notes[0].unread


def test_a_raw_picture_without_a_preview_is_refused_as_what_it_is(tmp_path: Path) -> None:
    half_red().save(tmp_path / "photo.nef", "TIFF", tiffinfo={50706: b"\x01\x04\0\0"})
    data = bytearray((tmp_path / "photo.nef").read_bytes())
    place = data.index(struct.pack("<HHI", 259, 3, 1))  # the compression's tag
    data[place + 8 : place + 10] = struct.pack("<H", 34713)  # Nikon's own
    (tmp_path / "photo.nef").write_bytes(data)
    with pytest.raises(UnsupportedFileError, match="raw picture without a preview"):
        read_here(tmp_path / "photo.nef", tmp_path / "out")


def photo(path: Path, *, taken: str = "2019:07:14 10:32:05", place: tuple[float, ...] = (48.0, 51.0, 30.24)) -> Path:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS 80D\0"
    exif.get_ifd(0x8769).update({0x9003: taken, 0x9011: "+02:00"})
    exif.get_ifd(0x8825).update({1: "S", 2: place, 3: "E", 4: (2.0, 17.0, 40.2)})
    half_red().save(path, exif=exif)
    return path


def told_by(reading: Reading) -> dict[str, str]:
    """What the file says of itself, without what was computed from its pixels."""
    return {key: value for key, value in reading.metadata.items() if key != LIKENESS}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_time_place_and_camera_of_a_photograph_are_known(tmp_path: Path, suffix: str) -> None:
    assert told_by(read_here(photo(tmp_path / f"p{suffix}"), tmp_path / "out")) == {
        "taken": "2019-07-14T10:32:05+02:00",
        "latitude": "-48.858400",
        "longitude": "2.294500",
        "camera": "Canon EOS 80D",
    }


@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "", "2019:13:45 99:00:00", "yesterday"])
def test_nonsense_of_a_camera_is_left_out(tmp_path: Path, taken: str) -> None:
    path = photo(tmp_path / "p.jpg", taken=taken, place=(480.0, 0.0, 0.0))
    assert told_by(read_here(path, tmp_path / "out")) == {"camera": "Canon EOS 80D"}


def test_damaged_exif_does_not_keep_a_picture_from_being_read(tmp_path: Path) -> None:
    data = photo(tmp_path / "p.jpg").read_bytes()
    start = data.index(b"Exif\0\0") + 14
    (tmp_path / "bad.jpg").write_bytes(data[:start] + b"\xff" * 40 + data[start + 40 :])
    assert told_by(read_here(tmp_path / "bad.jpg", tmp_path / "out")) == {}
