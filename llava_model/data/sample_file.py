"""Read samples from a file by position: the file may have any size, and only one sample is in memory.

    samples = SampleFile.open(Path("llava_v1_5_mix665k.json"), image_root=Path("images"))
    samples[400_000].messages

Where each sample begins and ends is found in one pass over the file and remembered:

    [{"id": 1, …},\\n {"id": 2, …}]        →  [[1, 14], [17, 30]]     bytes, end exclusive

A JSON array is read through a window of a few megabytes, other files line by line. The index is kept in the user's
cache folder, never beside the data, and is found again by path, size and time of change.
"""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
import numpy.typing as npt

from llava_model.data.samples import Sample, parse_sample
from llava_model.errors import BadSampleError, BadSampleFileError, MissingFileError

OnProgress = Callable[[int, int], None]
"""Is called with (bytes read, bytes in all)."""

WINDOW_BYTES = 8 << 20
MAX_SAMPLE_BYTES = 64 << 20
_FORMAT = 1
_SETTLED_SECONDS = 2.0  # a younger file may change again without a new time stamp
_SPACE = re.compile(r"[ \t\r\n]*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FOREIGN = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"\xff\xfe": "UTF-16",
            b"\xfe\xff": "UTF-16", b"PAR1": "Parquet"}  # fmt: skip
_NEAR_THE_END = 16  # characters: longer than any literal, number or escape that the window's end may have cut

Spans = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleIndex:
    """`spans[i]` is (first byte, end) of sample i; `fingerprint` is the SHA-256 of the content."""

    spans: Spans
    fingerprint: str


def read_index(path: Path, *, on_progress: OnProgress) -> SampleIndex:
    """The index from the cache folder if the file has not changed, else made from the file.

    Raises MissingFileError, or BadSampleFileError with the place where the file is broken.
    """
    if not path.is_file():
        raise MissingFileError(path, "file of samples")
    status = path.stat()
    cached = _cache_path(path, status)
    index = _load(cached, status.st_size)
    if index is None:
        index = _scan(path, status, on_progress)
        if time.time() - status.st_mtime > _SETTLED_SECONDS:
            with contextlib.suppress(OSError):  # an index that cannot be kept is made again
                _save(cached, index)
    return index


def same_file(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether size and time of change are the same."""
    return (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


class _CountedReader:
    """Reads a file in order; counts and hashes the bytes it returns."""

    def __init__(self, path: Path, stream: BinaryIO, size: int, on_progress: OnProgress) -> None:
        self._stream, self._size, self._on_progress = stream, size, on_progress
        self._digest = hashlib.sha256()
        self.path, self.read_bytes = path, 0

    def read(self, wanted: int) -> bytes:
        return self._counted(self._stream.read(wanted))

    def line(self) -> bytes:
        """The next line with its newline; b"" at the end of the file."""
        return self._counted(self._stream.readline(MAX_SAMPLE_BYTES + 1))

    @property
    def fingerprint(self) -> str:
        return self._digest.hexdigest()

    def _counted(self, content: bytes) -> bytes:
        self._digest.update(content)
        before, self.read_bytes = self.read_bytes, self.read_bytes + len(content)
        if before // WINDOW_BYTES != self.read_bytes // WINDOW_BYTES or not content:
            self._on_progress(self.read_bytes, self._size)
        return content


def _scan(path: Path, status: os.stat_result, on_progress: OnProgress) -> SampleIndex:
    with path.open("rb") as stream:
        first = stream.peek(1 << 12)
        for magic, name in _FOREIGN.items():
            if first.startswith(magic):
                raise BadSampleFileError(path, f"is {name}, not JSON in UTF-8")
        source = _CountedReader(path, stream, status.st_size, on_progress)
        is_array = first.removeprefix(_BYTE_ORDER_MARK).lstrip(b" \t\r\n").startswith(b"[")
        spans = _array_spans(source) if is_array else _line_spans(source)
        borders = np.fromiter(chain.from_iterable(spans), dtype=np.int64)
        if not same_file(status, os.fstat(stream.fileno())) or source.read_bytes != status.st_size:
            raise BadSampleFileError(path, "changed while it was read")
    return SampleIndex(spans=borders.reshape(-1, 2), fingerprint=source.fingerprint)


def _line_spans(source: _CountedReader) -> Iterator[tuple[int, int]]:
    """Spans of a file with one sample a line. Empty lines are skipped."""
    start = 0
    while line := source.line():
        if len(line) > MAX_SAMPLE_BYTES:
            raise BadSampleFileError(
                source.path, f"has a line of more than {MAX_SAMPLE_BYTES >> 20} MB at byte {start}"
            )
        mark = len(_BYTE_ORDER_MARK) if start == 0 and line.startswith(_BYTE_ORDER_MARK) else 0
        if line[mark:].strip():
            yield start + mark, start + len(line)
        start += len(line)


def _array_spans(source: _CountedReader) -> Iterator[tuple[int, int]]:
    """Spans of the elements of one JSON array. Each element is parsed, so the index holds valid JSON only."""
    window = _Window(source)
    window.expect("[", "an array of samples")
    number = 0
    while not window.finds("]"):
        if number:
            window.expect(",", f"',' or ']' behind sample #{number - 1}")
        yield window.element(number)
        number += 1
    if not window.at_end():
        raise BadSampleFileError(source.path, f"goes on behind the array of {number} samples, at byte {window.offset}")


class _Window:
    """A stretch of the file as text. Bytes that are not UTF-8 become single surrogates, and back."""

    def __init__(self, source: _CountedReader) -> None:
        self._source = source
        self._decoder = json.JSONDecoder()
        first = source.read(len(_BYTE_ORDER_MARK))
        self._tail = b"" if first == _BYTE_ORDER_MARK else first  # bytes of a character that the last reading cut
        self._text, self._position = "", 0
        self.offset = source.read_bytes - len(self._tail)  # of `position`, in bytes of the file
        self._more(WINDOW_BYTES)

    def finds(self, sign: str) -> bool:
        """Whether `sign` comes next after white space; if so, step over it."""
        self._skip_space()
        if not self._text.startswith(sign, self._position):
            return False
        self._advance(self._position + len(sign))
        return True

    def expect(self, sign: str, meaning: str) -> None:
        if not self.finds(sign):
            found = repr(self._text[self._position : self._position + 20]) if not self.at_end() else "the file's end"
            raise BadSampleFileError(self._source.path, f"needs {meaning} at byte {self.offset}, and has {found}")

    def at_end(self) -> bool:
        self._skip_space()
        return self._position == len(self._text)

    def element(self, number: int) -> tuple[int, int]:
        """Step over the next JSON value → (its first byte, its end)."""
        self._skip_space()
        start = self.offset
        self._advance(self._parsed_end(number))
        return start, self.offset

    def _parsed_end(self, number: int) -> int:
        wanted = WINDOW_BYTES
        while True:
            try:
                end = self._decoder.raw_decode(self._text, self._position)[1]
                if end < len(self._text) or not self._more(wanted):  # a number may go on behind the window
                    return end
            except RecursionError as error:
                reason = f"breaks in sample #{number}, at byte {self.offset}: nested too deeply"
                raise BadSampleFileError(self._source.path, reason) from error
            except ValueError as error:
                self._go_on_after(error, number, wanted)
            wanted = min(2 * wanted, MAX_SAMPLE_BYTES)

    def _go_on_after(self, error: ValueError, number: int, wanted: int) -> None:
        """Read more if the window may end within the sample; else raise an error that says where it is broken."""
        where = error.pos if isinstance(error, json.JSONDecodeError) else self._position
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        unfinished = what.startswith("Unterminated string")
        too_long = len(self._text) - self._position > MAX_SAMPLE_BYTES
        undecided = unfinished or where >= len(self._text) - _NEAR_THE_END
        if undecided and not too_long and self._more(wanted):
            return
        if too_long:
            reason = f"has no end of sample #{number} within {MAX_SAMPLE_BYTES >> 20} MB from byte {self.offset}"
        elif unfinished or where >= len(self._text.rstrip()) - 1:
            reason = f"ends in the middle of sample #{number}, which begins at byte {self.offset}: {what}"
        else:
            at = self.offset + self._bytes(self._position, where)
            reason = f"breaks in sample #{number}, at byte {at}: {what}"
        raise BadSampleFileError(self._source.path, reason) from error

    def _skip_space(self) -> None:
        while True:
            match = _SPACE.match(self._text, self._position)
            assert match is not None, "white space of no length matches anywhere"
            self._advance(match.end())
            if self._position < len(self._text) or not self._more(WINDOW_BYTES):
                return

    def _advance(self, position: int) -> None:
        self.offset += self._bytes(self._position, position)
        self._position = position

    def _bytes(self, start: int, end: int) -> int:
        return len(self._text[start:end].encode("utf-8", "surrogateescape"))

    def _more(self, wanted: int) -> bool:
        """Drop the text before the position and read on; False at the end of the file."""
        content = self._source.read(wanted)
        if not content and not self._tail:
            return False
        content, self._tail = (self._tail + content, b"") if not content else _whole_characters(self._tail + content)
        self._text = self._text[self._position :] + content.decode("utf-8", "surrogateescape")
        self._position = 0
        return True


def _whole_characters(content: bytes) -> tuple[bytes, bytes]:
    """→ (the content up to its last whole character, the bytes of a character that was cut)."""
    for back in range(1, min(4, len(content)) + 1):
        byte = content[-back]
        if byte >= 0xC0:
            needs = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return (content[:-back], content[-back:]) if needs > back else (content, b"")
        if byte < 0x80:
            break
    return content, b""


def _cache_path(path: Path, status: os.stat_result) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    identity = f"{_FORMAT}\0{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}"
    name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return Path(cache).expanduser().absolute() / "llavero" / "indexes" / name


def _save(path: Path, index: SampleIndex) -> None:
    """Write the spans, then their description: spans without a description are not read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = index.spans.astype("<i8").tobytes()
    description = {"fingerprint": index.fingerprint, "sha256": hashlib.sha256(numbers).hexdigest()}
    for suffix, content in ((".spans", numbers), (".json", json.dumps(description).encode())):
        unfinished = path.with_name(f"{path.name}{suffix}.{os.getpid()}")
        try:
            unfinished.write_bytes(content)
            unfinished.replace(path.with_name(path.name + suffix))
        finally:
            unfinished.unlink(missing_ok=True)


def _load(path: Path, size: int) -> SampleIndex | None:
    """The saved index; None if there is none, or if it is damaged."""
    try:
        description: dict[str, Any] = json.loads(path.with_name(path.name + ".json").read_bytes())
        numbers = path.with_name(path.name + ".spans").read_bytes()
        if description["sha256"] != hashlib.sha256(numbers).hexdigest():
            return None
        fingerprint = str(description["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    spans = np.frombuffer(numbers, dtype="<i8").astype(np.int64, copy=False).reshape(-1, 2)
    within = not len(spans) or (spans[0, 0] >= 0 and spans[-1, 1] <= size)
    return SampleIndex(spans=spans, fingerprint=fingerprint) if within else None


def _silent(done: int, total: int) -> None:
    pass


class SampleFile(Sequence[Sample]):
    """LLaVA's JSON array, or one object a line, in LLaVA's schema or ours. Threads and processes may share it."""

    def __init__(self, path: Path, *, image_root: Path, fingerprint: str, spans: Spans) -> None:
        self.path, self.image_root, self.fingerprint = path, image_root, fingerprint
        self._spans = spans
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._status = os.fstat(self._descriptor)

    @classmethod
    def open(cls, path: Path, *, image_root: Path | None = None, on_progress: OnProgress = _silent) -> "SampleFile":
        """Open a file; the first time, it is read once from beginning to end.

        `image_root` defaults to the file's folder. `fingerprint` is the SHA-256 of the file's content. Raises
        MissingFileError, or BadSampleFileError if the file cannot be divided into samples.
        """
        index = read_index(path, on_progress=on_progress)
        root = path.parent if image_root is None else image_root
        return cls(path, image_root=root, fingerprint=index.fingerprint, spans=index.spans)

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...

    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        """The sample at a position. Raises BadSampleError with the sample's id or position ('#7') and the file."""
        if isinstance(index, slice):
            return tuple(self[position] for position in range(*index.indices(len(self))))
        position = range(len(self))[index]
        try:
            return self.parsed(position)
        except BadSampleError as error:
            raise BadSampleError(error.sample, f"(#{position} in '{self.path}') {error.reason}") from error

    def parsed(self, position: int) -> Sample:
        """The sample at a position ≥ 0. Its BadSampleError does not name the file."""
        return parse_sample(self.record(position), root=self.image_root, position=position)

    def record(self, position: int) -> Any:
        """The sample as JSON, not yet checked. Raises BadSampleError."""
        start, end = (int(border) for border in self._spans[position])
        content = os.pread(self._descriptor, end - start, start)
        if len(content) != end - start or not same_file(self._status, os.fstat(self._descriptor)):
            raise BadSampleFileError(self.path, "has changed since it was opened")
        try:
            return json.loads(content.decode("utf-8"))
        except UnicodeDecodeError as error:
            reason = f"is not UTF-8: byte {start + error.start} of the file is 0x{content[error.start]:02x}"
            raise BadSampleError(f"#{position}", reason) from error
        except RecursionError as error:
            raise BadSampleError(f"#{position}", "is nested too deeply") from error
        except ValueError as error:
            raise BadSampleError(f"#{position}", f"is no JSON: {error}") from error

    def close(self) -> None:
        """Close the file. This happens by itself when the object is deleted."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        """What goes to a worker process: everything but the open file."""
        return {name: value for name, value in vars(self).items() if name != "_descriptor"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        if not same_file(self._status, os.fstat(self._descriptor)):
            raise BadSampleFileError(self.path, "has changed since it was opened")
