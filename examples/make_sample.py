"""Draw the sample collection again: `python examples/make_sample.py --help`.

A tool for whoever changes the collection; nothing else needs it. Office files, mails and pages need only the
project's own environment. The two PDFs need `reportlab` (tried with 5.1.0), and the papers the Debian packages
fonts-lato, fonts-courier-prime, fonts-gnutypewriter, fonts-ebgaramond-extra, fonts-dancingscript and
fonts-dejavu-core. The pictures are
cut from unpacked packages, which `sample_maker/picture_table.py` names.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

SAMPLE = Path(__file__).parent / "sample"
PARTS = ("pages", "office", "pdf", "scans", "pictures", "sources")


def main() -> int:
    """Draw the parts that were asked for, each into its folders of the collection."""
    options = _options()
    sys.path.insert(0, str(Path(__file__).parent))
    for part in options.parts or [part for part in PARTS if part != "pictures" or options.packages]:
        print(f"drawing {part}", file=sys.stderr)
        _maker(part, options.packages, options.fonts)(options.out)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"any of: {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=SAMPLE, help="folder for collection/ and SOURCES.md")
    parser.add_argument("--packages", type=Path, help="folder of unpacked packages, for the pictures")
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"), help="folder with the fonts")
    options = parser.parse_args()
    if "pictures" in options.parts and options.packages is None:
        parser.error("the pictures are cut from unpacked packages: name their folder with --packages")
    return options


def _maker(part: str, packages: Path, fonts: Path) -> Callable[[Path], None]:
    """Each part imports only what it needs."""
    if part == "pages":
        from sample_maker import pages

        return lambda out: pages.write_all(out / "collection")
    if part == "office":
        from sample_maker import office

        return lambda out: office.write_all(out / "collection")
    if part == "pdf":
        from sample_maker import invoice, manual

        return lambda out: (manual.write(out / "collection", fonts), invoice.write(out / "collection", fonts))[0]
    if part == "scans":
        from sample_maker import scans

        return lambda out: scans.write_all(out / "collection", fonts)
    if part == "pictures":
        from sample_maker import pictures

        return lambda out: pictures.cut_all(packages, out / "collection")
    from sample_maker import sources

    return lambda out: sources.write(out / "SOURCES.md")


if __name__ == "__main__":
    sys.exit(main())
