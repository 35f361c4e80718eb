"""Documents → a question with its evidence: the right file among others, or without what answers.

plan → documents → (KnownAnswers, chunks in the order in which a search brings them)
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from claims.passages import fold
from indexing.records import Chunk
from recipes.pocket.documents import KINDS, make
from recipes.pocket.documents.document import Ask, Document, Part, Table
from recipes.pocket.documents.languages import language
from recipes.pocket.terms import content_terms
from training_data.grounded import KnownAnswers

SHARES = {
    "receipt": 26, "invoice": 7, "letter": 9, "table": 13, "manual": 12, "minutes": 8, "handbook": 10, "schedule": 7,
    "card": 2, "picture": 6,
}  # fmt: skip
"""Of a hundred questions, how many are about each kind."""

Way = Literal["answered", "gone", "cut", "absent", "twice"]
WAYS: dict[Way, int] = {"answered": 68, "gone": 12, "cut": 13, "absent": 4, "twice": 3}
"""Of a hundred questions: answered from one file; refused because the file is missing, because its lines are missing,
because nobody wrote it down; answered by two files that say the same."""

_OF_RECEIPTS = {"total": 30, "date": 22, "company": 28, "": 20}  # "": anything
_BEHIND = 0.3
"""Of the answered questions, how many have their file behind another one: else [1] would always be right."""

_TWICE_SAID = ("total", "date")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What the next question is to be, before any document is drawn."""

    kind: str
    way: Way
    key: str = ""  # the value to ask for; "" takes any
    behind: bool = False  # the file that answers does not come first


def plan(draw: random.Random) -> Plan:
    """A plan in the shares above."""
    kind = draw.choices(list(SHARES), list(SHARES.values()))[0]
    way = draw.choices(list(WAYS), list(WAYS.values()))[0]
    if way == "twice" and kind not in ("receipt", "invoice"):
        way = "answered"
    if way == "cut" and kind == "picture":
        way = "gone"
    if way == "absent" and kind == "picture":
        way = "answered"
    key = draw.choices(list(_OF_RECEIPTS), list(_OF_RECEIPTS.values()))[0] if kind == "receipt" else ""
    behind = way == "answered" and draw.random() < _BEHIND
    return Plan(kind=kind, way=way, key=draw.choice(_TWICE_SAID) if way == "twice" else key, behind=behind)


def question(of: Plan, draw: random.Random, *, code: str = "en") -> tuple[KnownAnswers, list[Chunk]] | None:
    """A question with its chunks; None where the documents drawn do not allow what is planned."""
    document = make(of.kind, draw, code=code)
    values = document.values
    asks = [ask for ask in document.asks if ask.keys[0] in values and of.key in ("", ask.keys[0])]
    if not asks:
        return None
    ask = draw.choice(asks)
    others = _others(draw, document, ask)
    if of.way == "answered":
        return _answered(draw, document, ask, others, behind=of.behind) if others or not of.behind else None
    if of.way == "gone":
        return _gone(draw, document, ask, others) if others else None
    if of.way == "cut":
        return _cut(draw, document, ask, others)
    if of.way == "twice":
        return _twice(draw, document, ask, others)
    return _absent(draw, document, others) if document.absent else None


def _others(draw: random.Random, document: Document, ask: Ask) -> list[Document]:
    """Files that a search would bring along: mostly of the same kind, and none that the question could mean too."""
    foreign = [kind for kind in KINDS if kind != document.kind]
    named = set(content_terms(ask.about))
    others = []
    for _ in range(draw.choice([0, 1, 1, 2, 2, 3])):
        same = draw.random() < 0.7 and (named or document.labels)
        other = make(document.kind if same else draw.choice(foreign), draw, code=document.language)
        held = set(content_terms(" ".join([other.title, *(chunk.text for chunk in other.chunks())])))
        shows_it = bool(document.labels) and any(label in other.labels for label in (*document.labels, ask.about))
        if not shows_it and not (named and 2 * len(named & held) >= len(named) and len(named - held) < 2):
            others.append(other)
    return others


def _answered(
    draw: random.Random, document: Document, ask: Ask, others: Sequence[Document], *, behind: bool
) -> tuple[KnownAnswers, list[Chunk]] | None:
    chunks = document.chunks()
    right = _holder(chunks, document, ask)
    if right is None:
        return None
    asked, earlier = _asked(draw, document, ask)
    value = document.values[ask.keys[0]] if not document.labels else document.shows
    known = KnownAnswers(
        question=asked,
        earlier=earlier,
        about=ask.about,
        replies=_replies(draw, document, ask),
        evidence=(right.id,),
        values=(value,),
    )
    own = _with_neighbours(draw, right, chunks)
    return known, _mixed(draw, own, [_likest(other, asked) for other in others], behind=behind)


def _gone(
    draw: random.Random, document: Document, ask: Ask, others: Sequence[Document]
) -> tuple[KnownAnswers, list[Chunk]]:
    """The file that answers is not among the hits."""
    asked, earlier = _asked(draw, document, ask)
    missing = document.shows or document.values[ask.keys[0]]
    return KnownAnswers(question=asked, earlier=earlier, missing=(missing,)), [
        _likest(other, asked) for other in others
    ]


def _cut(
    draw: random.Random, document: Document, ask: Ask, others: Sequence[Document]
) -> tuple[KnownAnswers, list[Chunk]] | None:
    """The file is there, the lines that answer are not."""
    rest = document.without(ask.keys)
    chunks = [chunk for chunk in rest.chunks() if chunk.kind != "image"]
    if not chunks:
        return None
    asked, earlier = _asked(draw, document, ask)
    right = max(chunks, key=lambda chunk: _shared(chunk, asked))
    known = KnownAnswers(question=asked, earlier=earlier, missing=(document.values[ask.keys[0]],))
    return known, _mixed(draw, _with_neighbours(draw, right, chunks), [_likest(other, asked) for other in others])


def _absent(draw: random.Random, document: Document, others: Sequence[Document]) -> tuple[KnownAnswers, list[Chunk]]:
    """Nobody wrote down what is asked."""
    asked = draw.choice(document.absent)
    likest = _likest(document, asked)
    return KnownAnswers(question=asked), _mixed(draw, [likest], [_likest(other, asked) for other in others])


def _twice(
    draw: random.Random, document: Document, ask: Ask, others: Sequence[Document]
) -> tuple[KnownAnswers, list[Chunk]] | None:
    """A list of payments says the same as the receipt: both are named."""
    values, note = document.values, _payments(draw, document)
    chunks, listed = document.chunks(), note.chunks()[-1]
    right = _holder(chunks, document, ask)
    if right is None:
        return None
    asked, earlier = _asked(draw, document, ask)
    pair = [right, listed] if draw.random() < 0.5 else [listed, right]
    replies = tuple(reply.replace(" [1]", " [1][2]") for reply in _replies(draw, document, ask))
    value = values[ask.keys[0]]
    known = KnownAnswers(
        question=asked, earlier=earlier, replies=replies, evidence=(pair[0].id, pair[1].id), values=(value, value)
    )
    return known, _mixed(draw, pair, [_likest(other, asked) for other in others[:1]])


def _payments(draw: random.Random, document: Document) -> Document:
    """A list of payments with one row."""
    title, *heads = language(document.language).manners["payments"]
    cells = tuple(Part(document.values[key]) for key in ("company", "date", "total"))
    name = f"{title.lower()}-{draw.randint(2010, 2027)}.xlsx"
    return Document(kind="table", name=name, title=title, blocks=(Table(header=tuple(heads), rows=(cells,)),))


def _asked(draw: random.Random, document: Document, ask: Ask) -> tuple[str, str]:
    """The question as somebody types it, or one in eight times a short one that follows another about the document."""
    earlier = [
        each.question for each in document.asks if each.about and each.about == ask.about and each.keys != ask.keys
    ]
    if not earlier or not ask.then or draw.random() >= 0.12:
        return _as_typed(draw, ask.question, document.language), ""
    return ask.then, draw.choice(earlier)


def _as_typed(draw: random.Random, asked: str, code: str) -> str:
    """Mostly as it is; some people spare themselves capitals and marks, others are polite."""
    if draw.random() < 0.08:
        return asked[:1].lower() + asked[1:].rstrip("?")
    if draw.random() < 0.06 and asked.endswith("?"):
        return f"{draw.choice(language(code).manners['polite'])}{asked}"
    return asked


def _replies(draw: random.Random, document: Document, ask: Ask) -> tuple[str, ...]:
    """The wordings with the values as the document writes them, and the bare value last."""
    values = document.values
    answers = [answer.format_map(values) for answer in ask.answers]
    if len(answers) > 1 and draw.random() < 0.15:
        answers = [*answers[1:], answers[0]]
    bare = [values[key] for key in ask.keys] if not document.labels else []
    return tuple(f"{answer.rstrip('.')} [1]." for answer in (*answers, *bare))


def _holder(chunks: Sequence[Chunk], document: Document, ask: Ask) -> Chunk | None:
    """The chunk that holds the asked value and most of the question."""
    value = fold(document.shows or document.values[ask.keys[0]])
    holding = [
        chunk for chunk in chunks if value in fold(chunk.text) and (chunk.kind == "image") == bool(document.labels)
    ]
    return max(holding, key=lambda chunk: _shared(chunk, ask.question), default=None)


def _with_neighbours(draw: random.Random, right: Chunk, chunks: Sequence[Chunk]) -> list[Chunk]:
    """Other chunks of the same file often come along: the picture of a scan, the next section."""
    return [right, *(chunk for chunk in chunks if chunk.id != right.id and draw.random() < 0.35)]


def _likest(document: Document, question: str) -> Chunk:
    return max(document.chunks(), key=lambda chunk: _shared(chunk, question) + 0.5 * (chunk.kind != "image"))


def _mixed(draw: random.Random, own: Sequence[Chunk], others: Sequence[Chunk], *, behind: bool = False) -> list[Chunk]:
    """The file asked for comes first as often as a good search has it there, or `behind` another one."""
    place = draw.randint(1, len(others)) if behind else 0 if draw.random() < 0.7 else draw.randint(0, len(others))
    return [*others[:place], *own, *others[place:]]


def _shared(chunk: Chunk, question: str) -> int:
    return len(set(content_terms(question)) & set(content_terms(chunk.searchable_text)))
