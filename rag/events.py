"""What happens while a question is answered: `Retrieved`, then `Looking` (of questions about all files) and `Token` as
often as they come, then `Answer`.

`CollectionAnswerer` is what answers questions about all files, for those who answer with one: `aggregation` has it, and
builds on this package, so it is handed in.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Protocol

from claims.citations import Citation
from indexing.records import Hit
from indexing.store.protocol import Filter
from llava_model.serving.engine import Turn
from rag.retrieve import Retrieval


@dataclass(frozen=True, kw_only=True)
class Retrieved:
    """The search is done; the model has not been asked yet."""

    retrieval: Retrieval


@dataclass(frozen=True, kw_only=True, slots=True)
class Looking:
    """How far it is: files that were looked into, of those that are to be."""

    done: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Token:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerTable:
    """Rows below an answer; `markers[i]` is the source of row i."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    markers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The whole answer. Marker [n] means `hits[n - 1]`."""

    text: str
    refused: bool
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]  # the evidence in the order of its markers, then what else was found
    model: str  # "" when no model was asked
    milliseconds: Mapping[str, float]  # retrieve, first_token, total
    confidence: float = 0.0  # 0..1: how likely the library answers this, by search and model together
    prompt: tuple[Turn, ...] = ()
    prompt_tokens: int = 0
    supported: bool = True  # False: the model's claims stand in no evidence, or there are none
    notes: tuple[str, ...] = ()
    table: AnswerTable | None = None
    """Of a question about all files: those that fit, and what was read in each."""


Event = Retrieved | Looking | Token | Answer


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputedAnswer:
    """What was computed over the files: a sentence, a table, and its sources in the order of the table's rows."""

    text: str
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    table: AnswerTable


class CollectionAnswerer(Protocol):
    """Answers questions about all files together."""

    def likelihood(self, question: str) -> float:
        """0..1: how likely the question is one."""

    def events(self, question: str, filter: Filter) -> Generator[Looking, None, ComputedAnswer | None]:
        """Yields how far it is, returns the answer, or None where the question is one for a reader."""
