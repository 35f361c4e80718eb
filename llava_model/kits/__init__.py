"""Named, pinned sets of weights: kit file (TOML) → install → one folder for each component.

definition (what a kit is) → fetch (the only downloads) → unpack → convert (to safetensors)
→ manifest (sizes and SHA-256, written last). Other code asks `find("pocket").path("vision")` for a folder.
"""

from llava_model.kits.definition import (
    Component,
    HubSource,
    Kit,
    KitDamagedError,
    KitError,
    KitNotFoundError,
    KitNotInstalledError,
    PackageSource,
    available,
    find,
    kits_home,
)
from llava_model.kits.installer import DamagedFile, InstallProgress, install, verify

__all__ = [
    "Component",
    "DamagedFile",
    "HubSource",
    "InstallProgress",
    "Kit",
    "KitDamagedError",
    "KitError",
    "KitNotFoundError",
    "KitNotInstalledError",
    "PackageSource",
    "available",
    "find",
    "install",
    "kits_home",
    "verify",
]
