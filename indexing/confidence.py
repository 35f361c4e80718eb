"""How sure OCR is of the words that it read: of each line, of a passage, of a page.

A line's confidence is the recogniser's mean over its characters (0..1), a passage's or page's is the mean over its
lines, each by its characters. Words that came as text have none.
"""

from collections.abc import Iterable, Sequence

from indexing.records import Block, Line

CONFIDENCE = "confidence"
"""The fact by which files are found: one value for each page that OCR read, in hundredths."""
DOUBTFUL = 0.9
"""A line of less is shown as one in doubt, a page of less gets a note. On 17 receipts none of 6 such lines was right
letter for letter, of 25 lines from 0.9 to 0.95 were 40 %, of 311 lines from 0.98 on 93 %."""


def mean_confidence(lines: Iterable[Line]) -> float | None:
    """None where OCR read none of the lines."""
    read = [(line.confidence, len(line.text)) for line in lines if line.confidence is not None and line.text]
    characters = sum(length for _, length in read)
    return sum(confidence * length for confidence, length in read) / characters if characters else None


def doubtful(lines: Iterable[Line]) -> list[Line]:
    """The lines that OCR is not sure of."""
    return [line for line in lines if line.confidence is not None and line.confidence < DOUBTFUL]


def confidence_facts(blocks: Sequence[Block]) -> dict[str, tuple[str, ...]]:
    """A reading's pages as a fact of its file.

    >>> confidence_facts([Block(kind="text", text="a", page=1, lines=(Line(text="a", confidence=0.934),))])
    {'confidence': ('0.93',)}
    """
    pages: dict[int | None, list[Line]] = {}
    for block in blocks:
        pages.setdefault(block.page, []).extend(block.lines)
    found = [mean for lines in pages.values() if (mean := mean_confidence(lines)) is not None]
    return {CONFIDENCE: tuple(sorted({written(mean) for mean in found}))} if found else {}


def written(confidence: float) -> str:
    """As a fact: `0.93`."""
    return f"{confidence:.2f}"
