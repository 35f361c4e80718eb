"""A library gets another kit's vectors: opened by this process alone, rebuilt, closed."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from indexing import library as recovery
from indexing.library import Library, LibraryNotFoundError, LibraryRecord
from llava_model.kits import find
from ui.opening import check_device, embedder_of, store_opener
from ui.settings import Settings

if TYPE_CHECKING:
    from indexing.rebuild import RebuildReport


def rebuild_library(settings: Settings, kit_name: str, on_progress: Callable[[int, int], None]) -> "RebuildReport":
    """Give the library the vectors of another kit; nobody else may have it open. See `indexing.rebuild`."""
    from indexing.rebuild import rebuild

    record = LibraryRecord.read(settings.library)
    if record is None:
        raise LibraryNotFoundError(settings.library)
    kit = find(kit_name)
    for component in kit.components:
        kit.path(component.name)
    check_device(settings.device)

    with Library.open(settings.library, kit=record.kit) as library:
        open_store = store_opener(settings, library)
        store = open_store(library.record)
        try:
            recovery.recover(library, store)
        finally:
            store.close()
        embedder = embedder_of(kit, settings.device)
        return rebuild(
            library,
            kit=kit.name,
            embedder=embedder,
            open_store=open_store,
            settings=settings.indexing,
            on_progress=on_progress,
        )
