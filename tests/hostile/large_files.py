"""Input of a size that people meet once a year, through the real `llavero index`: what it costs, and what comes out.

    python tests/hostile/large_files.py [--only WORD] [--pages N] [--keep FOLDER]

long PDF         10,000 pages: killed in the middle, it goes on at the page where it was; what a page costs at the
                 beginning and at the end; memory
large workbook   1,048,576 rows
full letter      2,000 attachments
sparse file      5 GB that take no room on the disk
two at once      a second indexer while the first is at work

Minutes each, and gigabytes of disk for the long PDF: not part of the suite. Exit code 1 when something did not hold.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "indexing"))

from findings import Findings, say
from processes import MemoryWatch
from reading_doubles import make_pdf, text_at

ROOT = Path(__file__).resolve().parents[2]
_MOST_WORKER_BYTES = 1_500_000_000
_ROWS = 1_048_576
_PAGE = re.compile(r"page ([\d,]+) of ([\d,]+)")
_WORDS = (
    "harbour",
    "ferry",
    "lighthouse",
    "keeper",
    "pelican",
    "mole",
    "berth",
    "ship",
    "tide",
    "rope",
    "anchor",
    "quay",
)


@dataclass
class Run:
    """One `llavero index`, with what it said and took."""

    code: int
    out: str
    said: list[tuple[float, str]]
    memory: MemoryWatch
    seconds: float

    @property
    def report(self) -> dict[str, Any]:
        """Its JSON."""
        return dict(json.loads(self.out))

    def pages(self) -> list[tuple[float, int]]:
        """When it said that it was at which page."""
        found = [(at, _PAGE.search(line)) for at, line in self.said]
        return [(at, int(each[1].replace(",", ""))) for at, each in found if each]


class Indexer:
    """Starts `llavero index` on one file or folder."""

    def __init__(self, what: Path, library: Path) -> None:
        self._began = time.monotonic()
        self.said: list[tuple[float, str]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ui.cli.main", "index", what, "--library", library, "--kit", "pocket", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
            start_new_session=True,
        )
        self.memory = MemoryWatch(self.process.pid).__enter__()
        self._out: list[str] = []
        self._threads = [threading.Thread(target=each) for each in (self._listen, self._take)]
        for each in self._threads:
            each.start()

    def until(self, holds: Callable[[str], object]) -> None:
        """Wait for a line for which it holds, or the end."""
        while self.process.poll() is None and not any(holds(line) for _, line in list(self.said)):
            time.sleep(0.05)

    def kill(self) -> None:
        """As `kill -9` does."""
        os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> Run:
        """Wait for its end."""
        code = self.process.wait()
        for each in self._threads:
            each.join()
        self.memory.__exit__()
        return Run(code, "".join(self._out), self.said, self.memory, time.monotonic() - self._began)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append((time.monotonic() - self._began, line.rstrip()))

    def _take(self) -> None:
        assert self.process.stdout is not None
        self._out.append(self.process.stdout.read())


def long_pdf(folder: Path, findings: Findings, asked: argparse.Namespace) -> None:
    """Killed at a third, then read to its end."""
    file, library, pages = folder / "long.pdf", folder / "library", asked.pages
    file.write_bytes(make_pdf([_page(number) for number in range(1, pages + 1)]))
    say(f"a PDF of {pages:,} pages, {file.stat().st_size / 1e6:.0f} MB")
    first = Indexer(file, library)
    first.until(lambda line: (at := _PAGE.search(line)) and int(at[1].replace(",", "")) > pages // 3)
    first.kill()
    stopped = first.end()
    reached = stopped.pages()[-1][1]
    say(f"killed after {stopped.seconds:.0f} s at page {reached:,}")
    again = Indexer(file, library).end()
    told = again.pages()
    # pages of the first run are told as fast as they are found again
    faults = [] if told and _told_at(told, reached) < 0.3 * stopped.seconds else ["the pages before are read again"]
    findings.check("long PDF", "it goes on where it was killed", faults)
    report = again.report
    say(f"{report['chunks']:,} rows after {again.seconds:.0f} s more; {again.memory}")
    findings.check("long PDF", "every page is a row", _other(again.code, 0) + _other(_pages_of(library), pages))
    early, late = _rate(stopped.pages()), _rate(told[len(told) // 2 :])
    say(f"a page took {1e3 / early:.0f} ms in the first run, {1e3 / late:.0f} ms at the end of the second")
    findings.check("long PDF", "a page's cost does not grow", [] if late > early / 1.5 else ["it does"])
    largest = max(again.memory.parts[1:], default=0)
    findings.check("long PDF", "memory of the reader", [] if largest < _MOST_WORKER_BYTES else [f"{again.memory}"])


def large_workbook(folder: Path, findings: Findings, _: argparse.Namespace) -> None:
    """As many rows as Excel has; written by hand, since openpyxl takes minutes."""
    file = folder / "rows.xlsx"
    _write_workbook(file)
    run = Indexer(file, folder / "library").end()
    _judge("large workbook", run, findings, most_seconds=1_800)


def full_letter(folder: Path, findings: Findings, _: argparse.Namespace) -> None:
    """Each attachment is read, or noted."""
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["To"] = "two thousand", "a@example.org", "b@example.org"
    letter.set_content("see the attachments")
    for number in range(2_000):
        letter.add_attachment(f"words of attachment {number}", filename=f"{number}.txt")
    (folder / "full.eml").write_bytes(bytes(letter))
    run = Indexer(folder / "full.eml", folder / "library").end()
    _judge("full letter", run, findings, most_seconds=300)


def sparse_file(folder: Path, findings: Findings, _: argparse.Namespace) -> None:
    """Refused at once, as text and as a picture."""
    for name, head in (("sparse.txt", b"words"), ("sparse.jpg", b"\xff\xd8\xff\xe0"), ("sparse.pdf", b"%PDF-1.7\n")):
        with (folder / name).open("wb") as file:
            file.write(head)
            file.truncate(5_000_000_000)
    run = Indexer(folder, folder.parent / "sparse library").end()
    _judge("sparse file", run, findings, most_seconds=60)
    reasons = [each["reason"] for each in run.report["failures"]]
    findings.check("sparse file", "each is refused with its size", [] if len(reasons) == 3 else [str(reasons)])


def two_at_once(folder: Path, findings: Findings, _: argparse.Namespace) -> None:
    """The second says who is at work, and the first ends as if nothing had been."""
    source = folder / "files"
    source.mkdir()
    for number in range(300):
        (source / f"{number}.txt").write_text(f"words of file {number}")
    first = Indexer(source, folder / "library")
    while not (folder / "library" / "library.lock").exists():
        time.sleep(0.01)
    second = Indexer(source, folder / "library").end()
    whole = first.end()
    said = "\n".join(line for _, line in second.said)
    findings.check("two at once", "the first ends well", _other(whole.code, 0) + _other(whole.report["added"], 300))
    faults = [] if second.code == 0 or "is open in" in said else [f"it ended with {second.code}: {said}"]
    findings.check("two at once", "the second waits for it, or says who is at work", faults)
    say(f"the second: {second.code}, {said[-200:]}")


def _judge(kind: str, run: Run, findings: Findings, *, most_seconds: float) -> None:
    """What holds for all."""
    say(f"{kind}: {run.seconds:.0f} s, {run.memory}, exit code {run.code}: {run.out[:600]}")
    faults = [] if run.code in (0, 3) else [f"exit code {run.code}: {run.said[-1:]}"]
    faults += [f"it took {run.seconds:.0f} s"] if run.seconds > most_seconds else []
    faults += [f"memory: {run.memory}"] if max(run.memory.parts[1:], default=0) > _MOST_WORKER_BYTES else []
    if run.code in (0, 3):
        told = run.report["failures"] or run.report["notes"] or run.report["chunks"]
        faults += [] if told else ["neither rows, nor a note, nor a reason"]
    findings.check(kind, "it ends in time, within its memory, and is accounted for", faults)


def _other(found: object, expected: object) -> list[str]:
    return [] if found == expected else [f"{found}, not {expected}"]


def _told_at(told: list[tuple[float, int]], page: int) -> float:
    """Seconds from the first page that was told to this one."""
    return next((at for at, each in told if each >= page), told[-1][0]) - told[0][0]


def _rate(told: list[tuple[float, int]]) -> float:
    """Pages a second."""
    (since, first), (until, last) = told[0], told[-1]
    return max(last - first, 1) / max(until - since, 0.001)


def _pages_of(library: Path) -> int:
    """Page images that are kept."""
    return sum(1 for _ in (library / "pages").glob("*/page-*.jpg"))


def _page(number: int) -> str:
    lines = [
        f"{' '.join(_WORDS[(number * 7 + line * each) % 12] for each in range(12))} {number}" for line in range(40)
    ]
    drawn = [text_at(72, 710 - 15 * line, words) for line, words in enumerate(lines)]
    return text_at(72, 740, f"Section {number} of the harbour book", size=16) + "".join(drawn)


def _write_workbook(file: Path) -> None:
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default '
        'Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
        'PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.'
        'main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-'
        'officedocument.spreadsheetml.worksheet+xml"/></Types>',
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
        'officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://'
        'schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Rows" sheetId="1" '
        'r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
        'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
        'relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    }  # fmt: skip
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>')
            for row in range(1, _ROWS + 1):
                cells = f'<c r="A{row}"><v>{row}</v></c><c r="B{row}" t="inlineStr"><is><t>ship {row}</t></is></c>'
                sheet.write(f'<row r="{row}">{cells}</row>'.encode())
            sheet.write(b"</sheetData></worksheet>")


_CASES = {
    "two at once": two_at_once,
    "sparse file": sparse_file,
    "full letter": full_letter,
    "large workbook": large_workbook,
    "long PDF": long_pdf,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Index a few very large files.")
    parser.add_argument("--only", default="", metavar="WORD", help="only cases whose name contains it")
    parser.add_argument("--pages", type=int, default=10_000, metavar="N", help="of the long PDF")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a new folder that stays")
    asked = parser.parse_args()
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="llavero-large-") as scratch:
        work = (asked.keep or Path(scratch)).resolve()
        for name, case in _CASES.items():
            if asked.only in name:
                folder = work / name.replace(" ", "-")
                folder.mkdir(parents=True)
                case(folder, findings, asked)
    for line in findings.table():
        say(line)
    return 1 if findings.failed else 0


if __name__ == "__main__":
    sys.exit(main())
