"""The batches of every optimiser step, as a pure function of (seed, step): what makes a resumed run the same run.

A thread prepares the next steps while one is taken: it reads samples, tokenises, decodes pictures or looks their
features up. Nothing is remembered between steps, so there is nothing to save but the number of the next one.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from llava_model.data.encoding import EncodedSample, SampleEncoder
from llava_model.data.packing import Batch, Layout, collate, plan
from llava_model.data.schema import Sample
from llava_model.errors import BadSampleError, LlavaError, TrainingDataError
from llava_model.schedule import steps_per_epoch
from llava_model.stages import Stage

_AHEAD = 2  # steps prepared while one is taken
Pictures = Callable[[Sequence[Path]], torch.Tensor]


class Samples(Protocol):
    """What `data.mixture.Mixture` is."""

    def epoch(self, *, seed: int, epoch: int) -> Any:
        """Where the samples of an epoch are, in their seeded order: rows of numbers."""

    def __getitem__(self, pair: Sequence[int]) -> Sample:
        """One of them. Raises BadSampleError."""

    def length(self) -> int:
        """Samples in an epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepBatches:
    """One optimiser step of one process. `targets` and `samples` count over all processes: the loss divides by them."""

    step: int
    epoch: int
    passes: tuple[tuple[Batch, torch.Tensor | None], ...]
    targets: int
    tokens: int
    samples: int
    left_out: tuple[BadSampleError, ...]


class BatchLoader:
    """Iterate from a step on; close it when you stop early."""

    def __init__(
        self,
        samples: Samples,
        encoder: SampleEncoder,
        stage: Stage,
        *,
        layout: Layout,
        pass_tokens: int,
        pad_id: int,
        seed: int,
        process: int = 0,
        processes: int = 1,
        pictures: Pictures,
        skip_bad: bool = False,
    ) -> None:
        self._samples, self._encoder, self._stage = samples, encoder, stage
        self._layout, self._pass_tokens, self._pad_id, self._seed = layout, pass_tokens, pad_id, seed
        self._process, self._processes = process, processes
        self._pictures, self._skip_bad = pictures, skip_bad
        self._per_epoch = steps_per_epoch(samples.length(), stage)
        self._order: tuple[int, Any] = (-1, ())

    def step(self, step: int) -> StepBatches:
        """The batches of one step, made now."""
        epoch, within = divmod(step, self._per_epoch)
        examples, left_out = self._examples(epoch, within)
        shares = plan(
            [len(example.ids) for example in examples],
            layout=self._layout,
            max_tokens=self._pass_tokens,
            processes=self._processes,
        )
        passes = []
        for group in shares[self._process]:
            batch = collate([examples[each] for each in group], layout=self._layout, pad_id=self._pad_id)
            passes.append((batch, self._pictures(batch.images) if batch.images else None))
        return StepBatches(
            step=step,
            epoch=epoch,
            passes=tuple(passes),
            targets=sum(example.targets for example in examples),
            tokens=sum(len(example.ids) for example in examples),
            samples=len(examples),
            left_out=tuple(left_out),
        )

    def _examples(self, epoch: int, within: int) -> tuple[list[EncodedSample], list[BadSampleError]]:
        if self._order[0] != epoch:
            self._order = (epoch, self._samples.epoch(seed=self._seed, epoch=epoch))
        start = within * self._stage.batch
        examples, left_out = [], []
        for pair in self._order[1][start : start + self._stage.batch]:
            try:
                examples.append(self._encoder.encode(self._samples[pair], epoch=epoch))
            except BadSampleError as error:
                if not self._skip_bad:
                    error.add_note("Look at the set with: llavero model validate. Or leave such out: --skip-bad")
                    raise
                left_out.append(error)
        if not examples:
            raise TrainingDataError(f"no usable sample in {len(left_out)}: {left_out[0] if left_out else 'empty set'}")
        return examples, left_out

    def steps(self, first: int, behind: int) -> Iterator[StepBatches]:
        """Steps `first` to `behind - 1`, prepared ahead in a thread."""
        ready: queue.Queue[StepBatches | BaseException] = queue.Queue(_AHEAD)
        stopped = threading.Event()

        def prepare() -> None:
            try:
                for step in range(first, behind):
                    if not _put(ready, self.step(step), stopped):
                        return
            except BaseException as error:  # noqa: BLE001  # handed to the thread that trains
                _put(ready, error, stopped)

        thread = threading.Thread(target=prepare, name="batches", daemon=True)
        thread.start()
        try:
            for _ in range(first, behind):
                item = ready.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stopped.set()
            thread.join()


def _put(
    ready: "queue.Queue[StepBatches | BaseException]", item: StepBatches | BaseException, stopped: threading.Event
) -> bool:
    while not stopped.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


def no_pictures(images: Sequence[Path]) -> torch.Tensor:
    """For a model without a tower."""
    raise LlavaError(f"'{images[0]}' is a picture, but this model reads words only")
