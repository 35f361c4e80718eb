"""What is the machine's fault and no file's: a disk that is full, over its quota, or failing.

A reader lets such an error pass through, however the library that it came through has wrapped it; its worker answers
with DiskError; the run stops with a StoreError, and nothing is recorded of the file. A file that writes more than it
may (EFBIG) has only itself to blame.
"""

import errno
import os
from collections.abc import Iterator
from typing import TypeGuard

from indexing.errors import StoreError

_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
_NO_MEMORY = {"cv2": "insufficient memory", "onnxruntime": "bad alloc"}
"""What these libraries say instead of raising MemoryError."""
ADVICE = "Free some space, or look at the disk, and run it again: what was indexed so far is kept."


def disk_fault(error: BaseException) -> OSError | None:
    """The error itself, or what it was raised from, where that is the machine's fault."""
    return next((each for each in _chain(error) if _is_disk_fault(each)), None)


def lacks_memory(error: BaseException) -> bool:
    """Whether the error, or what it was raised from, says that there is no more memory."""
    return any(_is_lack_of_memory(each) for each in _chain(error))


def _is_lack_of_memory(error: BaseException) -> bool:
    library = type(error).__module__.partition(".")[0]
    return isinstance(error, MemoryError) or _NO_MEMORY.get(library, "\0") in str(error).lower()


def _is_disk_fault(error: BaseException) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and error.errno in _NUMBERS


def pass_on(error: BaseException) -> None:
    """To be called by whoever takes an error for the file's: raises what is the machine's, lack of memory included."""
    for each in _chain(error):
        if _is_disk_fault(each) or _is_lack_of_memory(each):
            raise each


def is_told_by(words: str) -> bool:
    """For programs that hand on the system's words alone, such as Milvus."""
    return any(os.strerror(number).lower() in words.lower() for number in _NUMBERS)


def disk_error(words: str) -> StoreError:
    """What the run stops with; `words` are the system's."""
    problem = StoreError(f"the readers cannot write into the library: {words.lower()}")
    problem.add_note(ADVICE)
    return problem


def _chain(error: BaseException) -> Iterator[BaseException]:
    """From an error to its causes; one that was raised while another was handled counts the other as a cause."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            pending += [each.__cause__, each.__context__]
