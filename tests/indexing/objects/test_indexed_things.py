import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from indexing_doubles import PlainReader, TinyEmbedder, open_library
from PIL import Image

from indexing.errors import StoreError
from indexing.library import Library, LibraryRecord
from indexing.pipeline import index
from indexing.readers.output import THUMB
from indexing.rebuild import rebuild
from indexing.records import Chunk
from indexing.settings import IndexingSettings
from indexing.store import MilvusStore
from indexing.workers.pool import ReadResult

COFFEE = Path(__file__).parents[1] / "pictures" / "coffee.webp"


class ThumbReader(PlainReader):
    """Keeps pictures at the size that galleries show."""

    def _picture(self, image: Image.Image, folder: Path, title: str) -> ReadResult:
        result = super()._picture(image, folder, title)
        image.save(folder / THUMB)
        return result


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Library, MilvusStore]]:
    (tmp_path / "files").mkdir()
    with Image.open(COFFEE) as picture:
        picture.convert("RGB").save(tmp_path / "files" / "breakfast.png")
    library, store = open_library(tmp_path / "library", TinyEmbedder())
    yield library, store
    store.close()
    library.close()


def indexed(opened: tuple[Library, MilvusStore], *, objects: bool, reader: type[PlainReader] = ThumbReader) -> Chunk:
    library, store = opened
    index(
        [library.folder.parent / "files"], library=library, store=store, embedder=TinyEmbedder(),
        readers=lambda: reader(library.spool), settings=IndexingSettings(objects=objects),
    )  # fmt: skip
    (chunk,) = store.get([each for each, _ in store.ids()])
    return chunk


def test_what_a_picture_shows_is_found_by_its_words_and_stands_in_it_as_a_region(
    opened: tuple[Library, MilvusStore],
) -> None:
    chunk = indexed(opened, objects=True)
    assert "cup" in chunk.text.splitlines()[0] and "red" in chunk.text.splitlines()[-1]  # then the labels
    (region,) = [each for each in chunk.regions if each.text.endswith("cup")]
    assert region.box is not None and 0 <= region.box[0] < region.box[2] <= 1
    assert not chunk.lines  # no words stand there
    _, store = opened
    assert store.search_words("cups", limit=1)[0][0].id == chunk.id
    cups = TinyEmbedder().embed_questions(["cup"])[0]
    assert store.search_vector("text", cups, limit=1)[0][1] > 0.3


def test_objects_can_be_left_out(opened: tuple[Library, MilvusStore]) -> None:
    chunk = indexed(opened, objects=False)
    assert "cup" not in chunk.text and chunk.regions == ()


def test_a_library_from_before_keeps_its_words_until_a_file_changes(opened: tuple[Library, MilvusStore]) -> None:
    before = indexed(opened, objects=False)
    assert indexed(opened, objects=True) == before
    photo = opened[0].folder.parent / "files" / "breakfast.png"
    photo.write_bytes(photo.read_bytes() + b"\0")
    os.utime(photo, ns=(1, 1))
    assert "cup" in indexed(opened, objects=True).text


def test_other_vectors_keep_the_things_and_say_them_once(opened: tuple[Library, MilvusStore]) -> None:
    chunk = indexed(opened, objects=True)
    library, store = opened
    store.close()

    class Wider(TinyEmbedder):
        name, text_dimensions = "wider-1", 24

    def open_store(record: LibraryRecord) -> MilvusStore:
        sizes = {"clip_dimensions": record.clip_dimensions, "text_dimensions": record.text_dimensions}
        return MilvusStore.open(library.milvus, collection=record.collection, **sizes)

    # the tests' store has a name of its own
    library.switch(replace(library.record, collection="llavero"))
    rebuild(library, kit="others", embedder=Wider(), open_store=open_store, settings=IndexingSettings())
    again = open_store(library.record)
    (found,) = again.get([chunk.id])
    again.close()
    assert (found.text, found.regions) == (chunk.text, chunk.regions)


def test_a_kept_picture_that_is_gone_stops_the_run_with_one_sentence(opened: tuple[Library, MilvusStore]) -> None:
    class Forgetful(ThumbReader):
        def _picture(self, image: Image.Image, folder: Path, title: str) -> ReadResult:
            result = super()._picture(image, folder, title)
            (folder / THUMB).write_bytes(b"no JPEG")
            return result

    with pytest.raises(StoreError, match=r"the kept picture '.*thumb\.jpg' cannot be read"):
        indexed(opened, objects=True, reader=Forgetful)
