"""Questions with known answers → samples in the prompts that serve (`rag.prompt`, the judge of `rag.answer`).

A prose question stands among passages of its own document and others that share its rare words. For a quarter of them
the answering sentence, or the whole passage, is taken away, and the reply is the refusal.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from claims.markers import take_markers
from claims.passages import sentences
from llava_model.data.samples import Sample
from llava_model.text.templates import Message
from rag.prompt import CountTokens, as_data, instructions
from rag.settings import PromptSettings
from recipes.small.reading_neighbours import Neighbours, chunk_of, holds, prose_chunk
from recipes.small.reading_tasks import Case
from training_data.grounded import KnownAnswers, as_hits, ground, without_value

_REFUSED = 0.27
_MARKER = re.compile(r"\[(\d+)\]")


def _settings(draw: random.Random) -> PromptSettings:
    return PromptSettings(
        instructions="reader",
        evidence_tokens=draw.choice((250, 350, 450, 450, 450, 600, 800)),
        max_evidence=draw.choice((3, 4, 5, 5, 6)),
        max_pictures=0,
        history_tokens=0,
    )


def of_prose(
    number: int, asked: Mapping[str, str], neighbours: Neighbours, count_tokens: CountTokens
) -> Iterator[Sample]:
    """One question of a passage: answered, or refused because its words are not there."""
    draw = random.Random(f"prose-{number}")
    right = prose_chunk(asked)
    others = neighbours.of(asked, draw, draw.randint(1, 5))
    answer = asked["answer"].strip().rstrip(".")
    name = f"prose-{number:05}"
    refused = draw.random() < _REFUSED
    if not refused or draw.random() < 0.15:
        found = list(others)
        found.insert(0 if draw.random() < 0.6 else draw.randint(0, min(3, len(found))), right)
        written = answer[:1].upper() + answer[1:] if draw.random() < 0.9 else answer
        known = KnownAnswers(
            question=asked["question"], replies=(f"{written} [1].",), evidence=(right.id,), values=(answer,)
        )
        made = ground(name, known, as_hits(found), count_tokens=count_tokens, settings=_settings(draw)).sample
        yield from (made,) if made else ()
    if refused:
        known = KnownAnswers(question=asked["question"], missing=(answer,))
        cut = without_value(right, answer)
        found = [cut, *others] if draw.random() < 0.5 and cut.text else list(others)
        made = ground(f"{name}-gone", known, as_hits(found), count_tokens=count_tokens, settings=_settings(draw)).sample
        yield from (made,) if made else ()


def of_case(number: int, case: Case, count_tokens: CountTokens) -> Iterator[Sample]:
    """An invented document's question in the prompt that serves."""
    draw = random.Random(f"case-{number}")
    chunks = [
        chunk_of(title, lines, title if "." in title[-6:] else f"{place}-{number}-{title}.pdf")
        for place, (title, lines) in enumerate(case.blocks)
    ]
    _, markers = take_markers(case.reply)
    cited = sorted(set(markers))
    order = {marker: place for place, marker in enumerate(cited, 1)}
    reply = _MARKER.sub(lambda found: f"[{order[int(found[1])]}]", case.reply)
    known = KnownAnswers(
        question=case.question,
        replies=(reply,) if cited else (),
        evidence=tuple(chunks[marker - 1].id for marker in cited),
        values=("",) * len(cited),
        earlier=case.earlier,
    )
    settings = replace(_settings(draw), evidence_tokens=900, max_evidence=6)
    made = ground(f"case-{number:05}", known, as_hits(chunks), count_tokens=count_tokens, settings=settings).sample
    yield from (made,) if made else ()


def _judged(name: str, source: str, question: str, answer: str, true: bool) -> Sample:
    """The judge's question (`rag.answer`) with its reply."""
    asked = f"Source: {as_data(source)}\nQuestion: {question}\nAnswer: {answer}\n{instructions('answered')[0]}"
    return Sample(id=name, messages=(Message.of("user", asked), Message.of("assistant", "yes" if true else "no")))


def judged_prose(number: int, asked: Mapping[str, str], others: Sequence[Mapping[str, str]]) -> Iterator[Sample]:
    """Does the sentence answer? The right words, other words of the same passage, or the words of another question."""
    draw = random.Random(f"judged-{number}")
    text = asked["text"]
    lines = [" ".join(text[start:end].split()) for start, end in sentences(text)]
    right = next((line for line in lines if holds(line, asked["answer"])), "")
    same = [each for each in others if each["text"] == text and each["answer"] != asked["answer"]]
    if not right:
        return
    way = draw.choices(("right", "other words", "other question"), (5, 3, 2))[0]
    if way == "right":
        yield _judged(f"judged-{number:05}", right, asked["question"], f"{asked['answer']}.", True)
    elif way == "other words" and same:
        other = draw.choice(same)
        line = next((line for line in lines if holds(line, other["answer"])), right)
        yield _judged(f"judged-{number:05}", line, asked["question"], f"{other['answer']}.", False)
    else:
        other = draw.choice(others)
        yield _judged(f"judged-{number:05}", right, other["question"], f"{asked['answer']}.", other is asked)


_FIGURES = re.compile(r"(?:\b[^\W\d_]{1,3} ?)?\b\d[\w.,:/%-]*(?: ?[€$£%]|(?: [A-Za-z]{1,6}\b))?")


def judged_case(number: int, case: Case) -> Iterator[Sample]:
    """The same over a line of an invented document: the reply, or the value of another line."""
    draw = random.Random(f"judged-case-{number}")
    plain, markers = take_markers(case.reply)
    if len(set(markers)) != 1:
        return
    lines = case.blocks[markers[0] - 1][1]
    value = plain.strip().rstrip(".")
    right = next((line for line in lines if holds(line, value)), "")
    if not right:
        return
    others = [(line, found.group()) for line in lines if line != right for found in _FIGURES.finditer(line)]
    others = [(line, other) for line, other in others if other.casefold() not in value.casefold()]
    if draw.random() < 0.5 or not others or not any(map(str.isdigit, value)):
        yield _judged(f"judged-case-{number:05}", right, case.question, plain.strip(), True)
    else:
        line, other = draw.choice(others)
        yield _judged(f"judged-case-{number:05}", line, case.question, f"{other.strip()}.", False)
