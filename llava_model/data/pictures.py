"""What validation needs to know about a picture: whether it opens, the digest of its bytes, and what it looks like.

The look is 128 bits that stay the same when a picture is resized or compressed again: for each pixel of a grey 9×9
thumbnail, whether it is lighter than its left and than its upper neighbour (the "difference hash" in both directions).
`read_bytes`, `digest_of` and `in_order` serve the feature cache and the batches too.
"""

import hashlib
import itertools
import stat
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from llava_model.errors import MissingFileError, UnreadablePictureError
from llava_model.images import open_picture

MAX_FILE_BYTES = 512 << 20


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises MissingFileError, or UnreadablePictureError if it is not a file or far too large."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would wait for ever, a device never end
            raise UnreadablePictureError(path.name, "no regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise UnreadablePictureError(path.name, f"{status.st_size} bytes, the limit is {MAX_FILE_BYTES}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(path, "picture") from error
    except (OSError, ValueError) as error:
        raise UnreadablePictureError(path.name, getattr(error, "strerror", None) or str(error)) from error


def digest_of(content: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(content).digest()


Item = TypeVar("Item")
Result = TypeVar("Result")

Look = tuple[int, int]

_SIDE = 9
_ALIKE_BITS = 8  # of 128
_FLAT_DEVIATION = 3.0  # grey levels: a thumbnail with less contrast looks like any other


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureFacts:
    """A picture that opens. `look` is None for an almost uniform picture, or if it was not asked for."""

    digest: bytes
    look: Look | None


def examine(path: Path, *, with_look: bool) -> PictureFacts | str:
    """Read and decode the whole picture → its facts, or the reason why it cannot be used."""
    try:
        content = read_bytes(path)
        picture = open_picture(content)
    except UnreadablePictureError as error:
        return error.reason
    except MissingFileError:
        return "there is no such file"
    return PictureFacts(digest=digest_of(content), look=look_of(picture) if with_look else None)


def examine_all(paths: Sequence[Path], *, with_look: bool, threads: int) -> Iterator[PictureFacts | str]:
    """`examine` of each, in order; Pillow decodes outside Python's lock, so threads are enough."""
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # open_picture raises its own error
        yield from in_order(pool, lambda path: examine(path, with_look=with_look), paths, depth=4 * threads)


def in_order(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], *, depth: int
) -> Iterator[Result]:
    """Call the function in the pool → results in the order of the items; at most `depth` are computed ahead."""
    rest = iter(items)
    waiting: deque[Future[Result]] = deque(pool.submit(function, item) for item in itertools.islice(rest, depth))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(function, item) for item in itertools.islice(rest, 1))
        yield result


def look_of(picture: Image.Image) -> Look | None:
    """→ (lighter than the left neighbour, lighter than the upper one), 64 bits each."""
    thumbnail = picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    grey = np.asarray(thumbnail, dtype=np.int16)
    if grey.std() < _FLAT_DEVIATION:
        return None
    across = grey[1:, 1:] > grey[1:, :-1]
    down = grey[1:, 1:] > grey[:-1, 1:]
    return _bits(across), _bits(down)


class Looks:
    """Finds pictures that look alike."""

    def __init__(self, pictures: Iterable[tuple[Path, Look]]) -> None:
        unique = {look: path for path, look in pictures}
        self._paths = list(unique.values())
        self._looks = np.array(list(unique), dtype=np.uint64).reshape(-1, 2)

    def nearest(self, look: Look) -> Path | None:
        """The picture whose look differs in the fewest bits, if they are few enough."""
        if not self._paths:
            return None
        distances = np.bitwise_count(self._looks ^ np.array(look, dtype=np.uint64)).sum(axis=1)
        found = int(distances.argmin())
        return self._paths[found] if distances[found] <= _ALIKE_BITS else None


def _bits(flags: npt.NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(flags).tobytes())
