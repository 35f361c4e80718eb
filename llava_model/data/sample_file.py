"""Reads samples from a file by position: the file may have any size, and only one sample is in memory.

samples = SampleFile.open(Path("llava_v1_5_mix665k.json"), image_root=Path("images"))
samples[400_000].messages
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from llava_model.data.sample_index import OnProgress, Spans, read_index, same_file
from llava_model.data.schema import Sample, parse_sample
from llava_model.errors import BadSampleError, BadSampleFileError


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
