"""Questions with known answers → samples for the GROUND stage, through the prompt code that serves.

    KnownAnswers(question="What is the total on the receipt from Lowe Books?", replies=("The total is RM 31.00 [1].",),
          evidence=(chunk.id,), values=("RM 31.00",))
      → system, user "[1] … [2] Total: RM 31.00 …  Question: …", assistant "The total is RM 31.00 [2]."

A reply is only taught when the model could have known it: its value stands in the passages that are shown, its
markers name the evidence that holds it, and that shows every number, date and unit of the sentence. Where the evidence
does not hold the answer, the reply is REFUSAL. Whatever fits neither is left out and counted (`SampleTally`).

`ground` makes one sample from given hits; `samples_from` makes them from a user's own library.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Literal

from claims.markers import take_markers
from claims.passages import fold, passages, sentences
from claims.support import keeps_values
from indexing.records import Chunk, Hit
from indexing.store.bm25 import words
from llava_model.data.samples import Sample
from llava_model.serving.engine import Turn
from llava_model.text.templates import Message
from rag.prompt import REFUSAL, CountTokens, Prompt, build_prompt
from rag.settings import AnswerSettings, PromptSettings

CONTEXT_TOKENS = 2048

Outcome = Literal["answered", "refused", "not shown", "not recognisable", "unverified", "ambiguous"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownAnswers:
    """A question with its answer, or without one: no `evidence` means that it must be refused.

    Markers in `replies` count the `evidence` from 1; the sample carries the prompt's own numbers. The first reply
    that verifies is taken.
    """

    question: str
    replies: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()  # ids of the chunks that hold the answer
    values: tuple[str, ...] = ()  # for each of them, what must be readable in what the model is shown of it
    missing: tuple[str, ...] = ()  # of a question to refuse: values that must not be shown
    about: str = ""  # how the question names its document: something of it must be readable beside each value
    earlier: str = ""  # the question before, of one that follows on it


@dataclass(frozen=True, kw_only=True, slots=True)
class Grounded:
    """What became of one question. `sample` is None where nothing true could be taught."""

    outcome: Outcome
    sample: Sample | None
    prompt: Prompt


@dataclass(kw_only=True, slots=True)
class SampleTally:
    """How many questions ended how, and the lengths of the samples in tokens."""

    outcomes: Counter[str] = field(default_factory=Counter)
    repaired: int = 0  # the first wording did not verify, a later one did
    tokens: list[int] = field(default_factory=list)

    def add(self, other: "SampleTally") -> None:
        """Count what another one counted."""
        self.outcomes += other.outcomes
        self.repaired += other.repaired
        self.tokens += other.tokens

    def leave_out(self, reason: str) -> None:
        """The last sample is not used after all."""
        self.tokens.pop()
        self.outcomes["answered"] -= 1
        self.outcomes[reason] += 1


def ground(
    name: str,
    known: KnownAnswers,
    hits: Sequence[Hit],
    *,
    count_tokens: CountTokens,
    settings: PromptSettings,
    tally: SampleTally | None = None,
) -> Grounded:
    """The sample `name` for a question and the hits that its search would have brought, in their order."""
    tally = tally if tally is not None else SampleTally()
    prompt = build_prompt(
        known.question,
        hits,
        earlier=known.earlier,
        count_tokens=count_tokens,
        context_tokens=CONTEXT_TOKENS,
        max_new_tokens=AnswerSettings().max_new_tokens,
        sees_images=False,
        settings=settings,
    )
    outcome, reply = _reply(known, prompt, tally)
    tally.outcomes[outcome] += 1
    if reply is None:
        return Grounded(outcome=outcome, sample=None, prompt=prompt)
    replied = (*prompt.turns, Turn(role="assistant", text=reply))
    tally.tokens.append(count_tokens(replied))
    messages = tuple(Message.of(turn.role, turn.text) for turn in replied)
    return Grounded(outcome=outcome, sample=Sample(id=name, messages=messages), prompt=prompt)


def _reply(known: KnownAnswers, prompt: Prompt, tally: SampleTally) -> tuple[Outcome, str | None]:
    if not known.evidence:
        return ("ambiguous", None) if any(_is_shown(prompt, value) for value in known.missing) else ("refused", REFUSAL)
    markers = [_marker(prompt, chunk, value) for chunk, value in zip(known.evidence, known.values, strict=True)]
    if not all(markers):
        return "not shown", None
    if not all(_is_about(prompt, marker, known.about) for marker in markers if marker):
        return "not recognisable", None
    for number, reply in enumerate(known.replies):
        written = renumbered(reply, [marker for marker in markers if marker])
        if _verifies(written, prompt):
            tally.repaired += number > 0
            return "answered", written
    return "unverified", None


def _marker(prompt: Prompt, chunk_id: str, value: str) -> int | None:
    """The number of the evidence that shows this value of this chunk; None where the model cannot read it."""
    for each in prompt.evidence:
        if each.hit.chunk.id == chunk_id:
            shown = " ".join([*(passage.text for passage in each.shown), each.hit.chunk.title])
            return each.marker if _key(value) in _key(shown) else None
    return None


def _is_about(prompt: Prompt, marker: int, about: str) -> bool:
    """Whether half of the words that name the document can be read in the evidence with this marker."""
    chunk = prompt.evidence[marker - 1].hit.chunk
    shown = " ".join([chunk.title, *(passage.text for passage in prompt.evidence[marker - 1].shown)])
    wanted, held = set(words(about)), set(words(shown))
    return 2 * len(wanted & held) >= len(wanted)


def _is_shown(prompt: Prompt, value: str) -> bool:
    return any(_key(value) in _key(passage.text) for each in prompt.evidence for passage in each.shown)


def _key(text: str) -> str:
    return " ".join(fold(text).split())


def renumbered(reply: str, markers: Sequence[int]) -> str:
    """The reply with the prompt's numbers: [1] becomes the first of `markers`, and so on.

    >>> renumbered("It is 9.00 [1][2].", [3, 1])
    'It is 9.00 [3][1].'
    """
    return re.sub(r"\[(\d+)\]", lambda match: f"[{markers[int(match[1]) - 1]}]", reply)


def _verifies(reply: str, prompt: Prompt) -> bool:
    """Every sentence has a marker, and the evidence that it names shows all its numbers, dates and units."""
    shown = {
        each.marker: "\n".join([PurePath(each.hit.chunk.path).name, *(passage.text for passage in each.shown)])
        for each in prompt.evidence
    }
    for start, end in sentences(reply):
        plain, markers = take_markers(reply[start:end])
        if not markers or not all(marker in shown and keeps_values(plain, shown[marker]) for marker in markers):
            return False
    return True


# -- from a user's own library ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionAnswer:
    """A question that somebody answered from a library: the exact words of the answer and the file they stand in."""

    question: str
    answer: str = ""  # "": the library does not answer it
    path: str = ""  # "": any file that holds the answer
    page: int | None = None


def samples_from(
    chunks: Sequence[Chunk],
    questions: Sequence[QuestionAnswer],
    *,
    count_tokens: CountTokens,
    settings: PromptSettings,
    seed: int = 0,
    refused_share: float = 0.25,
    tally: SampleTally | None = None,
) -> Iterator[Sample]:
    """Samples for every question: the right chunk among its likest rivals, and for a share of them the same question
    with the answering words taken away.

    An answer that stands in no chunk of its file is left out and counted as not shown.
    """
    draw = random.Random(seed)
    tally = tally if tally is not None else SampleTally()

    def made(name: str, known: KnownAnswers, found: Sequence[Chunk]) -> Iterator[Sample]:
        first = SampleTally()
        sample = ground(name, known, as_hits(found), count_tokens=count_tokens, settings=settings, tally=first).sample
        if sample is None and known.evidence:  # behind others it is not shown: a good search has it first
            found = sorted(found, key=lambda chunk: chunk.id not in known.evidence)
            first = SampleTally()
            sample = ground(
                name, known, as_hits(found), count_tokens=count_tokens, settings=settings, tally=first
            ).sample
        tally.add(first)
        yield from (sample,) if sample is not None else ()

    for number, each in enumerate(questions):
        right = _holding(chunks, each) if each.answer else None
        rivals = _rivals(chunks, each, without=right)
        name = f"own-{number:05}"
        if right is not None:
            yield from made(name, *_answered(each, right, rivals, draw))
            if draw.random() * (1 - refused_share) < refused_share:
                yield from made(f"{name}-gone", *_taken_away(each, right, rivals, draw))
        elif each.answer:
            tally.outcomes["not shown"] += 1
        else:
            yield from made(name, KnownAnswers(question=each.question), rivals[:3])


def _answered(
    asked: QuestionAnswer, right: Chunk, rivals: Sequence[Chunk], draw: random.Random
) -> tuple[KnownAnswers, list[Chunk]]:
    beside = list(rivals[: draw.randint(0, 3)])
    beside.insert(draw.randint(0, len(beside)), right)
    answer = asked.answer.strip().rstrip(".")
    replies: tuple[str, ...] = (f"It is {answer} [1].", f"{answer[:1].upper()}{answer[1:]} [1].", f"{answer} [1].")
    if len(answer.split()) > 4:
        replies = replies[1:]
    known = KnownAnswers(question=asked.question, replies=replies, evidence=(right.id,), values=(answer,))
    return known, beside


def _taken_away(
    asked: QuestionAnswer, right: Chunk, rivals: Sequence[Chunk], draw: random.Random
) -> tuple[KnownAnswers, list[Chunk]]:
    left = list(rivals[: draw.randint(1, 3)])
    if draw.random() < 0.5:
        left.insert(0, without_value(right, asked.answer))
    left = [without_value(chunk, asked.answer) for chunk in left]
    return KnownAnswers(question=asked.question, missing=(asked.answer,)), left


def as_hits(chunks: Sequence[Chunk]) -> tuple[Hit, ...]:
    """Chunks as a search would bring them, in their order; those without words and picture are left out."""
    return tuple(Hit(chunk=chunk, score=1.0, channels={}) for chunk in chunks if chunk.text)


def without_value(chunk: Chunk, value: str) -> Chunk:
    """The chunk without the lines (of a table: the rows) in which the value stands, and without its title if that
    says it too. Its id stays."""
    wanted = _key(value)
    gone = {
        row for passage in passages(chunk) if wanted in _key(passage.quote) for row in _key(passage.quote).split("\n")
    }
    kept = [row for row in chunk.text.split("\n") if wanted not in _key(row) and _key(row) not in gone]
    return replace(
        chunk,
        text="\n".join(kept),
        lines=tuple(line for line in chunk.lines if wanted not in _key(line.text)),
        title="" if wanted in _key(chunk.title) else chunk.title,
        heading="" if wanted in _key(chunk.heading) else chunk.heading,
    )


def _holding(chunks: Sequence[Chunk], asked: QuestionAnswer) -> Chunk | None:
    """The chunk of the named file that holds the answer and most of the question's words."""
    holding = [
        chunk
        for chunk in chunks
        if asked.path in ("", chunk.path)
        and (asked.page is None or asked.page == chunk.page)
        and any(_key(asked.answer) in _key(passage.text) for passage in passages(chunk))
    ]
    return max(holding, key=lambda chunk: _shared(chunk, asked.question), default=None)


def _rivals(chunks: Sequence[Chunk], asked: QuestionAnswer, *, without: Chunk | None) -> list[Chunk]:
    """The chunks that share most words with the question and do not hold its answer, likest first."""
    others = [
        chunk
        for chunk in chunks
        if chunk.text
        and (without is None or chunk.content_hash != without.content_hash)
        and not (asked.answer and _key(asked.answer) in _key(chunk.text))
    ]
    return sorted(others, key=lambda chunk: -_shared(chunk, asked.question))[:8]


def _shared(chunk: Chunk, question: str) -> int:
    return len(set(words(question)) & set(words(chunk.searchable_text)))
