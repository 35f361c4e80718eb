"""How many printed rows of figures come out as one row of a table, with their label and all their figures in order.

    python benchmarks/table_rows.py REPORT.pdf… [--failures]

A printed row is a line of the page with a label, then two or more numbers and nothing else, in three or more pieces.
It is whole where one line of a Markdown table of that page has the label's first word and ends with these numbers. No
truth written by people is needed; what a row means is not judged.
"""

import argparse
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pypdfium2

from indexing.embedding.protocol import Preprocess
from indexing.readers.output import ReaderOutput
from indexing.readers.pdf.text import read_text
from indexing.readers.reading_order import levels
from indexing.readers.registry import read
from indexing.settings import ReadLimits

_NUMBER = re.compile(r"\d(?:[\d,.]*\d)?")
_MOST_CHARACTERS = 200_000


def table_lines(path: Path) -> dict[int | None, list[str]]:
    """Page → the lines of its Markdown tables."""
    with tempfile.TemporaryDirectory() as folder:
        output = ReaderOutput(Path(folder), preprocess=Preprocess(size=32, resize_to=32), limits=ReadLimits())
        blocks = read(path, output).blocks
    lines: dict[int | None, list[str]] = defaultdict(list)
    for block in blocks:
        if block.kind == "table":
            lines[block.page] += block.text.splitlines()
    return lines


def printed_rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """(page from 1, label, numbers)."""
    for number, page in enumerate(pypdfium2.PdfDocument(path), start=1):
        text = read_text(page, page.get_textpage(), most_characters=_MOST_CHARACTERS)
        for level in levels(text.pieces):
            words = [word.text for piece in level for word in piece.words]
            start = next((at for at, word in enumerate(words) if _is_value(word) or word in ("$", "—")), len(words))
            rest = words[start:]
            values = sum(map(_is_value, rest))
            only = start > 0 and values >= 2 and len(rest) <= 3 * values and not any(word.isalpha() for word in rest)
            if only and len(level) >= 3:
                yield number, " ".join(words[:start]), _NUMBER.findall(" ".join(rest))


def _is_value(word: str) -> bool:
    return any(sign.isdigit() for sign in word) and not any(sign.isalpha() for sign in word)


def main() -> None:
    """Print a line a file, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--failures", action="store_true", help="name the rows that are not whole")
    options = parser.parse_args()
    all_whole = all_rows = 0
    for path in options.files:
        lines, rows, whole = table_lines(path), 0, 0
        for page, label, numbers in printed_rows(path):
            found = any(
                _NUMBER.findall(line)[-len(numbers) :] == numbers and label.split()[0].casefold() in line.casefold()
                for line in lines[page]
            )
            rows, whole = rows + 1, whole + found
            if options.failures and not found:
                print(f"    page {page}: {label[:60]} {' '.join(numbers)}")
        print(f"{path.name}: {whole} of {rows} rows whole ({whole / max(1, rows):.3f})", flush=True)
        all_whole, all_rows = all_whole + whole, all_rows + rows
    print(f"all: {all_whole} of {all_rows} ({all_whole / max(1, all_rows):.3f})")


if __name__ == "__main__":
    main()
