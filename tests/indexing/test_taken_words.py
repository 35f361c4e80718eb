from pathlib import Path

import pytest
from reading_doubles import source_of

from indexing.chunking import ChunkSettings, chunks, taken_words
from indexing.records import Page, Reading


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, ""),
        ({"taken": "2019-07-14T10:32:05+02:00"}, "Taken on 14 July 2019 at 10:32"),
        ({"camera": "Canon EOS 80D"}, "Taken with Canon EOS 80D"),
        ({"latitude": "-48.858400", "longitude": "2.294500"}, "Taken at latitude -48.858400, longitude 2.294500"),
        ({"author": "A person"}, ""),
    ],
)
def test_what_a_camera_wrote_is_a_sentence(metadata: dict[str, str], words: str) -> None:
    assert taken_words(metadata) == words


def test_the_chunk_of_a_photograph_says_when_it_was_taken(tmp_path: Path) -> None:
    (tmp_path / "p.jpg").write_bytes(b"x")
    page = Page(number=None, image=tmp_path / "thumb.jpg", width=4, height=3)
    reading = Reading(is_picture=True, title="p", pages=(page,), metadata={"taken": "2019-07-14T10:32:05"})
    (chunk,) = chunks(reading, source=source_of(tmp_path / "p.jpg"), image_folder="x", settings=ChunkSettings())
    assert (chunk.kind, chunk.searchable_text) == ("image", "p\nTaken on 14 July 2019 at 10:32")
