"""The frozen tower's features on disk: computed once, shared between runs and processes.

    cache = FeatureCache(folder, tower)
    cache.fill(pictures, on_progress=show)      # called again after a kill, it goes on where it stopped
    cache.features(batch_of_paths)              # → features_NPV, as the tower gives them

    folder/pictures.sqlite          path, size, time of change → SHA-256 of the file
    folder/<tower>-<type>/          about.json and the records, see feature_store

Features are found by the picture's bytes and by the tower's fingerprint (weights and their type, preparation, layer,
pooling). A renamed picture is found again; a changed picture, or another tower, is not. The device and the batch size
are not part of the fingerprint: they change the last bits of a feature, as they do without a cache.

Legend: N pictures, C colour channels, H height, W width, P positions per picture, V width of a feature.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from llava_model.checkpoints.manifest import fingerprint_of
from llava_model.data.feature_store import (
    FeatureFormat,
    FeatureRecord,
    FeatureStore,
    FeatureType,
    PictureMemo,
    RecordPlace,
    ShardWriter,
    relative_errors,
)
from llava_model.data.pictures import digest_of, in_order, read_bytes
from llava_model.errors import FeatureCacheError, FeatureMissingError, MissingFileError, UnreadablePictureError
from llava_model.images import open_picture
from llava_model.model.composition import CachedFeatures
from llava_model.model.towers import VisionTower

_FORMAT = "llavero-features-1"
_PICTURES_AT_ONCE = 512  # looked up in the index together
_THREADS = min(8, os.cpu_count() or 1)
_GOLDEN_RATIO = 0.6180339887  # its multiples are far from each other, so writers that start there do not meet


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedPicture:
    """A picture without features, and the reason."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FillProgress:
    """`done` of `total` different paths have features or have failed; the tower computed `computed` of them."""

    done: int
    total: int
    computed: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FillReport:
    """The result of `fill`. It counts different paths; pictures with the same bytes are computed once."""

    asked: int
    computed: int
    reused: int
    failed: tuple[FailedPicture, ...]
    written_bytes: int
    dropped_bytes: int
    """Unfinished records of a killed process that were cut off."""
    error_max: float
    """Over all pictures: the largest deviation of a stored feature, relative to the largest feature of its picture."""
    error_rms: float
    """Over all pictures: root mean square of ‖stored − exact‖ / ‖exact‖."""
    seconds: float


OnProgress = Callable[[FillProgress], None]


class FeatureCache:
    """The features of one tower in one number type. Reading is thread-safe; several processes may fill it at once.

    `fill` moves the tower to `device`; None leaves it where it is. Raises FeatureCacheError if the folder holds
    something else.
    """

    def __init__(
        self,
        folder: Path,
        tower: VisionTower,
        *,
        dtype: FeatureType = "float32",
        batch: int = 32,
        device: torch.device | str | None = None,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        self._format = FeatureFormat(dtype=dtype, positions=tower.tokens_per_image, width=tower.width)
        self._tower, self._batch, self._device = tower, batch, device
        self.fingerprint = tower_fingerprint(tower)
        self.folder = folder / f"{self.fingerprint[:16]}-{dtype}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._describe()
        self._memo = PictureMemo(folder / "pictures.sqlite")
        self._store = FeatureStore(self.folder, record_bytes=self._format.record_bytes)

    def fill(self, images: Iterable[Path], *, on_progress: OnProgress = lambda progress: None) -> FillReport:
        """Compute and store the features that are missing. Pictures that cannot be read are reported and left out.

        Raises FeatureDiskFullError; features stored before stay.
        """
        if self._device is not None:
            self._tower.to(self._device)
        paths = list(dict.fromkeys(images))
        with self._store.writer() as writer, ThreadPoolExecutor(_THREADS) as pool:
            filling = _Filling(len(paths), writer, on_progress)
            for chunk in _chunks(paths, _PICTURES_AT_ONCE, start=math.modf(writer.shard * _GOLDEN_RATIO)[0]):
                self._fill_chunk(chunk, filling, pool)
        return filling.report()

    def features(self, images: Sequence[Path]) -> torch.Tensor:
        """features_NPV on the CPU: bfloat16 from a bfloat16 cache, else float32. Raises as `load` does."""
        return self.load(images).features_NPV

    def load(self, images: Sequence[Path]) -> CachedFeatures:
        """The features as a training batch takes them.

        Raises FeatureMissingError naming the first picture that is not there.
        """
        wanted = list(dict.fromkeys(images))
        digests = self._memo.known(wanted)
        for path in wanted:
            if path not in digests:
                digests[path] = self._read_digest(path)
        places = self._store.find(list(digests.values()))
        shape = (len(images), self._format.positions, self._format.width)
        features_NPV = torch.empty(shape, dtype=self._format.returned)
        for number, path in enumerate(images):
            place = places.get(digests[path])
            if place is None:
                raise FeatureMissingError(self.folder, path, "it was never filled in, or has changed since")
            features_NPV[number] = self._format.unpack(self._store.read(place))
        return CachedFeatures(features_NPV)

    def _read_digest(self, path: Path) -> bytes:
        try:
            digest = digest_of(read_bytes(path))
        except (MissingFileError, UnreadablePictureError) as error:
            raise FeatureMissingError(self.folder, path, str(error)) from error
        self._memo.remember({path: digest})
        return digest

    def _fill_chunk(self, paths: Sequence[Path], filling: "_Filling", pool: ThreadPoolExecutor) -> None:
        digests = self._memo.known(paths)
        unknown = [path for path in paths if path not in digests]
        read: dict[Path, bytes] = {}
        for path, outcome in zip(unknown, in_order(pool, _try_digest, unknown, depth=4 * _THREADS), strict=True):
            if isinstance(outcome, str):
                filling.fail(path, outcome)
            else:
                read[path] = outcome
        self._memo.remember(read)
        digests |= read
        places = self._store.find(list(digests.values()))
        missing: dict[bytes, Path] = {}
        for path, digest in digests.items():
            if digest in places:
                filling.reuse(places[digest])
            elif digest in missing:
                filling.share()  # the same bytes under another name
            else:
                missing[digest] = path
        self._compute(list(missing.values()), filling, pool)

    def _compute(self, paths: Sequence[Path], filling: "_Filling", pool: ThreadPoolExecutor) -> None:
        prepared: list[tuple[Path, bytes, torch.Tensor]] = []
        for path, outcome in zip(paths, in_order(pool, self._try_prepare, paths, depth=2 * self._batch), strict=True):
            if isinstance(outcome, str):
                filling.fail(path, outcome)
            else:
                prepared.append((path, *outcome))
            if len(prepared) == self._batch:
                self._store_batch(prepared, filling)
                prepared = []
        if prepared:
            self._store_batch(prepared, filling)

    def _store_batch(self, prepared: Sequence[tuple[Path, bytes, torch.Tensor]], filling: "_Filling") -> None:
        features_NPV = self._tower(torch.stack([pixels_CHW for _, _, pixels_CHW in prepared])).float().cpu()
        records = []
        for (path, digest, _), features_PV in zip(prepared, features_NPV, strict=True):
            if not bool(torch.isfinite(features_PV).all()):
                filling.fail(path, "the tower gives no finite features for it")
                continue
            content = self._format.pack(features_PV)
            largest, whole = relative_errors(features_PV, self._format.unpack(content))
            records.append(FeatureRecord(digest=digest, content=content, error_max=largest, error_rms=whole))
        filling.store(records)

    def _try_prepare(self, path: Path) -> tuple[bytes, torch.Tensor] | str:
        """→ (digest, pixels_CHW), both from one reading of the file, or the reason why there are none."""
        try:
            content = read_bytes(path)
            picture = open_picture(content)
        except UnreadablePictureError as error:
            return error.reason
        except MissingFileError as error:
            return str(error)
        return digest_of(content), self._tower.preprocess.pixels([picture])[0]

    def _describe(self) -> None:
        """Write a description into a new folder; compare that of an existing one. Raises FeatureCacheError."""
        about = {"format": _FORMAT, "tower": self.fingerprint, **asdict(self._format)}
        file = self.folder / "about.json"
        if not file.is_file():
            unfinished = file.with_name(f"about.json.{os.getpid()}")
            unfinished.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
            unfinished.replace(file)
            return
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != about:
            refusal = FeatureCacheError(self.folder, f"says about itself {found}, and should say {about}")
            refusal.add_note("Delete that folder, and its features are computed again.")
            raise refusal


class _Filling:
    """Stores records and counts pictures while `fill` runs."""

    def __init__(self, total: int, writer: ShardWriter, on_progress: OnProgress) -> None:
        self._total, self._writer, self._on_progress = total, writer, on_progress
        self._began = time.monotonic()
        self._done = self._computed = self._written = 0
        self._failed: list[FailedPicture] = []
        self._error_max, self._error_squares, self._measured = 0.0, 0.0, 0

    def fail(self, path: Path, reason: str) -> None:
        self._failed.append(FailedPicture(path=path, reason=reason))
        self._settle(1)

    def reuse(self, place: RecordPlace) -> None:
        self._measure(place)
        self._settle(1)

    def share(self) -> None:
        self._settle(1)

    def store(self, records: Sequence[FeatureRecord]) -> None:
        if not records:
            return
        self._written += self._writer.append(records)
        self._computed += len(records)
        for record in records:
            self._measure(record)
        self._settle(len(records))

    def report(self) -> FillReport:
        return FillReport(
            asked=self._total,
            computed=self._computed,
            reused=self._total - self._computed - len(self._failed),
            failed=tuple(self._failed),
            written_bytes=self._written,
            dropped_bytes=self._writer.dropped_bytes,
            error_max=self._error_max,
            error_rms=math.sqrt(self._error_squares / max(self._measured, 1)),
            seconds=time.monotonic() - self._began,
        )

    def _measure(self, stored: RecordPlace | FeatureRecord) -> None:
        self._error_max = max(self._error_max, stored.error_max)
        self._error_squares += stored.error_rms**2
        self._measured += 1

    def _settle(self, pictures: int) -> None:
        self._done += pictures
        seconds = time.monotonic() - self._began
        self._on_progress(
            FillProgress(done=self._done, total=self._total, computed=self._computed, seconds=seconds)
        )  # fmt: skip


def tower_fingerprint(tower: VisionTower) -> str:
    """64 hex digits that change with everything that changes features: weights, architecture, preparation, layer."""
    config: Any = getattr(tower.network, "config", None)
    settings: dict[str, Any] = config.to_dict() if config is not None else {}
    irrelevant = {"transformers_version", "_name_or_path", "dtype", "torch_dtype", "architectures"}
    description = {
        "weights": fingerprint_of(tower),
        "network": repr(tower.network),
        "settings": {name: value for name, value in settings.items() if name not in irrelevant},
        "preprocess": asdict(tower.preprocess),
        "layer": getattr(tower, "layer", None),
        "drops_first": getattr(tower, "drops_first", None),
        "pooled_grid": tower.pooled_grid,
        "positions": tower.tokens_per_image,
        "width": tower.width,
    }
    return hashlib.sha256(json.dumps(description, sort_keys=True, default=str).encode()).hexdigest()


def _try_digest(path: Path) -> bytes | str:
    try:
        return digest_of(read_bytes(path))
    except UnreadablePictureError as error:
        return error.reason
    except MissingFileError as error:
        return str(error)


def _chunks(paths: Sequence[Path], size: int, *, start: float) -> Iterator[Sequence[Path]]:
    """All paths in chunks of `size`, beginning at the fraction `start` (0..1) and wrapping around."""
    chunks = [paths[first : first + size] for first in range(0, len(paths), size)]
    offset = int(start * len(chunks))
    return iter(chunks[offset:] + chunks[:offset])
