"""A library's labelled values and tables → questions with their answers, without any text model.

    Invoice number: SD-2025-118          → "What is the invoice number in invoice SD 2025 118?"  "SD-2025-118"
    | Lamp | Price |  / | Aurora | 329 € | → "What is the price of Aurora in lamps?"               "329 €"

What is asked is plain, but it is the user's own: their labels, their values, their layout, as their files were read.
Documents are split into train and held-out whole; a question's rivals come from its own side, so that nothing held out
is read in training.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from claims.passages import cells, is_rule
from indexing.records import Chunk
from indexing.store.bm25 import words
from llava_model.data.samples import Sample, to_record
from rag.prompt import CountTokens
from rag.settings import PromptSettings
from training_data.grounded import QuestionAnswer, SampleTally, samples_from
from training_data.library_items import held_out_documents

PROMPT = PromptSettings(
    instructions="tiny", max_passages=6, evidence_tokens=220, max_evidence=6, max_pictures=0, history_tokens=0
)
"""As the GROUND stage is trained (recipes/pocket): a handful of passages."""

_LABELLED = re.compile(r"^\W*(?P<label>[^\W\d_][^:|\n]{1,40}?)\s*:\s+(?P<value>[^\n|]{1,70})$")
_ARTICLES = frozenset({"a", "an", "the"})
_MOST_LABEL_WORDS, _MOST_VALUE_WORDS, _MOST_OF_A_TABLE = 4, 8, 24


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticSamples:
    """Records for `llavero model train ground`; `answers` holds what a right reply must say, nothing for a refusal."""

    train: Sequence[Mapping[str, Any]]
    held_out: Sequence[Mapping[str, Any]]
    tally: SampleTally = field(default_factory=SampleTally)


def synthetic_samples(
    chunks: Sequence[Chunk], *, held_out: float, seed: int, count_tokens: CountTokens, settings: PromptSettings = PROMPT
) -> SyntheticSamples:
    """Samples from every document of the library that has labelled values or tables."""
    documents: dict[str, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        documents[chunk.content_hash].append(chunk)
    apart = held_out_documents(documents, share=held_out, seed=seed)
    sides: dict[bool, list[Mapping[str, Any]]] = {False: [], True: []}
    tally = SampleTally()
    for side, prefix in ((False, "train"), (True, "held-out")):
        own = [chunk for name, each in sorted(documents.items()) if (name in apart) == side for chunk in each]
        asked = list(questions_from(own))
        made = samples_from(own, asked, count_tokens=count_tokens, settings=settings, seed=seed, tally=tally)
        sides[side] = [_record(sample, asked, prefix) for sample in made]
    return SyntheticSamples(train=sides[False], held_out=sides[True], tally=tally)


def questions_from(chunks: Sequence[Chunk]) -> Iterator[QuestionAnswer]:
    """Each label and each cell asked once for its document; a label with two values in one document is left out."""
    for _, own in _by_file(chunks):
        found: dict[str, set[str]] = defaultdict(set)
        first: dict[str, QuestionAnswer] = {}
        for chunk in own:
            for question, answer in [*_labelled(chunk), *_cells(chunk)]:
                found[question].add(" ".join(answer.casefold().split()))
                first.setdefault(
                    question, QuestionAnswer(question=question, answer=answer, path=chunk.path, page=chunk.page)
                )
        yield from (asked for question, asked in first.items() if len(found[question]) == 1)


def _by_file(chunks: Sequence[Chunk]) -> Iterator[tuple[str, list[Chunk]]]:
    files: dict[str, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        if chunk.text and chunk.kind in ("text", "table"):
            files[chunk.path].append(chunk)
    yield from sorted(files.items())


def _labelled(chunk: Chunk) -> Iterator[tuple[str, str]]:
    """`Label: value`, a line each."""
    if chunk.kind == "table":
        return
    for line in chunk.text.splitlines():
        match = _LABELLED.match(line.strip())
        if match is None:
            continue
        label, value = " ".join(match["label"].split()), match["value"].strip(" .*_")
        named = label.split()[0].casefold() not in _ARTICLES and len(label.split()) <= _MOST_LABEL_WORDS
        if named and words(label) and _is_value(value):
            yield f"What is the {_small(label)} in {_called(chunk)}?", value


def _cells(chunk: Chunk) -> Iterator[tuple[str, str]]:
    """The cells of a table's first rows, by column and row name."""
    if chunk.kind != "table":
        return
    rows = [line for line in chunk.text.splitlines() if line.strip()]
    rule = next((place for place, line in enumerate(rows) if is_rule(line)), None)
    if not rule:
        return
    header = cells(rows[rule - 1])
    if any(character.isdigit() for name in header for character in name):  # a first row of values, not of names
        return
    asked = 0
    for row in map(cells, rows[rule + 1 :]):
        for column, cell in list(zip(header, row, strict=False))[1:]:
            named = words(column) and words(row[0]) and len(row[0].split()) <= _MOST_VALUE_WORDS
            if named and _is_value(cell) and asked < _MOST_OF_A_TABLE:
                asked += 1
                yield _of_cell(_small(column), row[0], _called(chunk)), cell


def _of_cell(column: str, row: str, document: str) -> str:
    """Two ways to ask, the same one for the same cell every time; the second also fits columns that are no nouns."""
    if hashlib.sha256(f"{column}\0{row}".encode()).digest()[0] % 2:
        return f"What is the {column} of {row} in {document}?"
    return f"What does {document} give as {column} for {row}?"


def _is_value(text: str) -> bool:
    return 0 < len(text.split()) <= _MOST_VALUE_WORDS and bool(words(text)) and "://" not in text


def _small(label: str) -> str:
    """As it would stand in a sentence; what is written in capitals or holds a name stays."""
    return label[:1].lower() + label[1:] if label[1:] == label[1:].lower() else label


def _called(chunk: Chunk) -> str:
    """How a person would name the file."""
    return " ".join(PurePath(chunk.path).stem.replace("-", " ").replace("_", " ").split())


def _record(sample: Sample, asked: Sequence[QuestionAnswer], prefix: str) -> dict[str, Any]:
    number, _, gone = sample.id.removeprefix("own-").partition("-")
    answers = [] if gone else [asked[int(number)].answer]
    record = to_record(sample, root=Path())
    return {
        **record,
        "id": f"{prefix}-{sample.id}",
        "answers": answers,
        "source": PurePath(asked[int(number)].path).name,
    }
