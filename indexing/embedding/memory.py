"""Memory that a network's layers use again and again stays with the process.

glibc hands every large block back to the system when it is freed, and the system clears its pages when they are asked
for again: a third of the time of a small network's pass. What stays is at most what the largest pass needed.
"""

import ctypes
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = 1 << 30, (1 << 31) - 1, 64 << 20
_ARENAS = 1  # of several, each thread's own would give its blocks back

KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(_MMAP_THRESHOLD),
    "MALLOC_TRIM_THRESHOLD_": str(_TRIM_THRESHOLD),
    "MALLOC_TOP_PAD_": str(_TOP_PAD),
    "MALLOC_ARENA_MAX": str(_ARENAS),
}
"""The same as environment of a process that is to be started; other C libraries do not read it."""


def keep_freed_memory() -> None:
    """For this process, from here on. Call it before there are threads; does nothing where the C library is another."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl
        return
    for option, value in ((-1, _TRIM_THRESHOLD), (-2, _TOP_PAD), (-3, _MMAP_THRESHOLD), (-8, _ARENAS)):  # malloc.h
        mallopt(option, value)
