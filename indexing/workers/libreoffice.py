"""LibreOffice, started by a worker for files that nobody else reads: one file in, the same in a newer format out.

    a room of its own in the temporary place, in a folder that it cannot reach: the file under a name of ours, a fresh
    profile, an empty folder
    → confinement.py → soffice → one ordinary file in that folder, which one of our readers reads

Nothing of LibreOffice is trusted. It has no network, sees the system's programs and its room and nothing else, runs no
macros, follows no links, and is stopped when it takes too long or fills the disk. It stays in the worker's session, so
whoever kills the worker kills it, too; its memory counts as the worker's (`process.py`). What it leaves behind is
looked at before it is read: one ordinary file, no link.
"""

import contextlib
import json
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexing.errors import DamagedFileError, FileTooLargeError, MissingProgramError, ReaderStoppedError, words_of
from indexing.readers.conversion import Converted, NewFormat, not_installed
from indexing.settings import MEGABYTE, ReadLimits
from indexing.workers import confinement

_NAMES = ("soffice", "libreoffice")
_FILTERS: dict[NewFormat, str] = {
    "docx": "MS Word 2007 XML",
    "pptx": "Impress MS PowerPoint 2007 XML",
    "xlsx": "Calc MS Excel 2007 XML",
}
_PARTS: dict[NewFormat, str] = {"docx": "Writer", "pptx": "Impress", "xlsx": "Calc"}
_PRODUCT = re.compile(r"^ProductKey=(.+)$", re.MULTILINE)
_SHARE_OF_TIME = 0.75
"""Of the time that a file has (`ReadLimits.seconds_for`); the rest is for reading what was made."""
_POLL_SECONDS = 0.1
_LONGEST_PAUSE = 1.0
"""Between two looks at the clock; a longer one means that this process was made to stand still meanwhile."""
_AGAIN = 81
"""Exit status of LibreOffice after it has set up a fresh profile: it wants to be started again."""
_MOST_STARTS = 3
_LAST_BYTES = 2_000
_READABLE = (
    "/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/fonts", "/etc/ld.so.cache",
    "/etc/libreoffice", "/etc/locale.alias", "/etc/localtime", "/etc/nsswitch.conf", "/etc/papersize", "/etc/passwd",
    "/var/cache/fontconfig", "/var/lib/libreoffice", "/var/spool/libreoffice", "/proc/self", "/proc/cpuinfo",
    "/proc/meminfo", "/sys/devices/system/cpu", "/dev/urandom", "/dev/random", "/dev/zero",
)  # fmt: skip

_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": confinement.ROOM,
    "TMPDIR": f"{confinement.ROOM}/tmp",
    "LANG": "C.UTF-8",
    "SAL_USE_VCLPLUGIN": "svp",
    "MALLOC_ARENA_MAX": "2",
}
"""No display, no message bus, nothing of the user's."""

_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
{items}
</oor:items>
"""
_COMMON = "/org.openoffice.Office.Common"
_CHOICES = (
    (f"{_COMMON}/Security/Scripting", "MacroSecurityLevel", "3"),
    (f"{_COMMON}/Security/Scripting", "DisableMacrosExecution", "true"),
    (f"{_COMMON}/Security/Scripting", "DisableActiveContent", "true"),
    (f"{_COMMON}/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("/org.openoffice.Office.Writer/Content/Update", "Link", "0"),
    ("/org.openoffice.Office.Calc/Content/Update", "Link", "1"),
    (f"{_COMMON}/Save/Document", "AutoSave", "false"),
    (f"{_COMMON}/Misc", "UseOpenCL", "false"),
    ("/org.openoffice.Office.Java/VirtualMachine", "Enabled", "false"),
)
"""Place and name of a setting, and its value: no macros, no links (never, in each program's own number), no Java."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """What was found on this machine."""

    program: Path
    name: str
    """`LibreOffice 7.4`, or `LibreOffice` where its own file does not say."""
    folder: Path
    """What it must be able to read beside the system's folders."""


def installed() -> Installed | None:
    """The LibreOffice that the search path finds."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        return None
    script = Path(found).resolve()
    binary = script.with_name("soffice.bin")  # what the script starts in the end; it can be stopped without the others
    if not binary.is_file():
        return Installed(program=script, name="LibreOffice", folder=script.parent)
    said = _PRODUCT.search(_text_of(script.with_name("bootstraprc")))
    return Installed(program=binary, name=said[1].strip() if said else "LibreOffice", folder=script.parents[1])


def confined_here() -> bool:
    """Whether this system lets a process go without a network, which LibreOffice is never started without."""
    with tempfile.TemporaryDirectory(prefix="llavero-") as room:
        command = _command([], Path(room), Path(room), bounds={})
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


class LibreOffice:
    """The converter of one worker: one file at a time, a fresh process and a fresh profile for each."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._starting: list[str] | None = None

    def is_starting(self, command: object) -> bool:
        """Whether this command is the one that is being started just now; asked by the worker's guard."""
        return self._starting is not None and command == self._starting

    @contextmanager
    def __call__(self, path: Path, wanted: NewFormat) -> Iterator[Converted]:
        """Raises MissingProgramError, DamagedFileError, FileTooLargeError, ReaderStoppedError."""
        office = installed()
        if office is None:
            raise MissingProgramError(not_installed(wanted))
        with tempfile.TemporaryDirectory(prefix="office-", ignore_cleanup_errors=True) as folder:
            room = _Room(Path(folder), path)
            self._convert(office, room, wanted)
            yield Converted(path=room.made(wanted, office), program=office.name)

    @property
    def _most_bytes(self) -> int:
        """What it may write in all, beside the copy of the file."""
        return self._limits.max_unpacked_bytes

    def _convert(self, office: Installed, room: "_Room", wanted: NewFormat) -> None:
        seconds = _SHARE_OF_TIME * self._limits.seconds_for(room.source.stat().st_size, 0)
        bounds = {
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_CPU: int(seconds) + 2,
            resource.RLIMIT_DATA: self._limits.max_memory_bytes,
            resource.RLIMIT_FSIZE: self._most_bytes,
        }
        command = _command(_program(office, room, wanted), room.inside, office.folder, bounds=bounds)
        clock = _Clock(seconds)
        for _ in range(_MOST_STARTS):
            code = self._run(command, room, clock, office)
            if code != _AGAIN:
                break
        if code == confinement.NO_ROOM:
            why = "which is not started where a system gives it no room without a network"
            raise MissingProgramError(f"its format takes {office.name}, {why} (save the file as {wanted.upper()})")
        if code == confinement.NOT_STARTED:
            raise MissingProgramError(f"{office.program} could not be started ({room.last_words()})")
        if code < 0:
            raise DamagedFileError(f"{office.name} died while it read the file (signal {-code})")

    def _run(self, command: list[str], room: "_Room", clock: "_Clock", office: Installed) -> int:
        """The exit status, negative for a signal."""
        with room.said.open("wb") as said:
            process = self._start(command, room, said)
        try:
            while True:
                code = process.poll()
                if room.bytes_written() > self._most_bytes:
                    raise FileTooLargeError(f"{office.name} wrote more than {self._most_bytes // MEGABYTE:,} MB")
                if code is not None:
                    return code
                if clock.is_over():
                    raise ReaderStoppedError(
                        f"{office.name} did not finish in the {clock.seconds:.0f} s it has and was stopped"
                    )
                time.sleep(_POLL_SECONDS)
        finally:
            process.kill()
            process.wait()

    def _start(self, command: list[str], room: "_Room", said: Any) -> "subprocess.Popen[bytes]":
        self._starting = command
        try:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", env=_ENVIRONMENT
            )
        finally:
            self._starting = None


class _Clock:
    """Time that passes while this process runs, and not while it is made to stand still."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._spent = 0.0
        self._looked = time.monotonic()

    def is_over(self) -> bool:
        """To be asked again and again."""
        now = time.monotonic()
        self._spent += min(_LONGEST_PAUSE, now - self._looked)
        self._looked = now
        return self._spent >= self.seconds


class _Room:
    """The folder that one conversion happens in, in one that LibreOffice cannot reach.

    Everything `inside` may be a link by the time it is looked at: nothing there is opened for writing or by a path.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        """Copies the file, since LibreOffice writes beside what it opens. Raises OSError."""
        self.folder, self.inside, self.said = folder, folder / "room", folder / "said.txt"
        for name in ("in", "out", "profile/user", "tmp"):
            (self.inside / name).mkdir(parents=True)
        self.source = self.inside / "in" / f"document{path.suffix.lower() if path.suffix.isascii() else ''}"[:20]
        shutil.copyfile(path, self.source)
        items = (
            f'<item oor:path="{place}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop></item>'
            for place, name, value in _CHOICES
        )
        settings = self.inside / "profile" / "user" / "registrymodifications.xcu"
        settings.write_text(_SETTINGS.format(items="\n".join(items)), encoding="utf-8")

    def bytes_written(self) -> int:
        """Everything in the room but the file's copy, and what was said."""
        total = self.said.stat().st_size
        for parent, _, names in os.walk(self.inside):
            for name in names:
                with contextlib.suppress(OSError):
                    total += Path(parent, name).lstat().st_size
        return total - self.source.lstat().st_size if self.source.is_file() else total

    def made(self, wanted: NewFormat, office: Installed) -> Path:
        """What was written, moved out of reach of anything that still runs. Raises DamagedFileError."""
        kept = self.folder / f"converted.{wanted}"
        try:
            out = os.open(self.inside / "out", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                os.rename(f"document.{wanted}", kept, src_dir_fd=out)  # Path.rename has no src_dir_fd
            finally:
                os.close(out)
        except OSError as error:
            why = f"{self.last_words() or 'no reason given'}; is its part {_PARTS[wanted]} installed?"
            raise DamagedFileError(f"{office.name} could not read it ({why})") from error
        status = kept.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise DamagedFileError(f"{office.name} left something that is no ordinary file")
        if status.st_size == 0:
            raise DamagedFileError(f"{office.name} wrote an empty file ({self.last_words() or 'no reason given'})")
        return kept

    def last_words(self) -> str:
        """The last line that LibreOffice said, for the reason of a failure."""
        try:
            with self.said.open("rb") as file:
                file.seek(max(0, self.said.stat().st_size - _LAST_BYTES))
                lines = file.read().decode("utf-8", "replace").strip().splitlines()
        except OSError as error:
            return words_of(error)
        return " ".join(lines[-1].split())[:200] if lines else ""


def _program(office: Installed, room: _Room, wanted: NewFormat) -> list[str]:
    return [
        str(office.program),
        f"-env:UserInstallation=file://{confinement.ROOM}/profile",
        "--headless", "--norestore", "--nologo", "--nodefault", "--nolockcheck", "--nofirststartwizard",
        "--convert-to", f"{wanted}:{_FILTERS[wanted]}",
        "--outdir", f"{confinement.ROOM}/out",
        f"{confinement.ROOM}/in/{room.source.name}",
    ]  # fmt: skip


def _command(program: Sequence[str], room: Path, folder: Path, *, bounds: dict[int, int]) -> list[str]:
    """The program inside of its confinement."""
    wanted = {
        "parent": os.getpid(),
        "room": str(room),
        "readable": [*_READABLE, str(folder)],
        "bounds": bounds,
        "program": list(program),
    }
    return [sys.executable, "-I", "-S", confinement.__file__, json.dumps(wanted)]


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
