"""Many replies at once from one model (continuous batching): requests join and leave between two steps.

    submit      from any thread: a place in the line, first come, first served
    admit       up to `most_running` requests are under way
    read        one stretch of one prompt a step, in turns the shortest and the oldest, so that neither a long prompt
                nor many short ones keep the others waiting; what the pool has kept of it is not read
    write       one token for every reply in one pass, each chosen with the request's own random generator
    hand over   tokens go into the request's queue; its reader turns them into text in its own thread

One thread does all of this. It sleeps while there is nothing to do, and ends with the batcher.
"""

import logging
import os
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from llava_model.errors import EngineBusyError, ReplyFailedError
from llava_model.model.composition import LlavaModel
from llava_model.serving import generate
from llava_model.serving.generate import EncodedPrompt, Finish, Memory, Sampling, advance
from llava_model.serving.prefixes import Layers, Path, PrefixPool, hold, layers_of, length, release
from llava_model.serving.side_by_side import ReplyRow, SideBySide, can_share_a_pass

logger = logging.getLogger(__name__)

STRETCH_BESIDE_OTHERS = 128
"""So many tokens of a prompt are read between two steps of replies that are being written. On the pocket kit's model
reading as many takes about as long as four steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchLimits:
    """How much is done at once."""

    most_running: int = 8
    """Requests that are read or written at the same time."""

    most_waiting: int = 256
    """Requests beside those; more are refused."""

    most_kept_bytes: int = 512 * 2**20
    """Keys and values of earlier prompts that stay in memory. What is in use stays in any case."""


@dataclass(eq=False, kw_only=True, slots=True)
class Request:
    """What is to be written, and the queue that it is handed over in: tokens, then why it ended or an error."""

    prompt: EncodedPrompt
    max_new_tokens: int
    stop_ids: frozenset[int]
    sampling: Sampling
    out: "queue.SimpleQueue[int | Finish | torch.Tensor | Exception]" = field(default_factory=queue.SimpleQueue)
    given_up: bool = False
    chances: list[float] | None = None
    """Where it is a list, the probability 0..1 of each token of the reply is added to it."""


class _Door:
    """The line of requests that wait. It outlives the batcher, so that the thread can wait without holding it."""

    def __init__(self, most_waiting: int) -> None:
        self.changed = threading.Condition()
        self.waiting: deque[Request] = deque()
        self.most_waiting, self.closed = most_waiting, False

    def put(self, request: Request) -> None:
        with self.changed:
            if len(self.waiting) >= self.most_waiting:
                raise EngineBusyError(len(self.waiting))
            self.waiting.append(request)
            self.changed.notify()

    def take(self) -> Request | None:
        with self.changed:
            return self.waiting.popleft() if self.waiting else None

    def remove(self, request: Request) -> None:
        with self.changed:
            if request in self.waiting:
                self.waiting.remove(request)

    def somebody_waits(self) -> bool:
        """Wait for somebody; False when nobody will come any more."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.closed)
            return not self.closed

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify()


@dataclass(eq=False, slots=True)
class _Running:
    """A request under way: first it is read, then it has a row, or a memory of its own."""

    request: Request
    reading: Iterator[torch.Tensor | None] | None = None
    memory: Memory = field(default_factory=Memory)
    path: Path = ()
    row: ReplyRow | None = None
    dice: torch.Generator | None = None
    reply: list[int] = field(default_factory=list)


class Batcher:
    """Owns the model. `submit` and `give_up` may be called from any thread, everything else happens in its own."""

    def __init__(self, model: LlavaModel, limits: BatchLimits) -> None:
        self.limits = limits
        self.pool = PrefixPool(limits.most_kept_bytes)
        self.table = SideBySide(model, most_rows=limits.most_running)
        self._model, self._running = model, list[_Running]()
        self._together: bool | None = None  # whether the model can write side by side; unknown until it was tried
        self._turn = 0
        self._door = _Door(limits.most_waiting + limits.most_running)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        weakref.finalize(self, self._door.close)

    def submit(self, request: Request) -> None:
        """Put it into the line. Raises EngineBusyError."""
        self._door.put(request)
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                arguments = (self._door, weakref.ref(self))
                self._thread = threading.Thread(target=_work, args=arguments, name="model", daemon=True)
                self._thread.start()

    @property
    def load(self) -> tuple[int, int]:
        """(requests that are read or written, requests that wait), at about this moment."""
        return len(self._running), len(self._door.waiting)

    def give_up(self, request: Request) -> None:
        """Nobody reads it any more: it leaves the line now, or what runs before the next step."""
        request.given_up = True
        self._door.remove(request)

    # -- in the model's thread ----------------------------------------------------------------------------------------

    @torch.inference_mode()
    def step(self) -> bool:
        """Everything that happens between two tokens; False if there is nothing to do."""
        for one in [one for one in self._running if one.request.given_up]:
            self._end(one, "cancelled")
        while len(self._running) < self.limits.most_running and (request := self._door.take()):
            self._running.append(_Running(request))
        if not self._running:
            return False
        self._read()
        self._write()
        return True

    def fail_all(self, error: Exception) -> None:
        """After a fault of this code: every request under way ends with an error, and all memory is freed."""
        self.pool.clear()
        self.table.drop_all()
        for one in self._running:
            self._tell(one, "was at work", error)
        self._running.clear()

    def _read(self) -> None:
        unread = [one for one in self._running if one.row is None and not one.reply]
        if not unread:
            return
        self._turn += 1
        one = unread[0] if self._turn % 2 else min(unread, key=self._left)
        with _caught(partial(self._fail, one, "read the prompt")):
            if one.reading is None:
                one.reading = self._begin(one)
            logits_L = next(one.reading)
            if len(one.memory.keys) == len(one.request.prompt.keys) and logits_L is not None:
                self._begin_writing(one, logits_L)

    def _left(self, one: _Running) -> int:
        return len(one.request.prompt.keys) - len(one.memory.keys)

    def _begin(self, one: _Running) -> Iterator[torch.Tensor | None]:
        """Fill the memory with what is kept. The prompt's last position is read in any case, for its logits."""
        from transformers import DynamicCache

        prompt, device = one.request.prompt, self._device()
        path = self.pool.find(prompt.keys[:-1])
        if path:
            language: Any = self._model.language
            cache = DynamicCache(config=language.config)
            for number, (k_GSD, v_GSD) in enumerate(layers_of(path)):
                cache.update(k_GSD[None], v_GSD[None], number)
            one.memory = Memory(cache=cache, keys=list(prompt.keys[: length(path)]))
        stretches = generate.reading(self._model, prompt, one.memory, device, self._stretch)
        next(stretches)  # nothing is done yet
        return stretches

    def _stretch(self) -> int:
        others = any(other.reply for other in self._running)
        return min(STRETCH_BESIDE_OTHERS, generate.PREFILL_TOKENS) if others else generate.PREFILL_TOKENS

    def _device(self) -> torch.device:
        return next(self._model.language.parameters()).device

    def _begin_writing(self, one: _Running, logits_L: torch.Tensor) -> None:
        """The prompt is kept; the reply's first token is chosen."""
        request = one.request
        one.reading = None
        kept = self._keep_prompt(one.memory)
        if request.max_new_tokens == 0:
            request.out.put(logits_L)
            self._end(one, "length")
            return
        one.dice = request.sampling.dice(logits_L.device)
        if self._together is None:
            self._together = bool(kept) and self._try(one.memory, int(logits_L.argmax()))
        if self._choose(one, logits_L) and self._together and kept:
            one.row, one.path, one.memory = self.table.join(kept), kept, Memory()
            hold(kept)

    def _try(self, memory: Memory, token: int) -> bool:
        try:
            return can_share_a_pass(self._model, memory, token)
        except Exception:  # a model of any kind, asked for what it may not know
            logger.warning("this model writes replies in turns, not side by side", exc_info=True)
            return False

    def _keep_prompt(self, memory: Memory) -> Path:
        """The way to the prompt in the pool; () where a cache cannot be cut, such as a sliding window's."""
        from transformers.cache_utils import DynamicLayer

        layers = memory.cache.layers
        if not all(type(layer) is DynamicLayer and layer.is_initialized for layer in layers):
            return ()

        def behind(start: int) -> Layers:
            if start == 0:
                return [(layer.keys[0], layer.values[0]) for layer in layers]
            return [(layer.keys[0, :, start:].clone(), layer.values[0, :, start:].clone()) for layer in layers]

        return self.pool.keep(memory.keys, behind)

    def _write(self) -> None:
        rows = {id(one.row): one for one in self._running if one.row is not None}
        writing = [rows[id(row)] for row in self.table.rows]
        alone = [one for one in self._running if one.reply and one.row is None]
        if writing:
            with _caught(partial(self._fail_rows, writing)):
                logits_BL = self.table.step([one.reply[-1] for one in writing])
                for one, logits_L in zip(writing, logits_BL, strict=True):
                    with _caught(partial(self._fail, one, "chose a word")):
                        self._choose(one, logits_L)
        for one in alone:
            with _caught(partial(self._fail, one, "wrote a reply")):
                self._choose(one, self._pass_alone(one))

    def _pass_alone(self, one: _Running) -> torch.Tensor:
        """A pass for one reply, for models that cannot write side by side → logits_L."""
        token = one.reply[-1]
        embedded_BTE = self._model.embed(torch.tensor([[token]], device=self._device()))
        return advance(self._model, embedded_BTE, [token], one.memory)

    def _choose(self, one: _Running, logits_L: torch.Tensor) -> bool:
        """Choose the next token and hand it over; whether the reply goes on."""
        request = one.request
        token = request.sampling.choose(logits_L, one.reply, one.dice)
        if token in request.stop_ids and not request.sampling.forced:
            self._end(one, "stop")
            return False
        if request.chances is not None:
            request.chances.append(float(logits_L.float().softmax(-1)[token]))
        one.reply.append(token)
        request.out.put(token)
        if len(one.reply) == request.max_new_tokens:
            self._end(one, "length")
            return False
        return True

    def _end(self, one: _Running, finish: Finish) -> None:
        """Tell why, and free its memory; what a reply that was not cancelled has said is kept for what follows it."""
        row = one.row
        if row is not None and finish != "cancelled":
            keys = [*one.request.prompt.keys, *row.written]
            self.pool.keep(keys, lambda start: self.table.written(row, start))
        elif one.reply and finish != "cancelled":
            self._keep_prompt(one.memory)
        self._leave(one)
        one.request.out.put(finish)

    def _leave(self, one: _Running) -> None:
        self._running.remove(one)
        if one.row is not None:
            self.table.leave(one.row)
            release(one.path)

    def _fail(self, one: _Running, doing: str, error: Exception) -> None:
        if one in self._running:
            self._leave(one)
        self._tell(one, doing, error)

    def _fail_rows(self, writing: list[_Running], error: Exception) -> None:
        self.table.drop_all()
        doing = "wrote a reply" if len(writing) == 1 else f"wrote {len(writing)} replies at once"
        for one in writing:
            self._running.remove(one)
            release(one.path)
            self._tell(one, doing, error)

    def _tell(self, one: _Running, doing: str, error: Exception) -> None:
        """An error for each reader, because raising changes an error. Where memory is short, what is kept goes."""
        failure = ReplyFailedError(doing, error)
        failure.__cause__ = error
        if failure.out_of_memory:
            self.pool.clear()
        one.request.out.put(failure)


@contextmanager
def _caught(tell: Callable[[Exception], object]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  # whatever a model raises belongs to those it was at work for
        tell(error)


def _work(door: _Door, batcher_of: "Callable[[], Batcher | None]") -> None:
    while door.somebody_waits():
        batcher = batcher_of()
        if batcher is None:
            return
        try:
            while batcher.step():
                pass
        except Exception as error:
            logger.exception("the model's thread failed")
            batcher.fail_all(error)
        del batcher  # or this thread would keep the model alive while it waits


def memory_for_requests(language: Any, *, context_tokens: int, most_running: int | None = None) -> BatchLimits:
    """Up to eight requests at once, fewer where eight whole contexts would take over half of the memory.

    A sixteenth of that is for what is kept, at most two contexts. A position takes two numbers (key and value) for each
    layer, key head and width.
    """
    settings = language.config.get_text_config()
    heads = getattr(settings, "num_attention_heads", 1)
    groups = getattr(settings, "num_key_value_heads", None) or heads
    width = getattr(settings, "head_dim", None) or settings.hidden_size // heads
    weight = next(language.parameters())
    number_bytes = (settings.dtype or weight.dtype).itemsize
    context_bytes = 2 * settings.num_hidden_layers * groups * width * number_bytes * context_tokens
    room = _memory_bytes(weight.device) // 2
    running = most_running or max(1, min(8, room // context_bytes))
    return BatchLimits(most_running=running, most_kept_bytes=min(2 * context_bytes, room // 16))


def _memory_bytes(device: torch.device) -> int:
    """Free on a graphics card; all of the machine's otherwise, or 8 GiB where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30
