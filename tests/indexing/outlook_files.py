"""Files as Outlook writes them, made on the spot: an OLE container with its messages (`.msg`), and TNEF."""

import struct
from collections.abc import Mapping, Sequence
from typing import Union

Folder = Mapping[str, Union[bytes, "Folder"]]
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SECTOR, _MINI, _SMALL = 512, 64, 4096


def ole(root: Folder) -> bytes:
    """A container ([MS-CFB], version 3) of at most 109 FAT sectors; siblings hang in one row."""
    entries: list[list[object]] = [["Root Entry", 5, b"", _FREE, _FREE]]  # name, type, content, right sibling, child

    def add(folder: Folder) -> int:
        first = previous = _FREE
        for name, content in folder.items():
            number = len(entries)
            is_stream = isinstance(content, bytes)
            entries.append([name, 2 if is_stream else 1, content if is_stream else b"", _FREE, _FREE])
            if previous == _FREE:
                first = number
            else:
                entries[previous][3] = number
            if not isinstance(content, bytes):
                entries[number][4] = add(content)
            previous = number
        return first

    entries[0][4] = add(root)
    sectors: list[bytes] = []
    fat: list[int] = []

    def chain(data: bytes) -> int:
        if not data:
            return _END
        count, start = -(-len(data) // _SECTOR), len(sectors)
        sectors.extend(data[i * _SECTOR : (i + 1) * _SECTOR].ljust(_SECTOR, b"\0") for i in range(count))
        fat.extend([*range(start + 1, start + count), _END])
        return start

    mini, mini_fat = b"", list[int]()
    starts: list[int] = []
    for _, _, content, _, _ in entries:
        assert isinstance(content, bytes)
        if 0 < len(content) < _SMALL:
            count, start = -(-len(content) // _MINI), len(mini) // _MINI
            mini += content.ljust(count * _MINI, b"\0")
            mini_fat += [*range(start + 1, start + count), _END]
            starts.append(start)
        else:
            starts.append(chain(content))
    sizes = [len(content) for _, _, content, _, _ in entries if isinstance(content, bytes)]
    starts[0], sizes[0] = chain(mini), len(mini)
    mini_fat_data = struct.pack(f"<{len(mini_fat)}I", *mini_fat)
    mini_fat_data += struct.pack("<I", _FREE) * (-len(mini_fat) % 128)
    mini_fat_start = chain(mini_fat_data)
    directory = b""
    for number, (name, kind, _, right, child) in enumerate(entries):
        encoded = f"{name}\0".encode("utf-16-le")
        directory += encoded.ljust(64, b"\0") + struct.pack(
            "<HBBIII16sIQQIQ", len(encoded), kind, 1, _FREE, right, child, b"", 0, 0, 0, starts[number], sizes[number]
        )
    directory_start = chain(directory.ljust(-(-len(directory) // _SECTOR) * _SECTOR, b"\0"))
    fat_sectors = -(-(len(fat) + 1) // 127)
    fat += [_FAT] * fat_sectors
    fat_data = struct.pack(f"<{len(fat)}I", *fat) + struct.pack("<I", _FREE) * (-len(fat) % 128)
    first_fat = len(sectors)
    sectors += [fat_data[i : i + _SECTOR] for i in range(0, len(fat_data), _SECTOR)]
    places = [*range(first_fat, first_fat + len(fat_data) // _SECTOR)]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + struct.pack(
        "<16sHHHHH6sIIIIIIIII", b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, len(places), directory_start, 0, _SMALL,
        mini_fat_start, len(mini_fat_data) // _SECTOR, _END, 0,
    )  # fmt: skip
    header += struct.pack("<109I", *places, *[_FREE] * (109 - len(places)))
    return header + b"".join(sectors)


def storage(values: Mapping[int, str | bytes | int], *, header_bytes: int, inside: Folder | None = None) -> Folder:
    """A message's or an attachment's folder: its properties, and what lies in it. Numbers above 2^32 are times."""
    streams: dict[str, bytes | Folder] = {}
    listed = b"\0" * header_bytes
    for name, value in values.items():
        if isinstance(value, int):
            kind = 0x40 if value > 0xFFFFFFFF else 0x03
            listed += struct.pack("<HHIQ", kind, name, 6, value)
            continue
        kind, data = (0x1F, value.encode("utf-16-le")) if isinstance(value, str) else (0x102, value)
        listed += struct.pack("<HHIQ", kind, name, 6, len(data))
        streams[f"__substg1.0_{name:04X}{kind:04X}"] = data
    return {"__properties_version1.0": listed, **streams, **(inside or {})}


def msg(
    values: Mapping[int, str | bytes | int], attachments: Sequence[Folder] = (), *, header_bytes: int = 32
) -> Folder:
    """A message's folder with its attachments' (`storage` with a header of 8 bytes)."""
    inside = {f"__attach_version1.0_#{number:08X}": each for number, each in enumerate(attachments)}
    return storage(values, header_bytes=header_bytes, inside=inside)


def tnef(attributes: Sequence[tuple[int, int, bytes]]) -> bytes:
    """(level, id, content) of each attribute."""
    parts = [b"\x78\x9f\x3e\x22\x01\x00"]
    for level, name, content in attributes:
        parts.append(struct.pack("<BII", level, name, len(content)) + content)
        parts.append(struct.pack("<H", sum(content) & 0xFFFF))
    return b"".join(parts)


def mapi(values: Mapping[int, str | bytes | int]) -> bytes:
    """A list of properties as TNEF has it; one of another program's stands first."""
    out = struct.pack("<I", len(values) + 1)
    name = "AB".encode("utf-16-le")
    out += struct.pack("<HH16sII", 0x03, 0x8001, b"", 1, len(name)) + name + struct.pack("<I", 7)
    for each, value in values.items():
        if isinstance(value, int):
            kind = 0x40 if value > 0xFFFFFFFF else 0x03
            out += struct.pack("<HH", kind, each) + value.to_bytes(8 if kind == 0x40 else 4, "little")
            continue
        kind, data = (0x1F, f"{value}\0".encode("utf-16-le")) if isinstance(value, str) else (0x102, value)
        out += struct.pack("<HHII", kind, each, 1, len(data)) + data + b"\0" * (-len(data) % 4)
    return out
