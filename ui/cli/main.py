"""The `llavero` command: every verb is in the file of its group.

    llavero index, search, ask, …     library
    llavero ui, doctor, kit …         here
    llavero api, mcp, key             serve_library
    llavero eval …                    evaluate
    llavero extract                   extract
    llavero serve                     serve_model
    llavero model …                   model_validate, model_generate, model_train, model_scores, model_checkpoints

Nothing heavy is imported before a verb runs, so `--help` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ui import documents, owner, wording
from ui.cli import (
    evaluate,
    library,
    model_checkpoints,
    model_generate,
    model_scores,
    model_train,
    model_validate,
    progress,
    serve_library,
    terminal,
    upkeep,
)
from ui.cli.extract import extract
from ui.cli.library import (
    DEFAULT_LIBRARY,
    DeviceOption,
    GeneratorOption,
    JsonOption,
    KitOption,
    LibraryOption,
    ModelOption,
    check_generator,
    settings,
)
from ui.cli.serve_model import serve
from ui.cli.terminal import DONE, NOT_MET

_OWNER_STARTS_SECONDS = 30.0
"""How long another process that holds the library's lock may take until it can be asked where it is seen."""

app = typer.Typer(
    name="llavero",
    help="Ask questions about image collections and scanned documents; answers come with sources you can check.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
kit_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Named, pinned sets of weights.")
model_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Train, convert and judge the answering model."
)
app.add_typer(kit_app, name="kit")
app.add_typer(model_app, name="model")
app.add_typer(evaluate.app, name="eval")
for _verb in (
    model_train.ablate,
    model_scores.compare,
    model_checkpoints.convert,
    model_scores.evaluate,
    model_checkpoints.export,
    model_generate.generate,
    model_scores.judge,
    model_scores.samples,
    model_scores.score,
    model_train.train,
    model_validate.validate,
):
    model_app.command()(_verb)

app.command()(library.index)
app.command()(library.search)
app.command()(library.ask)
app.command()(library.chat)
app.command(name="list")(library.list_files)
app.command()(library.remove)
app.command()(upkeep.stats)
app.command()(upkeep.verify)
app.command()(upkeep.rebuild)
app.command()(upkeep.backup)
app.command()(upkeep.restore)


def main() -> None:
    """Entry point: errors made for people become one line and exit code 1, never a traceback."""
    # Before torch is loaded: threads that spin while they wait make small models several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except KeyboardInterrupt:
        terminal.tell("llavero: stopped; what was finished is kept, and the same command goes on from there")
        sys.exit(NOT_MET)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(NOT_MET)
    except Exception as error:
        if not wording.is_expected(error):
            raise
        terminal.tell_fault(error)
        sys.exit(NOT_MET)


@app.command()
def doctor(folder: LibraryOption = DEFAULT_LIBRARY, json: JsonOption = False) -> None:
    """Check this machine, the kits and the library, and say what to do about what is wrong."""
    from ui.doctor import examine

    findings = examine(settings(folder))
    if json:
        terminal.say_json({"checks": [finding.document() for finding in findings]})
    else:
        for finding in findings:
            terminal.say(finding.line())
    raise typer.Exit(NOT_MET if any(finding.state == "wrong" for finding in findings) else DONE)


@app.command()
def ui(
    folder: LibraryOption = DEFAULT_LIBRARY,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The page's port.")] = 8501,
    address: Annotated[str, typer.Option(help="Where to listen; not only for this machine.")] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    api_port: Annotated[
        int, typer.Option("--api-port", min=0, max=65535, help="Also answer programs there, as `llavero api` does.")
    ] = 0,
    keys: serve_library.KeysOption = None,
    audit: serve_library.AuditOption = None,
    log_format: serve_library.LogFormatOption = "",
    generator: GeneratorOption = "",
    model: ModelOption = "",
    kit: KitOption = "",
    device: DeviceOption = "",
) -> None:
    """Open the page: chat, search, library and upload."""
    check_generator(generator)
    from ui.launch import serve_page

    chosen = settings(folder, kit=kit, device=device, generator_url=generator, generator_model=model)
    _refuse_second_owner(folder)
    if api_port:
        from ui.api.access import KeyFile, default_key_file
        from ui.api.server import listen

        listen(address, api_port, KeyFile(keys or default_key_file())).close()  # says now what is wrong with it
    raise typer.Exit(
        serve_page(
            chosen,
            port=port,
            address=address,
            open_browser=browser,
            on_ready=terminal.tell,
            api_port=api_port,
            keys=keys,
            audit=audit,
            log_format=serve_library.checked_format(log_format),
        )
    )


def _refuse_second_owner(folder: Path) -> None:
    """A page of a library that is served already would wait for ever: say where it is served."""
    found = owner.wait_for(folder.expanduser().absolute(), _OWNER_STARTS_SECONDS)
    if found is None:
        return
    who = f"{found.identity['command']} (process {found.identity['process']})"
    where = f"Open it there: {found.identity['url']}" if found.identity["url"] else "End that process first."
    raise owner.OwnerError(f"the library is open in {who}", [where])


app.command()(serve_library.api)
app.command()(serve_library.mcp)
app.add_typer(serve_library.key_app, name="key")
app.command()(serve)
app.command()(extract)


@kit_app.command("list")
def kit_list(json: JsonOption = False) -> None:
    """The kits, what they hold, and which are installed."""
    from llava_model.kits import available

    kits = [documents.kit_document(kit) for kit in available()]
    if json:
        terminal.say_json({"kits": kits})
        return
    for kit in kits:
        mark = "installed" if kit["installed"] else "not installed"
        terminal.say(f"{kit['name']:8s} {mark:14s} {terminal.size(kit['bytes']):>9s}  {kit['title']}")


@kit_app.command("install")
def kit_install(
    name: Annotated[str, typer.Argument(help="The kit's name, see `llavero kit list`.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="A local folder with the kit's archives or checkpoints.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what has been downloaded before.")] = False,
) -> None:
    """Download, verify and convert a kit's weights; goes on where an earlier try stopped."""
    from llava_model.kits import find, install
    from llava_model.serving.opening import prepare

    with progress.ProgressLine() as line:
        folder = install(
            find(name), source=source, offline=offline, on_progress=lambda so_far: progress.show_install(line, so_far)
        )
        prepare(name, lambda: line.show("language: prepare it for this processor, about a minute"))
    terminal.say(str(folder))


@kit_app.command("path")
def kit_path(name: Annotated[str, typer.Argument(help="The kit's name.")]) -> None:
    """Print the folder of an installed kit."""
    from llava_model.kits import find

    kit = find(name)
    for component in kit.components:
        kit.path(component.name)  # says what to do where it is missing
    terminal.say(str(kit.folder))


@kit_app.command("verify")
def kit_verify(name: Annotated[str, typer.Argument(help="The kit's name.")]) -> None:
    """Compare every file of an installed kit with its checksum."""
    from llava_model.kits import find, verify

    damaged = verify(find(name))
    for file in damaged:
        terminal.say(f"{file.component}: {file.path} {file.reason}")
    if damaged:
        terminal.tell(f"Install it again: llavero kit install {name}")
        raise typer.Exit(NOT_MET)
    terminal.say("all files are as installed")


if __name__ == "__main__":
    main()
