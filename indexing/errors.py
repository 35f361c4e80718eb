"""What can go wrong on the way from a file to a row.

IndexingError
├── UnreadableFileError        one file; recorded as failed, the run goes on
│   ├── UnsupportedFileError   nobody here reads this content type
│   ├── EmptyFileError
│   ├── EncryptedFileError
│   ├── FileTooLargeError      bytes, pixels, pages or unpacked size over the limit
│   ├── DamagedFileError       the content is not what it says, or ends early
│   ├── ReaderStoppedError     the parser hung or died and was killed
│   └── DiskError              the disk is full or failing: not the file's fault, the run stops and records nothing
├── LibraryInUseError          another process holds the library
├── LibraryMismatchError       built by another kit, or another version of the format
├── DimensionMismatchError     the collection holds vectors of another width
├── UnknownFieldError          a filter names a field that rows do not have
└── StoreError                 Milvus refused; the message carries its words
"""


class IndexingError(Exception):
    """Base of everything this package raises on purpose."""


def words_of(error: BaseException) -> str:
    """What an error says in one line, or its kind where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__


class UnreadableFileError(IndexingError):
    """One file could not be read. `reason` is one sentence for a person, without the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedFileError(UnreadableFileError):
    """No reader for this content type."""


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
    """A filter names a field that rows do not have."""

    def __init__(self, field: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown field '{field}' in a filter")
        self.add_note(f"Fields: {', '.join(known)}")
        self.field, self.known = field, known


class StoreError(IndexingError):
    """Milvus refused a call."""
