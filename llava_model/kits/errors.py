"""The errors of the kits: definition, download, installation and use of weights.

KitError
├── KitNotFoundError         there is no kit of that name
├── KitDefinitionError       a kit file is incomplete, or a value in it is not allowed
├── KitNotInstalledError     the kit exists, but its weights are not on this machine
├── KitDamagedError          an installed file is missing or has changed
└── KitInstallError          the installation stopped; complete components stay
    ├── DownloadError        the package index or the hub did not deliver
    ├── NotCachedError       the network was forbidden, and the download is not in the cache
    ├── ArchiveMismatchError a downloaded file has another SHA-256 than the kit file says
    ├── UnsafeArchiveError   an archive would write outside its folder, or unpack to too many bytes
    ├── ConversionError      the downloaded weights are not those that the recipe expects
    ├── DiskFullError        not enough room for the kit
    ├── NotWritableError     the folder for kits cannot be written to
    └── MissingExtraError    a package needed for the conversion is not installed
"""

from pathlib import Path


class KitError(Exception):
    """Base of all errors that the kits raise."""


class KitNotFoundError(KitError):
    """No kit file has that name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no kit named '{name}'")
        self.add_note(f"Kits: {', '.join(known)}")
        self.name, self.known = name, known


class KitDefinitionError(KitError):
    """A kit file is incomplete or contradicts itself."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"kit file {file}: {reason}")
        self.file, self.reason = file, reason


class KitNotInstalledError(KitError):
    """The kit, or one of its components, is not on this machine."""

    def __init__(self, kit: str, component: str) -> None:
        super().__init__(f"the kit '{kit}' is not installed: its {component} weights are missing")
        self.add_note(f"Install it with: llavero kit install {kit}")
        self.kit, self.component = kit, component


class KitDamagedError(KitError):
    """An installed file is missing or has changed since it was installed."""

    def __init__(self, kit: str, path: Path, reason: str) -> None:
        super().__init__(f"the kit '{kit}' is damaged: {path} {reason}")
        self.add_note(f"Repair it with: llavero kit install {kit}")
        self.kit, self.path, self.reason = kit, path, reason


class KitInstallError(KitError):
    """The installation stopped; components that were complete stay complete."""


class DownloadError(KitInstallError):
    """The package index or the hub did not deliver."""

    def __init__(self, wanted: str, reason: str, advice: str) -> None:
        super().__init__(f"could not download {wanted}: {reason}")
        self.add_note(advice)
        self.wanted, self.reason = wanted, reason


class NotCachedError(KitInstallError):
    """The caller forbade the network, and the cache does not have it."""

    def __init__(self, wanted: str, cache: Path) -> None:
        super().__init__(f"{wanted} is not in the cache {cache}, and the network was not to be used")
        self.add_note("Install once with a network, or name a folder that holds it with --from FOLDER.")
        self.wanted, self.cache = wanted, cache


class ArchiveMismatchError(KitInstallError):
    """A downloaded file has another SHA-256 than the kit file says."""

    def __init__(self, file: str, expected: str, found: str) -> None:
        super().__init__(f"{file} is not the file this kit was made for: SHA-256 {found}, expected {expected}")
        self.add_note("Nothing was installed from it. The source may be damaged or replaced; try another one.")
        self.file, self.expected, self.found = file, expected, found


class UnsafeArchiveError(KitInstallError):
    """An archive names paths outside its folder, holds links, or unpacks to more than it may."""

    def __init__(self, archive: str, reason: str) -> None:
        super().__init__(f"archive {archive} was refused: {reason}")
        self.archive, self.reason = archive, reason


class ConversionError(KitInstallError):
    """The downloaded weights do not fit the network they are meant for."""

    def __init__(self, component: str, reason: str) -> None:
        super().__init__(f"the {component} weights could not be converted: {reason}")
        self.component, self.reason = component, reason


class DiskFullError(KitInstallError):
    """Not enough room for the kit."""

    def __init__(self, folder: Path, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(
            f"not enough room in {folder}: {needed_bytes / 1e6:.0f} MB needed, {free_bytes / 1e6:.0f} MB free"
        )
        self.add_note("Free some space, or set LLAVERO_HOME to a folder on a larger disk; then install again.")
        self.folder, self.needed_bytes, self.free_bytes = folder, needed_bytes, free_bytes


class NotWritableError(KitInstallError):
    """The folder for kits belongs to another user, or is on a read-only disk."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"cannot write to {folder}: {reason}")
        self.add_note("Set LLAVERO_HOME to a folder of your own; then install again.")
        self.folder, self.reason = folder, reason


class MissingExtraError(KitInstallError):
    """A package that only the installation of kits needs is missing."""

    def __init__(self, package: str) -> None:
        super().__init__(f"installing this kit needs the package '{package}'")
        self.add_note("Install it with: pip install 'llavero[kits]'")
        self.package = package
