"""`llavero index, search, ask, chat, list, remove`: the verbs of a library; `ui.cli.upkeep` has the others.

Each looks for the process that has the library open (`ui.owner`) and goes through it; where there is none, it opens the
library itself. What can be refused without loading anything is refused first.
"""

import os
import socket
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from indexing.addresses import is_address
from ui import owner, wording
from ui.cli import progress, terminal
from ui.cli import watch as watching
from ui.cli.addresses import check_addresses, places_named
from ui.cli.conditions import MetaOption, WhereOption, conditions_from, facts_from
from ui.cli.terminal import DONE, WITH_PROBLEMS
from ui.service import Question, Service, picture_file

if TYPE_CHECKING:
    from ui.documents import Document
    from ui.settings import Settings
    from ui.workbench import Workbench

PathsArgument = Annotated[list[str], typer.Argument(help="Files and folders to index, or their addresses.")]
LibraryOption = Annotated[
    Path, typer.Option("--library", envvar="LLAVERO_LIBRARY", help="The library folder.", show_default=True)
]
KitOption = Annotated[
    str,
    typer.Option("--kit", envvar="LLAVERO_KIT", help="The kit of weights; by default the library's own, or pocket."),
]
DeviceOption = Annotated[str, typer.Option("--device", envvar="LLAVERO_DEVICE", help="auto, cpu, cuda or cuda:N.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")]
CountOption = Annotated[int, typer.Option("-k", min=1, max=100, help="How many hits.")]
KindOption = Annotated[
    list[str] | None, typer.Option("--kind", help="Only image, page, text, table or figure; may be repeated.")
]
GeneratorOption = Annotated[
    str,
    typer.Option(
        "--generator", metavar="URL", help="Answer with this OpenAI-compatible server instead of the model in process."
    ),
]
ModelOption = Annotated[str, typer.Option("--model", help="The model's name at --generator.")]
DEFAULT_LIBRARY = Path("library")
_OWNER_STARTS_SECONDS = 20.0
"""How long a process that holds the library's lock may take until it listens."""
_REACHED_SECONDS = 3.0


@contextmanager
def opened(
    library: Path, *, create: bool = False, serves: bool = False, any_address: bool = False, **changes: str
) -> Iterator[Service]:
    """The library's service: its owner's where there is one, else one of this process. `changes` are settings. With
    `any_address` one of this process reads addresses that the settings do not list; an owner decides for itself."""
    library = library.expanduser().absolute()
    chosen = {name: value for name, value in changes.items() if value}
    found = owner.find(library)
    if found is None:
        with _own_or_found(library, chosen, create=create, serves=serves, any_address=any_address) as service:
            yield service
    else:
        _agree(found.identity, chosen)
        yield found


@contextmanager
def _own_or_found(
    library: Path, changes: Mapping[str, str], *, create: bool, serves: bool, any_address: bool
) -> Iterator[Service]:
    from indexing.errors import LibraryInUseError
    from ui.service import LibraryService

    deadline = time.monotonic() + _OWNER_STARTS_SECONDS
    while True:
        try:
            bench = open_workbench(settings(library, **changes), create=create, serves=serves)
            break
        except LibraryInUseError:
            found = owner.find(library)  # it may have been about to listen
            if found is not None:
                _agree(found.identity, changes)
                yield found
                return
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    try:
        yield LibraryService(bench, any_address=any_address)
    finally:
        bench.close()


def _agree(identity: "Document", changes: Mapping[str, str]) -> None:
    """Refuse settings that another process would have to change. Raises OwnerError."""
    who = f"{identity['command']} (process {identity['process']})"
    if changes.get("kit", identity["kit"]) != identity["kit"]:
        raise owner.OwnerError(f"the library is open in {who} with the kit '{identity['kit']}'")
    if "generator_url" in changes or "generator_model" in changes:
        raise owner.OwnerError(
            f"the library is open in {who}, which answers with its own model",
            ["Name --generator and --model there, or end that process first."],
        )


def open_workbench(chosen: "Settings", *, create: bool = False, serves: bool = False) -> "Workbench":
    """Open a library in this process; see `Workbench.open`."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # only `kit install` may reach a hub
    from indexing.embedding.protocol import keep_freed_memory
    from ui.workbench import Workbench

    keep_freed_memory()
    return Workbench.open(chosen, create=create, serves=serves)


def settings(library: Path, **changes: str) -> "Settings":
    """The library's settings with what was said on the command line."""
    from ui.settings import Settings

    said: dict[str, Any] = {name: value for name, value in changes.items() if value}
    return Settings.load(library, **said)


def check_generator(url: str) -> None:
    """Whether anybody answers at an address. Raises GeneratorUnreachableError, before anything is loaded."""
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise typer.BadParameter(f"'{url}' is no address such as http://127.0.0.1:8000/v1", param_hint="--generator")
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname):
        return
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname, port), timeout=_REACHED_SECONDS).close()
    except (OSError, ValueError) as error:
        from rag.errors import GeneratorUnreachableError

        raise GeneratorUnreachableError(url, getattr(error, "strerror", None) or str(error)) from error


def _question(
    text: str, images: list[Path], k: int, kinds: list[str] | None, where: list[str] | None, *, history: bool = False
) -> Question:
    """Checked as far as it can be without the library. Raises EmptyQuestionError, BadParameter, OSError."""
    from indexing.records import KINDS

    if not text.strip() and not images and not history:
        from rag.errors import EmptyQuestionError

        raise EmptyQuestionError
    for kind in kinds or ():
        if kind not in KINDS:
            raise typer.BadParameter(f"'{kind}' is none of {', '.join(KINDS)}", param_hint="--kind")
    return Question(
        text=text,
        images=tuple(map(picture_file, images)),
        k=k,
        kinds=tuple(kind for kind in KINDS if kind in (kinds or ())),
        where=conditions_from(where),
    )


def index(
    paths: PathsArgument,
    library: LibraryOption = DEFAULT_LIBRARY,
    kit: KitOption = "",
    device: DeviceOption = "",
    retry_failed: Annotated[bool, typer.Option(help="Read files again that failed before, though unchanged.")] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Also follow links that lead out of the folders.")
    ] = False,
    no_objects: Annotated[
        bool, typer.Option("--no-objects", help="Do not look for things, their numbers and colours in pictures.")
    ] = False,
    meta: MetaOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on: index what changes, until Ctrl-C.")] = False,
    json: JsonOption = False,
) -> None:
    """Index pictures and documents, on this machine or at addresses (s3://BUCKET/PREFIX, webdavs://HOST/PATH,
    imap://USER@HOST/MAILBOX); a second run reads only what is new or changed."""
    named = places_named(paths)
    if watch and (elsewhere := next(filter(is_address, named), None)):
        raise typer.BadParameter(
            f"only folders of this machine can be watched; ask '{elsewhere}' again from time to time with a plain "
            "llavero index (cron does that)",
            param_hint="--watch",
        )
    facts = facts_from(meta)
    check_addresses(named, library)
    with opened(library, create=True, any_address=True, kit=kit, device=device) as service:

        def run() -> "Document":
            with progress.ProgressLine() as line:
                return service.index(
                    named,
                    on_progress=lambda so_far: progress.show_index(line, so_far),
                    retry_failed=retry_failed,
                    follow_links=follow_links,
                    objects=not no_objects,
                    facts=facts,
                )

        if watch:
            watching.watch(named, service, library.expanduser().absolute(), run, json=json)
            return
        report = run()
    if json:
        terminal.say_json(report)
    else:
        for text in terminal.report_lines(report):
            terminal.say(text)
    if not report["failed"] and not any(report[name] for name in ("added", "updated", "unchanged")):
        terminal.tell("no files found there")
    in_part = any(note["unread"] for note in report["notes"])
    raise typer.Exit(WITH_PROBLEMS if report["failed"] or in_part else DONE)


def search(
    query: Annotated[str, typer.Argument(help="Words to search for.")] = "",
    image: Annotated[Path | None, typer.Option("--image", help="A picture to search by; both count.")] = None,
    k: CountOption = 8,
    kind: KindOption = None,
    where: WhereOption = None,
    apart: Annotated[
        bool, typer.Option("--all", help="Show pictures that are nearly the same each by itself, not under the first.")
    ] = False,
    library: LibraryOption = DEFAULT_LIBRARY,
    device: DeviceOption = "",
    json: JsonOption = False,
) -> None:
    """Search by words, by a picture, or by both."""
    if not query.strip() and image is None:
        raise typer.BadParameter("say what to search for: words, --image FILE, or both")
    question = replace(_question(query, [image] if image else [], k, kind, where), apart=apart)
    with opened(library, device=device) as service:
        found = service.search(question)
    if json:
        terminal.say_json(found)
        return
    for number, hit in enumerate(found["hits"], start=1):
        terminal.say(terminal.hit_line(number, hit))
    for note in found["notes"]:
        terminal.tell(note)
    if not found["hits"]:
        terminal.tell("nothing found")


def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    image: Annotated[list[Path] | None, typer.Option("--image", help="A picture the question is about.")] = None,
    k: CountOption = 8,
    kind: KindOption = None,
    where: WhereOption = None,
    library: LibraryOption = DEFAULT_LIBRARY,
    generator: GeneratorOption = "",
    model: ModelOption = "",
    device: DeviceOption = "",
    show_prompt: Annotated[bool, typer.Option("--show-prompt", help="Print the model's input on stderr.")] = False,
    json: JsonOption = False,
) -> None:
    """Ask one question; the answer names its sources."""
    asked = _question(question, list(image or ()), k, kind, where)
    check_generator(generator)
    with opened(library, device=device, generator_url=generator, generator_model=model) as service:
        answer = terminal.show_answer(service.ask(asked), stream=not json)
    prompt = answer.pop("prompt")
    if show_prompt:
        for turn in prompt:
            terminal.tell(f"--- {turn['role']}" + (f" ({turn['pictures']} pictures)" if turn["pictures"] else ""))
            terminal.tell(turn["text"])
    if json:
        terminal.say_json(answer)


def chat(
    k: CountOption = 8,
    where: WhereOption = None,
    library: LibraryOption = DEFAULT_LIBRARY,
    generator: GeneratorOption = "",
    model: ModelOption = "",
    device: DeviceOption = "",
) -> None:
    """Ask one question after the other; follow-ups know what was said. An empty line or Ctrl-D ends it."""
    first = _question("", [], k, None, where, history=True)
    check_generator(generator)
    with opened(library, device=device, generator_url=generator, generator_model=model) as service:
        history: list[tuple[str, str]] = []
        while text := terminal.read_question():
            asked = Question(text=text, history=tuple(history), k=k, where=first.where)
            answer = terminal.show_answer(service.ask(asked), stream=True)
            history.append((text, answer["answer"]))


def list_files(
    library: LibraryOption = DEFAULT_LIBRARY,
    failed: Annotated[bool, typer.Option("--failed", help="Only the files that could not be read.")] = False,
    notes: Annotated[bool, typer.Option("--notes", help="Only the files that were read with notes.")] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Only equal files, and pictures that are nearly the same, together.")
    ] = False,
    where: WhereOption = None,
    json: JsonOption = False,
) -> None:
    """List the library's files with their state, and with notes on what was not read."""
    conditions = conditions_from(where)
    with opened(library) as service:
        files = [file for file in service.files(conditions) if not failed or file["state"] == "failed"]
    if notes:
        files = [file for file in files if file["notes"]]
    if duplicates:
        _say_duplicates(files, json=json)
        return
    if json:
        terminal.say_json({"files": files})
        return
    for file in files:
        terminal.say(terminal.file_line(file))
    if not files:
        terminal.tell("no such files" if failed or notes or where else "no files; add some with: llavero index FOLDER")


def _say_duplicates(files: "list[Document]", *, json: bool) -> None:
    from ui.documents import duplicates

    groups = duplicates(files)
    if json:
        terminal.say_json({"duplicates": groups})
        return
    for number, group in enumerate(groups, start=1):
        terminal.say(f"{number:2d}. {len(group)} files")
        for file in group:
            same = sum(other["content"] == file["content"] for other in group) > 1
            terminal.say(f"    {'same bytes' if same else 'nearly the same':15s}  {terminal.one_line(file['path'])}")
    if not groups:
        terminal.tell("no duplicates")


def remove(
    what: Annotated[str, typer.Argument(metavar="PATH|ID", help="A file, a folder, or the id of a hit's file.")],
    library: LibraryOption = DEFAULT_LIBRARY,
    json: JsonOption = False,
) -> None:
    """Take a file or folder out of the library; the files themselves stay where they are."""
    with opened(library) as service:
        report = service.remove(_place_or_id(what))
    if json:
        terminal.say_json(report)
    else:
        terminal.say(f"{report['removed']} files and {report['chunks']} chunks removed from the library")


def _place_or_id(what: str) -> str:
    """As the service takes it: absolute, also where `list` has shown the name between quotes."""
    name = wording.meant(what)
    if is_address(name):
        return name
    return str(Path(name).absolute()) if "/" in name or Path(name).exists() else name
