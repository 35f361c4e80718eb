"""Pages of text PDFs a second, and how much of them is read in which order, beside other programs in the same run.

    python benchmarks/ingest.py DOCUMENTS --peers /tmp/peers/bin/python [--truth TRUTH] [--cores 2] [--repeat 5]

Speed: all PDFs of DOCUMENTS that have text on every page, each program in its own processes on the same cores, from the
start of the program to the last file; the programs take turns, and the median of the rounds counts. Llavero does what
`llavero index` does with a file before it embeds it: text, tables, figures, a picture of every page and the square of
it for the embedder, in as many worker processes as there are cores. The others write text or Markdown and no pictures;
opendataloader gets as many threads as cores by its own default (one), the rest are libraries of one thread, so they get
a process for each core and every other file.

Reading: TRUTH holds texts that people checked, `NAME.md` for `NAME.pdf` (docling's own are in its repository, under
`tests/data/pdf/groundtruth`). `words` is the share of the truth's words that were read, each as often as it is there;
`order` the longest common subsequence of words over the truth's words; `tables` the share of neighbouring cells of the
truth's tables that are neighbours in a table that was read, as in the table competition of ICDAR 2013.

benchmarks/pdf_peers.py says how to have the other programs. None of them is a dependency of Llavero.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pdf_peers
from read_documents import share_found, share_in_order, words_of

_LEAST_CHARACTERS = 50
"""On each page of a text PDF."""
_LLAVERO = "llavero"


def text_pdfs(folder: Path) -> list[tuple[Path, int]]:
    """The PDFs with text on every page, and their numbers of pages."""
    import pypdfium2

    found: list[tuple[Path, int]] = []
    for path in sorted(folder.glob("*.pdf")):
        try:
            pages = list(pypdfium2.PdfDocument(path))
            texts = [page.get_textpage().count_chars() for page in pages]
        except (pypdfium2.PdfiumError, OSError):
            continue
        if texts and min(texts) >= _LEAST_CHARACTERS:
            found.append((path, len(texts)))
    return found


def read_here(files: Sequence[Path], out: Path, workers: int) -> None:
    """Llavero: what the library would hold of each file, written to `OUT/NAME.md`."""
    import hashlib

    from indexing.embedding.protocol import Preprocess
    from indexing.records import SourceFile
    from indexing.settings import ReadLimits
    from indexing.workers.pool import ReaderPool, ReadResult

    def source(path: Path) -> SourceFile:
        state, digest = path.stat(), hashlib.sha256(path.read_bytes()).hexdigest()
        return SourceFile(path=path, size_bytes=state.st_size, modified_ns=state.st_mtime_ns, content_hash=digest)

    preprocess = Preprocess(size=224, resize_to=256)
    with (
        tempfile.TemporaryDirectory() as spool,
        ReaderPool(limits=ReadLimits(), preprocess=preprocess, spool=Path(spool), workers=workers) as pool,
    ):
        for found, outcome in pool.read(map(source, files)):
            if not isinstance(outcome, ReadResult):
                sys.stderr.write(f"{_LLAVERO}: {found.path.name}: {outcome.reason}\n")
                continue
            blocks = outcome.reading.blocks
            text = "\n\n".join(part for block in blocks for part in (block.caption, block.text) if part)
            (out / f"{found.path.stem}.md").write_text(text, encoding="utf-8")


def run(name: str, files: Sequence[Path], out: Path, peers: str, cores: int) -> float:
    """Seconds that the program took for the files."""
    here = Path(__file__).resolve()
    if name == _LLAVERO:
        commands = [[sys.executable, str(here), "--read", str(out), "--cores", str(cores), *map(str, files)]]
    else:
        shares = [files] if name == "opendataloader" else [files[start::cores] for start in range(cores)]
        peer = str(here.with_name("pdf_peers.py"))
        commands = [[peers, peer, name, str(out), *map(str, share)] for share in shares if share]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(here.parents[1])}
    if name != _LLAVERO:
        environment.pop("PYTHONPATH")
    started = time.perf_counter()
    running = [subprocess.Popen(each, env=environment, stdout=subprocess.DEVNULL) for each in commands]
    codes = [each.wait() for each in running]
    if any(codes):
        raise SystemExit(f"{name} ended with {codes}: is it installed in {peers}?")
    return time.perf_counter() - started


def is_there(name: str, peers: str) -> bool:
    """Whether the other Python can import the program; one that is missing is named and left out."""
    module = pdf_peers.MODULES[name]
    done = subprocess.run([peers, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"left out: {name} ({(done.stderr.strip().splitlines() or ['no reason given'])[-1]})")
    return done.returncode == 0


def neighbours(text: str) -> Counter[tuple[str, str]]:
    """Pairs of cells that stand side by side or one above the other in Markdown tables, without empty cells."""
    pairs: Counter[tuple[str, str]] = Counter()
    for table in _tables(text):
        for row in table:
            filled = [cell for cell in row if cell]
            pairs.update(pairwise(filled))
        for column in range(max(map(len, table))):
            filled = [row[column] for row in table if column < len(row) and row[column]]
            pairs.update(pairwise(filled))
    return pairs


def _tables(text: str) -> Iterator[list[list[str]]]:
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        line = line.strip()
        if line.startswith("|") and line.endswith("|") and len(line) > 1:
            if set(line) - set("|-: "):
                rows.append(["".join(words_of(cell)) for cell in line[1:-1].replace("\\|", " ").split("|")])
        elif rows:
            yield rows
            rows = []


def scores(truth: str, found: str) -> tuple[float, float, float | None]:
    """Words, order and tables; None for tables where the truth has none."""
    wanted, got = words_of(truth), words_of(found)
    pairs = neighbours(truth)
    tables = sum((pairs & neighbours(found)).values()) / sum(pairs.values()) if pairs else None
    return share_found(wanted, got), share_in_order(wanted, got), tables


def show_reading(names: Sequence[str], files: Sequence[Path], truth: Path, peers: str, cores: int) -> None:
    """A table of all files that have a truth."""
    checked = [file for file in files if (truth / f"{file.stem}.md").exists()]
    print(f"\n| file | words in truth | {' | '.join(names)} |")
    print(f"| --- | ---: |{' --- |' * len(names)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).mkdir()
            run(name, checked, Path(folder) / name, peers, cores)
        sums: dict[str, list[tuple[float, float, float | None]]] = {name: [] for name in names}
        for file in checked:
            wanted = (truth / f"{file.stem}.md").read_text(encoding="utf-8")
            cells = []
            for name in names:
                made = Path(folder) / name / f"{file.stem}.md"
                found = scores(wanted, made.read_text(encoding="utf-8") if made.exists() else "")
                sums[name].append(found)
                cells.append(_shown(found))
            print(f"| {file.name} | {len(words_of(wanted))} | {' | '.join(cells)} |")
    print(f"| mean | | {' | '.join(_shown(_mean(sums[name])) for name in names)} |")
    print("\nwords / order / tables")


def _mean(found: Sequence[tuple[float, float, float | None]]) -> tuple[float, float, float | None]:
    tables = [each[2] for each in found if each[2] is not None]
    words, order = (statistics.fmean(each[place] or 0.0 for each in found) for place in (0, 1))
    return words, order, statistics.fmean(tables) if tables else None


def _shown(found: tuple[float, float, float | None]) -> str:
    return " / ".join("–" if each is None else f"{each:.3f}" for each in found)


def show_speed(names: Sequence[str], files: Sequence[tuple[Path, int]], peers: str, cores: int, repeat: int) -> None:
    """Median seconds of the rounds, pages a second, and Llavero's over each."""
    paths, pages = [path for path, _ in files], sum(count for _, count in files)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(repeat):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                seconds[name].append(run(name, paths, Path(folder), peers, cores))
        print(f"round {number + 1}: " + ", ".join(f"{name} {seconds[name][-1]:.1f} s" for name in names), flush=True)
    rates = {name: pages / statistics.median(found) for name, found in seconds.items()}
    print(f"\n{len(paths)} text PDFs, {pages} pages, {cores} cores, median of {repeat}\n")
    print("| | seconds | pages a second | Llavero is |\n| --- | ---: | ---: | ---: |")
    for name in names:
        ratio = rates[_LLAVERO] / rates[name]
        print(f"| {name} | {statistics.median(seconds[name]):.1f} | {rates[name]:.1f} | {ratio:.2f} |")


def main() -> None:
    """Measure, or be the program that is measured (`--read`)."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("documents", type=Path, nargs="*")
    arguments.add_argument("--peers", default=sys.executable, help="the Python that has the other programs")
    arguments.add_argument("--programs", default=",".join(pdf_peers.NAMES), help="which of them, with commas between")
    arguments.add_argument("--truth", type=Path)
    arguments.add_argument("--cores", type=int, default=2)
    arguments.add_argument("--repeat", type=int, default=5, help="rounds of the speed; 0 leaves it out")
    arguments.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if not chosen.documents:
        print("skipped: name a folder of PDFs")
        return
    if chosen.read is not None:
        read_here(chosen.documents, chosen.read, chosen.cores)
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    names = [_LLAVERO, *filter(None, chosen.programs.split(","))]
    (folder,) = chosen.documents
    names = [name for name in names if name == _LLAVERO or is_there(name, chosen.peers)]
    if chosen.truth is not None:
        show_reading(names, sorted(folder.glob("*.pdf")), chosen.truth, chosen.peers, chosen.cores)
    if chosen.repeat:
        show_speed(names, text_pdfs(folder), chosen.peers, chosen.cores, chosen.repeat)


if __name__ == "__main__":
    main()
