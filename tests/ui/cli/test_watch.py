"""`llavero index --watch`, as a process of its own on a folder of the test."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Run

from ui.cli.watch import counts

_SECONDS = 120.0  # a machine with two cores may be busy


class Watching:
    """The process, and the lines that it has written."""

    def __init__(self, folder: Path, library: Path) -> None:
        command = [
            sys.executable,
            "-X",
            "faulthandler",
            "-m",
            "ui.cli.main",
            "index",
            str(folder),
            "--library",
            str(library),
            "--watch",
        ]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job of a shell ignores it
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip())

    def line_with(self, words: str) -> str:
        deadline, seen = time.monotonic() + _SECONDS, list[str]()
        while (left := deadline - time.monotonic()) > 0:
            try:
                seen.append(self._lines.get(timeout=left))
            except queue.Empty:
                break
            if words in seen[-1]:
                return seen[-1]
        pytest.fail(f"no line with '{words}' among {seen}")

    def ended(self) -> int:
        """The exit code; where it does not end, where it stands."""
        try:
            return self.process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            self._reader.join()
            pytest.fail("it has not ended:\n" + "\n".join(self.rest()))

    def end(self) -> None:
        """Whatever the test came to."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def rest(self) -> list[str]:
        return [self._lines.get() for _ in range(self._lines.qsize())]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "harbour.txt").write_text("The ferry to Lindholm leaves at 17:45 from quay three.\n")
    return folder


@pytest.fixture
def watching(folder: Path) -> Iterator[Watching]:
    started = Watching(folder, folder / "library")  # where its own writing must not count as a change
    yield started
    started.end()


@pytest.mark.timeout(400)
def test_what_changes_is_indexed_until_ctrl_c_and_a_renamed_file_is_not_embedded_again(
    watching: Watching, folder: Path, run: Run
) -> None:
    assert "1 added" in watching.line_with("added")
    watching.line_with("watching")
    (folder / "sub" / "pump.txt").write_text("The bilge pump needs 4.2 litres of oil every spring.\n")
    assert watching.line_with("added").startswith("1 added, 0 updated, 1 unchanged, 0 removed, 0 failed")
    found = run("search", "litres of oil", "--library", folder / "library", "--json")  # another terminal meanwhile
    assert found.document["hits"][0]["path"].endswith("sub/pump.txt")
    (folder / "sub" / "pump.txt").rename(folder / "bilge.txt")
    line = watching.line_with("added")
    assert line.startswith("1 added, 0 updated, 1 unchanged, 1 removed") and "; 0 chunks" in line
    (folder / "harbour.txt").unlink()
    assert watching.line_with("added").startswith("0 added, 0 updated, 1 unchanged, 1 removed")
    time.sleep(3)
    assert watching.rest() == []  # its own writing is no change
    watching.process.send_signal(signal.SIGINT)
    assert watching.ended() == 0
    assert "no longer watching" in watching.line_with("watching")
    assert run("verify", "--library", folder / "library", "--json").document["missing"] == 0


@pytest.mark.parametrize(
    ("path", "does"),
    [("/a/b.txt", True), ("/a/.git/x", False), ("/a/b/.hidden", False), ("/a/library/pages/x", False), ("/b/x", False)],
)
def test_hidden_files_and_the_library_itself_do_not_count(path: str, does: bool) -> None:
    assert counts(path, ["/a"], Path("/a/library")) is does
    assert counts("/a/.named/b.txt", ["/a/.named"], Path("/library"))
