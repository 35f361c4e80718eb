"""The model that somebody chose by a kit's name or a folder → an Engine named after the choice."""

from pathlib import Path

from llava_model.errors import MissingFileError
from llava_model.serving.engine import Engine


def open_engine(*, kit: str, checkpoint: Path | None = None, trained: bool = True, device: str = "auto") -> Engine:
    """Load from disk only; what a checkpoint of ours stands on is taken from the kit.

    `checkpoint`: what `llavero model train` or `convert` wrote, transformers' LLaVA, or a language model. `trained`:
    the kit's language model with the weights that ship for it (projector and adapter), if there are any.

    Raises KitError, MissingFileError, CheckpointMismatchError, IncompleteCheckpointError.
    """
    if checkpoint is not None:
        return _of_folder(checkpoint, kit, device)
    from llava_model.kits import find

    chosen = find(kit)
    if chosen.has("llava"):
        return Engine.load(chosen.path("llava"), device=device, name=kit)
    language = chosen.path("language")
    if not trained:
        return Engine.load(language, device=device, name=f"{kit}-untrained")
    from llava_model.kits.shipped import shipped_weights

    shipped = shipped_weights(kit)
    return Engine.load(
        language,
        vision=chosen.path("vision") if shipped.projector else None,
        projector=shipped.projector,
        adapter=shipped.adapter,
        device=device,
        name=kit,
    )


def _of_folder(folder: Path, kit: str, device: str) -> Engine:
    from llava_model.checkpoints.manifest import MANIFEST_FILE

    name = folder.resolve().name
    if (folder / MANIFEST_FILE).is_file():
        return _of_checkpoint(folder, kit, device, name)
    if not (folder / "config.json").is_file():
        raise MissingFileError(folder / MANIFEST_FILE, "checkpoint")
    return Engine.load(folder, device=device, name=name)


def _of_checkpoint(folder: Path, kit: str, device: str, name: str) -> Engine:
    from llava_model.checkpoints.manifest import read_manifest
    from llava_model.checkpoints.parts import LANGUAGE, VISION, language_folder, load_trained, parts_of
    from llava_model.kits import find
    from llava_model.serving.load import choose_device, choose_dtype
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
    )
