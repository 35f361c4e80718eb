"""What the reader tests share: small files made on the spot, and a source file for a path."""

import hashlib
import os
import sys
import zlib
from pathlib import Path

import pytest

from indexing.embedding.protocol import Preprocess
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import read
from indexing.records import Block, Reading, SourceFile
from indexing.settings import ReadLimits

SMALL = Preprocess(size=32, resize_to=32)


def source_of(path: Path) -> SourceFile:
    """As the walk through the folders would describe the file."""
    state = path.stat()
    return SourceFile(
        path=path,
        size_bytes=state.st_size,
        modified_ns=state.st_mtime_ns,
        content_hash=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def read_here(path: Path, folder: Path, limits: ReadLimits | None = None) -> Reading:
    """Read in this process, without the sandbox; from `folder`, where the sentence splitter is written."""
    folder.mkdir(exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        return read(path, ReaderOutput(folder, preprocess=SMALL, limits=limits or ReadLimits()))
    finally:
        os.chdir(before)
        for name in [name for name, module in sys.modules.items() if module is None]:
            del sys.modules[name]  # a worker does without torch; the other tests of this process do not


def corpus(name: str) -> Path:
    """A folder of the shared corpus; the test is skipped where it is missing."""
    default = Path(__file__).resolve().parents[3] / "shared" / "corpus"
    folder = Path(os.environ.get("LLAVERO_TEST_CORPUS", default)) / name
    if not folder.is_dir():
        pytest.skip(f"the test corpus is not at {folder} (LLAVERO_TEST_CORPUS)")
    return folder


def words_of(blocks: tuple[Block, ...]) -> str:
    """Everything in the blocks as one string."""
    return "\n".join(part for block in blocks for part in (block.caption, block.text) if part)


def make_pdf(pages: list[str], *, rotate: int = 0, size: tuple[int, int] = (612, 792), extra: str = "") -> bytes:
    """A PDF with one content stream a page. F1 is Helvetica, F2 Helvetica-Bold, Im1 a small red picture."""
    picture = zlib.compress(b"\xd0\x20\x20" * 64 * 64)
    objects: list[bytes] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>"
        % (b" ".join(b"%d 0 R" % (6 + 2 * i) for i in range(len(pages))), len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
        b"<< /Type /XObject /Subtype /Image /Width 64 /Height 64 /ColorSpace /DeviceRGB /BitsPerComponent 8"
        b" /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(picture), picture),
    ]
    for index, content in enumerate(pages):
        stream = content.encode("cp1252")
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Rotate %d /Contents %d 0 R /Resources"
            b" << /Font << /F1 3 0 R /F2 4 0 R >> /XObject << /Im1 5 0 R >> >> %s >>"
            % (*size, rotate, 7 + 2 * index, extra.encode())
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)
    return bytes(out)


def text_at(x: float, y: float, words: str, *, size: float = 11, font: str = "F1") -> str:
    """PDF operators that write one line at a point (origin bottom left)."""
    escaped = words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /{font} {size} Tf {x} {y} Td ({escaped}) Tj ET\n"
