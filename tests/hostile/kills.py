"""`kill -9` at random moments of index, remove, rebuild and index --watch; run again, each leaves the library that an
undisturbed one leaves: the same rows, vectors, keys and boxes, the same ledger, the same pictures, and a clean verify.

    python tests/hostile/kills.py [--moments 100 | --every-step COMMAND | --full-disks N] [--seed N] [--plain]

Half of the moments lie anywhere in the measured time of the command, the other half just before one of its changes to
the library's folder, each of which is as likely (`killed_commands.py`). The suite does it 20 times. Exit code 1 when a
library came out otherwise.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "indexing"))

from forking import Forks
from indexing_doubles import change_files, make_files
from library_state import assert_same, state

from indexing.errors import ADVICE

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "examples" / "sample" / "collection"
_REAL_FILES = ("documents/*.pdf", "mail/*", "notes/*")
_AGAIN = 0.3
"""So often the command that mends is killed, too."""
_DONE_ALREADY = {"remove": "is not in the library", "rebuild": "already"}
"""What a command may say where it was killed after it had done everything."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is killed, and what it comes to when nobody disturbs it."""

    name: str
    words: tuple[str, ...]
    before: Path
    expected: dict[str, Any] = field(repr=False)
    steps: int
    seconds: float
    prepare: Callable[[], None] = lambda: None
    """Puts the files there as they are before the command."""
    meanwhile: Callable[[], None] | None = None
    """What happens to the files while it watches."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one process ended."""

    killed: bool
    code: int
    steps: int
    seconds: float


@dataclass(kw_only=True)
class Kills:
    """Runs commands, kills them, and compares. `work` is an empty folder. Close it."""

    work: Path
    seed: int = 2026
    readers: str = "plain"

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.log = self.work / "log.txt"
        self._forks = Forks(HERE / "killed_commands.py")
        self.commands = self._prepared()

    def close(self) -> None:
        """End the process that forks."""
        self._forks.close()

    def moments(self, count: int) -> Iterator[str]:
        """Kill so many times → a line for each library that was mended. Raises AssertionError for one that was not."""
        killed, number = 0, 0
        while killed < count:
            command = self.commands[number % len(self.commands)]
            number += 1
            where = self._kill(command, number, partial(self._moment, command), most=count - killed)
            killed += len(where)
            yield f"{command.name}, killed {' and '.join(where) or 'not at all'}"

    def every_step(self, name: str) -> Iterator[str]:
        """Kill a command before each of its steps, one after the other; the same lines and errors."""
        (command,) = (each for each in self.commands if each.name == name)
        for step in range(1, command.steps + 1):
            where = self._kill(command, step, partial(_Moment, step=step), most=1)
            yield f"{command.name}, killed {' and '.join(where) or 'not at all'}"

    def full_disks(self, count: int) -> Iterator[str]:
        """Each command so many times on a disk with too little room for it, then with room → a line for each. Raises
        AssertionError, and OSError where mounting is not allowed."""
        for command in self.commands:
            for number in range(count):
                spare = round(8 * 30 ** self.random.random()) if number else 0
                yield f"{command.name}, {spare} kB free: {self._fill(command, spare)}"

    def _fill(self, command: Command, spare_kilobytes: int) -> str:
        """→ the sentence it ended with; "" where there was room enough."""
        disk, library = self.work / "disk", self.work / "disk" / "library"
        disk.mkdir(exist_ok=True)
        _mount(disk, "size=64m")
        try:
            shutil.copytree(command.before, library)
            command.prepare()
            _mount(disk, f"remount,size={max(64, _used_kilobytes(disk) + spare_kilobytes)}k")
            self.log.unlink(missing_ok=True)
            ended = self._run(command, library)
            said = self.log.read_text()
            _mount(disk, "remount,size=64m")
            if command.meanwhile is not None:
                command.meanwhile()
            try:
                assert ended.code in (0, 1, 3) and "Traceback" not in said, f"it ended with {ended.code}"
                sentences = [line for line in said.splitlines() if line.startswith("llavero: ")]
                assert ended.code != 1 or (len(sentences) == 1 and ADVICE in said), "it does not say what to do"
                self._mend(command, library)
                assert_same(state(library, ""), command.expected)
            except AssertionError as error:
                error.add_note(
                    f"{command.name} with {spare_kilobytes} kB free; it said: {self.log.read_text()[-2000:]}"
                )
                raise
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)
        return next(iter(sentences), "") if ended.code == 1 else ""

    def _kill(self, command: Command, number: int, moment: "Callable[[], _Moment]", *, most: int) -> list[str]:
        """One library: killed at one moment, or at some more while it is mended, then mended and compared → where."""
        library = self.work / "killed" / str(number)
        shutil.copytree(command.before, library)
        where: list[str] = []
        self.log.unlink(missing_ok=True)
        command.prepare()
        while len(where) < most:
            chosen = moment()
            ended = self._run(command, library, chosen, changes=not where)
            if command.meanwhile is not None:
                command.meanwhile()
            if not ended.killed:
                break
            where.append(chosen.named)
            if self.random.random() > _AGAIN:
                break
        try:
            self._mend(command, library)
            assert_same(state(library, ""), command.expected)
        except AssertionError as error:
            log = self.log.read_text()[-2000:]
            error.add_note(f"{command.name}, killed {where} (seed {self.seed}, {library}); it said: {log}")
            raise
        shutil.rmtree(library)
        return where

    # -- what is killed ----------------------------------------------------------------------------------------------

    def _prepared(self) -> list[Command]:
        nothing, files, kept = self.work / "nothing", self.work / "files", self.work / "kept"
        for each in (nothing, self.work / "killed"):
            each.mkdir()
        self._make(files / "a")
        change_files(files / "a")
        self._make(files / "b", number=3)
        shutil.copytree(files, kept, copy_function=shutil.copy2)
        watched, first = self.work / "watched", self.work / "first"
        self._make(first)
        before = self.work / "before"
        self._undisturbed(before, "index", str(files / "b"), "--kit", "pocket")
        whole = self.work / "whole"
        self._undisturbed(whole, "index", str(files), "--kit", "pocket")
        _again(first, watched)
        seen = self.work / "seen"
        self._undisturbed(seen, "index", str(watched), "--kit", "pocket")

        def change() -> None:
            _again(first, watched)
            change_files(watched)

        return [
            self._measured("index", nothing, "index", str(files), "--kit", "pocket"),
            self._measured("index of more", before, "index", str(files)),
            self._measured("remove", whole, "remove", str(files / "a")),
            self._measured("rebuild", whole, "rebuild", "--kit", "small"),
            self._measured(
                "watch", seen, "index", str(watched), "--watch",
                prepare=lambda: _again(first, watched), meanwhile=change,
            ),
        ]  # fmt: skip

    def _make(self, folder: Path, number: int = 6) -> None:
        make_files(folder, pictures=number, texts=number)
        if self.readers == "plain":
            return
        for pattern in _REAL_FILES:
            for path in sorted(SAMPLE.glob(pattern))[:2]:
                shutil.copy2(path, folder)

    def _measured(self, name: str, before: Path, *words: str, **more: Any) -> Command:
        """The same command undisturbed."""
        command = Command(name=name, words=words, before=before, expected={}, steps=0, seconds=0.0, **more)
        library = self.work / f"{name} undisturbed"
        shutil.copytree(before, library)
        command.prepare()
        ended = self._run(command, library)
        assert ended.code == 0 or (words[0] == "index" and ended.code == 3), f"{name}: {self.log.read_text()[-2000:]}"
        expected = state(library, "")
        assert ended.steps > 10 and expected["rows"], (name, ended)
        return Command(
            name=name, words=words, before=before, expected=expected, steps=ended.steps, seconds=ended.seconds, **more
        )

    def _undisturbed(self, library: Path, *words: str) -> None:
        command = Command(name="", words=words, before=library, expected={}, steps=0, seconds=0.0)
        ended = self._run(command, library)
        assert ended.code in (0, 3), self.log.read_text()[-2000:]

    # -- one process -------------------------------------------------------------------------------------------------

    def _moment(self, command: Command) -> "_Moment":
        if self.random.random() < 0.5:
            return _Moment(step=self.random.randint(1, command.steps))
        return _Moment(seconds=self.random.uniform(0.0, command.seconds))

    def _mend(self, command: Command, library: Path) -> None:
        """The command again, then `verify`."""
        ended = self._run(command, library, changes=False)
        verb = command.words[0]
        is_done = verb in _DONE_ALREADY and _DONE_ALREADY[verb] in self.log.read_text()
        allowed = {0, 1} if is_done else {0, 3} if verb == "index" else {0}
        assert ended.code in allowed, f"run again, it ended with {ended.code}"
        verified = self._run(
            Command(name="verify", words=("verify",), before=library, expected={}, steps=0, seconds=0.0), library
        )
        assert verified.code == 0, "verify is not clean"

    def _run(self, command: Command, library: Path, moment: "_Moment | None" = None, *, changes: bool = True) -> Ended:
        began = time.monotonic()
        environment = {"LOG": str(self.log), "READERS": self.readers}
        if moment is not None and moment.step:
            environment["KILL_AT_STEP"] = str(moment.step)
        self._forks.start("run", str(library), *command.words, environments=[environment])
        process, indexed, is_changed = 0, 0, not changes
        while not (line := self._forks.hear()).startswith("gone"):
            word, *rest = line.split()
            if word == "begins":
                process, began = int(rest[0]), time.monotonic()
                if moment is not None and moment.seconds and not (command.meanwhile and changes):
                    _kill_later(process, moment.seconds)
            elif word == "watching":
                if command.meanwhile is not None and changes:
                    command.meanwhile()
                    is_changed = True
                    if moment is not None and moment.seconds:
                        _kill_later(process, moment.seconds)
                else:
                    os.kill(process, signal.SIGINT)
            elif word == "indexed":
                indexed += 1
                if command.meanwhile is not None and is_changed and indexed > 1:
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGINT)
            elif word == "ends":
                code, steps = map(int, rest)
        (how,) = map(int, line.split()[1:])
        seconds = time.monotonic() - began
        if how == -signal.SIGKILL:
            return Ended(killed=True, code=how, steps=0, seconds=seconds)
        assert how == 0, f"it ended with {how}: {self.log.read_text()[-2000:]}"
        return Ended(killed=False, code=code, steps=steps, seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class _Moment:
    """Before a step, or after some seconds."""

    step: int = 0
    seconds: float = 0.0

    @property
    def named(self) -> str:
        return f"at step {self.step}" if self.step else f"after {self.seconds:.2f} s"


def _mount(disk: Path, options: str) -> None:
    """A file system in memory; raises OSError where that is not allowed."""
    new = [] if options.startswith("remount") else ["-t", "tmpfs", "tmpfs"]
    done = subprocess.run(["mount", "-o", options, *new, disk], capture_output=True, check=False)
    if done.returncode:
        raise PermissionError(done.stderr.decode(errors="replace").strip())


def _used_kilobytes(disk: Path) -> int:
    told = os.statvfs(disk)
    return (told.f_blocks - told.f_bfree) * told.f_frsize // 1024


def _kill_later(process: int, seconds: float) -> None:
    """The wait is short, and nothing else is to be heard meanwhile."""
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _again(source: Path, target: Path) -> None:
    """The same files with the same times of change, in place of what is there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=shutil.copy2)


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill Llavero at random moments and look at what is left.")
    parser.add_argument("--moments", type=int, default=100, metavar="N", help="how often it is killed")
    parser.add_argument("--full-disks", type=int, default=0, metavar="N", help="instead, so many full disks a command")
    parser.add_argument("--every-step", metavar="COMMAND", help="one command, before each of its steps in turn")
    parser.add_argument("--seed", type=int, default=2026, metavar="N", help="other moments")
    parser.add_argument("--plain", action="store_true", help="with readers that are no processes of their own")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a new folder that stays, to look at what failed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="llavero-kills-") as scratch:
        work = asked.keep or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        kills = Kills(work=work.resolve(), seed=asked.seed, readers="plain" if asked.plain else "real")
        try:
            lines = kills.every_step(asked.every_step) if asked.every_step else kills.moments(asked.moments)
            for line in kills.full_disks(asked.full_disks) if asked.full_disks else lines:
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        except AssertionError as error:
            sys.stdout.write("FAILED  " + "\n".join([str(error)[:3000], *getattr(error, "__notes__", [])]) + "\n")
            return 1
        finally:
            kills.close()
    sys.stdout.write("every library came out as an undisturbed one\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
