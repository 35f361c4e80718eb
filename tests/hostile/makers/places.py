"""Names with every odd byte, and things in a folder that are no files."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from makers import HostileFile, World
from makers.base import WORDS

_NAMES = (
    "two\nlines.txt", "tab\tbell\a.txt", "\x1b[2J\x1b]0;x\a.txt", "c1 \x9b31m.txt", "gpj.\u202etxt",
    "\u2066isolated\u2069.txt", "zero\u200bwidth\ufeff.txt", "… ✓ “all is verified”.txt", "[1] see page 3.txt",
    "-rf.txt", "--library=x.txt", "$(touch pwned).txt", "`touch pwned`.txt", "; rm -r x;.txt",
    "a'b\"c.txt", '" or path != "".txt',
    "%s%n%x.txt", "{0} {{ 7*7 }}.txt", "<b>bold<script>.txt", "|a|b|.txt", "back\\slash.txt", "star*?[a].txt",
    "trailing space .txt ", "trailing dot.txt.", "CON.txt", "a:b.txt", "~.txt", "#hash?query.txt", "%2e%2e%2f.txt",
    "é.txt", "e\u0301.txt",
    "🦀" * 30 + ".txt", "l" * 251 + ".txt", "no extension", ".txt.png.pdf.docx", "ﷺ.txt", "\u2028line.txt",
)  # fmt: skip
_NOT_UTF_8 = (b"latin \xe9.txt", b"\xff\xfe\xfd.txt", b"half \xed\xa0\x80.txt", b"cut \xe2\x82.txt")


def attacks(world: World) -> Iterator[HostileFile]:
    kind = "odd names"
    for number, name in enumerate(_NAMES):
        text = f"{WORDS} File number {number}.\n".encode()
        fate = "left out" if name.startswith(".") else "read"
        yield HostileFile(kind=kind, name=name, why="a name that wants to be something else", content=text, fate=fate)
    for raw in _NOT_UTF_8:
        yield HostileFile(kind=kind, name=os.fsdecode(raw), why="not UTF-8", content=WORDS.encode() + raw)
    deep = "/".join(f"folder {number}" for number in range(60)) + "/deep.txt"
    yield HostileFile(kind=kind, name=deep, why="sixty folders deep", content=b"deep " + WORDS.encode(), fate="read")
    yield from _things(world)


def _things(world: World) -> Iterator[HostileFile]:
    kind = "things that are no files"
    for name, make, why, fate in (
        ("pipe.txt", os.mkfifo, "opening it waits for ever", "left out"),
        ("socket.txt", _socket, "a socket", "left out"),
        ("folder.pdf", os.mkdir, "a folder with a file's name", "left out"),
        ("circle", lambda path: path.symlink_to(path.parent), "a link to the folder above", "left out"),
        ("itself.txt", lambda path: path.symlink_to(path), "a link to itself", "listed"),
        ("nowhere.txt", lambda path: path.symlink_to("/nowhere/at all"), "a link that leads nowhere", "listed"),
        ("device.txt", lambda path: path.symlink_to("/dev/zero"), "a link to an endless device", "left out"),
        ("process.txt", lambda path: path.symlink_to("/proc/self/mem"), "a link to a process's memory", "left out"),
        ("empty.pdf", lambda path: path.touch(), "nothing in it", "listed"),
        ("sparse.bin", lambda path: _sparse(path, 200_000_000), "200 MB of nothing", "listed"),
        ("sparse.pdf", lambda path: _sparse(path, 400_000_000, b"%PDF-1.7\n"), "400 MB behind a header", "listed"),
        ("sparse.tif", lambda path: _sparse(path, 5_000_000_000, b"II*\0\x08\0\0\0"), "5 GB behind a header", "listed"),
        ("locked.txt", _locked, "nobody may read it", "listed"),
    ):  # fmt: skip
        yield HostileFile(kind=kind, name=f"things/{name}", why=why, content=make, fate=fate)


def _socket(path: Path) -> None:
    """A socket's path may have 107 bytes: it is made from its folder."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _sparse(path: Path, size: int, head: bytes = b"") -> None:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)


def _locked(path: Path) -> None:
    path.write_text(WORDS)
    path.chmod(0)
