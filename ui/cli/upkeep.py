"""`llavero stats, verify, rebuild, backup, restore`: what keeps a library well."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ui import owner
from ui.cli import progress, terminal
from ui.cli.library import DEFAULT_LIBRARY, DeviceOption, JsonOption, LibraryOption, opened, settings
from ui.cli.terminal import DONE, NOT_MET


def stats(library: LibraryOption = DEFAULT_LIBRARY, json: JsonOption = False) -> None:
    """Count what the library holds, in the store itself."""
    with opened(library) as service:
        document = service.stats()
    if json:
        terminal.say_json(document)
        return
    for name, value in document.items():
        terminal.say(f"{name:12s} {terminal.plain(value)}")


def verify(
    library: LibraryOption = DEFAULT_LIBRARY,
    repair: Annotated[bool, typer.Option("--repair", help="Write missing rows again and drop orphaned ones.")] = False,
    json: JsonOption = False,
) -> None:
    """Compare the ledger with the store: rows that are missing, and rows nobody owns."""
    with opened(library) as service:
        report = service.verify(repair=repair)
    wrong = report["missing"] or report["orphaned"]
    if json:
        terminal.say_json(report)
    elif not wrong:
        terminal.say("every row is in its place: ledger and store agree")
    else:
        terminal.say(f"{report['missing']} rows are missing, {report['orphaned']} have no owner")
        terminal.say("mended: they agree again" if report["repaired"] else "mend it with: llavero verify --repair")
    raise typer.Exit(NOT_MET if wrong and not report["repaired"] else DONE)


def rebuild(
    kit: Annotated[str, typer.Option("--kit", help="The kit whose vectors the library gets.")],
    library: LibraryOption = DEFAULT_LIBRARY,
    device: DeviceOption = "",
    json: JsonOption = False,
) -> None:
    """Give the library another kit's vectors, from the words and pictures that it keeps; no file is read again."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = library.expanduser().absolute()
    if (found := owner.find(folder)) is not None:
        who = f"{found.identity['command']} (process {found.identity['process']})"
        raise owner.OwnerError(f"the library is open in {who}", ["End that process first."])
    from ui.rebuilding import rebuild_library

    with progress.ProgressLine() as line:
        report = rebuild_library(
            settings(folder, device=device), kit, lambda done, total: line.count(done, total, "contents")
        )
    if json:
        terminal.say_json({"kit": kit, "contents": report.contents, "kept": report.kept, "chunks": report.chunks})
    else:
        before = f", {report.kept:,} of them in a run before" if report.kept else ""
        terminal.say(f"the library is {kit}'s now: {report.contents:,} contents{before}")


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The new file, such as library.tar.")],
    library: LibraryOption = DEFAULT_LIBRARY,
    json: JsonOption = False,
) -> None:
    """Write the whole library into one file, while it is searched; what indexes waits until it is done."""
    with opened(library) as service:
        report = service.backup(str(target.expanduser().absolute()))
    if json:
        terminal.say_json(report)
    else:
        terminal.say(f"{report['files']:,} files in {terminal.one_line(target)}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `llavero backup` wrote.")],
    library: LibraryOption = DEFAULT_LIBRARY,
    json: JsonOption = False,
) -> None:
    """Make a library of a backup, in a new folder; every file is checked."""
    from indexing.backup import read_backup

    with progress.ProgressLine() as line:
        files = read_backup(source, library.expanduser(), on_file=lambda count: line.show(f"{count:,} files"))
    if json:
        terminal.say_json({"files": files, "library": str(library.expanduser().absolute())})
    else:
        terminal.say(f"{files:,} files restored into {terminal.one_line(library)}")
