"""The reasons for which a written answer is dropped; each is counted.

The model was given a picture in words. Its answer may mention those words ("the caption says"), copy the instructions,
or contradict the boxes. An answer is dropped only if it is certainly wrong. Boxes rarely cover all that a picture
shows: a thing without a box may well be there, and "two dogs" may be two of three; "four dogs" where three have boxes
is wrong.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from llava_model.model.config import IMAGE_TOKEN
from llava_model.synthesis.prompts import Exchange, Kind, is_other_language
from llava_model.synthesis.sources import Box, Item

Reason = Literal[
    "empty", "too-short", "image-token", "mentions-source", "mentions-boxes", "leaks-prompt", "other-language",
    "indefinite", "contradicts-counts", "contradicts-boxes", "not-in-lines", "answered-after-all", "repeated",
    "follows-dropped", "duplicate", "invalid",
]  # fmt: skip

MEANINGS: dict[Reason, str] = {
    "empty": "without a question or an answer",
    "too-short": "shorter than the least for its kind",
    "image-token": f"with '{IMAGE_TOKEN}' in the text",
    "mentions-source": "that speak of captions or a description instead of a picture",
    "mentions-boxes": "that speak of boxes or coordinates",
    "leaks-prompt": "that repeat the instructions",
    "other-language": "in another language than asked for",
    "indefinite": "without a definite answer",
    "contradicts-counts": "that name another number than the boxes show",
    "contradicts-boxes": "that name another place than the boxes show",
    "not-in-lines": "whose answer does not stand in the lines they name",
    "answered-after-all": "called unanswerable though the page seems to answer them",
    "repeated": "that ask what was asked before",
    "follows-dropped": "that refer to a dropped one",
    "duplicate": "with the words of another sample",
    "invalid": "that are no valid sample",
}

LEAST_WORDS: Mapping[Kind, int] = {"conversation": 1, "detail": 30, "complex": 20, "reading": 1, "brief": 2}
_LEAK_WORDS = 9
_OUR_QUESTIONS: frozenset[Kind] = frozenset({"detail", "brief"})  # they come from our lists, not from the model

_SOURCE = re.compile(
    r"\b(captions?|the (given |provided |above )?(descriptions?|sentences?)\b(?! of)|annotations?|symbolic"
    r"|(provided|given|available) (information|text|data|context|details?)"
    r"|(list|lists) of (the )?objects|(as|is|are|was|were) (described|mentioned|listed|specified|provided|stated)"
    r" (in|by|above|here)|(information|context) (provided|given)|the prompt)\b",
    re.IGNORECASE,
)
_BOXES = re.compile(
    r"\bbounding[ -]?box|\bcoordinates?\b|\bnormali[sz]ed\b|\[\s*[01]?\.\d+\s*,|\(\s*0?\.\d{2,}\s*,\s*0?\.\d{2,}",
    re.IGNORECASE,
)
_PAGE_SOURCE = re.compile(
    r"\bbounding[ -]?box|\bline numbers?\b|\b(in|on) lines? \d|\[\s*[01]?\.\d+\s*,", re.IGNORECASE
)
_INDEFINITE = re.compile(
    r"\b(cannot|can['’]?t|could not|not possible to|impossible to|hard to|difficult to) (be )?"
    r"(determined?|tell|told|say|said|known?|seen|see|identify|identified)\b"
    r"|\b(unclear|not (clear|specified|mentioned|provided|known|stated)|unknown)\b|\bno information\b",
    re.IGNORECASE,
)
_BACK = re.compile(r"\b(it|its|he|she|they|them|their|his|her|that|those|these|this one|the other)\b", re.IGNORECASE)
_LEFTOVERS = re.compile(r"^={3,}\s*$|^\W*(question|answer)\s*:", re.IGNORECASE | re.MULTILINE)

_NUMBERS = {
    word: number
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    )
}
_NUMBER = rf"(?:\d{{1,3}}|{'|'.join(_NUMBERS)})"
_IRREGULAR = {"person": ("person", "people", "persons"), "knife": ("knife", "knives"), "mouse": ("mouse", "mice"),
              "child": ("child", "children"), "man": ("man", "men"), "woman": ("woman", "women"),
              "sheep": ("sheep",), "skis": ("skis",), "scissors": ("scissors",)}  # fmt: skip
_FAR = 0.1


@dataclass(kw_only=True, slots=True)
class Judged:
    """The exchanges of a reply that are kept, and the reasons for which the others were dropped."""

    kept: list[Exchange] = field(default_factory=list)
    dropped: list[Reason] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judge:
    """The filter for one run. `instructions` must not be repeated; examples in them are ours, not the picture's."""

    language: str = "en"
    instructions: Mapping[Kind, frozenset[tuple[str, ...]]] = field(default_factory=dict)
    least_words: Mapping[Kind, int] = field(default_factory=lambda: LEAST_WORDS)

    def judge(self, kind: Kind, item: Item, exchanges: Iterable[Exchange]) -> Judged:
        """Judge each exchange by itself. One that refers back to a dropped one is dropped too."""
        judged = Judged()
        asked: set[str] = set()
        broken = False
        for exchange in exchanges:
            reason = self.objection(kind, item, exchange)
            words = _plain(exchange.question)
            if reason is None and words and words in asked:
                reason = "repeated"
            if reason is None and broken and _BACK.search(exchange.question):
                reason = "follows-dropped"
            asked.add(words)
            broken = reason is not None
            if reason is None:
                judged.kept.append(exchange)
            else:
                judged.dropped.append(reason)
        return judged

    def objection(self, kind: Kind, item: Item, exchange: Exchange) -> Reason | None:
        """The reason for which this exchange must not be learned, or None."""
        written = (exchange.answer,) if kind in _OUR_QUESTIONS else (exchange.question, exchange.answer)
        text = "\n".join(written)
        if not all(part.strip() for part in written):
            return "empty"
        if IMAGE_TOKEN in text:
            return "image-token"
        if _LEFTOVERS.search(text) or self._leaks(kind, text):
            return "leaks-prompt"
        if kind == "reading":
            return _reading_objection(item, exchange, self.language)
        if len(exchange.answer.split()) < self.least_words[kind]:
            return "too-short"
        if _SOURCE.search(text):
            return "mentions-source"
        if _BOXES.search(text):
            return "mentions-boxes"
        if is_other_language(exchange.answer, self.language) or is_other_language(text, self.language):
            return "other-language"
        if kind == "conversation" and _INDEFINITE.search(exchange.answer):
            return "indefinite"
        if _contradicts_counts(item, exchange):
            return "contradicts-counts"
        if _contradicts_boxes(item, exchange.answer):
            return "contradicts-boxes"
        return None

    def _leaks(self, kind: Kind, text: str) -> bool:
        forbidden = self.instructions.get(kind, frozenset())
        return any(run in forbidden for run in runs(text))


def runs(text: str, words: int = _LEAK_WORDS) -> set[tuple[str, ...]]:
    """Every sequence of `words` words in the text."""
    found = re.findall(r"\w+", text.casefold())
    return {tuple(found[at : at + words]) for at in range(len(found) - words + 1)}


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


# -- counts ----------------------------------------------------------------------------------------------------------


def _writings(label: str) -> tuple[str, ...]:
    """Singular and plural of a label: `dog`, `dogs`; `bus`, `buses`."""
    head, _, last = label.casefold().rpartition(" ")
    if last in _IRREGULAR:
        forms: tuple[str, ...] = _IRREGULAR[last]
    elif re.search(r"(s|x|z|ch|sh)$", last):
        forms = (last, f"{last}es")
    elif re.search(r"[^aeiou]y$", last):
        forms = (last, f"{last[:-1]}ies")
    else:
        forms = (last, f"{last}s")
    return tuple(f"{head} {form}".strip() for form in forms)


def _alternatives(label: str) -> str:
    return "(?:" + "|".join(map(re.escape, sorted(_writings(label), key=len, reverse=True))) + ")"


def _counted(item: Item) -> Counter[str]:
    """How many boxes each label has, without labels that also have a crowd, which nobody counted."""
    crowds = {region.label.casefold() for region in item.regions if region.crowd}
    labels = (region.label.casefold() for region in item.regions if region.box is not None)
    return Counter(label for label in labels if label not in crowds)


def _contradicts_counts(item: Item, exchange: Exchange) -> bool:
    answer, question = exchange.answer.casefold(), exchange.question.casefold()
    told = " ".join(item.captions).casefold()
    for label, count in _counted(item).items():
        name = _alternatives(label)
        claims = [_value(found[1]) for found in re.finditer(rf"\b({_NUMBER}) (?:\w+ )?{name}\b", answer)]
        asked = re.search(
            rf"\bhow many (?:\w+ )?{name}\b(?! (?:of|that|which|who|with|on|in front|behind|near)\b)", question
        )
        if asked and not claims:
            first = re.search(rf"\b({_NUMBER})\b", answer)
            claims = [_value(first[1])] if first else []
        vouched = {_value(found[1]) for found in re.finditer(rf"\b({_NUMBER}) (?:\w+ )?{name}\b", told)}
        for claim in claims:
            if claim not in vouched and (claim > count or (asked and claim != count and len(claims) == 1)):
                return True
        if re.search(
            rf"\b(?:no|not any|aren['’]t any|isn['’]t (?:a|any)) {name}\b(?! (?:on|in|at|near|behind))", answer
        ):
            return True
    return False


def _value(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS[word]


# -- places ----------------------------------------------------------------------------------------------------------

_SIDES = {
    "left": (0, 1), "right": (0, -1), "top": (1, 1), "bottom": (1, -1),
}  # fmt: skip
_RELATIONS = {
    "to the left of": (0, 1), "left of": (0, 1), "to the right of": (0, -1), "right of": (0, -1),
    "above": (1, 1), "below": (1, -1), "underneath": (1, -1),
}  # fmt: skip


def _contradicts_boxes(item: Item, answer: str) -> bool:
    """Whether the answer puts a thing where its only box is not: in the wrong half, or on the wrong side of another."""
    single = _single_boxes(item)
    return any(
        _wrong_half(sentence, label, box) or _wrong_side(sentence, label, box, single)
        for sentence in re.split(r"(?<=[.!?;,])\s+", answer.casefold())
        for label, box in single.items()
    )


def _single_boxes(item: Item) -> dict[str, Box]:
    counts = _counted(item)
    return {
        region.label.casefold(): region.box
        for region in item.regions
        if region.box is not None and counts[region.label.casefold()] == 1
    }


def _wrong_half(sentence: str, label: str, box: Box) -> bool:
    """`the dog is on the left side of the picture`, with the dog's box wholly in the right half."""
    side = (
        r"(left|right|top|bottom)(?:[ -]?hand)?(?: (?:side|half|part|edge|corner))? of the "
        r"(?:picture|image|photo|photograph|scene|frame)"
    )
    found = re.search(
        rf"\b{_alternatives(label)} (?:(?!\b(?:and|with|while|to)\b)\w+ ){{1,5}}?(?:the )?{side}", sentence
    )
    if not found:
        return False
    axis, sign = _SIDES[found[1]]
    low, high = box[axis], box[axis + 2]
    return low > 0.5 + _FAR / 2 if sign > 0 else high < 0.5 - _FAR / 2


def _wrong_side(sentence: str, label: str, box: Box, others: Mapping[str, Box]) -> bool:
    """`the dog is to the left of the cat`, with the dog's box wholly to its right."""
    relation = "|".join(sorted(_RELATIONS, key=len, reverse=True))
    found = re.search(
        rf"\b{_alternatives(label)} (?:(?:is|sits|stands|lies|hangs|standing|sitting|lying|placed|located|just|"
        rf"directly|seen|parked|positioned|slightly) ){{1,3}}({relation}) (?:the|a|an) (?:\w+ )?([\w ]+)",
        sentence,
    )
    if not found:
        return False
    axis, sign = _RELATIONS[found[1]]
    for other, there in others.items():
        if other != label and re.match(rf"(?:{_alternatives(other)})\b", found[2]):
            gap = box[axis] - there[axis + 2] if sign > 0 else there[axis] - box[axis + 2]
            return gap > 0
    return False


# -- reading ---------------------------------------------------------------------------------------------------------

_SMALL = frozenset(
    re.findall(
        r"\w+",
        "a an the is are was were be been what which who whom whose when where why how much many of in on at to for by "
        "with and or it its this that these those there do does did page document name has have had from as",
    )
)


def _reading_objection(item: Item, exchange: Exchange, language: str) -> Reason | None:
    if _PAGE_SOURCE.search(f"{exchange.question}\n{exchange.answer}"):
        return "mentions-boxes"
    if is_other_language(exchange.question, language):
        return "other-language"
    known = [line.text for line in item.lines]
    elsewhere = [*item.tables, *item.captions]
    if exchange.is_unanswerable:
        return "answered-after-all" if _seems_answered(exchange.question, [*known, *elsewhere]) else None
    if _INDEFINITE.search(exchange.answer):
        return "indefinite"
    if any(not 1 <= number <= len(known) for number in exchange.lines):
        return "not-in-lines"
    shown = [known[number - 1] for number in exchange.lines] or elsewhere
    return None if _stands_in(exchange, shown) else "not-in-lines"


def _stands_in(exchange: Exchange, shown: Sequence[str]) -> bool:
    """Whether the lines hold all numbers of the answer, and half of its words that are not in the question."""
    held = set(_terms(" ".join(shown)))
    asked = set(_terms(exchange.question))
    answer = _terms(exchange.answer)
    figures = [term for term in answer if any(character.isdigit() for character in term)]
    news = [term for term in answer if term not in asked and term not in _SMALL]
    if not held or any(term not in held for term in figures if term not in asked):
        return False
    return 2 * sum(term in held for term in news) >= len(news) and any(term in held for term in answer)


def _seems_answered(question: str, known: Sequence[str]) -> bool:
    """Whether one line holds every word that matters in the question, and another word."""
    wanted = {term for term in _terms(question) if term not in _SMALL}
    return bool(wanted) and any(wanted < set(_terms(line)) for text in known for line in text.splitlines())


def _terms(text: str) -> list[str]:
    return re.findall(r"\d+(?:[.,:/-]\d+)*|[^\W\d_]+", text.casefold())
