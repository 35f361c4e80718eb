"""A kit by its name, or a folder → the engine that answers with it."""

from collections.abc import Callable
from pathlib import Path

from llava_model.errors import MissingFileError
from llava_model.serving.engine import Engine


def open_engine(
    *,
    kit: str,
    checkpoint: Path | None = None,
    trained: bool = True,
    device: str = "auto",
    max_running: int | None = None,
) -> Engine:
    """The model that somebody chose by a kit's name or a folder, from disk only. It is named after the choice.

    What a checkpoint of ours was trained on is taken from the kit.

    `checkpoint`: what `llavero model train` or `convert` wrote, transformers' LLaVA, or a language model. `trained`:
    the kit's language model with the weights that ship for it (projector and adapter), if there are any.
    `max_running`: how many replies are written at once; without it the memory decides, and eight is the most.

    Raises KitError, MissingFileError, CheckpointMismatchError, IncompleteCheckpointError.
    """
    if checkpoint is not None:
        return _of_folder(checkpoint, kit, device, max_running)
    from llava_model.kits import find

    chosen = find(kit)
    if chosen.has("llava"):
        return Engine.load(chosen.path("llava"), device=device, name=kit, max_running=max_running)
    language = chosen.path("language")
    if not trained:
        return Engine.load(language, device=device, name=f"{kit}-untrained", max_running=max_running)
    from llava_model.kits import shipped_weights

    shipped = shipped_weights(kit)
    return Engine.load(
        language,
        vision=chosen.path("vision") if shipped.projector else None,
        projector=shipped.projector,
        adapter=shipped.adapter,
        device=device,
        name=kit,
        max_running=max_running,
    )


def prepare(kit: str, on_start: Callable[[], object] = lambda: None) -> None:
    """What takes a minute when a CPU opens the kit's language model for the first time, done beforehand.

    `on_start` is called where there is something to do.
    """
    from llava_model.checkpoints.int8 import load_int8, prepared_file, suits_int8
    from llava_model.checkpoints.parts import choose_device
    from llava_model.kits import find, shipped_weights

    chosen, adapter = find(kit), shipped_weights(kit).adapter
    if not chosen.has("language") or choose_device("auto").type != "cpu":
        return
    language = chosen.path("language")
    if suits_int8(language) and not prepared_file(language, adapter).is_file():
        on_start()
        load_int8(language, adapter=adapter)


def _of_folder(folder: Path, kit: str, device: str, max_running: int | None) -> Engine:
    from llava_model.checkpoints.manifest import MANIFEST_FILE

    name = folder.resolve().name
    if (folder / MANIFEST_FILE).is_file():
        return _of_checkpoint(folder, kit, device, name, max_running)
    if not (folder / "config.json").is_file():
        raise MissingFileError(folder / MANIFEST_FILE, "checkpoint")
    return Engine.load(folder, device=device, name=name, max_running=max_running)


def _of_checkpoint(folder: Path, kit: str, device: str, name: str, max_running: int | None) -> Engine:
    from llava_model.checkpoints.manifest import read_manifest
    from llava_model.checkpoints.parts import (
        LANGUAGE,
        VISION,
        choose_device,
        choose_dtype,
        language_folder,
        load_trained,
        parts_of,
    )
    from llava_model.kits import find
    from llava_model.text.tokenize import load_tokenizer

    manifest = read_manifest(folder, verify=False)  # `load_trained` reads every byte
    parts, base, on = parts_of(manifest), find(kit), choose_device(device)
    language = None if LANGUAGE in parts else base.path("language")
    vision = None if VISION in parts or not base.has("vision") else base.path("vision")
    model = load_trained(folder, language=language, vision=vision, dtype=choose_dtype("auto", on))
    return Engine.of(
        model.to(on),
        load_tokenizer(language_folder(folder, language)),
        template=str(manifest.config.get("template", "auto")),
        name=name,
        max_running=max_running,
    )
