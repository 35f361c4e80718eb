"""Memory over the number of files: does indexing 5,000 of them hold more than indexing 500?

    python benchmarks/many_files.py [--files 5000] [--kit pocket]

Small pictures, texts, letters and PDFs, each different, in folders of a hundred, through `llavero index` as a process
of its own. Ten times a second the proportional set size (PSS) of the process and of its readers is looked at; for each
tenth of the run the table has the files done, the largest sum of that tenth, the process's own part and the largest
reader's. Flat means: the last tenth holds no more than a fifth above the third one. Exit code 1 otherwise.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from email.message import EmailMessage
from pathlib import Path

import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WORDS = ["harbour", "ferry", "lighthouse", "keeper", "pelican", "mole", "berth", "ship", "tide", "rope", "anchor"]
TENTHS = 10
MOST_GROWTH = 1.2


def make_files(folder: Path, count: int) -> None:
    """Each of its own content."""
    draw = random.Random(2026)
    for number in range(count):
        place = folder / f"{number // 100:03d}"
        place.mkdir(parents=True, exist_ok=True)
        words = [f"{' '.join(draw.choices(WORDS, k=12))} {number}" for _ in range(20)]
        match number % 4:
            case 0:
                colour = (draw.randrange(256), draw.randrange(256), draw.randrange(256))
                image = Image.effect_noise((320, 240), 40).convert("RGB")
                Image.blend(image, Image.new("RGB", image.size, colour), 0.7).save(place / f"{number}.jpg", quality=85)
            case 1:
                (place / f"{number}.txt").write_text("\n\n".join(words))
            case 2:
                letter = EmailMessage()
                letter["From"], letter["Subject"] = "ada@example.org", f"Berth {number}"
                letter.set_content("\n".join(words))
                (place / f"{number}.eml").write_bytes(bytes(letter))
            case _:
                (place / f"{number}.pdf").write_bytes(pdf(words))


def pdf(lines: list[str]) -> bytes:
    """One page with these lines."""
    drawn = "".join(f"BT /F 10 Tf 40 {740 - 14 * row} Td ({line}) Tj ET\n" for row, line in enumerate(lines)).encode()
    font = b"<< /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources %s >>" % font,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
    ]
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start
    return bytes(out)


class Watch:
    """How many files are done, from the lines of progress; what is held meanwhile."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process, self.done = process, 0
        self.held: list[
            tuple[int, int, int, int]
        ] = []  # files done, bytes in all, of the process, of the largest reader
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._listen, self._look)]
        for each in self._threads:
            each.start()

    def end(self) -> None:
        """Wait for both threads."""
        for each in self._threads:
            each.join()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            first = line.split(" ", 1)[0].replace(",", "")
            if " files" in line and first.isdigit():
                self.done = int(first)

    def _look(self) -> None:
        own = psutil.Process(self._process.pid)
        while self._process.poll() is None:
            try:
                parts = [each.memory_full_info().pss for each in (own, *own.children(recursive=True))]
            except psutil.Error:
                continue
            self.held.append((self.done, sum(parts), parts[0], max(parts[1:], default=0)))
            time.sleep(0.1)


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Memory over the number of files.")
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--kit", default="pocket")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="llavero-many-") as scratch:
        folder = Path(scratch)
        make_files(folder / "files", asked.files)
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "ui.cli.main", "index", folder / "files", "--library", folder / "library",
             "--kit", asked.kit, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        watch = Watch(process)
        assert process.stdout is not None
        report = json.loads(process.stdout.read())
        watch.end()
        process.wait()
    print(f"{report['added']:,} files, {report['chunks']:,} rows in {time.monotonic() - began:.0f} s")
    print(f"{'files done':>12} {'all':>9} {'process':>9} {'a reader':>9}   (most in that tenth, MB)")
    sums = []
    for tenth in range(TENTHS):
        first, last = asked.files * tenth // TENTHS, asked.files * (tenth + 1) // TENTHS
        held = [each for each in watch.held if first <= each[0] < last or (tenth == TENTHS - 1 and each[0] >= last)]
        if held:
            sums.append(max(each[1] for each in held))
            own, reader = (max(each[part] for each in held) for part in (2, 3))
            print(f"{last:12,d} {sums[-1] / 1e6:9.0f} {own / 1e6:9.0f} {reader / 1e6:9.0f}")
    grown = sums[-1] / sums[min(2, len(sums) - 1)]
    print(f"the last tenth holds {grown:.2f} of what the third held")
    return 0 if grown <= MOST_GROWTH and report["added"] == asked.files else 1


if __name__ == "__main__":
    sys.exit(main())
