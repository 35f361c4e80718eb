"""Names with every byte that Linux allows: each file is accounted for, and can be named by what is listed."""

import os
from contextlib import ExitStack
from pathlib import Path

from indexing_doubles import PlainReader, TinyEmbedder, open_library

from indexing.pipeline import IndexReport, files, index, remove

REFUSED = "its name, or a folder's above it, is not valid UTF-8: rename it"
BYTES = [each for each in range(1, 256) if each != ord("/")]


def names() -> list[bytes]:
    """Each byte alone in a name, all of them in names as long as Linux takes, and a few that look like something."""
    alone = [b"a" + bytes([each]) + b"z.txt" for each in BYTES]
    return [*alone, bytes(BYTES), b"-rf.txt", b"~.txt", b"'\".txt", b"$(id).txt", b"\\x41.txt", b" .txt"]


def is_utf_8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_every_name_is_read_or_refused_with_what_to_do_and_can_be_removed_as_it_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for number, name in enumerate(names()):
        (folder / os.fsdecode(name)).write_text(f"words of file {number}")
    sound = sum(map(is_utf_8, names()))
    with ExitStack() as closing:
        library, store = open_library(tmp_path / "library", TinyEmbedder())
        closing.callback(library.close)
        closing.callback(store.close)

        def run() -> IndexReport:
            return index(
                [folder], library=library, store=store, embedder=TinyEmbedder(),
                readers=lambda: PlainReader(library.spool),
            )  # fmt: skip

        first = run()
        assert first.added == sound > 120
        assert {failure.reason for failure in first.failures} == {REFUSED} and first.failed == len(names()) - sound
        listed = [entry.path for entry in files(library)]
        assert len(set(listed)) == len(names())
        for path in listed:
            path.encode()  # sound Unicode: it can be printed and sent as JSON
        again = run()
        assert (again.unchanged, again.failed, again.chunks) == (sound, first.failed, 0)
        for path in listed[::10]:
            remove(path, library=library, store=store)
        assert len(files(library)) == len(names()) - len(listed[::10])
