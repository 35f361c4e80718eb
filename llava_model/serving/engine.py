"""The model in this process: turns in, text out as it is written.

load → tokenise (exact count, nothing forged) → a place in the line → tokens, from the one thread that owns the model
(see `batching`: it writes several replies at once, and reads again nothing that earlier prompts left) → text.
"""

import hashlib
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llava_model.errors import CheckpointMismatchError, ContextOverflowError, ImagesNotSupportedError
from llava_model.text.templates import Message

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from llava_model.model.composition import LlavaModel
    from llava_model.serving.generate import EncodedPrompt, Finish, Key, Sampling
    from llava_model.text.tokenize import Encoded, PromptEncoder


class Reply(Generator[str, None, None]):
    """A reply while it is written: its text in pieces, what it cost in tokens, and why it ended.

    Iterate over it to get the text. `completion_tokens` and `finish` are final when the text has ended. Close a reply
    that you do not read to its end.

    `write` gets the reply, so that it can count tokens, and yields the text. It runs in the thread that iterates.
    """

    def __init__(self, write: "Callable[[Reply], Generator[str, None, None]]", *, prompt_tokens: int) -> None:
        self.prompt_tokens, self.completion_tokens = prompt_tokens, 0
        self.finish: Finish = "stop"
        self._text = write(self)

    def send(self, value: None) -> str:
        """The next piece, as `next` gives it."""
        return self._text.send(value)

    def throw(self, *fault: Any) -> str:
        """Raise an error in the code that writes, as with any generator."""
        return self._text.throw(*fault)

    def close(self) -> None:
        """Free the model for the next reply."""
        self._text.close()

    def counted(self, ids: "Generator[int, None, Finish]") -> Generator[int, None, None]:
        """The same ids, counted. A reply that is not read to its end (after a stop string) has `finish` "stop"."""
        while True:
            try:
                token = next(ids)
            except StopIteration as end:
                self.finish = end.value
                return
            self.completion_tokens += 1
            yield token


_WAIT_SECONDS = 0.05
"""So often a reader that waits looks whether it is still wanted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One turn of a conversation. Pictures come before the text."""

    role: Literal["system", "user", "assistant"]
    text: str
    images: tuple["Image.Image", ...] = ()


def _never() -> bool:
    return False


def _go_on() -> None:
    """The default for `before_step`: never ends the work early."""


class Engine:
    """A loaded model. Thread-safe.

    A reply takes one of `max_running` places from its first piece until it has ended or is closed: use
    `contextlib.closing`. More wait in line, first come, first served, and can still be cancelled.
    """

    def __init__(
        self,
        model: "LlavaModel",
        encoder: "PromptEncoder",
        *,
        name: str,
        context_tokens: int,
        max_running: int | None = None,
    ) -> None:
        from llava_model.serving.batching import Batcher, memory_for_requests

        self.name, self.context_tokens = name, context_tokens
        self.sees_images = model.tower is not None
        self._model, self._encoder = model.eval().requires_grad_(False), encoder
        limits = memory_for_requests(model.language, context_tokens=context_tokens, most_running=max_running)
        self.max_running = limits.most_running
        self._batcher, self._tokenising = Batcher(self._model, limits), threading.Lock()
        self._stop_ids, self._stop_texts = encoder.stops()
        self._stop_ids |= _end_ids(model.language)

    @classmethod
    def load(
        cls,
        language: Path,
        *,
        vision: Path | None = None,
        projector: Path | None = None,
        adapter: Path | None = None,
        template: str = "auto",
        device: str = "auto",
        dtype: str = "auto",
        name: str | None = None,
        max_running: int | None = None,
    ) -> "Engine":
        """Load from disk only.

        `language`: a causal language model, or a whole LLaVA checkpoint as transformers writes it. `vision`
        (CLIP, SigLIP or timm) and `projector` go together. `adapter`: LoRA for the language model. `device`:
        "auto" (CUDA if there is one), "cpu", "cuda". `dtype`: "float32", "bfloat16", "float16", "int8" (CPU alone), or
        "auto": what the processor is fast in, and int8 for a large language model on a CPU (`checkpoints.int8`).

        Raises MissingFileError, CheckpointMismatchError, NoChatTemplateError (which names the templates).
        """
        from llava_model.checkpoints.compose import load_model
        from llava_model.checkpoints.int8 import suits_int8
        from llava_model.checkpoints.parts import choose_device, choose_dtype
        from llava_model.text.tokenize import load_tokenizer

        chosen = choose_device(device)
        if dtype == "auto" and chosen.type == "cpu" and suits_int8(language):
            dtype = "int8"
        tokenizer = load_tokenizer(language)
        model = load_model(
            language,
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            vision=vision,
            projector=projector,
            adapter=adapter,
            dtype=choose_dtype(dtype, chosen),
        ).to(chosen)
        return cls.of(model, tokenizer, template=template, name=name or language.name, max_running=max_running)

    @classmethod
    def of(
        cls,
        model: "LlavaModel",
        tokenizer: Any,
        *,
        template: str = "auto",
        name: str,
        max_running: int | None = None,
    ) -> "Engine":
        """An engine around a model that is loaded already, on the model's device."""
        from llava_model.serving.generate import use_fast_decoding
        from llava_model.text.tokenize import PromptEncoder

        _check_vocabulary(model, tokenizer)
        use_fast_decoding(model.language)
        return cls(
            model,
            PromptEncoder(tokenizer, template, tokens_per_image=model.tokens_per_image),
            name=name,
            context_tokens=_context_tokens(model.language, tokenizer),
            max_running=max_running,
        )

    @property
    def under_way(self) -> tuple[int, int]:
        """(requests that are read or written, requests that wait), at about this moment."""
        return self._batcher.load

    @property
    def most_characters(self) -> int:
        """The most characters that can fit: as if every token of the context were the longest one of the vocabulary.

        White space and invisible characters that a tokenizer throws away are counted too.
        """
        return self.context_tokens * self._encoder.longest_token

    @property
    def most_images(self) -> int:
        """The most pictures that can fit into the context."""
        return self.context_tokens // self._model.tokens_per_image if self.sees_images else 0

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        """The prompt's exact length in tokens, pictures and the template's own marks included."""
        return len(self._encode(turns).ids)

    def stream(
        self,
        turns: Sequence[Turn],
        *,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int | None = None,
        stop: Sequence[str] = (),
        not_first: Sequence[str] = (),
        cancelled: Callable[[], bool] = _never,
        shorten: bool = False,
        before_step: Callable[[], object] = _go_on,
    ) -> Reply:
        """The reply in pieces of text, each of whole characters. It ends before the first `stop` string, and does not
        begin with the first token of a `not_first` text.

        `shorten`: where the context has less room than `max_new_tokens`, the reply gets what there is. `before_step` is
        called before each step of preparing (templates, tokens, pixels); what it raises ends the work.

        Raises ImagesNotSupportedError, ContextOverflowError and ConversationError at once, before any work.
        """
        from llava_model.serving.generate import Sampling

        if max_new_tokens < 1 or temperature < 0 or repetition_penalty <= 0 or not 0 < top_p <= 1:
            raise ValueError(
                f"max_new_tokens ({max_new_tokens}) and repetition_penalty ({repetition_penalty}) must be "
                f"positive, temperature ({temperature}) not negative, top_p ({top_p}) over 0 and at most 1"
            )
        encoded = self._encode(turns, before_step)
        if shorten:
            max_new_tokens = max(1, min(max_new_tokens, self.context_tokens - len(encoded.ids)))
        needed = len(encoded.ids) + max_new_tokens
        if needed > self.context_tokens:
            raise ContextOverflowError(needed=needed, available=self.context_tokens)
        before_step()
        prompt = self._prompt(encoded, [image for turn in turns for image in turn.images])
        sampling = Sampling(
            temperature=temperature,
            top_p=top_p,
            repetition_penalty=repetition_penalty,
            seed=seed,
            not_first=tuple(map(self._first_token, not_first)),
        )
        stops = (*self._stop_texts, *stop)
        return Reply(
            lambda reply: self._write(reply, prompt, max_new_tokens, sampling, stops, cancelled),
            prompt_tokens=len(prompt.ids),
        )

    def next_words(self, turns: Sequence[Turn], words: Sequence[str]) -> list[float]:
        """How likely the reply begins with each of these words: the probability of the word's first token, 0..1.

        What was read stays in memory: a stream of the same turns afterwards reads one position again.

        Raises ImagesNotSupportedError, ContextOverflowError and ConversationError.
        """
        from llava_model.serving.generate import Sampling

        encoded = self._encode(turns)
        if len(encoded.ids) >= self.context_tokens:
            raise ContextOverflowError(needed=len(encoded.ids) + 1, available=self.context_tokens)
        prompt = self._prompt(encoded, [image for turn in turns for image in turn.images])
        firsts = list(map(self._first_token, words))
        read = self._handed_over(prompt, 0, Sampling(), _never)
        chances_L = next(logits_L for logits_L in read if not isinstance(logits_L, int)).float().softmax(-1)
        return [float(chances_L[first]) for first in firsts]

    def chances(self, turns: Sequence[Turn], reply: str) -> list[float]:
        """How likely the model is to say each token of this reply, behind those before it: probabilities 0..1.

        Raises ImagesNotSupportedError, ContextOverflowError and ConversationError.
        """
        from llava_model.serving.generate import Sampling

        encoded, tokens = self._encode(turns), self._encoder.tokenizer(reply, add_special_tokens=False)["input_ids"]
        if len(encoded.ids) + len(tokens) > self.context_tokens:
            raise ContextOverflowError(needed=len(encoded.ids) + len(tokens), available=self.context_tokens)
        found: list[float] = []
        if tokens:
            prompt = self._prompt(encoded, [image for turn in turns for image in turn.images])
            sampling = Sampling(forced=tuple(tokens))
            for _ in self._handed_over(prompt, len(tokens), sampling, _never, found):
                pass
        return found

    def _first_token(self, text: str) -> int:
        return int(self._encoder.tokenizer(text, add_special_tokens=False)["input_ids"][0])

    def _encode(self, turns: Sequence[Turn], before_step: Callable[[], object] = _go_on) -> "Encoded":
        images = sum(len(turn.images) for turn in turns)
        if images and not self.sees_images:
            raise ImagesNotSupportedError(self.name, images)
        messages = [Message.of(turn.role, turn.text, len(turn.images)) for turn in turns]
        with self._tokenising:
            return self._encoder.encode(messages, open_reply=True, before_step=before_step)

    def _prompt(self, encoded: "Encoded", images: Sequence["Image.Image"]) -> "EncodedPrompt":
        from llava_model.serving.generate import EncodedPrompt

        tower = self._model.tower
        if tower is None or not images:
            return EncodedPrompt(ids=encoded.ids, keys=encoded.ids)
        pixels_NCHW = tower.preprocess.pixels(images)
        return EncodedPrompt(
            ids=encoded.ids,
            keys=_keys(encoded.ids, self._model.image_token_id, tower.tokens_per_image, pixels_NCHW),
            pixels_NCHW=pixels_NCHW,
        )

    def _write(
        self,
        reply: Reply,
        prompt: "EncodedPrompt",
        max_new_tokens: int,
        sampling: "Sampling",
        stops: tuple[str, ...],
        cancelled: Callable[[], bool],
    ) -> Generator[str, None, None]:
        from llava_model.text.tokenize import text_pieces, until_stop, without_leading_space

        with closing(self._handed_over(prompt, max_new_tokens, sampling, cancelled)) as ids:
            pieces = text_pieces(self._encoder.tokenizer, reply.counted(ids))
            yield from without_leading_space(until_stop(pieces, stops))

    def _handed_over(
        self,
        prompt: "EncodedPrompt",
        max_new_tokens: int,
        sampling: "Sampling",
        cancelled: Callable[[], bool],
        chances: list[float] | None = None,
    ) -> "Generator[Any, None, Finish]":
        """What the model's thread hands over: the ids of the reply, or for 0 new tokens the logits_L of the first. Into
        `chances` goes the probability of each.

        Closing it takes the request out before the next step.
        """
        from llava_model.serving.batching import Request

        request = Request(
            prompt=prompt, max_new_tokens=max_new_tokens, stop_ids=self._stop_ids, sampling=sampling, chances=chances
        )
        if not cancelled():
            self._batcher.submit(request)
        try:
            while not cancelled():
                try:
                    given = request.out.get(timeout=_WAIT_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(given, Exception):
                    raise given
                if isinstance(given, str):
                    return given
                yield given
        finally:
            self._batcher.give_up(request)
        return "cancelled"


def _keys(ids: Sequence[int], image_token_id: int, tokens_per_image: int, pixels_NCHW: "torch.Tensor") -> "list[Key]":
    """The ids, with each picture's positions named by the picture's content."""
    digests = [hashlib.sha256(pixels.numpy().tobytes()).hexdigest() for pixels in pixels_NCHW]
    keys: list[Key] = []
    position = 0
    for token in ids:
        if token != image_token_id:
            keys.append(token)
            continue
        keys.append((digests[position // tokens_per_image], position % tokens_per_image))
        position += 1
    return keys


def _end_ids(language: Any) -> frozenset[int]:
    """The end tokens of the model's own generation settings: one id, several, or none."""
    ends = language.generation_config.eos_token_id
    return frozenset() if ends is None else frozenset([ends] if isinstance(ends, int) else ends)


def _context_tokens(language: Any, tokenizer: Any) -> int:
    """The smaller of the model's own limit and its tokenizer's, which is a huge number if the tokenizer has none."""
    settings = language.config
    positions = getattr(settings, "max_position_embeddings", None) or getattr(settings, "n_positions", None)
    return min(int(positions or 2048), int(tokenizer.model_max_length))


def _check_vocabulary(model: "LlavaModel", tokenizer: Any) -> None:
    """Every id that the tokenizer can give needs a row in the table; the image token does not."""
    language: Any = model.language
    rows = language.get_input_embeddings().num_embeddings
    largest = max(number for number in tokenizer.get_vocab().values() if number != model.image_token_id)
    if largest >= rows:
        raise CheckpointMismatchError("tokenizer", found=f"ids up to {largest}", wanted=f"at most {rows - 1}")
