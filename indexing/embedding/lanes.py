"""Batches side by side on a CPU.

One batch on two threads makes them wait for each other at the end of every layer, and for whatever else wants a core;
two batches with a thread each do not wait. The pocket network passes a third more pictures that way.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from indexing.embedding.protocol import Embedder, ImageEmbedding, Pixels

_MOST = 4  # each holds a batch's activations


class Lanes:
    """As many batches at once as torch has threads, at most four; on a GPU one. Close it."""

    def __init__(self, embedder: Embedder) -> None:
        import torch

        self._embed = embedder.embed_images
        threads = torch.get_num_threads() if embedder.device == "cpu" else 1
        self.count = min(_MOST, threads)
        self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="embed")
        if self.count > 1:
            self._share_out(threads)

    def submit(self, pixels_BHWC: Pixels) -> "Future[ImageEmbedding]":
        """Embed in the next lane that is free."""
        return self._pool.submit(self._embed, pixels_BHWC)

    def close(self) -> None:
        """What has not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _share_out(self, threads: int) -> None:
        """Every lane computes with its share; everybody else in this process keeps what they had."""
        import torch

        all_here = threading.Barrier(self.count)

        def narrow() -> None:
            torch.get_num_threads()  # a thread's first call takes what is set for all, and would undo this one
            torch.set_num_threads(threads // self.count)  # for this thread and for those yet to come
            all_here.wait()

        for each in [self._pool.submit(narrow) for _ in range(self.count)]:
            each.result()
        torch.set_num_threads(threads)
