"""What settings and a kit name, opened: the device, the embedder, the store."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from indexing.embedding.registry import KitParts, load_embedder, name_before_loading
from indexing.library import Library, LibraryRecord
from indexing.settings import available_memory
from indexing.store import InMemorySearch, MilvusStore, Store
from llava_model.kits import Kit, shipped_weights
from ui.settings import Settings, SettingsError

if TYPE_CHECKING:
    from indexing.embedding.protocol import Embedder

logger = logging.getLogger(__name__)


def in_memory(store: MilvusStore) -> Store:
    """Searches over arrays where they take less than half of the memory that is free."""
    needed, free = InMemorySearch.bytes_for(store.count(), store.dimensions), available_memory()
    if needed * 2 < free:
        return InMemorySearch(store)
    logger.warning(
        "searching in memory would take %d MB of the %d MB that are free; searches take longer without",
        needed // 1_000_000,
        free // 1_000_000,
    )
    return store


def check_device(device: str) -> None:
    """Raise an error for a device that was named and is missing, instead of taking the CPU without a word."""
    if device in ("auto", "cpu"):
        return
    import torch

    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if device not in there and not (device == "cuda" and len(there) > 1):
        fault = SettingsError(f"the device '{device}' is not there; this machine has {', '.join(there)}")
        fault.add_note("Check the driver (nvidia-smi), or use --device auto.")
        raise fault


def without_loading_bars() -> None:
    """Loading a model takes a second or two; transformers' own bars would stand between our lines."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def store_opener(settings: Settings, library: Library) -> Callable[[LibraryRecord], MilvusStore]:
    """Opens the collection that a record names, where the settings say that rows lie."""

    def open_store(record: LibraryRecord) -> MilvusStore:
        return MilvusStore.open(
            settings.milvus_uri or library.milvus,
            token=settings.milvus_token or None,
            collection=record.collection,
            clip_dimensions=record.clip_dimensions,
            text_dimensions=record.text_dimensions,
        )

    return open_store


def embedder_name(kit: Kit) -> str | None:
    """None where only the loaded embedder knows its name."""
    return name_before_loading(kit.component("vision").format, _embedder_parts(kit))


def embedder_of(kit: Kit, device: str) -> "Embedder":
    """A kit's embedder, loaded."""
    without_loading_bars()
    return load_embedder(kit.component("vision").format, _embedder_parts(kit), device=device)


def _embedder_parts(kit: Kit) -> KitParts:
    return KitParts(
        vision=kit.path("vision"),
        text=kit.path("text"),
        options=kit.component("vision").options,
        joint_space=shipped_weights(kit.name).joint_space,
    )
