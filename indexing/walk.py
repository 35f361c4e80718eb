"""The files of one run, found once by a thread of its own and handed on in the order of their folders: those of this
machine first (`indexing.discover`), then those of sources elsewhere (`indexing.sources.remote`).
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from indexing.addresses import is_address
from indexing.discover import Failure, Seen, discover
from indexing.sources.remote import RemoteFiles

_LONGEST_WAIT_SECONDS = 5.0


class Walk:
    """Iterate to get what was found; `stop` ends it early."""

    def __init__(
        self, paths: Sequence[str | Path], skip: Sequence[Path], follow_links: bool, remote: RemoteFiles | None
    ) -> None:
        self.found, self.finished = 0, False
        self.links_out: list[str] = []
        self._paths = [path for path in paths if not is_address(str(path))]
        self._skip, self._follow_links, self._remote = skip, follow_links, remote
        self._stopped = threading.Event()
        self._queue: queue.SimpleQueue[Seen | Failure | BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="walk", daemon=True)

    def start(self) -> None:
        """Begin to walk."""
        self._thread.start()

    def stop(self) -> None:
        """Walk no further, and wait for the thread; not for a server that does not let it go on: it writes nothing."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(_LONGEST_WAIT_SECONDS if self._remote else None)
        self._queue.put(None)  # whoever iterates waits no longer either

    def give_up(self) -> None:
        """Walk no further, and wait for nobody."""
        self._stopped.set()
        self._queue.put(None)

    def __iter__(self) -> Iterator[Seen | Failure]:
        while (found := self._queue.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found

    def _run(self) -> None:
        try:
            here = discover(
                self._paths, skip=self._skip, follow_links=self._follow_links, on_link_out=self.links_out.append
            )
            for each in chain(here, self._remote.walk() if self._remote else ()):
                if self._stopped.is_set():
                    break
                self.found += isinstance(each, Seen)
                self._queue.put(each)
            self.finished = not self._stopped.is_set()
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001  # handed to the thread that iterates
            self._queue.put(error)
