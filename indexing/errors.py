"""What can go wrong on the way from a file to a row.

IndexingError
├── UnreadableFileError        one file; recorded as failed, the run goes on
│   ├── UnsupportedFileError   nobody here reads this content type
│   │   └── MissingProgramError  another program could, and is not there: tried again with every run
│   ├── EmptyFileError
│   ├── EncryptedFileError
│   ├── FileTooLargeError      bytes, pixels, pages or unpacked size over the limit
│   ├── DamagedFileError       the content is not what it says, or ends early
│   ├── ReaderStoppedError     the parser hung or died and was killed
│   └── DiskError              the disk is full or failing: not the file's fault, the run stops and records nothing
├── LibraryInUseError          another process holds the library
├── LibraryMismatchError       built by another kit, or another version of the format
├── DimensionMismatchError     the collection holds vectors of another width
├── UnknownFieldError          a filter names a field that neither rows nor facts have
└── StoreError                 Milvus refused; the message carries its words
"""

import errno
import os
from collections.abc import Iterator
from typing import TypeGuard


class IndexingError(Exception):
    """Base of everything this package raises on purpose."""


def words_of(error: BaseException) -> str:
    """What an error says in one line, or its kind where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def in_words(error: Exception) -> str:
    """Why a file could not be read, for what no reader has put into words itself."""
    if isinstance(error, FileNotFoundError):
        return "the file vanished before it was read"
    if isinstance(error, PermissionError):
        return "no permission to read the file"
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return f"the system could not read it: {error.strerror}"
    return f"the parser gave up: {words_of(error)}"


class UnreadableFileError(IndexingError):
    """One file could not be read. `reason` is one sentence for a person, without the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedFileError(UnreadableFileError):
    """No reader for this content type."""


class MissingProgramError(UnsupportedFileError):
    """Read through a program that is not installed, or cannot be started safely; the next run looks again."""


class EmptyFileError(UnreadableFileError):
    """The file has no bytes."""


class EncryptedFileError(UnreadableFileError):
    """The file asks for a password."""


class FileTooLargeError(UnreadableFileError):
    """The file is over a limit; the reason names both numbers."""


class DamagedFileError(UnreadableFileError):
    """The content is not what the file says it is, or ends early."""


class ReaderStoppedError(UnreadableFileError):
    """The parser ran out of time or memory, or died."""


class DiskError(UnreadableFileError):
    """The reader met a disk that is full, over its quota or failing; the reason is the system's words."""


class LibraryInUseError(IndexingError):
    """Another process has the library open; an embedded library has one opener at a time."""

    def __init__(self, library: str, holder: str) -> None:
        super().__init__(f"library '{library}' is open in {holder}")
        self.add_note("Close it there, or put the library on a Milvus server (milvus_uri in llavero.toml).")
        self.library, self.holder = library, holder


class LibraryMismatchError(IndexingError):
    """The library was built by another kit or format version."""

    def __init__(self, library: str, stored: str, wanted: str) -> None:
        super().__init__(f"library '{library}' was built with {stored}, not with {wanted}")
        self.add_note("Use the kit that built it, or index into a new library folder.")
        self.library, self.stored, self.wanted = library, stored, wanted


class DimensionMismatchError(IndexingError):
    """The collection holds vectors of another width than the embedder makes."""

    def __init__(self, collection: str, stored: int, wanted: int) -> None:
        super().__init__(f"collection '{collection}' holds {stored}-d vectors, the embedder makes {wanted}-d ones")
        self.add_note("Use the kit that built it, or index into a new library folder.")
        self.collection, self.stored, self.wanted = collection, stored, wanted


class UnknownFieldError(IndexingError):
    """A filter names a field that neither rows nor any file's facts have."""

    def __init__(self, field: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown field '{field}' in a filter")
        self.add_note(f"Fields: {', '.join(known)}")
        self.field, self.known = field, known


class StoreError(IndexingError):
    """Milvus refused a call."""


# -- what is the machine's fault and no file's: a disk that is full, over its quota, or failing ----------------------
#
# A reader lets such an error pass through, however the library that it came through has wrapped it; its worker answers
# with DiskError; the run stops with a StoreError, and nothing is recorded of the file. A file that writes more than it
# may (EFBIG) has only itself to blame.

_DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
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
    return isinstance(error, OSError) and error.errno in _DISK_TROUBLE


def pass_on(error: BaseException) -> None:
    """To be called by whoever takes an error for the file's: raises what is the machine's, lack of memory included."""
    for each in _chain(error):
        if _is_disk_fault(each) or _is_lack_of_memory(each):
            raise each


def is_told_by(words: str) -> bool:
    """For programs that hand on the system's words alone, such as Milvus."""
    return any(os.strerror(number).lower() in words.lower() for number in _DISK_TROUBLE)


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
