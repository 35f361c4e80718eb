"""What a text model is asked for, how its reply is read, and whether that is in the language asked for.

    load_prompts        a system message and worked examples for each kind, and lists of questions. They lie in
                        `prompts/` as TOML and text files; a folder of the user's own may replace any of them by name
    parse_reply         a reply → question-and-answer pairs, whatever the model made of the form it was asked for
    is_other_language   true only if that is certain

    Question: How many dogs are there?      Exchange(question="How many dogs are there?", answer="Two.")
    Answer: Two.                         →  Exchange(…)
    ===
    …

Small deviations (code fences, bold, numbering, JSON, a last block that was cut) are repaired; what cannot be read is
Malformed and asked for again; a refusal is told apart from both.

Captions are short, and a wrong verdict about their language loses a good caption. So a text must be long enough, names
do not count (`A tram in Rio de Janeiro` is English), and another language must lead clearly. A quick detector (18 MB,
0.1 ms a text) passes nearly everything. The few texts that it suspects go to an exact detector (up to 200 MB, loaded
when it is first needed).
"""

import json
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from llava_model.errors import MissingPackageError, SourceError

if TYPE_CHECKING:
    from lingua import LanguageDetector


Kind = Literal["conversation", "detail", "complex", "reading", "brief"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WRITTEN: tuple[Kind, ...] = ("conversation", "detail", "complex", "reading")
"""Kinds that a model writes; a brief answer is the picture's own caption."""
LISTS = ("brief", "detail", "where")

FOLDER = Path(__file__).with_name("prompts")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkedExample:
    """A picture in words, and a good reply."""

    context: str
    reply: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """All texts that are sent to the model: `systems` and `examples` by kind, `questions` by the name of their list."""

    systems: Mapping[str, str]
    examples: Mapping[str, Sequence[WorkedExample]]
    questions: Mapping[str, Sequence[str]]

    def messages(self, kind: Kind, context: str) -> list[dict[str, str]]:
        """The system message, the examples as earlier turns, then the picture."""
        turns = [{"role": "system", "content": self.systems[kind]}]
        for example in self.examples[kind]:
            turns += [{"role": "user", "content": example.context}, {"role": "assistant", "content": example.reply}]
        return [*turns, {"role": "user", "content": context}]


def load_prompts(folder: Path | None = None, *, language: str = "en") -> Prompts:
    """Our prompts; a file in `folder` replaces ours of the same name. Raises SourceError for an unusable file."""
    if folder is not None and not folder.is_dir():
        raise SourceError(folder, "is no folder of prompts")
    kinds = {kind: _read_kind(_file(folder, f"{kind}.toml"), NAMES[language]) for kind in WRITTEN}
    return Prompts(
        systems={kind: system for kind, (system, _) in kinds.items()},
        examples={kind: examples for kind, (_, examples) in kinds.items()},
        questions={name: _read_list(_file(folder, f"{name}_questions.txt")) for name in LISTS},
    )


def _file(folder: Path | None, name: str) -> Path:
    own = folder / name if folder is not None else None
    return own if own is not None and own.is_file() else FOLDER / name


def _read_kind(path: Path, language: str) -> tuple[str, tuple[WorkedExample, ...]]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        system = values["system"].strip().replace("{language}", language)
        examples = tuple(
            WorkedExample(context=one["context"].strip(), reply=one["reply"].strip())
            for one in values.get("examples", ())
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(path, f"needs a text 'system' and [[examples]] with context and reply: {error}") from None
    if not system:
        raise SourceError(path, "has an empty 'system'")
    return system, examples


def _read_list(path: Path) -> tuple[str, ...]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise SourceError(path, f"is not in UTF-8: {error}") from None
    questions = tuple(line for line in lines if line and not line.startswith("#"))
    if not questions:
        raise SourceError(path, "holds no question")
    return questions


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """A question and its answer. `lines` are the numbers of the text lines that answer it (kind "reading")."""

    question: str
    answer: str
    lines: tuple[int, ...] = ()

    @property
    def is_unanswerable(self) -> bool:
        """Whether the model says that the page does not answer the question."""
        return re.fullmatch(r"\W*not[\s_]stated\W*", self.answer, re.IGNORECASE) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """A reply that could be read. `repaired`: it was not quite in the form asked for."""

    exchanges: tuple[Exchange, ...]
    repaired: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Declined:
    """A reply in which the model declines."""

    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Malformed:
    """A reply without anything usable, and why."""

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
    """Read a reply. `cut`: the server says that it ended at the limit of tokens."""
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
    """→ exchanges in order, and whether the whole text was used. The last exchange of a cut reply is dropped."""
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


NAMES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch"
}  # fmt: skip
LANGUAGES = tuple(NAMES)
OTHER_SCRIPT = "other"
_LEAST_LETTERS = 11
_SUSPECT_LEAD = 0.2
_SURE_LEAD = 0.5
"""How far one language's probability must be above another's. Measured on short captions in seven languages, see
docs/LOG.md."""


def language_of(text: str) -> str | None:
    """One of LANGUAGES, "other" for a text in another script, or None where that cannot be told.

    Raises MissingPackageError, as `is_other_language` does, where lingua is needed and not installed.
    """
    if _is_other_script(text):
        return OTHER_SCRIPT
    words = _telling_words(text)
    if words is None:
        return None
    (best, most), (_, second), *_ = sorted(_shares(words, exact=True).items(), key=lambda share: -share[1])
    return best if most - second >= _SURE_LEAD else None


def is_other_language(text: str, wanted: str) -> bool:
    """True where the text is surely not in `wanted`, one of LANGUAGES."""
    if _is_other_script(text):
        return True
    words = _telling_words(text)
    if words is None or _lead(_shares(words, exact=False), wanted) < _SUSPECT_LEAD:
        return False
    return _lead(_shares(words, exact=True), wanted) >= _SURE_LEAD


def _lead(shares: Mapping[str, float], wanted: str) -> float:
    return max(shares.values()) - shares[wanted]


def _is_other_script(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    latin = sum(unicodedata.name(character, "").startswith("LATIN") for character in letters)
    return bool(letters) and latin < len(letters) / 2


def _telling_words(text: str) -> str | None:
    """The text without names, which a capital letter inside the text marks; None if too few letters are left."""
    first, *rest = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text) or [""]
    words = " ".join([first, *(word for word in rest if not word[0].isupper())])
    return words if sum(map(str.isalpha, words)) >= _LEAST_LETTERS else None


def _shares(text: str, *, exact: bool) -> dict[str, float]:
    """The probability of each of LANGUAGES; together they are 1."""
    found = _detector(exact=exact).compute_language_confidence_values(text)
    return {one.language.iso_code_639_1.name.lower(): one.value for one in found}


@cache
def _detector(*, exact: bool) -> "LanguageDetector":
    try:
        from lingua import IsoCode639_1, LanguageDetectorBuilder
    except ImportError:
        raise MissingPackageError(
            "lingua-language-detector", purpose="telling languages apart", install="'llavero[generate]'"
        ) from None
    codes = [getattr(IsoCode639_1, name.upper()) for name in LANGUAGES]
    builder = LanguageDetectorBuilder.from_iso_codes_639_1(*codes)
    return (builder if exact else builder.with_low_accuracy_mode()).build()
