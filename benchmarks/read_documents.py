"""How much of a PDF's text is read, and in which order, beside two plain extractors on the same files.

    python benchmarks/read_documents.py DOCUMENTS TRUTH

DOCUMENTS holds PDF files, TRUTH their texts, written or checked by people: `NAME.md` for `NAME.pdf`. Markdown's own
signs do not count. `words` is the share of the truth's words that were read (each as often as it is there), `order` the
longest common subsequence of words over the truth's words. pdfplumber is compared where it is installed.
"""

import argparse
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from html import unescape
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from indexing.embedding.protocol import Preprocess
from indexing.readers.output import ReaderOutput
from indexing.readers.registry import read
from indexing.settings import ReadLimits

_COMMENT = re.compile(r"<!--.*?-->|!\[[^\]]*\]\([^)]*\)", re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_WORD = re.compile(r"[^\W_]+")

Extract = Callable[[Path], str]


def llavero(path: Path) -> str:
    """What the library holds of the file: captions, text, tables and words of figures."""
    with tempfile.TemporaryDirectory() as folder:
        output = ReaderOutput(Path(folder), preprocess=Preprocess(size=32, resize_to=32), limits=ReadLimits())
        reading = read(path, output)
    return "\n".join(part for block in reading.blocks for part in (block.caption, block.text) if part)


def pypdfium2(path: Path) -> str:
    """PDFium's plain text."""
    import pypdfium2 as library

    document = library.PdfDocument(path)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


def pdfplumber(path: Path) -> str:
    """pdfplumber's plain text."""
    library = import_module("pdfplumber")
    with library.open(path) as document:
        return "\n".join(page.extract_text() or "" for page in document.pages)


def words_of(text: str) -> list[str]:
    """Words without Markdown's signs, their letters small; a word that a line break parts is one."""
    text = unescape(_LINK.sub(r"\1", _COMMENT.sub(" ", text)))
    return [word.casefold() for word in _WORD.findall(re.sub(r"(\w)-\n(\w)", r"\1\2", text))]


def share_found(truth: list[str], found: list[str]) -> float:
    """Of the truth's words, each counted as often as it is there."""
    return sum((Counter(truth) & Counter(found)).values()) / max(1, len(truth))


def share_in_order(truth: list[str], found: list[str]) -> float:
    """Longest common subsequence over the truth's length; bit-parallel (Hyyrö, 2004)."""
    places: dict[str, int] = {}
    for index, word in enumerate(truth):
        places[word] = places.get(word, 0) | 1 << index
    everything = (1 << len(truth)) - 1
    state = everything
    for word in found:
        matched = state & places.get(word, 0)
        state = ((state + matched) | (state - matched)) & everything
    return (len(truth) - state.bit_count()) / max(1, len(truth))


def main() -> None:
    """Read every file that has a truth and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("documents", type=Path, nargs="?")
    arguments.add_argument("truth", type=Path, nargs="?")
    chosen = arguments.parse_args()
    if chosen.truth is None:
        print("skipped: name a folder of PDFs and one of their texts")
        return
    extractors: list[Extract] = [llavero, pypdfium2, *([pdfplumber] if find_spec("pdfplumber") else [])]
    names = [extract.__name__ for extract in extractors]
    print(f"{'file':40} {'words':>6} " + " ".join(f"{name + ' words/order':>24}" for name in names) + "  seconds")
    totals: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for path in sorted(chosen.documents.glob("*.pdf")):
        truth_path = chosen.truth / f"{path.stem}.md"
        if not truth_path.exists():
            continue
        truth = words_of(truth_path.read_text(encoding="utf-8"))
        cells, seconds = [], []
        for extract in extractors:
            started = time.perf_counter()
            found = words_of(extract(path))
            seconds.append(time.perf_counter() - started)
            shares = share_found(truth, found), share_in_order(truth, found)
            totals[extract.__name__].append(shares)
            cells.append(f"{shares[0]:.3f} / {shares[1]:.3f}")
        times = " ".join(f"{each:.1f}" for each in seconds)
        print(
            f"{path.name[:40]:40} {len(truth):6} " + " ".join(f"{cell:>24}" for cell in cells) + f"  {times}",
            flush=True,
        )
    means = [tuple(sum(each) / len(each) for each in zip(*shares, strict=True)) for shares in totals.values() if shares]
    print(f"{'mean':40} {'':6} " + " ".join(f"{f'{words:.3f} / {order:.3f}':>24}" for words, order in means))


if __name__ == "__main__":
    main()
