"""`llavero serve`: the LLaVA model alone behind OpenAI's chat interface."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ui.cli import terminal


def serve(
    kit: Annotated[str, typer.Option("--kit", envvar="LLAVERO_KIT", help="The kit whose model is served.")] = "pocket",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FOLDER",
            help="A trained checkpoint (on --kit), transformers' LLaVA or a language model, instead of the kit's.",
        ),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="The kit's language model as it came, for words alone.")
    ] = False,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; one that other machines reach needs a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")] = 8000,
    device: Annotated[
        str, typer.Option("--device", envvar="LLAVERO_DEVICE", help="auto, cpu, cuda or cuda:N.")
    ] = "auto",
    api_key_env: Annotated[
        str, typer.Option("--api-key-env", metavar="NAME", help="The variable that holds the key clients must send.")
    ] = "",
    waiting: Annotated[
        int,
        typer.Option("--waiting", min=0, help="Requests that may wait for their turn; more are told to come again."),
    ] = 32,
    at_once: Annotated[
        int | None,
        typer.Option("--at-once", min=1, help="Replies written at the same time. [default: by memory, at most 8]"),
    ] = None,
) -> None:
    """Serve the LLaVA model alone over HTTP, for OpenAI's clients."""
    if checkpoint is not None and untrained:
        raise typer.BadParameter("a checkpoint is served as it is", param_hint="--untrained")
    key = _key(api_key_env)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from llava_model.serving.http.access_control import listen

    with listen(host, port, api_key=key) as listening:
        from llava_model.serving.http.server import ModelServer, ServerSettings
        from llava_model.serving.opening import open_engine

        terminal.tell(f"loading {checkpoint or kit}")
        from ui.opening import without_loading_bars

        without_loading_bars()
        engine = open_engine(kit=kit, checkpoint=checkpoint, trained=not untrained, device=device, max_running=at_once)
        server = ModelServer(engine, listening, ServerSettings(api_key=key, most_waiting=waiting))
        eyes = "sees pictures" if engine.sees_images else "reads words only"
        what = f"'{engine.name}' ({eyes}, {engine.context_tokens:,} tokens)"
        server.run(on_ready=lambda: terminal.tell(f"Llavero serves {what}: {server.url}  (Ctrl-C ends it)"))
    terminal.tell("the server has ended")


def _key(variable: str) -> str:
    from llava_model.errors import ServerError

    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        missing = ServerError(f"the environment variable '{variable}' holds no key")
        missing.add_note(f"Set it first, such as: export {variable}=$(openssl rand -hex 24)")
        raise missing
    return key
