"""What `index` and `extract` are to read, as a person names it: files, folders, addresses (`indexing.addresses`)."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import typer

from indexing.addresses import Address, AddressError, canonical, is_address
from ui import owner, wording


def places_named(paths: Sequence[str]) -> list[str]:
    """Files and folders from the root, addresses as the ledger writes them. Raises BadParameter for what is no address,
    FileNotFoundError where nothing of all is there."""
    named: list[str] = []
    for path in paths:
        if "://" in path and not Path(path).exists():
            try:
                named.append(canonical(path))
            except AddressError as error:
                raise typer.BadParameter(". ".join(wording.sentences(error)), param_hint="PATHS") from error
        else:
            named.append(str(Path(path).absolute()))
    if not any(is_address(path) or Path(path).exists() for path in named):
        raise FileNotFoundError(errno.ENOENT, "there is no such file or folder", paths[0])
    return named


def check_addresses(named: Sequence[str], library: Path) -> None:
    """Whether somebody answers at them, before anything is loaded or made; who has the library open sees for itself.
    Raises RemoteError."""
    addresses = list(filter(is_address, named))
    folder = library.expanduser().absolute()
    if not addresses or owner.find(folder) is not None:
        return
    from indexing.sources.access import Accesses
    from indexing.sources.opening import check_reachable
    from ui.settings import Settings

    accesses = Accesses(sections=Settings.load(folder).sources, environ=os.environ)
    for address in map(Address.parse, addresses):
        check_reachable(address, accesses)
