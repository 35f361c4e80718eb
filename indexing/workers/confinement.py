"""What a process that looks at strangers' files may do: its parts, and a program that is started inside of them.

    python confinement.py '{"parent": 41, "room": "/library/x", "readable": ["/usr"], "bounds": {}, "program": […]}'

`worker.py` uses the parts on itself. A helper such as LibreOffice gets more of them (`libreoffice.py`), since nobody
here knows its code: this file, run as a program, goes where there is no network and where /tmp is a room of its own,
dies with its parent, sets the limits, closes the file system except for what is named, and then becomes the helper.

Landlock is the kernel's own way to do that for a process without rights of its own (Linux 5.13 and later); on an older
kernel the helper sees what the user sees, and `landlock_version` says so. Only the standard library is imported here.
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

ROOM = "/tmp"
"""Where a helper finds its room. Programs have this path in their code; LibreOffice makes a socket there."""
NO_ROOM = 77
"""Exit status when this system gives no namespace without a network and with a room: the helper was not started."""
NOT_STARTED = 78
"""Exit status when the system refused to start the helper."""

_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWNS = 0x10000000, 0x40000000, 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MS_NOTHING = 0b1111  # read-only, no set-user-id, no devices, no programs
_OF_SOCKETS = ("/run", "/var/run")
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on all processors
_READ = 0b1101  # execute, read files, list folders
_OF_FILES = 0b1100000000000111  # the rights that a file can have: execute, write, read, truncate, device commands
_ALL_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""Version of Landlock → how many rights over files it knows; 16 from version 5 on."""


def die_with(parent: int) -> None:
    """Be killed when the parent (its process id) ends; end at once where it has ended already."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def cut_the_network() -> bool:
    """Go into an empty network namespace; whether the system allowed it."""
    return _unshare(_CLONE_NEWNET)


def enter(room: str) -> bool:
    """Go where there is no network, where `room` is /tmp and where no socket of a service can be reached by its path,
    which Landlock keeps nobody from; whether the system allowed all of it."""
    if not _unshare(_CLONE_NEWNET | _CLONE_NEWNS):
        return False
    libc = _libc()
    if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    if libc.mount(os.fsencode(room), ROOM.encode(), None, _MS_BIND, None) != 0:
        return False
    return all(_empty(libc, folder) for folder in {os.path.realpath(each) for each in _OF_SOCKETS})


def _empty(libc: ctypes.CDLL, folder: str) -> bool:
    """Hide what lies in it, where it is there."""
    if not Path(folder).is_dir():
        return True
    return bool(libc.mount(b"none", os.fsencode(folder), b"tmpfs", _MS_NOTHING, b"mode=555,size=4k") == 0)


def _unshare(what: int) -> bool:
    """In a user namespace where the system wants one for it."""
    if sys.platform != "linux":
        return False
    libc, user, group = _libc(), os.getuid(), os.getgid()
    if libc.unshare(what) == 0:
        return True
    if libc.unshare(_CLONE_NEWUSER | what) != 0:
        return False
    _keep_identity(user, group)
    return True


def limit(bounds: Mapping[int, int]) -> None:
    """Set resource limits (`resource.RLIMIT_…` → number), never above what is allowed already. A file that grows too
    large is an error for its writer, not a signal."""
    for kind, value in bounds.items():
        _, hard = resource.getrlimit(kind)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (allowed, hard))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def landlock_version() -> int:
    """0 where the kernel has none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, 0, 1)))


def see_only(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Close the file system for this process and its children, except for these files and folders; paths that do not
    exist are passed over. Does nothing where the kernel has no Landlock. Raises OSError."""
    version = landlock_version()
    if version == 0:
        return
    everything = (1 << _ALL_RIGHTS.get(version, 16)) - 1
    attributes = struct.pack("=QQQ", everything, 0b11, 0b11)  # files; TCP, both ways; abstract sockets and signals
    size = 8 if version < 4 else 16 if version < 6 else 24
    libc = _libc()
    rules = libc.syscall(_CREATE_RULESET, attributes[:size], size, 0)
    _check(rules)
    for paths, rights in ((readable, _READ), (writable, everything)):
        for path in paths:
            _add_rule(libc, rules, path, rights & everything)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check(libc.syscall(_RESTRICT_SELF, rules, 0))
    os.close(rules)


def _add_rule(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = rights if Path(path).is_dir() else rights & _OF_FILES
        _check(libc.syscall(_ADD_RULE, rules, 1, struct.pack("=Qi", allowed, at), 0))
    finally:
        os.close(at)


def _check(answer: int) -> None:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _keep_identity(user: int, group: int) -> None:
    """Map the same ids into the new user namespace, so that files show their owner."""
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    except OSError:
        pass  # reading works without it


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Become the program that the first argument names, confined as it says; without one, only try the confinement."""
    wanted = json.loads(sys.argv[1])
    if not enter(wanted["room"]):
        sys.exit(NO_ROOM)
    die_with(wanted["parent"])
    limit({int(kind): value for kind, value in wanted["bounds"].items()})
    try:
        os.chdir(ROOM)
        see_only(wanted["readable"], ["/dev/null", ROOM])
        if not wanted["program"]:
            sys.exit(0)
        os.execv(wanted["program"][0], wanted["program"])
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}\n")
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main()
