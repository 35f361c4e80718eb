"""Write the GROUND stage's samples from made-up documents.

    python recipes/pocket/make_ground.py --count 6400 --seed 1 --validation 400 --out build/pocket-data/ground

writes train.jsonl and validation.jsonl (other documents, drawn from another seed), and prints how many questions
were answered, refused and left out, and how long the samples are in SmolLM2's tokens.
"""

import argparse
import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script from anywhere

from indexing.records import Chunk
from llava_model.data.schema import Sample, to_record
from llava_model.serving.engine import Turn
from llava_model.templates import Message
from rag.history import resolve
from rag.settings import PromptSettings
from rag.terms import content_terms, fold
from rag.training_data import Known, Tally, as_hits, ground
from recipes.pocket.documents import KINDS, Ask, Document, make

SHARES = {
    "receipt": 30, "invoice": 10, "letter": 9, "table": 11, "manual": 9, "minutes": 6, "handbook": 7, "schedule": 6,
    "card": 4, "picture": 8,
}  # fmt: skip
"""Of a hundred questions, how many are about each kind."""

CountTokens = Callable[[Sequence[Turn]], int]


def samples(count: int, seed: int, count_tokens: CountTokens, tally: Tally, *, prefix: str) -> Iterator[Sample]:
    """`count` samples; the same for the same seed."""
    made = attempt = 0
    while made < count:
        draw = random.Random(f"{seed}-{attempt}")
        attempt += 1
        question = question_of(draw)
        if question is None:
            continue
        known, chunks = question
        name = f"{prefix}-{seed}-{attempt:06}"
        sample = ground(
            name, known, as_hits(chunks), count_tokens=count_tokens, settings=_settings(draw), tally=tally
        ).sample
        if sample is not None:
            made += 1
            yield sample


def _settings(draw: random.Random) -> PromptSettings:
    """The default and its neighbours, so that the model does not depend on one of them."""
    return PromptSettings(
        examples=False,
        max_passages=draw.choices([2, 3, 4, 6, 8, 10], [20, 15, 20, 20, 15, 10])[0],
        later_file=draw.choice([0.25, 0.1, 0.04]),
        least_gain=draw.choice([0.15, 0.15, 0.05]),
    )


def question_of(draw: random.Random) -> tuple[Known, list[Chunk]] | None:
    kind = draw.choices(list(SHARES), list(SHARES.values()))[0]
    document = make(kind, draw)
    asks = [ask for ask in document.asks if all(key in document.values for key in ask.keys)]
    if not asks:
        return None
    ask = asks[0] if kind == "receipt" and draw.random() < 0.2 else draw.choice(asks)
    others = _others(draw, document, ask)
    way = draw.choices(["answered", "gone", "cut", "absent", "twice"], [70, 8, 12, 5, 5])[0]
    if way == "gone" and others:
        return _gone(draw, document, ask, others)
    if way == "cut" and not document.labels:
        return _cut(draw, document, ask, others)
    if way == "absent" and document.absent:
        return _absent(draw, document, others)
    if way == "twice" and kind in ("receipt", "invoice") and "company" in document.values:
        return _twice(draw, document, ask, others)
    return _answered(draw, document, ask, others)


def _others(draw: random.Random, document: Document, ask: Ask) -> list[Document]:
    """Files that a search would bring along: mostly of the same kind, and none that the question could mean too."""
    foreign = [kind for kind in KINDS if kind != document.kind]
    named = set(content_terms(ask.about))
    others = []
    for _ in range(draw.choice([0, 1, 1, 2, 2, 3])):
        same = draw.random() < 0.7 and (named or document.labels)
        other = make(document.kind if same else draw.choice(foreign), draw)
        held = set(content_terms(" ".join([other.title, *(chunk.text for chunk in other.chunks())])))
        shows_it = bool(document.labels) and any(label in other.labels for label in (*document.labels, ask.about))
        if not shows_it and not (named and 2 * len(named & held) >= len(named) and len(named - held) < 2):
            others.append(other)
    return others


def _answered(
    draw: random.Random, document: Document, ask: Ask, others: Sequence[Document]
) -> tuple[Known, list[Chunk]] | None:
    chunks = document.chunks()
    right = _holder(chunks, document, ask)
    if right is None:
        return None
    question, topic = _asked(draw, document, ask)
    value = document.values[ask.keys[0]] if not document.labels else document.shows
    known = Known(
        question=question,
        topic=topic,
        about=ask.about,
        replies=_replies(draw, document, ask),
        evidence=(right.id,),
        values=(value,),
    )
    return known, _mixed(draw, _with_neighbours(draw, right, chunks), [_likest(other, question) for other in others])


def _gone(draw: random.Random, document: Document, ask: Ask, others: Sequence[Document]) -> tuple[Known, list[Chunk]]:
    """The file that answers is not among the hits."""
    question, topic = _asked(draw, document, ask)
    missing = document.shows or document.values[ask.keys[0]]
    return Known(question=question, topic=topic, missing=(missing,)), [_likest(other, question) for other in others]


def _cut(
    draw: random.Random, document: Document, ask: Ask, others: Sequence[Document]
) -> tuple[Known, list[Chunk]] | None:
    """The file is there, the lines that answer are not."""
    rest = document.without(ask.keys)
    chunks = [chunk for chunk in rest.chunks() if chunk.kind != "image"]
    if not chunks:
        return None
    question, topic = _asked(draw, document, ask)
    right = max(chunks, key=lambda chunk: _shared(chunk, question))
    known = Known(question=question, topic=topic, missing=(document.values[ask.keys[0]],))
    return known, _mixed(draw, _with_neighbours(draw, right, chunks), [_likest(other, question) for other in others])


def _absent(draw: random.Random, document: Document, others: Sequence[Document]) -> tuple[Known, list[Chunk]]:
    """Nobody wrote down what is asked."""
    question = draw.choice(document.absent)
    likest = _likest(document, question)
    return Known(question=question), _mixed(draw, [likest], [_likest(other, question) for other in others])


def _twice(
    draw: random.Random, document: Document, ask: Ask, others: Sequence[Document]
) -> tuple[Known, list[Chunk]] | None:
    """A list of payments says the same as the receipt: both are named."""
    from recipes.pocket.documents.document import Part, Table

    if ask.keys[0] not in ("total", "date"):
        return None
    values = document.values
    table = Table(
        header=("Paid to", "Date", "Total"),
        rows=((Part(values["company"]), Part(values["date"]), Part(values["total"])),),
    )
    note = Document(kind="table", name=f"payments-{draw.randint(2010, 2027)}.xlsx", title="Payments", blocks=(table,))
    chunks, listed = document.chunks(), note.chunks()[-1]
    right = _holder(chunks, document, ask)
    if right is None:
        return None
    question, topic = _asked(draw, document, ask)
    pair = [right, listed] if draw.random() < 0.5 else [listed, right]
    replies = tuple(reply.replace(" [1]", " [1][2]") for reply in _replies(draw, document, ask))
    value = values[ask.keys[0]]
    known = Known(
        question=question, topic=topic, replies=replies, evidence=(pair[0].id, pair[1].id), values=(value, value)
    )
    return known, _mixed(draw, pair, [_likest(other, question) for other in others[:1]])


def _asked(draw: random.Random, document: Document, ask: Ask) -> tuple[str, str]:
    """The question, or one in eight times the short one that follows another question about the document."""
    earlier = [
        each.question for each in document.asks if each.about and each.about == ask.about and each.keys != ask.keys
    ]
    if not earlier or not ask.then or draw.random() >= 0.12:
        return ask.question, ""
    resolved = resolve(ask.then, [Turn(role="user", text=draw.choice(earlier))])
    return (resolved.question, resolved.topic) if resolved.topic else (ask.question, "")


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


def _mixed(draw: random.Random, own: Sequence[Chunk], others: Sequence[Chunk]) -> list[Chunk]:
    """The right file first in half of the cases, as a good search has it; else anywhere."""
    hits = list(others)
    place = 0 if draw.random() < 0.5 else draw.randint(0, len(hits))
    return [*hits[:place], *own, *hits[place:]]


def _shared(chunk: Chunk, question: str) -> int:
    return len(set(content_terms(question)) & set(content_terms(chunk.searchable_text)))


def token_counter() -> CountTokens:
    """Counts as the engine does, with the pocket kit's tokenizer and chat template."""
    from llava_model.kits import find
    from llava_model.tokenize import PromptEncoder, load_tokenizer

    encoder = PromptEncoder(load_tokenizer(find("pocket").path("language")))
    return lambda turns: len(encoder.encode([Message.of(turn.role, turn.text) for turn in turns], open_reply=False).ids)


def write(path: Path, made: Iterator[Sample]) -> int:
    """One sample a line; the file appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    count = 0
    with part.open("w", encoding="utf-8") as file:
        for sample in made:
            file.write(json.dumps(to_record(sample, root=path.parent), ensure_ascii=False) + "\n")
            count += 1
            if count % 500 == 0:
                print(f"{path.name}: {count} samples", file=sys.stderr, flush=True)
    os.replace(part, path)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=6000, help="training samples (6000)")
    parser.add_argument("--validation", type=int, default=400, help="validation samples (400)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/pocket-data/ground"))
    arguments = parser.parse_args()
    count_tokens = token_counter()
    for name, count, seed in (
        ("train", arguments.count, arguments.seed),
        ("validation", arguments.validation, arguments.seed + 1_000_000),
    ):
        tally = Tally()
        write(arguments.out / f"{name}.jsonl", samples(count, seed, count_tokens, tally, prefix=f"ground-{name}"))
        print(report(name, tally))


def report(name: str, tally: Tally) -> str:
    """What came of the questions, in one line."""
    lengths = sorted(tally.tokens)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.most_common())
    mean, p95 = sum(lengths) / max(1, len(lengths)), lengths[int(0.95 * (len(lengths) - 1))] if lengths else 0
    return (
        f"{name}: {len(lengths)} samples ({outcomes}; {tally.repaired} said in a later wording); "
        f"tokens mean {mean:.0f}, 95 % up to {p95}, longest {lengths[-1] if lengths else 0}"
    )


if __name__ == "__main__":
    main()
