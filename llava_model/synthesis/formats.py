"""A model's reply → turns, whatever it made of the form it was asked for.

    Question: How many dogs are there?      Exchange(question="How many dogs are there?", answer="Two.")
    Answer: Two.                         →  Exchange(…)
    ===
    …

Small deviations (code fences, bold, numbering, JSON, a last block that was cut) are repaired; what cannot be read is
Malformed and asked for again; a refusal is told apart from both.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llava_model.synthesis.prompts import Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """A question and its answer. `lines` are the numbers of the text lines that answer it (kind "reading")."""

    question: str
    answer: str
    lines: tuple[int, ...] = ()

    @property
    def is_unanswerable(self) -> bool:
        """The model says that the page does not answer it."""
        return re.fullmatch(r"\W*not[\s_]stated\W*", self.answer, re.IGNORECASE) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """`repaired`: it was not quite in the form asked for."""

    exchanges: tuple[Exchange, ...]
    repaired: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Declined:
    """The model declines."""

    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Malformed:
    """Nothing usable in it, and why."""

    reason: str


_REFUSAL = re.compile(
    r"(i['’]?m |i am |we are |we['’]re )?(very |really |so )?(sorry|afraid|unable to|not able to)\b"
    r"|i (can['’]?t|cannot|can not|could not|won['’]?t|will not|must decline|do not have the ability|don['’]t have)\b"
    r"|as an? (ai|artificial intelligence|(large )?language model)\b"
    r"|sorry,? (but )?i\b",
    re.IGNORECASE,
)
_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_MARK = re.compile(
    # possessive, so that a line of ten thousand stars costs no more than its length
    r"^[ \t>*_#-]*+(?:\d++[.)][ \t]*+)?[*_]*+(question|q|user|human|person|answer|a|assistant|lines?)"
    r"[ \t]*+\d*+[*_ \t]*+[:：][*_]*+[ \t]*+",
    re.IGNORECASE | re.MULTILINE,
)
_ASKS = frozenset({"question", "q", "user", "human", "person"})
_LINES = frozenset({"line", "lines"})
_HEADING = re.compile(r"^[\s*_#]*(detailed description|description|answer|caption)[\s*_]*[:：][\s*_]*", re.IGNORECASE)
_STRICT = re.compile(r"Question: \S.*?\nAnswer: \S.*", re.DOTALL)
_MOST_CHARACTERS = 50_000
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", '"', "”", "»", ")")
_DESCRIBED: frozenset[Kind] = frozenset({"detail"})


def parse_reply(kind: Kind, text: str, *, cut: bool = False) -> Parsed | Declined | Malformed:
    """`cut`: the server says that the reply ended at the limit of tokens."""
    if len(text) > _MOST_CHARACTERS:
        return Malformed(reason=f"the reply has {len(text):,} characters")
    bare, repaired = _unwrapped(text)
    if not bare:
        return Malformed(reason="the reply is empty")
    marks = list(_MARK.finditer(bare))
    refused = _REFUSAL.match(bare.lstrip("“\"' "))
    if refused and not (marks and kind not in _DESCRIBED):
        return Declined(words=bare[:200])
    if kind in _DESCRIBED:
        return _described(bare, cut, repaired)
    found = _from_json(bare)
    if found is None:
        found, complete = _blocks(bare, marks, cut)
    else:
        complete = False
    if not found:
        return Malformed(reason="the reply holds no question with its answer")
    if kind == "complex" and len(found) > 1:
        found, complete = found[:1], False
    strict = complete and not repaired and all(_STRICT.fullmatch(part.strip()) for part in bare.split("\n===\n"))
    return Parsed(exchanges=tuple(found), repaired=not strict)


def _unwrapped(text: str) -> tuple[str, bool]:
    """Without a model's visible thinking and code fences; True if there was anything to take away."""
    bare = _THINKING.sub("", text).strip()
    if bare.startswith("```"):
        bare = bare.partition("\n")[2].rstrip().removesuffix("```").strip()
    return bare, bare != text.strip()


def _described(text: str, cut: bool, repaired: bool) -> Parsed | Malformed:
    body = _HEADING.sub("", text).strip()
    if len(body) > 1 and body[0] in '"“' and body[-1] in '"”':
        body = body[1:-1].strip()
    if cut or not body.endswith(_SENTENCE_ENDS):
        return Malformed(reason="the description was cut off")
    return Parsed(exchanges=(Exchange(question="", answer=body),), repaired=repaired or body != text)


def _blocks(text: str, marks: list[re.Match[str]], cut: bool) -> tuple[list[Exchange], bool]:
    """Exchanges in order, and whether nothing was left over. The last one of a cut reply is not trusted."""
    ends = [*(mark.start() for mark in marks[1:]), len(text)][: len(marks)]
    parts = [
        (mark[1].lower(), text[mark.end() : end].strip().strip("=").strip())
        for mark, end in zip(marks, ends, strict=True)
    ]
    found: list[Exchange] = []
    complete = bool(marks) and not text[: marks[0].start()].strip() and not cut
    question: str | None = None
    for name, words in parts:
        if name in _ASKS:
            complete &= question is None
            question = words
        elif name in _LINES and found and question is None:
            last = found.pop()
            numbers = tuple(int(number) for number in re.findall(r"\d{1,5}", words))
            found.append(Exchange(question=last.question, answer=last.answer, lines=numbers))
        elif question is not None:
            found.append(Exchange(question=question, answer=words))
            question = None
        else:
            complete = False
    if question is not None:
        complete = False
    elif cut and found:
        found.pop()
    return found, complete


def _from_json(text: str) -> list[Exchange] | None:
    """From a JSON array, an object, or one object a line; None where it is no JSON."""
    if text[:1] not in "[{":
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = [one for line in text.splitlines() if (one := _object(line)) is not None]
    if isinstance(value, dict):
        lists = [one for one in value.values() if isinstance(one, list)]
        value = lists[0] if lists else [value]
    return list(_exchanges(value)) if isinstance(value, list) else None


def _object(line: str) -> Any:
    try:
        return json.loads(line.strip().rstrip(","))
    except (ValueError, RecursionError):
        return None


def _exchanges(values: Iterable[Any]) -> Iterable[Exchange]:
    for value in values:
        if not isinstance(value, dict):
            continue
        fields = {str(name).lower(): words for name, words in value.items()}
        question = fields.get("question", fields.get("q"))
        answer = fields.get("answer", fields.get("a"))
        if isinstance(question, str) and isinstance(answer, str):
            lines = fields.get("lines")
            numbers = re.findall(r"\d{1,5}", str(lines)) if lines is not None else []
            yield Exchange(question=question.strip(), answer=answer.strip(), lines=tuple(map(int, numbers)))
