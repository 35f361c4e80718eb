"""`llavero api`, `mcp`, `key`: the library for programs and agents."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui import logs
from ui.cli import terminal
from ui.cli.library import (
    DEFAULT_LIBRARY,
    DeviceOption,
    GeneratorOption,
    JsonOption,
    KitOption,
    LibraryOption,
    ModelOption,
    check_generator,
    open_workbench,
    opened,
    settings,
)

if TYPE_CHECKING:
    from ui.api.access import KeyFile
    from ui.workbench import Workbench

key_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Keys for the library over HTTP.")
KeysOption = Annotated[
    Path | None, typer.Option("--keys", metavar="FILE", help="The file with the keys; one for each user by default.")
]
AuditOption = Annotated[
    Path | None,
    typer.Option(
        "--audit", metavar="FILE", envvar=logs.AUDIT_VARIABLE, help="Write who asked what, when; no contents."
    ),
]
LogFormatOption = Annotated[
    str,
    typer.Option(
        "--log-format", envvar=logs.FORMAT_VARIABLE, help="json: a line for each request and event; text: as before."
    ),
]
PORT = 8765


def api(
    library: Annotated[
        list[Path] | None,
        typer.Option("--library", envvar="LLAVERO_LIBRARY", help="A library folder; may be repeated."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", help="A folder of libraries, in which clients may make and delete them.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; one that other machines reach needs a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")] = PORT,
    keys: KeysOption = None,
    write: Annotated[
        bool, typer.Option("--write", help="Agents (MCP) with an admin key may add and remove files, too.")
    ] = False,
    audit: AuditOption = None,
    log_format: LogFormatOption = "",
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            metavar="URL",
            help="A web page that may ask with a key from its browser; may be repeated.",
        ),
    ] = None,
    kit: KitOption = "",
    generator: GeneratorOption = "",
    model: ModelOption = "",
    device: DeviceOption = "",
) -> None:
    """Serve libraries over HTTP: for programs, for OpenAI's clients (each library a model), for agents (MCP)."""
    check_generator(generator)
    checked_format(log_format)
    origins = [_origin(each) for each in allow_origin or ()]
    from ui import telemetry
    from ui.api.access import KeyFile, default_key_file
    from ui.api.libraries import Libraries, is_loading
    from ui.api.server import listen, serve

    listening = listen(host, port, KeyFile(keys or default_key_file()))
    logs.set_up(log_format, audit)
    telemetry.begin()
    changes = {"kit": kit, "device": device, "generator_url": generator, "generator_model": model}

    def open_one(folder: Path) -> "Workbench":
        return open_workbench(settings(folder, **changes), create=True, serves=True)

    libraries = Libraries(open_one, root=root.absolute() if root else None)
    with listening:
        for folder in library or ([] if root else [DEFAULT_LIBRARY]):
            libraries.add(folder.expanduser().absolute())
        libraries.add_below_root()
        names = ", ".join(each.name for each in libraries) or "no library yet"

        def ready(url: str) -> None:
            terminal.tell(f"Llavero serves {names}: {url}/v1  ({url}/mcp for agents; Ctrl-C ends it)")

        with suppress(KeyboardInterrupt):
            serve(libraries, listening, keys=keys, write_tools=write, on_ready=ready, origins=origins)
    terminal.tell("the service has ended")
    if is_loading():  # everything is closed; a thread in the middle of a model would abort Python's own end
        os._exit(terminal.DONE)


def _origin(written: str) -> str:
    """As browsers send it: scheme, host and port."""
    from urllib.parse import urlsplit

    parts = urlsplit(written.rstrip("/"))
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
        raise typer.BadParameter(f"'{written}' is not like https://chat.example", param_hint="--allow-origin")
    return f"{parts.scheme}://{parts.netloc}"


def checked_format(log_format: str) -> str:
    """Raises BadParameter for a format that there is not."""
    if log_format and log_format not in logs.LOG_FORMATS:
        raise typer.BadParameter(f"'{log_format}' is none of {', '.join(logs.LOG_FORMATS)}", param_hint="--log-format")
    return log_format


def mcp(
    library: LibraryOption = DEFAULT_LIBRARY,
    write: Annotated[bool, typer.Option("--write", help="The agent may add and remove files, too.")] = False,
    device: DeviceOption = "",
) -> None:
    """Serve the library to an agent over stdio (Model Context Protocol); goes through a running service."""
    with opened(library, serves=True, device=device) as service:
        from ui.api.tools import build_tools

        name = library.absolute().name
        build_tools(lambda: {name: service}, write=write).run("stdio")


@key_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Whose key it is; the audit log names it.")],
    scope: Annotated[
        str, typer.Option("--scope", help="read: search and ask; write: also files; admin: also paths and libraries.")
    ] = "read",
    library: Annotated[
        list[str] | None, typer.Option("--library", help="Only for this library; may be repeated.")
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="DATE", help="The first day on which it is refused.")
    ] = "",
    keys: KeysOption = None,
) -> None:
    """Make a key and print it once; only its checksum is kept."""
    import datetime

    from ui.api.access import SCOPES

    chosen = next((each for each in SCOPES if each == scope), None)
    if chosen is None:
        raise typer.BadParameter(f"'{scope}' is none of {', '.join(SCOPES)}", param_hint="--scope")
    try:
        until = datetime.date.fromisoformat(expires).isoformat() if expires else ""
    except ValueError:
        raise typer.BadParameter(f"'{expires}' is no date such as 2027-01-31", param_hint="--expires") from None
    terminal.say(_keys(keys).add(name, chosen, tuple(library or ()), until))


@key_app.command("list")
def list_keys(keys: KeysOption = None, json: JsonOption = False) -> None:
    """The keys by name, with what they may."""
    from ui.api.access import without_secret

    found = [without_secret(key) for key in _keys(keys).all()]
    if json:
        terminal.say_json({"keys": found})
        return
    for key in found:
        libraries = "every library" if key["libraries"] == ("*",) else ", ".join(key["libraries"])
        until = f", until {key['expires']}" if key["expires"] else ""
        terminal.say(f"{key['scope']:6s} {terminal.one_line(key['name'])}  ({libraries}{until})")


@key_app.command("remove")
def remove_key(name: Annotated[str, typer.Argument(help="The key's name.")], keys: KeysOption = None) -> None:
    """Refuse a key from now on; a running service notices at once."""
    _keys(keys).remove(name)


def _keys(file: Path | None) -> "KeyFile":
    from ui.api.access import KeyFile, default_key_file

    return KeyFile(file or default_key_file())
