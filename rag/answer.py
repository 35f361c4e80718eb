"""A question → a streamed, cited answer: retrieve, judge, prompt, generate, cite.

`Answerer.ask` yields what happens as it happens: `Retrieved` at once, a `Token` for each piece of text, and the
`Answer` at the end, whose text is the streamed one with its markers checked. What is surely not in the library is
refused before a model is asked; the rest is the reader's own decision.
"""

import contextvars
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from PIL import Image

from claims.citations import Cited, Judge, cite
from claims.markers import take_markers
from claims.support import Verifier
from indexing.records import Chunk, Hit
from indexing.spans import begin, span, steps_of
from indexing.store.protocol import EVERYTHING, Filter
from llava_model.serving.engine import Turn
from rag.attached import See, recognised
from rag.events import Answer, CollectionAnswerer, Event, Retrieved, Token
from rag.langchain import LlaveroChatModel, messages_of, trace_nothing
from rag.prompt import REFUSAL, Chances, CountTokens, Evidence, NextWords, Prompt, as_data, build_prompt, instructions
from rag.retrieve import Retrieval, Retriever, SearchRequest
from rag.settings import RagSettings
from rag.stopping import Stopper
from rag.wording import Phrase, phrase

_MOST_WORDS_AGAIN = 12  # of a sentence, that the model is to say again
_PICTURE_ALONE = "What does the picture show?"


class Clock:
    """When the search and the first word of an answer came, in milliseconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._marks: dict[str, float] = {}

    def _now(self) -> float:
        return (time.perf_counter() - self._start) * 1000

    def retrieved(self) -> None:
        """The search is done."""
        self._marks.setdefault("retrieve", self._now())

    def spoke(self) -> None:
        """There are words; the first time counts."""
        self._marks.setdefault("first_token", self._now())

    @property
    def milliseconds(self) -> dict[str, float]:
        """Up to now."""
        total = self._now()
        return {"retrieve": 0.0, "first_token": total, **self._marks, "total": total}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, with what came with it and what was found for it."""

    question: str
    retrieval: Retrieval
    clock: Clock
    earlier: str = ""
    """The question before, if any."""
    images: Sequence[Image.Image] = ()
    history: Sequence[Turn] = ()


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
        next_words: NextWords | None = None,
        chances: Chances | None = None,
        verifier: Verifier | None = None,
        things: See = lambda picture: (),
        overview: CollectionAnswerer | None = None,
    ) -> None:
        """`things` says what is in a picture that comes with a question; `next_words` and `chances` ask the model for
        its own judgement, where it runs in this process; `verifier` checks claims that are not quotations; `overview`
        answers questions about all files together."""
        self.retriever, self.chat = retriever, chat
        self.count_tokens, self._context_tokens, self._sees_images = count_tokens, context_tokens, sees_images
        self._load_image, self._settings = load_image, settings
        self._model = model or _name(chat)
        self._next_words, self._verifier, self._things = next_words, verifier, things
        self._chances, self._overview = chances, overview

    def ask(
        self,
        question: str,
        *,
        images: Sequence[Image.Image] = (),
        history: Sequence[Turn] = (),
        k: int = SearchRequest.k,
        filter: Filter = EVERYTHING,
    ) -> Iterator[Event]:
        """Search with the question (and its first picture), then answer.

        Raises EmptyQuestionError, PromptTooLongError, GeneratorError and what the store raises.
        """
        events = self._ask(question, images=images, history=history, k=k, filter=filter)
        yield from steps_of("answer", events, pictures=len(images), earlier=len(history))

    def _ask(
        self, question: str, *, images: Sequence[Image.Image], history: Sequence[Turn], k: int, filter: Filter
    ) -> Iterator[Event]:
        clock = Clock()
        earlier = next((turn.text for turn in reversed(history) if turn.role == "user" and turn.text.strip()), "")
        image = images[0] if images else None
        retrieval = self.retriever.search(
            SearchRequest(text=question, earlier=earlier, image=image, k=k, filter=filter)
        )
        clock.retrieved()
        yield Retrieved(retrieval=retrieval)
        asked = Asked(
            question=question, retrieval=retrieval, clock=clock, earlier=earlier, images=images, history=history
        )
        scope = self._overview.likelihood(question) if self._overview is not None and not images else 0.0
        choice = self._settings.answer
        if scope >= choice.least_whole_collection and (yield from self._over_files(asked, filter)):
            return
        may_be_about_all = choice.least_when_refused <= scope < choice.least_whole_collection
        with closing(self._from_passages(asked)) as events:
            for event in events:
                refused = isinstance(event, Answer) and event.refused
                if refused and may_be_about_all and (yield from self._over_files(asked, filter)):
                    return
                yield event

    def _from_passages(self, asked: Asked) -> Generator[Event, None, None]:
        """What the model says of the passages that were found, or that they do not answer."""
        retrieval, images = asked.retrieval, asked.images
        own = recognised(images[0], self.retriever.embedder, self._things) if images else None
        sees_own = own is not None or (bool(images) and self._sees_images)
        if not retrieval.answers and not sees_own:
            yield self._refusal(asked, "nothing_found" if retrieval.hits else "empty_library")
            return
        evidence = [*([own] if own else []), *self._evidence(retrieval, asked.question)]
        earlier = asked.earlier if retrieval.follows else ""
        prompt = self._prompt(asked.question, earlier, evidence, images, asked.history)
        if not prompt.evidence and not prompt.turns[-1].images:
            yield self._refusal(asked, "nothing_to_read")
            return
        confidence = self._confidence(prompt, retrieval)
        if confidence < self._settings.answer.least_confidence and not sees_own:
            yield self._refusal(asked, "not_in_evidence", prompt=prompt, confidence=confidence)
            return
        stopper = Stopper(one_line=self._settings.prompt.max_passages > 0)
        decided = self._next_words is not None and confidence >= self._settings.answer.least_confidence
        for piece in stopper.until_stop(self._pieces(prompt, decided=decided)):
            asked.clock.spoke()
            yield Token(text=piece)
        if refuses(stopper.text):
            yield self._refusal(asked, "not_in_evidence", prompt=prompt, confidence=confidence)
            return
        yield self._answer(asked, stopper, prompt, confidence)

    def _evidence(self, retrieval: Retrieval, question: str) -> list[Hit]:
        """What may answer, likeliest first; behind the first what stands beside it on its page."""
        found = list(retrieval.answers)
        most = self._settings.prompt.beside
        if not found or not most or not question.strip():
            return found
        known = {hit.chunk.id for hit in found[:2]}
        beside = [hit for hit in self.retriever.beside(found[0], question, most=most) if hit.chunk.id not in known]
        ids = {hit.chunk.id for hit in beside}
        return [*found[:2], *beside, *(hit for hit in found[2:] if hit.chunk.id not in ids)]

    def _prompt(
        self, question: str, earlier: str, hits: Sequence[Hit], images: Sequence[Image.Image], history: Sequence[Turn]
    ) -> Prompt:
        with span("prompt", hits=len(hits)) as work:
            prompt = build_prompt(
                question.strip() or _PICTURE_ALONE,
                hits,
                earlier=earlier,
                images=images,
                history=history,
                count_tokens=self.count_tokens,
                context_tokens=self._context_tokens,
                max_new_tokens=self._settings.answer.max_new_tokens,
                sees_images=self._sees_images,
                load_image=self._load_image,
                settings=self._settings.prompt,
            )
            work.count(tokens=prompt.tokens, evidence=len(prompt.evidence))
        return prompt

    def _confidence(self, prompt: Prompt, retrieval: Retrieval) -> float:
        """How likely the evidence answers: by what search thinks, and by how unlikely the model begins to refuse."""
        found = retrieval.verdict.best
        if self._next_words is None:
            return found
        with span("confidence"):
            return self._settings.answer.confidence(found, 1 - self._next_words(prompt.turns, [REFUSAL])[0])

    def _judge(self, confidence: float) -> Judge | None:
        """How likely a sentence answers: by the model's yes or no, by how surely it says the sentence again when it is
        shown the quote alone (its least likely word), and by how likely there was an answer at all."""
        ask, say = self._next_words, self._chances
        if ask is None or say is None:
            return None

        def judge(question: str, sentence: str, source: Chunk) -> float:
            first, _ = instructions("answered")
            asked = f"Source: {as_data(source.text)}\nQuestion: {question}\nAnswer: {sentence}\n{first}"
            words = " ".join(sentence.split()[:_MOST_WORDS_AGAIN]).rstrip(" .。")
            alone = self._prompt(question, "", [Hit(chunk=source, score=1.0, channels={})], (), ())
            again = min(say(alone.turns, words), default=0.0)
            return self._settings.citations.answers(yes(ask, [Turn(role="user", text=asked)]), again, confidence)

        return judge

    def _pieces(self, prompt: Prompt, *, decided: bool) -> Generator[str, None, None]:
        """The model's words as they come. Its every step runs in a context of its own in which tracing is off.

        Where it is `decided` that there is an answer, the model may not begin to refuse.
        """
        context = contextvars.copy_context()
        context.run(trace_nothing)
        options: dict[str, Any] = {"not_first": [REFUSAL]} if decided else {}
        stream = context.run(
            self.chat.stream,
            messages_of(prompt.turns, lossless=isinstance(self.chat, LlaveroChatModel)),
            max_tokens=self._settings.answer.max_new_tokens,
            **options,
        )
        done, pieces = object(), 0
        writing, first = begin("generate"), begin("generate.first_token")
        try:
            while True:
                chunk: Any = context.run(next, stream, done)
                if chunk is done:
                    return
                text = chunk.text if isinstance(chunk.text, str) else chunk.text()
                if text:
                    first.end()
                    pieces += 1
                    yield text
        finally:
            first.end()
            writing.count(pieces=pieces)
            writing.end()
            close = getattr(stream, "close", None)
            if close is not None:
                context.run(close)

    def _answer(self, asked: Asked, stopper: Stopper, prompt: Prompt, confidence: float) -> Answer:
        with span("citations", evidence=len(prompt.evidence)) as work:
            cited: Cited = cite(
                stopper.text,
                {each.marker: each.hit.chunk for each in prompt.evidence},
                question=asked.question,
                verifier=self._verifier,
                judge=self._judge(confidence),
                settings=self._settings.citations,
            )
            work.count(citations=len(cited.citations), supported=cited.supported)
        return Answer(
            text=cited.text,
            refused=False,
            citations=cited.citations,
            hits=_evidence_first(prompt.evidence, asked.retrieval.hits),
            model=self._model,
            milliseconds=asked.clock.milliseconds,
            confidence=confidence,
            prompt=prompt.turns,
            prompt_tokens=prompt.tokens,
            supported=cited.supported,
            notes=(*prompt.notes, *stopper.notes, *cited.notes),
        )

    def _over_files(self, asked: Asked, filter: Filter) -> Generator[Event, None, bool]:
        """The answer that is computed over the files; False where there is none."""
        assert self._overview is not None
        found = yield from self._overview.events(asked.question, filter)
        if found is None:
            return False
        yield Token(text=found.text)
        asked.clock.spoke()
        yield Answer(
            text=found.text,
            refused=False,
            citations=found.citations,
            hits=found.hits,
            model=self._model,
            milliseconds=asked.clock.milliseconds,
            confidence=1.0,
            table=found.table,
        )
        return True

    def _refusal(
        self,
        asked: Asked,
        sentence: Phrase,
        *,
        prompt: Prompt | None = None,
        confidence: float | None = None,
    ) -> Answer:
        """With `prompt`, the model has read it; without, it was not asked."""
        return Answer(
            text=phrase(sentence, asked.question),
            refused=True,
            citations=(),
            hits=_evidence_first(prompt.evidence if prompt else (), asked.retrieval.hits),
            model=self._model if prompt else "",
            milliseconds=asked.clock.milliseconds,
            confidence=asked.retrieval.verdict.best if confidence is None else confidence,
            prompt=prompt.turns if prompt else (),
            prompt_tokens=prompt.tokens if prompt else 0,
            supported=False,
            notes=prompt.notes if prompt else (),
        )


def yes(ask: NextWords, turns: Sequence[Turn]) -> float:
    """How likely the model says yes rather than no."""
    small, large, *other = ask(turns, ["yes", "Yes", "no", "No"])
    said = small + large + sum(other)
    return (small + large) / said if said else 0.0


def refuses(text: str) -> bool:
    """Whether a reply is the one form that stands for "not there", with or without markers; an empty one is, too."""
    plain, _ = take_markers(text)
    words = "".join(sign if sign.isalnum() else " " for sign in plain).casefold().split()
    return words in ([], REFUSAL.removesuffix(".").casefold().split())


def _evidence_first(evidence: Sequence[Evidence], hits: Sequence[Hit]) -> tuple[Hit, ...]:
    shown = [each.hit for each in evidence]
    ids = {hit.chunk.id for hit in shown}
    return (*shown, *(hit for hit in hits if hit.chunk.id not in ids))


def _name(chat: BaseChatModel) -> str:
    engine = getattr(chat, "engine", None)
    return str(getattr(engine, "name", "") or getattr(chat, "model_name", "") or chat._llm_type)
