"""A library's chunks → pictures in words, from which `llava_model.synthesis` makes training data.

Each page with a picture, and each picture, becomes one Item: its text lines with boxes, its tables, its figures'
captions with their places, and what the picture shows (labels). Documents are split into train and held-out whole, and
what is nearly the same text goes to the same side.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath

from indexing.records import Chunk
from llava_model.synthesis.sources import Item, Region, TextLine

_ALIKE = 0.8
_SHINGLE_WORDS = 3
_SKETCH = 64
_FEW_WORDS = 8
_MOST_OF_A_NAME = 40


def items_from(chunks: Iterable[Chunk], *, held_out: float = 0.2, seed: int = 0) -> list[Item]:
    """One item for each page or picture that has a picture in the library and something that is known of it.

    `held_out` is the share of documents whose items are marked so; a document is never on both sides, nor are two with
    nearly the same words.
    """
    documents: dict[str, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        documents[chunk.content_hash].append(chunk)
    apart = held_out_documents(documents, share=held_out, seed=seed)
    return [
        item
        for name, own in sorted(documents.items())
        for item in _items_of(own, held_out=name in apart)
        if item.captions or item.regions or item.lines or item.tables
    ]


def held_out_documents(documents: Mapping[str, Sequence[Chunk]], *, share: float, seed: int = 0) -> set[str]:
    """Content hashes of the documents that are not trained on: whole groups of near-duplicates, drawn by the seed, up
    to the share (at least one document where there are two groups and a share)."""
    groups = sorted(_alike(documents), key=lambda group: _mark(seed, min(group)))
    wanted = share * len(documents)
    chosen: set[str] = set()
    for group in groups[:-1]:
        if share > 0 and (not chosen or len(chosen) + len(group) <= wanted):
            chosen |= group
    return chosen


def _items_of(chunks: Sequence[Chunk], *, held_out: bool) -> Iterator[Item]:
    """In the order of the pages."""
    pages: dict[int | None, list[Chunk]] = defaultdict(list)
    for chunk in sorted(chunks, key=lambda chunk: (chunk.kind, chunk.ordinal)):
        pages[chunk.page].append(chunk)
    for page, own in sorted(pages.items(), key=lambda entry: entry[0] or 0):
        picture = next((chunk for chunk in own if chunk.kind in ("image", "page") and chunk.image), None)
        if picture is None:
            continue
        plain = (sign if sign.isalnum() or sign in "_.-" else " " for sign in PurePath(picture.path).stem)
        title = "-".join("".join(plain).split()).strip("-")[:_MOST_OF_A_NAME]
        number = f"-p{page}" if page is not None else ""
        yield Item(
            id=f"{title}-{picture.content_hash[:8]}{number}",
            image=picture.image,
            captions=tuple(_labels(own)),
            regions=tuple(_regions(own)),
            lines=tuple(_lines(own)),
            tables=tuple(chunk.text for chunk in own if chunk.kind == "table" and chunk.text),
            held_out=held_out,
        )


def _labels(chunks: Sequence[Chunk]) -> Iterator[str]:
    """What a picture file shows: the words that the index put under it."""
    for chunk in chunks:
        if chunk.kind == "image" and chunk.text.strip():
            yield f"The picture probably shows: {' '.join(chunk.text.split())}."


def _regions(chunks: Sequence[Chunk]) -> Iterator[Region]:
    """Things in a picture, figures and tables where they stand; a figure is called by its caption's first line."""
    for chunk in chunks:
        yield from (Region(label=thing.text, box=thing.box) for thing in chunk.regions if thing.box is not None)
        if chunk.kind == "figure" and chunk.box is not None:
            said = chunk.text.strip().partition("\n")[0][:120]
            yield Region(label=f"figure ({said})" if said else "figure", box=chunk.box)
        elif chunk.kind == "table" and chunk.box is not None:
            yield Region(label="table", box=chunk.box)


def _lines(chunks: Sequence[Chunk]) -> Iterator[TextLine]:
    """Words with their boxes; text without geometry goes line by line without any."""
    for chunk in chunks:
        if chunk.kind not in ("text", "figure"):
            continue
        if chunk.lines:
            yield from (TextLine(text=line.text, box=line.box) for line in chunk.lines if line.text.strip())
        else:
            yield from (TextLine(text=text.strip()) for text in chunk.text.splitlines() if text.strip())


# -- documents that are nearly the same --------------------------------------------------------------------------------


def _alike(documents: Mapping[str, Sequence[Chunk]]) -> list[set[str]]:
    """Documents in groups; two stand together when most of their three-word runs are the same."""
    runs = {name: _runs(chunks) for name, chunks in sorted(documents.items())}
    groups = {name: {name} for name in documents}
    buckets: dict[int, list[str]] = defaultdict(list)
    for name, own in runs.items():
        rivals = {rival for run in sorted(own)[:_SKETCH] for rival in buckets[run]}
        for run in sorted(own)[:_SKETCH]:
            buckets[run].append(name)
        for rival in sorted(rivals):
            if groups[rival] is not groups[name] and _overlap(own, runs[rival]) >= _ALIKE:
                joined = groups[name] | groups[rival]
                groups.update(dict.fromkeys(joined, joined))
    return list({id(group): group for group in groups.values()}.values())


def _runs(chunks: Sequence[Chunk]) -> set[int]:
    """Digests of a document's runs of three words, smallest first a fair sample; a few words are no document."""
    text = " ".join(chunk.text for chunk in chunks if chunk.kind not in ("page", "image")).casefold()
    words = "".join(sign if sign.isalnum() or sign == "_" else " " for sign in text).split()
    if len(words) < _FEW_WORDS:
        return set()
    runs = (" ".join(words[at : at + _SHINGLE_WORDS]) for at in range(len(words) - _SHINGLE_WORDS + 1))
    return {int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest()) for run in runs}


def _overlap(one: set[int], other: set[int]) -> float:
    return len(one & other) / max(1, len(one | other))


def _mark(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()
