"""Harmless files of every format, damaged at random from a seed: by a bad disk, a broken download or a patient enemy.

A thousand of them: `python tests/hostile/run.py --only mutations --files 1000`.
"""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random

from makers import HostileFile, World
from makers.base import members, seeds, zipped
from makers.more_formats import more_seeds

SAMPLE = Path(__file__).resolve().parents[3] / "examples" / "sample" / "collection"
_LARGEST_SEED = 150_000
_EXTENSIONS = (".png", ".jpg", ".gif", ".tif", ".webp", ".bmp", ".pdf", ".docx", ".pptx", ".xlsx", ".epub", ".html",
               ".md", ".eml", ".txt", ".bin", ".csv", ".zip", ".msg", ".svg", ".xls", ".heic", ".ics",
               ".json")  # fmt: skip

Mutation = Callable[[bytes, Random], bytes]


def attacks(world: World) -> Iterator[HostileFile]:
    """Without an end: whoever asks takes as many as are wanted."""
    files = harmless(world.corpus)
    names = sorted(files)
    for number in count():
        name = world.random.choice(names)
        how = world.random.choice(_MUTATIONS)
        suffix = Path(name).suffix
        data = _whole(how, files, name, world.random)
        if how is _renamed:
            suffix = world.random.choice(_EXTENSIONS)
        yield HostileFile(
            kind=f"mutations: {_KINDS[how]}", name=f"mutated/{number:03d} {Path(name).stem}{suffix}",
            why=f"{_KINDS[how]} in {name}", content=data,
        )  # fmt: skip


def kinds() -> list[str]:
    """All of them, as files name them."""
    return [f"mutations: {kind}" for kind in _KINDS.values()]


def harmless(corpus: Path | None) -> dict[str, bytes]:
    """By name: what is made on the spot, the sample collection, and others' small files where they are there."""
    folders = [SAMPLE, *([corpus / "trouble"] if corpus else [])]
    found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return (
        seeds()
        | more_seeds()
        | {
            path.name: path.read_bytes()
            for path in found
            if 0 < path.stat().st_size <= _LARGEST_SEED and path.suffix in _EXTENSIONS
        }
    )


def _whole(how: Mutation, files: dict[str, bytes], name: str, random: Random) -> bytes:
    if how in _OF_TWO:
        return _OF_TWO[how](files[name], files[random.choice(sorted(files))], random)
    return how(files[name], random)


def _flipped(data: bytes, random: Random) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice((1, 8, 64, 512))):
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(1, len(data))]


def _swapped(data: bytes, random: Random) -> bytes:
    first, second, third = sorted(random.randrange(len(data) + 1) for _ in range(3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def _blown_up(data: bytes, random: Random) -> bytes:
    """Numbers that could be lengths, most of them near the beginning, become as large as they can be."""
    out = bytearray(data)
    for _ in range(random.randrange(1, 6)):
        place = random.randrange(min(len(out), random.choice((64, 1_024, len(out)))))
        number = random.choice(
            (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"99999999")
        )
        out[place : place + len(number)] = number
    return bytes(out)


def _repeated(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data))
    piece = data[start : start + random.choice((16, 512, 4_096))]
    return data[:start] + piece * random.choice((20, 200)) + data[start:]


def _zeroed(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data))
    length = min(len(data) - start, random.choice((64, 4_096, 65_536)))
    return data[:start] + bytes(length) + data[start + length :]


def _inside(data: bytes, random: Random) -> bytes:
    """A zipped document stays a sound archive: only one of its parts is damaged."""
    if not data.startswith(b"PK\x03\x04"):
        return _flipped(data, random)
    parts = members(data)
    name = random.choice(sorted(name for name in parts if parts[name]))
    return zipped(parts | {name: random.choice((_flipped, _cut, _swapped, _repeated))(parts[name], random)})


def _deepened(data: bytes, random: Random) -> bytes:
    """Brackets of the format's own kind that open thousands of times, in the middle; an archive inside itself."""
    if data.startswith(b"PK\x03\x04"):
        for _ in range(12):
            data = zipped({"inner.zip": data})
        return data
    place = random.randrange(len(data))
    opening = random.choice((b"<div>", b"[", b'{"a":', b"<< /A ", b"(", b"{\\b ", b"> ", b"<g>"))
    return data[:place] + opening * random.choice((300, 20_000)) + data[place:]


def _needs_two(data: bytes, random: Random) -> bytes:
    raise AssertionError("needs two files, see `_whole`")


def _joined(data: bytes, random: Random) -> bytes:
    return _needs_two(data, random)


def _spliced(data: bytes, random: Random) -> bytes:
    return _needs_two(data, random)


def _with_magic(data: bytes, random: Random) -> bytes:
    return _needs_two(data, random)


def _one_after_the_other(data: bytes, other: bytes, random: Random) -> bytes:
    return data + other


def _parts_of_another(data: bytes, other: bytes, random: Random) -> bytes:
    """Some parts of one archive in another; halves of what is none."""
    if not (data.startswith(b"PK\x03\x04") and other.startswith(b"PK\x03\x04")):
        return data[: random.randrange(1, len(data) + 1)] + other[random.randrange(len(other)) :]
    others = sorted(members(other).items())
    return zipped(members(data) | dict(random.sample(others, random.randrange(1, len(others) + 1))))


def _magic_of_another(data: bytes, other: bytes, random: Random) -> bytes:
    length = random.choice((4, 8, 16, 512))
    return other[:length] + data[length:]


def _renamed(data: bytes, random: Random) -> bytes:
    return data


_KINDS: dict[Mutation, str] = {
    _flipped: "flipped bits", _cut: "cut short", _swapped: "swapped pieces", _blown_up: "lengths blown up",
    _repeated: "repeated pieces", _zeroed: "holes", _inside: "damage inside an archive", _joined: "two in one",
    _renamed: "another extension", _deepened: "deep nesting", _spliced: "parts of another",
    _with_magic: "another's first bytes",
}  # fmt: skip
_OF_TWO: dict[Mutation, Callable[[bytes, bytes, Random], bytes]] = {
    _joined: _one_after_the_other, _spliced: _parts_of_another, _with_magic: _magic_of_another,
}  # fmt: skip
_MUTATIONS = tuple(_KINDS)
