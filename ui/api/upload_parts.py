"""Files that arrive in parts: announced, continued from where they stopped, and only then put among the uploads."""

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ui import uploads
from ui.api.problems import ProblemError
from ui.documents import Document

_PARTIAL = ".arriving"
_ID = re.compile(r"[0-9a-f]{32}")
_PART = ".part"
_MOST = 100
_FORGOTTEN_SECONDS = 24 * 3600
_busy: set[str] = set()


class ArrivingFile:
    """The open file of one upload, which takes no more than was announced."""

    def __init__(self, descriptor: int, room: int) -> None:
        self._descriptor, self._room = descriptor, room

    def write(self, piece: bytes) -> None:
        """Raises ProblemError (413), OSError."""
        if len(piece) > self._room:
            raise ProblemError(413, "more bytes came than were announced")
        view = memoryview(piece)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._room -= len(piece)


class Uploads:
    """The arriving files of one library, in a hidden folder beside those that are complete."""

    def __init__(self, library: Path, *, max_bytes: int) -> None:
        self._library, self._max_bytes = library, max_bytes
        self._folder = library / uploads.FOLDER / _PARTIAL

    def begin(self, name: str, size: int, facts: Mapping[str, Sequence[str]]) -> Document:
        """`facts` are given back when the file is complete. Raises ProblemError (413, 429, 507)."""
        if size > self._max_bytes:
            raise ProblemError(413, f"the file has {size:,} bytes, the limit is {self._max_bytes:,}")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._tidy()
        if len(list(self._folder.glob("*.json"))) >= _MOST:
            raise ProblemError(429, f"{_MOST} uploads are under way already")
        if shutil.disk_usage(self._folder).free < size:
            raise ProblemError(507, "there is no room for the file")
        upload = secrets.token_hex(16)
        (self._folder / upload).touch(mode=0o600)
        part = self._folder / f"{upload}{_PART}"
        try:
            with part.open("w") as file:
                json.dump({"name": name, "size": size, "facts": facts}, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._folder / f"{upload}.json")
        except OSError:
            part.unlink(missing_ok=True)
            (self._folder / upload).unlink(missing_ok=True)
            raise
        return {"upload": upload, "offset": 0, "size": size}

    def state(self, upload: str) -> Document:
        """Raises ProblemError (404)."""
        return {"upload": upload, "offset": self._data(upload).stat().st_size, "size": self._note(upload)["size"]}

    @asynccontextmanager
    async def writing(self, upload: str, offset: int) -> AsyncIterator[ArrivingFile]:
        """The file from `offset` on. Raises ProblemError: 404; 409 where the file ends elsewhere, or two send it."""
        state = self.state(upload)
        if state["offset"] != offset:
            raise ProblemError(409, f"{state['offset']:,} bytes have arrived; go on from there")
        if upload in _busy:
            raise ProblemError(409, "another request is sending this file")
        _busy.add(upload)
        descriptor = os.open(self._data(upload), os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        try:
            yield ArrivingFile(descriptor, state["size"] - offset)
        finally:
            os.close(descriptor)
            _busy.discard(upload)

    def finish(self, upload: str) -> tuple[Path, Mapping[str, Sequence[str]]]:
        """Where the complete file lies, and what was said of it. Raises UploadRefusedError, OSError."""
        note = self._note(upload)
        path = uploads.keep(self._library, note["name"], self._data(upload))
        self.abandon(upload)
        return path, note.get("facts", {})

    def take(self, name: str, file: BinaryIO) -> Path:
        """The same for a file that is here as a whole, such as a web form's. Raises what `begin` and `finish` raise."""
        size = file.seek(0, os.SEEK_END)
        if not size:
            raise ProblemError(422, f"'{uploads.safe_name(name)}' is empty")
        upload = self.begin(name, size, {})["upload"]
        try:
            file.seek(0)
            with self._data(upload).open("wb") as copy:
                shutil.copyfileobj(file, copy)
            return self.finish(upload)[0]
        except BaseException:
            with suppress(ProblemError):
                self.abandon(upload)
            raise

    def abandon(self, upload: str) -> None:
        """Raises ProblemError (404)."""
        self._data(upload).unlink(missing_ok=True)
        (self._folder / f"{upload}.json").unlink(missing_ok=True)

    def _data(self, upload: str) -> Path:
        if not _ID.fullmatch(upload) or not (self._folder / f"{upload}.json").is_file():
            raise ProblemError(404, "there is no such upload")
        return self._folder / upload

    def _note(self, upload: str) -> Document:
        note: Document = json.loads((self._folder / f"{upload}.json").read_text())
        return note

    def _tidy(self) -> None:
        """Forget what nothing was added to for a day, and what a killed process left: data or a note alone."""
        oldest = time.time() - _FORGOTTEN_SECONDS
        for upload in {each.stem for each in self._folder.iterdir()} - _busy:
            files = [self._folder / f"{upload}{ending}" for ending in ("", ".json", _PART)]
            touched = [each.stat().st_mtime for each in files if each.exists()]
            if touched and touched[0] < oldest:
                for each in files:
                    each.unlink(missing_ok=True)
