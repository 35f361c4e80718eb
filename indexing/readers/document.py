"""What the readers of documents share: blocks become a `Reading`, pictures inside become figures."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from indexing.errors import UnreadableFileError
from indexing.machine import pass_on
from indexing.readers.markup import clean
from indexing.readers.spool import Spool
from indexing.records import Block, Page, Reading

_LEAST_FIGURE_SIDE = 120


def finished(
    path: Path,
    blocks: Sequence[Block],
    spool: Spool,
    *,
    title: str | None = None,
    metadata: dict[str, str] | None = None,
    pictures: Iterator[tuple[int | None, bytes]] | None = None,
    notes: tuple[str, ...] = (),
) -> Reading:
    """The blocks as a document; `pictures` are looked at for figures, and it is called after its first heading when it
    has no title of its own."""
    if pictures is not None:
        figures, left_out = _figures(pictures, spool)
        blocks, notes = [*blocks, *figures], (*notes, *left_out)
    numbers = sorted({block.page for block in blocks if block.page is not None})
    first = next((block.text for block in blocks if block.kind == "heading"), "")
    return Reading(
        is_picture=False,
        title=" ".join(clean(title or first or path.stem).split())[:300] or path.stem,
        pages=tuple(Page(number=number, image=None, width=0, height=0) for number in numbers),
        blocks=tuple(blocks),
        metadata=metadata or {},
        notes=notes,
    )


def _figures(pictures: Iterator[tuple[int | None, bytes]], spool: Spool) -> tuple[list[Block], list[str]]:
    """Figures in order, and notes on those that were left out."""
    figures: list[Block] = []
    too_many = 0
    broken: Counter[str] = Counter()
    for slide, data in pictures:
        if spool.figures >= spool.limits.max_figures:
            too_many += 1
            continue
        try:
            block = figure_block(data, spool, page=slide)
        except UnreadableFileError as error:
            pass_on(error)
            broken[error.reason] += 1
            continue
        figures += [block] if block is not None else []
    notes = [f"{count:,} embedded pictures could not be read: {reason}" for reason, count in broken.items()]
    if too_many:
        notes.append(f"{too_many:,} embedded pictures over the limit of {spool.limits.max_figures:,} were left out")
    return figures, notes


def figure_block(data: bytes, spool: Spool, *, page: int | None = None, caption: str = "") -> Block | None:
    """A picture inside a document, with the words in it; None when it is as small as a bullet or a logo."""
    from indexing.readers.picture import decoded_bytes, words_in

    image = decoded_bytes(io.BytesIO(data), spool)
    if min(image.size) < _LEAST_FIGURE_SIDE:
        return None
    image, words = words_in(image)
    text = "\n".join(line.text for line in words.lines) if words else ""
    return Block(kind="figure", text=text, page=page, caption=caption, image=spool.figure(image))
