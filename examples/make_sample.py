"""Draw the sample collection again: `python examples/make_sample.py --help`.

A tool for whoever changes the collection; nothing else needs it. Office files, mails and pages need only the
project's own environment. The two PDFs need `reportlab` (tried with 5.1.0), and the papers the Debian packages
fonts-lato, fonts-courier-prime, fonts-gnutypewriter, fonts-ebgaramond-extra, fonts-dancingscript and
fonts-dejavu-core. The pictures are
cut from unpacked packages, which `sample_maker/picture_table.py` names.
"""

import argparse
import sys
from pathlib import Path

SAMPLE = Path(__file__).parent / "sample"
PARTS = ("pages", "office", "pdf", "scans", "pictures", "sources")


def main() -> int:
    """Draw the parts that were asked for, each into its folders of the collection."""
    options = _options()
    sys.path.insert(0, str(Path(__file__).parent))
    for part in options.parts or [part for part in PARTS if part != "pictures" or options.packages]:
        print(f"drawing {part}", file=sys.stderr)
        _draw(part, options)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of: {', '.join(PARTS)}; all that can be drawn")
    parser.add_argument("--out", type=Path, default=SAMPLE, help="folder for collection/ and SOURCES.md")
    parser.add_argument("--packages", type=Path, help="folder of unpacked packages, for the pictures")
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"), help="folder with the fonts")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if "pictures" in options.parts and options.packages is None:
        parser.error("the pictures are cut from unpacked packages: name their folder with --packages")
    return options


def _draw(part: str, options: argparse.Namespace) -> None:
    """Each part imports only what it needs."""
    collection = options.out / "collection"
    if part == "pages":
        from sample_maker import pages

        pages.write_all(collection)
    elif part == "office":
        from sample_maker import office

        office.write_all(collection)
    elif part == "pdf":
        from sample_maker import invoice, manual

        manual.write(collection, options.fonts)
        invoice.write(collection, options.fonts)
    elif part == "scans":
        from sample_maker import scans

        scans.write_all(collection, options.fonts)
    elif part == "pictures":
        from sample_maker import pictures

        pictures.cut_all(options.packages, collection)
    else:
        from sample_maker import sources

        sources.write(options.out / "SOURCES.md")


if __name__ == "__main__":
    sys.exit(main())
