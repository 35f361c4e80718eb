"""Pictures that say more than they hold, turn in circles, or have thousands of frames."""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence

from PIL import Image

from makers import HostileFile, World

_LARGEST_UNDER_THE_LIMIT = 10_900
"""A square of this side is just below the 120 million pixels that are read."""

_STRIPS = 273
_TEXT_BOMB = b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000))
_PROFILE_BOMB = b"iCCP", b"x\0\0" + zlib.compress(bytes(20_000_000))


def attacks(world: World) -> Iterator[HostileFile]:
    yield from _sizes()
    yield from _frames()
    yield from _loops()


def _sizes() -> Iterator[HostileFile]:
    kind = "picture bombs"
    for name, data, why in (
        ("900 million pixels.png", png(30_000, 30_000), "112 kB that decode to 900 million pixels"),
        ("just below.png", png(_LARGEST_UNDER_THE_LIMIT, _LARGEST_UNDER_THE_LIMIT), "all that is allowed, in one bit"),
        ("two thousand million wide.png", png(2**31 - 1, 1, rows=b""), "a width that overflows a signed number"),
        ("no rows.png", png(5_000, 5_000, rows=b""), "a header and nothing behind it"),
        ("thin.png", png(1, 100_000_000, rows=zlib.compress(bytes(1000))), "one pixel wide, a hundred million high"),
        ("texts.png", png(20, 20, chunks=[_TEXT_BOMB] * 300), "300 compressed comments of 1 MB each"),
        ("profile.png", png(20, 20, chunks=[_PROFILE_BOMB]), "a colour profile of 20 MB"),
        ("screen.gif", b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\0\0\0;", "a huge screen, empty"),
        ("huge.jpg", _jpeg_of_size(65_500, 65_500), "a JPEG header alone"),
        ("huge.webp", _webp_of_size(16_383, 16_383), "268 million pixels"),
        ("huge.bmp", b"BM" + struct.pack("<IIIIiiHH24x", 60, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24), "negative height"),
    ):  # fmt: skip
        yield HostileFile(kind=kind, name=name, why=why, content=data)


def _frames() -> Iterator[HostileFile]:
    kind = "thousands of frames"
    frames = [Image.new("L", (8, 8), shade) for shade in range(0, 250, 10)]
    yield HostileFile(kind=kind, name="3000.gif", why="3,000 pictures in one", content=_saved(frames * 120, "GIF"))
    yield HostileFile(kind=kind, name="1000.png", why="an animated PNG", content=_saved(frames * 40, "PNG"))
    yield HostileFile(kind=kind, name="500.webp", why="an animated WebP", content=_saved(frames * 20, "WEBP"))
    shared = tiff([_tags(16, 16)] * 200)
    yield HostileFile(kind=kind, name="200.tif", why="200 frames that share one strip", content=shared, most_chunks=200)
    empty = tiff([[tag for tag in _tags(16, 16) if tag[0] != _STRIPS]] * 10_000)
    yield HostileFile(kind=kind, name="10000.tif", why="10,000 frames without pixels", content=empty, most_chunks=2_000)
    large = tiff([_tags(8_000, 8_000, compressed=True)] * 20, strip=zlib.compress(bytes(8_000 * 8_000 // 8)))
    yield HostileFile(kind=kind, name="large.tif", why="20 frames of 64 million pixels", content=large, most_chunks=20)


def _loops() -> Iterator[HostileFile]:
    kind = "TIFFs in circles"
    one, two = [_tags(32, 32)], [_tags(32, 32), _tags(16, 16)]
    for name, data, why in (
        ("itself.tif", tiff(one, last_points_at=0), "the first frame says that it is the next one"),
        ("two.tif", tiff(two, last_points_at=0), "two frames in a circle"),
        ("beyond the end.tif", tiff(one, next_offset=0x7FFFFFF0), "the next frame lies outside the file"),
        ("header.tif", tiff(one, next_offset=2), "the next frame lies in the header"),
        ("many strips.tif", tiff([[*_tags(32, 32)[:-1], (279, 4, 2**31 - 1, 8)]]), "two thousand million strips"),
        ("subframes.tif", tiff([[*_tags(32, 32), (330, 4, 1, 8)]]), "a frame that is its own child"),
        ("wide.tif", tiff([_tags(2**31 - 1, 2**31 - 1)]), "more pixels than numbers"),
        ("orientation.tif", tiff([[*_tags(32, 32), (274, 3, 1, 9_999)]]), "an orientation that does not exist"),
    ):  # fmt: skip
        yield HostileFile(kind=kind, name=name, why=why, content=data)


Tag = tuple[int, int, int, int]  # number, type, count, value


def png(
    width: int, height: int, *, rows: bytes | None = None, chunks: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:  # fmt: skip
    """One bit a pixel, all black; `rows` instead of what belongs there."""
    data = _zeros((width // 8 + 2) * height) if rows is None else rows
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b""))
    )


def tiff(
    frames: Sequence[Sequence[Tag]], *, strip: bytes = bytes(8_192), last_points_at: int | None = None,
    next_offset: int = 0,
) -> bytes:  # fmt: skip
    """Frames that all use the strip at offset 8; the last one's `next` may point wherever it should not."""
    out = bytearray(b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip)
    offsets: list[int] = []
    for number, tags in enumerate(frames):
        offsets.append(len(out))
        end = len(out) + 2 + 12 * len(tags) + 4
        last = number == len(frames) - 1
        following = (offsets[last_points_at] if last_points_at is not None else next_offset) if last else end
        out += struct.pack("<H", len(tags))
        out += b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags)) + struct.pack("<I", following)
    return bytes(out)


def _tags(width: int, height: int, *, compressed: bool = False) -> list[Tag]:
    """One bit a pixel, one strip at offset 8."""
    size = 1_000_000 if compressed else (width + 7) // 8 * height % 2**32
    packing = 8 if compressed else 1
    return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 1), (259, 3, 1, packing), (262, 3, 1, 1),
            (_STRIPS, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, size)]  # fmt: skip


def _zeros(size: int) -> bytes:
    packer = zlib.compressobj(1)
    piece = bytes(1 << 20)
    return b"".join([*(packer.compress(piece) for _ in range(size >> 20)), packer.compress(bytes(size % (1 << 20))),
                     packer.flush()])  # fmt: skip


def _saved(frames: Sequence[Image.Image], form: str) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:], duration=20)
    return buffer.getvalue()


def _jpeg_of_size(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (16, 16)).save(buffer, "JPEG")
    return buffer.getvalue().replace(struct.pack(">HH", 16, 16), struct.pack(">HH", height, width), 1)


def _webp_of_size(width: int, height: int) -> bytes:
    body = (
        b"VP8X" + struct.pack("<IB3x", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
