"""What is right and wrong with this machine, the kits and the library, each with what to do about it."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from ui.settings import DEFAULT_KIT, Settings
from ui.wording import expected_faults, sentences

FREE_BYTES_WANTED = 2_000_000_000
_PACKAGES = ("torch", "torchvision", "transformers", "open_clip_torch", "pymilvus", "milvus-lite", "streamlit")
_MARKS = {"fine": "✓", "note": "·", "wrong": "✗"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check. `advice` is empty if there is nothing to do."""

    name: str
    state: Literal["fine", "note", "wrong"]
    message: str
    advice: str = ""

    def line(self) -> str:
        """For a terminal."""
        text = f"{_MARKS[self.state]} {self.name}: {self.message}"
        return f"{text}\n    {self.advice}" if self.advice else text

    def document(self) -> dict[str, str]:
        """For JSON."""
        return {"name": self.name, "state": self.state, "message": self.message, "advice": self.advice}


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; a check that fails is a finding, never an exception."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _device,
        _office,
        _kits,
        _disk,
        _library,
    )
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check(settings)
        except expected_faults() as fault:
            message, *notes = sentences(fault)
            name = check.__name__.strip("_")
            findings.append(Finding(name=name, state="wrong", message=message, advice=" ".join(notes)))
    return findings


def _python(settings: Settings) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    fine = (3, 11) <= sys.version_info[:2] < (3, 13)
    yield Finding(
        name="python",
        state="fine" if fine else "wrong",
        message=found,
        advice="" if fine else "Llavero is made for Python 3.11 and 3.12.",
    )


def _packages(settings: Settings) -> Iterator[Finding]:
    for package in _PACKAGES:
        try:
            yield Finding(name=package, state="fine", message=version(package))
        except PackageNotFoundError:
            yield Finding(name=package, state="wrong", message="not installed", advice="pip install 'llavero[ui]'")


def _device(settings: Settings) -> Iterator[Finding]:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    asked_for_gpu = settings.device.startswith("cuda")
    if asked_for_gpu and not gpus:
        advice = "Check the driver (nvidia-smi), or use --device cpu."
        yield Finding(
            name="device", state="wrong", message=f"'{settings.device}' asked for, no GPU found", advice=advice
        )
    else:
        yield Finding(name="device", state="fine", message=", ".join(gpus) or f"CPU, {torch.get_num_threads()} threads")


def _office(settings: Settings) -> Iterator[Finding]:
    from indexing.workers.confinement import landlock_version
    from indexing.workers.libreoffice import confined_here, installed

    found = installed()
    if found is None:
        advice = "For .doc, .ppt, .xlsb and formulas without values: apt-get install libreoffice-writer-nogui "
        advice += "libreoffice-impress-nogui libreoffice-calc-nogui"
        yield Finding(name="libreoffice", state="note", message="not installed", advice=advice)
    elif not confined_here():
        message = f"{found.name} is not used: this system gives it no room without a network"
        yield Finding(name="libreoffice", state="note", message=message, advice="Save such files as DOCX or PPTX.")
    else:
        walls = "" if landlock_version() else "; this kernel has no Landlock, so it sees the files that you see"
        yield Finding(name="libreoffice", state="fine", message=f"{found.name}, without a network{walls}")


def _kits(settings: Settings) -> Iterator[Finding]:
    from llava_model.kits import available, verify

    wanted = settings.kit or DEFAULT_KIT
    for kit in available():
        damaged = verify(kit) if kit.is_installed() else ()
        if damaged:
            names = ", ".join(f"{file.path} {file.reason}" for file in damaged)
            advice = f"llavero kit install {kit.name}"
            yield Finding(name=f"kit {kit.name}", state="wrong", message=names, advice=advice)
        elif kit.is_installed():
            yield Finding(name=f"kit {kit.name}", state="fine", message=f"installed in {kit.folder}")
        elif kit.name == wanted:
            advice = f"llavero kit install {kit.name}"
            yield Finding(name=f"kit {kit.name}", state="wrong", message="not installed", advice=advice)
        else:
            yield Finding(name=f"kit {kit.name}", state="note", message="not installed")


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = next(parent for parent in (settings.library, *settings.library.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    fine = free >= FREE_BYTES_WANTED
    yield Finding(
        name="disk",
        state="fine" if fine else "note",
        message=f"{free / 1e9:.1f} GB free at {folder}",
        advice="" if fine else "Indexing writes page pictures and vectors; make room first.",
    )


def _library(settings: Settings) -> Iterator[Finding]:
    if not Path(settings.library).exists():
        advice = f"Make one: llavero index FOLDER --library {settings.library}"
        yield Finding(name="library", state="note", message=f"{settings.library} does not exist yet", advice=advice)
        return
    from ui.workbench import Workbench

    bench = Workbench.open(settings)
    try:
        stats = bench.stats()
        message = f"{stats.files} files, {stats.chunks} chunks, kit {stats.kit}, channels {', '.join(stats.channels)}"
        yield Finding(name="library", state="fine", message=message)
        report = bench.verify(repair=False)
        if report.missing or report.orphaned:
            message = f"{report.missing} rows missing from the store, {report.orphaned} that nobody owns"
            yield Finding(name="rows", state="wrong", message=message, advice="llavero verify --repair")
    finally:
        bench.close()
