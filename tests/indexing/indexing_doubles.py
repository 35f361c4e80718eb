"""Small honest stand-ins for the slow parts: they really read, and really embed, only less well.

Used by the pipeline's tests, also from processes that are killed on purpose.
"""

import hashlib
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image

from indexing.embedding.protocol import Embedder, ImageEmbedding, Label, Pixels, Preprocess, Vectors
from indexing.errors import DamagedFileError, MissingProgramError, UnreadableFileError
from indexing.library import Library
from indexing.readers.output import PICTURE, THUMB
from indexing.records import Block, Page, Reading, SourceFile
from indexing.store import MilvusStore
from indexing.workers.pool import ReadResult

SIZE = 8


class TinyEmbedder:
    """Pictures by the means of their colours, texts by hashed words; the same bytes give the same vectors."""

    name = "tiny-1"
    clip_dimensions = 6
    text_dimensions = 16
    preprocess = Preprocess(size=SIZE, resize_to=SIZE)
    device = "cpu"

    def __init__(self) -> None:
        self.pictures = 0
        self.texts = 0
        self.delay_seconds = 0.0

    def embed_images(self, pixels_BHWC: Pixels) -> ImageEmbedding:
        time.sleep(self.delay_seconds)
        self.pictures += len(pixels_BHWC)
        means_BC = pixels_BHWC.astype(np.float32).mean(axis=(1, 2)) + 1.0
        names = ("red", "green", "blue")
        labels = tuple(
            tuple(Label(text=names[i], probability=float(means[i] / means.sum())) for i in np.argsort(-means))
            for means in means_BC
        )
        padded = np.concatenate([means_BC, np.zeros((len(means_BC), 3), np.float32)], axis=1)
        return ImageEmbedding(vectors_BD=_unit(padded), labels=labels)

    def embed_image_queries(self, texts: Sequence[str]) -> Vectors:
        return _unit(
            np.array([[word in text for word in ("red", "green", "blue", "", "", "")] for text in texts], np.float32)
        )

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        time.sleep(self.delay_seconds)
        self.texts += len(texts)
        vectors = np.zeros((len(texts), self.text_dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split() or [""]:
                vectors[row, zlib.crc32(word.encode()) % self.text_dimensions] += 1
        return _unit(vectors)

    embed_questions = embed_passages

    def embed_passage_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        return [self.embed_passages(text.split()) if text.split() else self.embed_passages([""]) for text in texts]

    embed_question_tokens = embed_passage_tokens


class WiderEmbedder(TinyEmbedder):
    """Another one, with longer vectors."""

    name = "wider-1"
    text_dimensions = 24


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class PlainReader:
    """Reads pictures with Pillow and everything else as text; form feeds part pages, which get a picture each.

    A text that begins with BROKEN cannot be read; one that begins with FOREIGN only while `has_program`.
    """

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.read_paths: list[Path] = []
        self.has_program = False

    def __enter__(self) -> Self:
        self.spool.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def read(self, sources: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, ReadResult | UnreadableFileError]]:
        for source in sources:
            self.read_paths.append(source.path)
            try:
                yield source, self._one(source)
            except (OSError, UnreadableFileError) as error:
                yield source, error if isinstance(error, UnreadableFileError) else DamagedFileError(str(error))

    def cancel(self) -> None:
        pass  # every file here is read in no time

    def under_way(self) -> tuple[str, int, int]:
        return "", 0, 0

    def _one(self, source: SourceFile) -> ReadResult:
        folder = self.spool / source.content_hash
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if source.path.suffix in (".png", ".jpg"):
            with Image.open(source.path) as image:
                return self._picture(image.convert("RGB"), folder, source.path.stem)
        text = source.path.read_text(errors="replace")
        if text.startswith("BROKEN"):
            shutil.rmtree(folder)
            raise DamagedFileError("it says so itself")
        if text.startswith("FOREIGN") and not self.has_program:
            shutil.rmtree(folder)
            raise MissingProgramError("no program for it")
        return self._document(text, folder, source.path.stem)

    def _picture(self, image: Image.Image, folder: Path, title: str) -> ReadResult:
        image.resize((4, 4)).save(folder / THUMB)
        page = Page(number=None, image=folder / THUMB, width=4, height=4)
        reading = Reading(is_picture=True, title=title, pages=(page,))
        return ReadResult(reading=reading, folder=folder, pixels={PICTURE: np.asarray(image.resize((SIZE, SIZE)))})

    def _document(self, text: str, folder: Path, title: str) -> ReadResult:
        pages, blocks, pixels = [], [], {}
        for number, words in enumerate(text.split("\f"), start=1):
            name = f"page-{number:04d}.jpg"
            colour = tuple(hashlib.sha256(words.encode()).digest()[:3])
            image = Image.new("RGB", (SIZE, SIZE), colour)
            image.save(folder / name)
            pages.append(Page(number=number, image=folder / name, width=SIZE, height=SIZE))
            pixels[name] = np.asarray(image)
            blocks += [Block(kind="text", text=part, page=number) for part in words.split("\n\n") if part.strip()]
        reading = Reading(is_picture=False, title=title, pages=tuple(pages), blocks=tuple(blocks))
        return ReadResult(reading=reading, folder=folder, pixels=pixels)


def open_library(folder: Path, embedder: Embedder) -> tuple[Library, MilvusStore]:
    library = Library.open(folder, kit="tests", embedder_name=embedder.name, create=True)
    store = MilvusStore.open(
        library.milvus,
        collection="llavero",
        clip_dimensions=embedder.clip_dimensions,
        text_dimensions=embedder.text_dimensions,
    )
    return library, store


def make_files(folder: Path, *, pictures: int, texts: int) -> None:
    """Pictures of one colour each and texts of one to three pages, one of them unreadable, two of them the same."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(pictures):
        colour = ((number * 37) % 256, (number * 91) % 256, (number * 151) % 256)
        Image.new("RGB", (12, 10), colour).save(folder / f"picture {number:03d}.png")
    for number in range(texts):
        pages = [f"document {number} page {page}\n\nwords of {number * 7 + page}" for page in range(1 + number % 3)]
        (folder / f"text {number:03d}.txt").write_text("\f".join(pages))
    (folder / "copy.txt").write_bytes((folder / "text 000.txt").read_bytes())
    (folder / "broken.txt").write_text("BROKEN beyond repair")


def change_files(folder: Path) -> None:
    """What happens between two runs: new, changed, moved, copied and deleted files."""
    make_files(folder / "more", pictures=10, texts=6)
    for number in range(0, 8, 2):
        (folder / f"text {number:03d}.txt").write_text(f"rewritten {number}\fwith another page")
    (folder / "picture 001.png").rename(folder / "moved.png")
    shutil.copy(folder / "picture 002.png", folder / "a copy.png")
    for name in ("picture 003.png", "text 001.txt", "copy.txt"):
        (folder / name).unlink()
