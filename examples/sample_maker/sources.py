"""SOURCES.md: for every file of the collection, who made it and why it may be here."""

from pathlib import Path

from sample_maker.picture_table import DRAWINGS, PHOTOGRAPHS, Picture

MADE_HERE: tuple[tuple[str, str], ...] = (
    ("documents/invoice-SD-2025-118.pdf", "invoice.py; Lato (SIL OFL 1.1) embedded as a subset"),
    ("documents/zefira-duo-manual.pdf", "manual.py; Lato (SIL OFL 1.1) embedded as a subset"),
    ("mail/2025-06-18 name of the new blend.eml", "pages.py"),
    ("mail/2025-10-06 class 4b.eml", "pages.py"),
    ("notes/interview-17-adela-quint.txt", "pages.py"),
    ("notes/volunteer-handbook.md", "pages.py"),
    ("office/board-minutes-2025-05-06.docx", "minutes.py"),
    ("office/lighthouse-gallery-opening.pptx", "slides.py, its chart by chart.py"),
    ("office/museum-workbook-2025.xlsx", "workbook.py"),
    ("scans/fax-ferry-timetable.tif", "scans.py; drawn with Courier Prime (SIL OFL 1.1)"),
    (
        "scans/letter-1927-11-03.pdf",
        "scans.py; drawn with GNU Typewriter (SIL OFL 1.1), EB Garamond and Dancing Script (both SIL OFL 1.1)",
    ),
    ("scans/receipt-ship-chandler.jpg", "scans.py; drawn with DejaVu Sans Mono (Bitstream Vera licence)"),
    ("web/plan-your-visit.html", "pages.py"),
)

INTRODUCTION = """\
# Where the sample collection comes from

Written by `examples/make_sample.py sources`; change `examples/sample_maker/`, not this file.

`collection/` holds the papers and pictures of Marevale Harbour Museum and its café, The Lamp Room. Neither the
museum nor its town, ships, staff, suppliers or machines exist. What the file names call a picture (the museum's
cat, the ship's drawing) is part of that story; what it really shows stands below.

- `questions.jsonl`: forty questions with the files that answer them, the page, and the answer.
- `unanswerable.jsonl`: fifteen questions that sound as if they could be answered here, and cannot.

## Pictures by others

Only pictures that their package declares to be CC0 or in the public domain. They were cropped, made smaller and
saved again; `sample_maker/picture_table.py` says which. The evidence stands where the package says it:

| package | where it states the licence |
|---|---|
| scikit-image 0.26.0 (PyPI) | the function of each picture in `skimage/data/_fetchers.py` |
| scipy 1.9.3 (PyPI) | `scipy.misc.face` in `scipy/misc/_common.py` |
| gcompris-qt-data 3.1-2 (Debian 12) | the README in each resource folder: author, licence and source by file |
| openclipart-png 1:0.18+dfsg-19 (Debian 12) | `/usr/share/doc/openclipart-png/copyright`: Public Domain Dedication |

"""


def write(target: Path) -> None:
    """Write the whole page."""
    parts = [
        INTRODUCTION,
        _pictures("Photographs", PHOTOGRAPHS),
        _pictures("Drawings", DRAWINGS),
        _made_here(),
    ]
    target.write_text("".join(parts), encoding="utf-8")


def _pictures(heading: str, pictures: tuple[Picture, ...]) -> str:
    rows = [
        " | ".join(
            (
                f"| `{picture.name}`",
                picture.shows,
                picture.author,
                picture.licence,
                _package(picture),
                f"{_source(picture)} |",
            )
        )
        for picture in pictures
    ]
    head = "| file | shows | by | licence | from | original |\n|---|---|---|---|---|---|\n"
    return f"### {heading}\n\n{head}" + "\n".join(rows) + "\n\n"


def _package(picture: Picture) -> str:
    package, path = picture.origin.split("/", 1)
    package = {"gcompris": "gcompris-qt-data", "openclipart": "openclipart-png"}.get(package, package)
    return f"{package}: `{path.removeprefix('src/activities/').removeprefix('usr/share/openclipart/png/')}`"


def _source(picture: Picture) -> str:
    return f"<{picture.source}>" if picture.source.startswith("http") and " " not in picture.source else picture.source


def _made_here() -> str:
    rows = "\n".join(f"| `{name}` | {how} |" for name, how in MADE_HERE)
    return (
        "## Drawn by this project\n\n"
        "Written and drawn for Llavero, under its licence (Apache-2.0). The modules lie in\n"
        "`examples/sample_maker/`.\n\n"
        f"| file | drawn by |\n|---|---|\n{rows}\n"
    )
