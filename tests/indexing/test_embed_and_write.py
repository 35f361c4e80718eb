import threading
from typing import Any

import numpy as np
import pytest
import torch
from indexing_doubles import SIZE, TinyEmbedder

from indexing.embed_and_write import ParallelBatches
from indexing.embedding.protocol import ImageEmbedding, Pixels


@pytest.fixture
def three_threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


class Watched(TinyEmbedder):
    """Waits until three batches are under way, and notes with how many threads each computes."""

    def __init__(self) -> None:
        super().__init__()
        self.together = threading.Barrier(3)
        self.threads: list[int] = []

    def embed_images(self, pixels_BHWC: Pixels) -> ImageEmbedding:
        self.together.wait(5)
        self.threads.append(torch.get_num_threads())
        return super().embed_images(pixels_BHWC)


def squares(value: int) -> Pixels:
    return np.full((2, SIZE, SIZE, 3), value, np.uint8)


def test_batches_are_embedded_side_by_side_each_with_its_share_of_the_threads(three_threads: None) -> None:
    embedder = Watched()
    batches = ParallelBatches(embedder)
    futures = [batches.submit(squares(value)) for value in (1, 2, 3)]
    for value, future in zip((1, 2, 3), futures, strict=True):
        np.testing.assert_array_equal(
            future.result(5).vectors_BD, TinyEmbedder().embed_images(squares(value)).vectors_BD
        )
    batches.close()
    assert batches.count == 3 and embedder.threads == [1, 1, 1]


def test_the_rest_of_the_process_keeps_its_threads(three_threads: None) -> None:
    batches = ParallelBatches(TinyEmbedder())
    found = [torch.get_num_threads()]
    another = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    another.start()
    another.join()
    batches.close()
    assert found == [3, 3]


def test_a_graphics_card_has_one_batch_at_a_time(three_threads: None) -> None:
    embedder = TinyEmbedder()
    embedder.device = "cuda"
    batches = ParallelBatches(embedder)
    batches.close()
    assert batches.count == 1


def test_what_goes_wrong_in_a_batch_is_raised_where_its_result_is_taken() -> None:
    class Broken(TinyEmbedder):
        def embed_images(self, pixels_BHWC: Pixels) -> ImageEmbedding:
            raise MemoryError("no room")

    batches = ParallelBatches(Broken())
    with pytest.raises(MemoryError, match="no room"):
        batches.submit(squares(1)).result(5)
    batches.close()
