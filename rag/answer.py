"""A question → a streamed, cited answer: retrieve, judge, prompt, generate, cite.

`Answerer.ask` yields what happens as it happens: `Retrieved` at once, a `Token` for each piece of text, and the
`Answer` at the end, whose text is the streamed one with its markers checked. Nothing relevant found means no
model is asked at all.
"""

import contextvars
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from PIL import Image

from indexing.records import Chunk, Hit
from indexing.store.protocol import EVERYTHING, Filter
from llava_model.serving.engine import Turn
from rag.citations import Citation, CitationSettings, Cited, cite, source_line, take_markers
from rag.langchain import LlaveroChatModel, messages_of
from rag.prompt import REFUSAL, CountTokens, Evidence, Prompt, build_prompt
from rag.question import Resolved, answer_pattern, resolve
from rag.quoting import as_plain_rows
from rag.retrieve import Retrieval, Retriever, SearchRequest
from rag.settings import RagSettings
from rag.stopping import Stopper, refuses

NOTHING_FOUND = "Nothing in the library answers this."
NOTHING_TO_READ = "What was found has no words, and this model cannot see pictures."
NOT_SUPPORTED = "The sources do not say this. Their line nearest to the question:"
NOT_VERIFIED = "Not verified. The sources' line nearest to the question:"
_PICTURE_ALONE = "What does the picture show?"


@dataclass(frozen=True, kw_only=True)
class Retrieved:
    """The search is done; the model has not been asked yet."""

    retrieval: Retrieval


@dataclass(frozen=True, kw_only=True)
class Token:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The whole answer. Marker [n] means `hits[n - 1]`."""

    text: str
    refused: bool
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]  # the evidence in the order of its markers, then what else was found
    model: str  # "" when no model was asked
    milliseconds: Mapping[str, float]  # retrieve, first_token, total
    prompt: tuple[Turn, ...] = ()
    prompt_tokens: int = 0
    # False: the model's claims stand in no evidence. The text then says so and quotes the source's own line, and the
    # only citation is of that line. Below a claim that is doubtful otherwise, that line is the last citation.
    supported: bool = True
    source_line: Citation | None = None  # the line of the best evidence nearest the question, in its own words
    notes: tuple[str, ...] = ()


Event = Retrieved | Token | Answer


class Answerer:
    """Answers from one library with one model. Give up an answer by closing the iterator; the model stops then."""

    def __init__(
        self,
        retriever: Retriever,
        chat: BaseChatModel,
        *,
        count_tokens: CountTokens,
        context_tokens: int,
        sees_images: bool,
        load_image: Callable[[Chunk], Image.Image | None],
        settings: RagSettings,
        model: str = "",
    ) -> None:
        self.retriever, self.chat = retriever, chat
        self._count_tokens, self._context_tokens, self._sees_images = count_tokens, context_tokens, sees_images
        self._load_image, self._settings = load_image, settings
        self._model = model or _name(chat)

    def ask(
        self,
        question: str,
        *,
        images: Sequence[Image.Image] = (),
        history: Sequence[Turn] = (),
        k: int = 8,
        filter: Filter = EVERYTHING,
    ) -> Iterator[Event]:
        """Search with the question (and its first picture), then answer.

        Raises EmptyQuestionError, PromptTooLongError, GeneratorError and what the store raises.
        """
        clock = _Clock()
        resolved = resolve(question, history)
        image = images[0] if images else None
        retrieval = self.retriever.search(SearchRequest(text=resolved.search_text, image=image, k=k, filter=filter))
        clock.retrieved()
        yield Retrieved(retrieval=retrieval)
        found = retrieval.evidence
        if not found and not (images and self._sees_images):
            yield self._refusal(retrieval, retrieval.verdict.reason, clock)
            return
        prompt = self._prompt(resolved, found, images, history)
        if not prompt.evidence and not prompt.turns[-1].images:
            yield self._refusal(retrieval, NOTHING_TO_READ, clock)
            return
        stopper = Stopper(one_line=self._settings.prompt.style == "short")
        for piece in stopper.until_stop(self._pieces(prompt)):
            clock.spoke()
            yield Token(text=piece)
        yield self._answer(stopper, resolved, retrieval, prompt, clock)

    def _prompt(
        self, resolved: Resolved, hits: Sequence[Hit], images: Sequence[Image.Image], history: Sequence[Turn]
    ) -> Prompt:
        return build_prompt(
            resolved.question.strip() or _PICTURE_ALONE,
            hits,
            topic=resolved.topic,
            images=images,
            history=history,
            count_tokens=self._count_tokens,
            context_tokens=self._context_tokens,
            max_new_tokens=self._settings.answer.max_new_tokens,
            sees_images=self._sees_images,
            load_image=self._load_image,
            settings=self._settings.prompt,
        )

    def _pieces(self, prompt: Prompt) -> Iterator[str]:
        """The model's words as they come. Its every step runs in a context of its own in which tracing is off."""
        context = contextvars.copy_context()
        context.run(_trace_nothing)
        stream = context.run(
            self.chat.stream,
            messages_of(prompt.turns, lossless=isinstance(self.chat, LlaveroChatModel)),
            max_tokens=self._settings.answer.max_new_tokens,
        )
        done = object()
        try:
            while True:
                chunk: Any = context.run(next, stream, done)
                if chunk is done:
                    return
                text = chunk.text if isinstance(chunk.text, str) else chunk.text()
                if text:
                    yield text
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                context.run(close)

    def _answer(
        self,
        stopper: Stopper,
        resolved: Resolved,
        retrieval: Retrieval,
        prompt: Prompt,
        clock: "_Clock",
    ) -> Answer:
        text = stopper.text
        refused = not text or refuses(text)
        asked = resolved.search_text
        cited = (
            Cited(text=text or REFUSAL, citations=())
            if refused
            else cite(text, prompt.evidence, question=asked, verifier=None, judge=None, settings=CitationSettings())
        )
        line = source_line(prompt.evidence, question=asked)
        doubt = "" if refused or line is None else _doubt(cited, line, asked)
        return Answer(
            text=f"{cited.text}\n\n{doubt} “{as_plain_rows(line.quote)}” [{line.marker}]"
            if doubt and line
            else cited.text,
            refused=refused,
            citations=(*cited.citations, line) if doubt and line else cited.citations,
            hits=_evidence_first(prompt.evidence, retrieval.hits),
            model=self._model,
            milliseconds=clock.milliseconds,
            prompt=prompt.turns,
            prompt_tokens=prompt.tokens,
            supported=cited.supported and not refused,
            source_line=line,
            notes=(*prompt.notes, *stopper.notes, *cited.notes),
        )

    def _refusal(self, retrieval: Retrieval, reason: str, clock: "_Clock") -> Answer:
        return Answer(
            text=f"{NOTHING_FOUND} {reason}".strip(),
            refused=True,
            citations=(),
            hits=retrieval.hits,
            model="",
            milliseconds=clock.milliseconds,
            supported=False,
        )


def _doubt(cited: Cited, line: Citation, question: str) -> str:
    """Why the sources' own line is shown below the model's words; "" where those can stand alone.

    A claim that no source holds in full, and that is no amount where an amount is asked for (or no date, no name),
    while a source's line is one: a small model has read past it.
    """
    if not cited.supported:
        return NOT_SUPPORTED
    seeks = answer_pattern(question)
    if seeks is None or any(each.verified for each in cited.citations):
        return ""
    return NOT_VERIFIED if seeks.fit(take_markers(cited.text)[0]) < 1 <= seeks.fit(line.quote) else ""


def _evidence_first(evidence: Sequence[Evidence], hits: Sequence[Hit]) -> tuple[Hit, ...]:
    shown = [each.hit for each in evidence]
    ids = {hit.chunk.id for hit in shown}
    return (*shown, *(hit for hit in hits if hit.chunk.id not in ids))


def _trace_nothing() -> None:
    """LangSmith's switch for this context: whatever the environment says, prompts are not sent to it."""
    from langsmith.run_helpers import _set_tracing_context, get_tracing_context

    _set_tracing_context({**get_tracing_context(), "enabled": False})


def _name(chat: BaseChatModel) -> str:
    engine = getattr(chat, "engine", None)
    return str(getattr(engine, "name", "") or getattr(chat, "model_name", "") or chat._llm_type)


class _Clock:
    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._marks: dict[str, float] = {}

    def _mark(self, name: str) -> None:
        self._marks.setdefault(name, (time.perf_counter() - self._start) * 1000)

    def retrieved(self) -> None:
        self._mark("retrieve")

    def spoke(self) -> None:
        self._mark("first_token")

    @property
    def milliseconds(self) -> dict[str, float]:
        total = (time.perf_counter() - self._start) * 1000
        return {"retrieve": 0.0, "first_token": total, **self._marks, "total": total}
