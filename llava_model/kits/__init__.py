"""Named, pinned sets of weights: kit file (TOML) → install → a folder per component.

definition (what a kit is) → fetch (the only downloads) → unpack → convert (safetensors)
→ manifest (sizes and SHA-256, written last). `find("pocket").path("vision")` is what others use.
"""

from llava_model.kits.definition import Component, HubSource, Kit, PackageSource, available, find, kits_home
from llava_model.kits.errors import KitDamagedError, KitError, KitNotFoundError, KitNotInstalledError
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
