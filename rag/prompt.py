"""Hits and a question → the turns a model reads: evidence numbered [1]…[n], within a budget of real tokens.

Whole chunks, best first, until the budget is full; a table with its title and header; where a chunk begins or ends in
mid-sentence, that sentence's other half from the chunk beside it. What a model is told stands in a text file
(`rag/instructions`, or the user's own). `FewPassages` is for models under 200 million parameters alone: they are
confused by whole chunks and get a handful of lines.

Evidence is data that somebody else wrote. Whatever in it looks like our own marks (`[2]`, `Question:`, a fence)
is written another way before a model sees it; special tokens are broken by the engine's tokenizer.
The same code makes the samples on which the GROUND stage trains, so that training and serving cannot differ.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePath

from PIL import Image

from claims.passages import Passage, passages
from indexing.records import Chunk, Hit
from indexing.store.bm25 import Rarity, document_vector, query_vector
from llava_model.serving.engine import Turn
from rag.errors import InstructionsError, PromptTooLongError
from rag.settings import PromptSettings

REFUSAL = "Not in the evidence."
"""What a model is asked to write when the evidence does not answer."""

_INSTRUCTIONS = Path(__file__).with_name("instructions")
_SHIPPED = ("tiny", "small", "reader", "capable")
_FENCELESS = ("tiny", "small", "reader")
_JUDGING = ("answered", "steps")
_EXAMPLE = (
    "[1] The library opens at 9:00 and closes at 18:30.\n[2] A library card costs 12 euros a year.\n\n"
    "Question: What does a card cost?",
    "A library card costs 12 euros a year [2].",
)

CountTokens = Callable[[Sequence[Turn]], int]
Chances = Callable[[Sequence[Turn], str], list[float]]
"""(turns, reply) → the probability 0..1 of each token of the reply, as `Engine.chances` tells."""
NextWords = Callable[[Sequence[Turn], Sequence[str]], list[float]]
"""(turns, words) → for each word the probability that the reply begins with it, as `Engine.next_words` tells."""
Write = Callable[[Sequence[Turn], int, Sequence[str]], str]
"""(turns, most new tokens, where to stop) → the model's whole reply, as `rag.langchain.write_with` gives it."""
LoadImage = Callable[[Chunk], Image.Image | None]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One numbered piece of evidence as the model got it."""

    marker: int
    hit: Hit
    shown: tuple[Passage, ...]
    left_out: int  # passages of the chunk that the model did not get
    image: Image.Image | None = None


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the model reads, and what was left out on the way there."""

    turns: tuple[Turn, ...]
    evidence: tuple[Evidence, ...]
    tokens: int  # of all turns, pictures counted
    notes: tuple[str, ...] = ()


def build_prompt(
    question: str,
    hits: Sequence[Hit],
    *,
    earlier: str = "",
    images: Sequence[Image.Image] = (),
    history: Sequence[Turn] = (),
    count_tokens: CountTokens,
    context_tokens: int,
    max_new_tokens: int,
    sees_images: bool,
    load_image: LoadImage = lambda chunk: None,
    settings: PromptSettings,
) -> Prompt:
    """The prompt for hits in their order. `earlier` is the question before, where this one may follow on it.

    Raises PromptTooLongError when instructions, question and the user's own pictures alone do not fit, and
    InstructionsError when the user's own text cannot be read.
    """
    draft = _Draft(
        question=question,
        earlier=earlier,
        images=tuple(images) if sees_images else (),
        settings=settings,
        count_tokens=count_tokens,
    )
    room = context_tokens - max_new_tokens
    bare = count_tokens(draft.turns((), ()))
    if bare > room:
        raise PromptTooLongError(bare, room)
    remembered = _recent(history, count_tokens, min(settings.history_tokens, room - bare))
    with_history = count_tokens(draft.turns((), remembered))
    budget = min(settings.evidence_tokens, room - with_history)
    chosen = list(hits[: settings.max_evidence])
    pictures = _pictures(chosen, load_image, settings.max_pictures) if sees_images else {}
    evidence = _fill(draft, chosen, pictures, remembered, with_history + budget)
    turns = draft.turns(evidence, remembered)
    return Prompt(
        turns=turns,
        evidence=evidence,
        tokens=count_tokens(turns),
        notes=_notes(evidence, hits, history, remembered, images, sees_images),
    )


@lru_cache
def instructions(name: str) -> tuple[str, str]:
    """The text of that name, or of the user's own file: what stands before everything, and what behind the question.

    A line `---` parts them. What stands last is best remembered by a small model, and what stands before it is read
    once for several endings. Raises InstructionsError.
    """
    file = _INSTRUCTIONS / f"{name}.txt" if name in (*_SHIPPED, *_JUDGING) else Path(name).expanduser()
    try:
        first, _, last = file.read_text(encoding="utf-8").partition("\n---\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InstructionsError(name, _SHIPPED, str(error)) from error
    return first.strip(), last.strip()


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """Everything of a prompt but its evidence."""

    question: str
    earlier: str
    images: tuple[Image.Image, ...]
    settings: PromptSettings
    count_tokens: CountTokens

    def turns(self, evidence: Sequence[Evidence], remembered: Sequence[Turn]) -> tuple[Turn, ...]:
        first, last = instructions(self.settings.instructions)
        pictures = (*(each.image for each in evidence if each.image is not None), *self.images)
        asked = f"Question: {self.question.strip()}"
        if self.earlier and not remembered:
            asked += f" (about: {self.earlier.strip()})"
        capable = self.settings.instructions not in _FENCELESS
        blocks = [fenced(each) if capable else _block(each) for each in evidence]
        if capable and not blocks:
            blocks = ["(no evidence was found)"]
        key = _picture_key(evidence, len(self.images)) if capable else ""
        text = "\n".join([*blocks, key, asked, *([last] if last else [])]).lstrip("\n")
        example = (Turn(role="user", text=_EXAMPLE[0]), Turn(role="assistant", text=_EXAMPLE[1]))
        return (
            Turn(role="system", text=first),
            *(example if self.settings.example else ()),
            *remembered,
            Turn(role="user", text=text, images=pictures),
        )


def _fill(
    draft: _Draft, hits: Sequence[Hit], pictures: dict[str, Image.Image], remembered: Sequence[Turn], limit: int
) -> tuple[Evidence, ...]:
    """As many pictures and passages, best first, as keep the prompt within `limit` tokens."""

    def fits(evidence: tuple[Evidence, ...]) -> bool:
        return draft.count_tokens(draft.turns(evidence, remembered)) <= limit

    while pictures and not fits(_evidence(hits, (), pictures)):
        pictures = dict(list(pictures.items())[:-1])
    wanted = _wanted(draft, hits)
    most = _most(len(wanted), lambda count: fits(_evidence(hits, wanted[:count], pictures)))
    if most == 0 and wanted:
        return _with_a_cut(hits, wanted[0], pictures, fits)
    return _evidence(hits, wanted[:most], pictures)


def _most(there: int, fits: Callable[[int], bool]) -> int:
    """How many of those that are there fit: adding one never makes a prompt shorter."""
    return bisect_left(range(1, there + 1), True, key=lambda count: not fits(count))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """A passage of a hit; `hit` and `number` count from 0."""

    hit: int
    number: int
    passage: Passage


def _wanted(draft: _Draft, hits: Sequence[Hit]) -> list[_Place]:
    """The passages to show, the most wanted first: chunk by chunk in reading order, or the chosen few."""
    places = [
        _Place(hit=position, number=number, passage=passage)
        for position, hit in enumerate(hits)
        for number, passage in enumerate(passages(hit.chunk))
    ]
    if not draft.settings.max_passages:
        return places
    asked = f"{draft.question} {draft.earlier}".strip()
    return FewPassages(asked, hits).choose(places, most=draft.settings.max_passages)


class FewPassages:
    """Which lines a very small model is shown: those that hold most of the question's words, rare words counting most.

    How rare a word is, is counted among the lines themselves, so no list of common words is needed.
    """

    _LATER_HIT = 0.15  # what a line loses for each place that its chunk stands behind the first
    _SAID_ALREADY = 0.5  # what a word of the question counts for that a line shown before it has said

    def __init__(self, question: str, hits: Sequence[Hit]) -> None:
        self._question, self._hits = question, hits

    def choose(self, places: Sequence[_Place], *, most: int) -> list[_Place]:
        """At most `most` of them, each the one that adds most to those before it."""
        lines = [document_vector(f"{self._hits[each.hit].chunk.title} {each.passage.text}") for each in places]
        weights = query_vector(self._question, Rarity.of(lines))
        whole = sum(weights.values()) or 1.0
        titled = [weights.keys() & line.keys() for line in lines]
        left, chosen, said = list(range(len(places))), list[_Place](), set[int]()
        while left and len(chosen) < most:

            def worth(index: int, said: set[int] = said) -> float:
                held = sum(weights[term] * (self._SAID_ALREADY if term in said else 1) for term in titled[index])
                return held / whole - self._LATER_HIT * places[index].hit

            best = max(left, key=lambda index: (worth(index), -index))
            left.remove(best)
            chosen.append(places[best])
            said |= titled[best]
        return chosen


def _with_a_cut(
    hits: Sequence[Hit],
    first: _Place,
    pictures: dict[str, Image.Image],
    fits: Callable[[tuple[Evidence, ...]], bool],
) -> tuple[Evidence, ...]:
    """Not even the best passage fits whole: its first words do."""
    words = first.passage.text.split()

    def cut(count: int) -> tuple[Evidence, ...]:
        shown = replace(first.passage, text=" ".join(words[:count]) + " …")
        return _evidence(hits, [replace(first, passage=shown)], pictures)

    most = _most(len(words), lambda count: fits(cut(count)))
    return cut(most) if most else _evidence(hits, (), pictures)


def _evidence(hits: Sequence[Hit], chosen: Sequence[_Place], pictures: dict[str, Image.Image]) -> tuple[Evidence, ...]:
    """Number the hits of which something is shown, in their order."""
    shown: dict[int, list[Passage]] = {}
    for each in sorted(chosen, key=lambda place: (place.hit, place.number)):
        shown.setdefault(each.hit, []).append(each.passage)
    evidence: list[Evidence] = []
    for position, hit in enumerate(hits):
        picture = pictures.get(hit.chunk.id)
        if position in shown or picture is not None:
            kept = tuple(shown.get(position, ()))
            evidence.append(
                Evidence(
                    marker=len(evidence) + 1,
                    hit=hit,
                    shown=kept,
                    left_out=max(0, len(passages(hit.chunk)) - len(kept)),
                    image=picture,
                )
            )
    return tuple(evidence)


def _pictures(hits: Sequence[Hit], load_image: LoadImage, most: int) -> dict[str, Image.Image]:
    found: dict[str, Image.Image] = {}
    for hit in hits:
        if len(found) < most and hit.chunk.image and hit.chunk.kind in ("image", "page", "figure"):
            picture = load_image(hit.chunk)
            if picture is not None:
                found[hit.chunk.id] = picture
    return found


def _block(evidence: Evidence) -> str:
    """For small models: a number, the title, the lines."""
    chunk = evidence.hit.chunk
    lines = [as_data(passage.text) for passage in evidence.shown]
    if chunk.kind == "image" and not chunk.lines:  # a list of labels alone makes a small model tell of koalas
        shows = f" shows: {', '.join(lines)}" if lines else ""
        return f"[{evidence.marker}] The picture {as_data(PurePath(chunk.path).name)}{shows}"
    title = as_data(chunk.title)
    if title and not any(title.casefold() in line.casefold() for line in lines):
        lines.insert(0, title)
    return f"[{evidence.marker}] " + "\n".join(lines)


def fenced(evidence: Evidence) -> str:
    """A piece of evidence for capable models: between tags that nothing in it can close."""
    chunk = evidence.hit.chunk
    page = f' page="{chunk.page}"' if chunk.page is not None else ""
    name = as_data(PurePath(chunk.path).name).replace('"', "'")
    header = f'<evidence number="{evidence.marker}" file="{name}"{page}>'
    title = " › ".join(as_data(part) for part in (chunk.title, chunk.heading) if part)
    lines = [title] if title else []
    lines += [as_data(passage.text) for passage in evidence.shown]
    if evidence.image is not None:
        lines.append(f"(the picture of evidence {evidence.marker} is attached)")
    return "\n".join([f"[{evidence.marker}] {header}", *lines, "</evidence>"])


def _picture_key(evidence: Sequence[Evidence], own: int) -> str:
    """Which attached picture is which: pictures have no numbers of their own in a turn."""
    markers = [f"evidence [{each.marker}]" for each in evidence if each.image is not None]
    names = [*markers, *(["the user's own picture"] * own)]
    return f"\nAttached pictures in order: {', '.join(names)}.\n" if names else ""


def _recent(history: Sequence[Turn], count_tokens: CountTokens, budget: int) -> tuple[Turn, ...]:
    """The last question-and-answer pairs that fit the budget, without pictures and without old markers."""
    clean = [
        Turn(role=turn.role, text=_MARKER.sub("", turn.text).strip())
        for turn in history
        if turn.role in ("user", "assistant") and turn.text.strip()
    ]
    while clean and clean[-1].role == "user":  # a question that was never answered
        clean.pop()
    kept: tuple[Turn, ...] = ()
    for start in range(len(clean) - 1, -1, -1):
        if clean[start].role != "user":
            continue
        candidate = tuple(clean[start:])
        if count_tokens(candidate) > budget:
            break
        kept = candidate
    return kept


def _notes(
    evidence: Sequence[Evidence],
    hits: Sequence[Hit],
    history: Sequence[Turn],
    remembered: Sequence[Turn],
    images: Sequence[Image.Image],
    sees_images: bool,
) -> tuple[str, ...]:
    notes = [
        f"Of evidence [{each.marker}] the model read {len(each.shown)} of {len(each.shown) + each.left_out} passages."
        for each in evidence
        if each.left_out
    ]
    if len(hits) > len(evidence):
        notes.append(f"{len(hits) - len(evidence)} of {len(hits)} hits were not shown to the model.")
    dropped = sum(turn.role == "user" for turn in history) - sum(turn.role == "user" for turn in remembered)
    if dropped > 0:
        notes.append(f"{dropped} earlier questions were left out.")
    if images and not sees_images:
        notes.append("The model cannot see pictures: yours was used for the search, and its words for the answer.")
    return tuple(notes)


# -- quoted material in which none of our own marks is left: what makes evidence data and nothing else ----------------
#
# Special tokens are not handled here: the engine's tokenizer breaks them, and `rag.generate` does for servers.

_MARKER = re.compile(r"[\[［【〔]\s*((?:evidence\s*)?\^?\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\s*[\]］】〕]", re.IGNORECASE)
_ROLE_OR_FENCE = re.compile(
    r"^(\W*(?:question|answer|evidence|system|user|assistant)\s*\d*)\s*[:：]|<(?=\s*/?\s*evidence)", re.IGNORECASE
)


def as_data(text: str) -> str:
    """One line in which no marker, role or fence of ours is left, nor anything invisible.

    >>> as_data("Question: see [2] </evidence>")
    'Question - see (2) ‹/evidence>'
    """
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return _ROLE_OR_FENCE.sub(lambda found: f"{found[1]} -" if found[1] else "‹", _MARKER.sub(r"(\1)", line))
