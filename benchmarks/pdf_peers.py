"""Other programs that read PDFs, each in its own words. Run by the Python that has them, never by the product's.

    PEERS/bin/python benchmarks/pdf_peers.py NAME OUT FILE…

NAME is one of opendataloader, pymupdf4llm, pdfplumber, docling-parse, pypdfium2, unstructured. What NAME reads of
`x.pdf` is written to `OUT/x.md`: Markdown where it makes some, else plain text. To have them all:

    python -m venv /tmp/peers
    /tmp/peers/bin/pip install opendataloader-pdf 'pymupdf4llm<2' pdfplumber docling-parse pypdfium2 \\
        'unstructured[pdf]'

opendataloader needs Java (11 or later) on the search path; unstructured's "fast" brings torch with it.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any


def opendataloader(files: Sequence[Path], out: Path) -> None:
    """All files in one run of its program, without pictures."""
    library: Any = import_module("opendataloader_pdf")
    library.convert(
        [str(file) for file in files], output_dir=str(out), format="markdown", quiet=True, image_output="off"
    )


def pymupdf4llm(file: Path) -> str:
    """Markdown."""
    library: Any = import_module("pymupdf4llm")
    return str(library.to_markdown(str(file), show_progress=False))


def pdfplumber(file: Path) -> str:
    """Text, with the tables that it finds written behind their page."""
    library: Any = import_module("pdfplumber")
    parts: list[str] = []
    with library.open(file) as document:
        for page in document.pages:
            parts.append(page.extract_text() or "")
            parts += [_markdown(table) for table in page.extract_tables()]
    return "\n\n".join(parts)


def docling_parse(file: Path) -> str:
    """Lines in the order of the file."""
    library: Any = import_module("docling_parse.pdf_parser")
    document = library.DoclingPdfParser().load(str(file))
    return "\n".join(cell.text for _, page in document.iterate_pages() for cell in page.textline_cells)


def pypdfium2(file: Path) -> str:
    """Plain text in the order of the file."""
    library: Any = import_module("pypdfium2")
    return "\n".join(page.get_textpage().get_text_range() for page in library.PdfDocument(file))


def unstructured(file: Path) -> str:
    """Its strategy "fast": text without tables."""
    library: Any = import_module("unstructured.partition.pdf")
    return "\n\n".join(str(each) for each in library.partition_pdf(str(file), strategy="fast", languages=["eng"]))


def _markdown(table: Sequence[Sequence[str | None]]) -> str:
    rows = ["| " + " | ".join(" ".join((cell or "").split()) for cell in row) + " |" for row in table]
    return "\n".join([rows[0], "|" + " --- |" * len(table[0]), *rows[1:]])


ONE_BY_ONE: dict[str, Callable[[Path], str]] = {
    "pymupdf4llm": pymupdf4llm,
    "pdfplumber": pdfplumber,
    "docling-parse": docling_parse,
    "pypdfium2": pypdfium2,
    "unstructured": unstructured,
}
NAMES = ("opendataloader", *ONE_BY_ONE)
MODULES = {
    "opendataloader": "opendataloader_pdf",
    "pymupdf4llm": "pymupdf4llm",
    "pdfplumber": "pdfplumber",
    "docling-parse": "docling_parse.pdf_parser",
    "pypdfium2": "pypdfium2",
    "unstructured": "unstructured.partition.pdf",
}
"""What each of them is imported as."""


def main() -> None:
    """Read the files; one that a program cannot read is left out and named on stderr."""
    if len(sys.argv) < 3:
        print("skipped: ingest.py runs it")
        return
    name, out, files = sys.argv[1], Path(sys.argv[2]), [Path(each) for each in sys.argv[3:]]
    if name == "opendataloader":
        opendataloader(files, out)
        return
    for file in files:
        try:
            text = ONE_BY_ONE[name](file)
        except (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
            sys.stderr.write(f"{name}: {file.name}: {type(error).__name__}: {error}\n")
            continue
        (out / f"{file.stem}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
