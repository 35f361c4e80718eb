"""The surroundings in which Llavero runs while it is attacked, and what they tell afterwards.

bin/        programs that a reader might be talked into starting; each writes its name down
home/       HOME of the process; nothing may be written there
canary/     a secret that no document may draw in, and a folder that no archive may write into
temporary/  TMPDIR
trace.txt   addresses and programs, from `tracing/sitecustomize.py`
"""

import os
import secrets
import shlex
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
_PROGRAMS = (
    "gs", "gswin64c", "ps2pdf", "soffice", "libreoffice", "pandoc", "tesseract", "djpeg", "cjpeg", "convert", "magick",
    "identify", "inkscape", "rsvg-convert", "unrar", "unar", "7z", "7za", "antiword", "catdoc", "pdftotext", "pdftoppm",
    "qpdf", "ffmpeg", "exiftool", "xdg-open", "open", "curl", "wget", "touch", "calc",
)  # fmt: skip
_THIS_MACHINE = {"127.0.0.1", "::1", "localhost", "0.0.0.0"}


@dataclass
class Traps:
    """Set up once; `sprung` looks at everything that happened since the last look."""

    folder: Path
    secret: str = field(default_factory=lambda: f"secret{secrets.token_hex(8)}")
    listener: "Listener" = field(default_factory=lambda: Listener())

    def __post_init__(self) -> None:
        for name in ("bin", "home", "canary", "temporary"):
            (self.folder / name).mkdir(parents=True)
        (self.canary / "secret.txt").write_text(self.secret, encoding="utf-8")
        for name in _PROGRAMS:
            program = self.folder / "bin" / name
            trace = shlex.quote(str(self.trace))
            program.write_text(f'#!/bin/sh\nprintf "program\\thelper\\t%s\\n" {name} >> {trace}\nexit 1\n')
            program.chmod(0o755)
        self._before, self._lines_seen = self._guarded(), 0

    @property
    def canary(self) -> Path:
        return self.folder / "canary"

    @property
    def trace(self) -> Path:
        return self.folder / "trace.txt"

    def environment(self, **more: str) -> dict[str, str]:
        """For the process under attack; the kits stay where the person has them."""
        from llava_model.kits.definition import kits_home

        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {
            **os.environ,
            "PATH": path,
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "temporary"),
            "PYTHONPATH": f"{HERE / 'tracing'}{os.pathsep}{HERE.parents[1]}",  # this checkout, whichever is installed
            "HOSTILE_TRACE": str(self.trace),
            "LLAVERO_HOME": str(kits_home().parent),
            "HF_HUB_OFFLINE": "1",
            **more,
        }

    def left_over(self) -> list[str]:
        """Files that processes which have ended left in the temporary folder; torch makes an empty folder there."""
        left = [each for each in (self.folder / "temporary").rglob("*") if not each.is_dir()]
        return [f"'{each.name}' is left in the temporary folder" for each in left[:3]]

    def sprung(self) -> list[str]:
        """Sentences about what should not have happened."""
        return [*self._traced(), *self._written(), *self.listener.asked()]

    def _traced(self) -> list[str]:
        lines = self.trace.read_text(encoding="utf-8").splitlines() if self.trace.exists() else []
        new, self._lines_seen = lines[self._lines_seen :], len(lines)
        faults = []
        for kind, event, what in dict.fromkeys(tuple(line.split("\t", 2)) for line in new):
            if kind == "program" and event == "helper":
                faults.append(f"the program '{what}' was started")
            if kind == "network" and what not in _THIS_MACHINE and not what.startswith(("/", "b'/")):
                faults.append(f"{event} went to '{what}'")
        return faults

    def _written(self) -> list[str]:
        before, self._before = self._before, self._guarded()
        changed = {path for path in before.keys() | self._before.keys() if before.get(path) != self._before.get(path)}
        return [f"'{path}' was written" for path in sorted(changed)]

    def _guarded(self) -> dict[str, tuple[int, int]]:
        """Every file in HOME and in the canary's folder, with size and time of change."""
        found = {}
        for name in ("home", "canary"):
            for path in (self.folder / name).rglob("*"):
                status = path.lstat()
                found[f"{name}/{path.relative_to(self.folder / name)}"] = (status.st_size, status.st_mtime_ns)
        return found


class Listener:
    """A port of this machine that documents and requests point at. Whoever connects was talked into fetching."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._calls = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            self._calls += 1
            connection.close()

    def asked(self) -> list[str]:
        """What came since the last look."""
        calls, self._calls = self._calls, 0
        return [f"an address inside a document or request was fetched ({calls} connections)"] if calls else []
