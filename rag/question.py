"""What a question asks for, read from its words.

read_intent      is a picture wanted, and of what: "a photo of a rocket" → a rocket
answer_pattern   what would answer: "How long …" wants a duration, "what does it cost" an amount of money
named            the proper names in it: what says nothing of Norway does not answer "Who is the king of Norway?"
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llava_model.serving.engine import Turn
from rag.terms import STOP_WORDS, content_terms, fold, is_number

_PICTURE = r"(?:photo(?:graph)?|picture|image|drawing|painting|illustration|sketch|diagram|snapshot|clip ?art)s?"
_ASKS = re.compile(rf"\b{_PICTURE}\b(?! (?:number|no\b|library|collection|album))", re.IGNORECASE)
# What stands around the subject: "is there a … of", "find the … with", "which … shows"
_AROUND = re.compile(
    rf"""^\s*(?:please\s+)?(?:
        (?:is|are)\s+there\s+(?:any|an?|some)?
      | (?:do|have)\s+(?:we|you|i)\s+(?:have|got|get)?\s*(?:any|an?|some)?
      | (?:can|could)\s+(?:you|i|we)\s+(?:show|find|see|get)\s+(?:me|us)?\s*(?:an?|the|some)?
      | (?:show|find|give|get|search\s+for|look\s+for)\s+(?:me|us)?\s*(?:an?|the|all|some|every)?
      | i\s*(?:am|['’]m)\s+looking\s+for\s+(?:an?|the|some)?
      | where\s+(?:is|are)\s+(?:an?|the)?
      | (?:which|what)(?=\s+(?:of\s+(?:our|the|these|my)\s+)?{_PICTURE}\b)
      | an?\b | the\b
    )?\s*
    (?:(?:of\s+)?(?:our|the|these|my)\s+)?
    (?:{_PICTURE}\s*(?:that|which)?\s*(?:of|with|showing|shows?|from|depicting|depicts?|contain(?:s|ing)|in\s+which|where)?\s*
       (?:there\s+(?:is|are)\b)?)?""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What a question looks for."""

    wants_picture: bool
    subject: str  # the question itself where no picture is wanted


def read_intent(question: str) -> Intent:
    """Whether the question asks for a picture, and of what.

    The subject is searched for, not the words that ask for it, and pictures then come first.

    >>> read_intent("Find the picture with the red parrot")
    Intent(wants_picture=True, subject='the red parrot')
    >>> read_intent("What does a family ticket cost?").wants_picture
    False
    """
    if not _ASKS.search(question):
        return Intent(wants_picture=False, subject=question)
    subject = _AROUND.sub("", question, count=1).strip().rstrip("?!. ")
    return Intent(wants_picture=True, subject=subject or question)


_NUMBER = (
    r"(?:\d[\d.,]*|half|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|"
    r"seventy|eighty|ninety|hundred|thousand)"
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = (
    r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d{2}-\d{2}|"
    rf"\d{{1,2}}(?:st|nd|rd|th)?(?: of)? ?{_MONTH}(?: \d{{4}})?|{_MONTH} \d{{1,4}}"
)
_CLOCK = (
    r"\b(?:[01]?\d|2[0-4])(?::[0-5]\d\b|\.[0-5]\d(?= ?(?:h|hrs?|uhr)\b))|(?<=\bat )\d{1,2}\.[0-5]\d\b|"
    r"\b\d{1,2} ?[ap]\.?m\b|o[’']clock|\b(?:noon|midnight)\b|(?:half|quarter) past"
)  # 9.30 alone is rather money
_WEEKDAY = r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b"
_YEAR = r"\b(?:1\d{3}|20\d{2})\b(?![-/&])"  # and not the lot 1851-A of an address
_MONEY = (
    r"[€$£¥]\s?\d|\d\s?[€$£¥]|\b(?:eur|usd|gbp|rm|chf)\b|\b(?:euros?|dollars?|pounds?|cents?|francs?)\b|"
    r"\d[.,]\d{2}\b(?![.,/-]?\d)"
)
_FREQUENCY = (
    r"\b(?:every|each|daily|weekly|monthly|yearly|annually|hourly|once|twice|never|always)\b|\btimes? (?:a|per)\b|"
    rf"\bper (?:day|week|month|year)\b|{_NUMBER} (?:hours|days|weeks|months|years)\b"
)
_DURATION = rf"\b{_NUMBER}[ -]?(?:s|secs?|seconds?|min|mins|minutes?|h|hours?|days?|weeks?|months?|years?)\b"
_LENGTH = rf"\b{_NUMBER} ?(?:mm|cm|m|km|metres?|meters?|kilomet(?:er|re)s?|miles?|feet|ft|inch(?:es)?|fathoms?)\b"
_WEIGHT = rf"\b{_NUMBER} ?(?:mg|g|kg|t|grams?|kilos?|kilograms?|tonn?e?s?|lbs?|ounces?|oz)\b"
_COMPANY = (
    r"(?i:\b(?:sdn\.? ?bhd|bhd|ltd|limited|inc|llc|gmbh|ag|kg|ohg|e\.k|s\.a|s\.l|plc|corp|enterprises?|trading|"
    r"company|co)\b)"
)
_NAME = r"\b[A-Z][\w’'-]+ (?:[A-Z]\. ?)?[A-Z][\w’'-]+"

# (how a question of this kind is asked, what an answer looks like); the first one that fits decides, so order matters
_KINDS: tuple[tuple[str, str, re.RegexFlag], ...] = (
    (
        r"\b(?:which|what|name of the) (?:company|firm|shop|store|seller|business|restaurant)|"
        r"\bwho (?:issued|sold|sent)|from whom|\bseller\b",
        _COMPANY,
        re.RegexFlag(0),
    ),
    (r"how (?:often|regularly|frequently)", _FREQUENCY, re.IGNORECASE),
    (r"how (?:long|many (?:minutes|hours|days|weeks|months|years))", f"{_DURATION}|{_LENGTH}", re.IGNORECASE),
    (r"(?:at )?(?:what|which) time|what hour", _CLOCK, re.IGNORECASE),
    (r"(?:what|which|on what|on which) (?:day|date)|\bdate\b", f"{_DATE}|{_WEEKDAY}", re.IGNORECASE),
    (r"(?:what|which) year", _YEAR, re.IGNORECASE),
    (r"\bwhen\b|until what|since what", f"{_DATE}|{_CLOCK}|{_WEEKDAY}|{_YEAR}", re.IGNORECASE),
    (r"how heavy|\bweigh", _WEIGHT, re.IGNORECASE),
    (r"temperature|how (?:hot|cold|warm)", rf"{_NUMBER} ?(?:°|degrees?|celsius)", re.IGNORECASE),
    (r"how (?:far|tall|high|wide|deep)", _LENGTH, re.IGNORECASE),
    (
        r"\b(?:costs?|prices?|pay|paid|spend|spent|charged?|fees?|fare|expensive|earn|budget|total)\b|"
        r"how much (?:is|are|was|were)\b(?! (?:there|left)\b)",
        _MONEY,
        re.IGNORECASE,
    ),
    (r"how (?:many|much|big|large|old|fast|loud)|number|percent", rf"\b{_NUMBER}\b", re.IGNORECASE),
    (r"\b(?:tele)?phone\b", r"\d[\d /()-]{5,}\d", re.IGNORECASE),
    (r"\bwho(?:m|se)?\b", _NAME, re.RegexFlag(0)),
)
_COMPILED = tuple((re.compile(asks, re.IGNORECASE), re.compile(answers, flag)) for asks, answers, flag in _KINDS)
_ANY_NUMBER = re.compile(rf"\b{_NUMBER}\b", re.IGNORECASE)
_NO_COUNT = re.compile(f"{_DATE}|{_CLOCK}", re.IGNORECASE)  # numbers, but not of things


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerPattern:
    """What an answer to the question looks like. A line that fits is better than one with more of the question's words.

    `is_number`: another number than the pattern's counts for something too. `heads`: the question asks who issued a
    paper, and that name stands at its head whether or not it looks like a company's.
    """

    pattern: re.Pattern[str]
    is_number: bool
    heads: bool = False

    def fit(self, text: str) -> float:
        """1 for text that fits, 0.4 for another number where the pattern is of numbers, else 0."""
        counts = self.pattern.pattern == _ANY_NUMBER.pattern
        if self.pattern.search(_NO_COUNT.sub(" ", text) if counts else text):
            return 1.0
        return 0.4 if self.is_number and _ANY_NUMBER.search(text) else 0.0


def answer_pattern(question: str) -> AnswerPattern | None:
    """The pattern of the first kind of question that fits; None where any words could answer it."""
    for asks, answers in _COMPILED:
        if asks.search(question):
            return AnswerPattern(
                pattern=answers,
                is_number=answers.pattern not in (_NAME, _COMPANY),
                heads=answers.pattern == _COMPANY,
            )
    return None


_NAMES_ARE_ASKED_FOR = re.compile(
    r"\b(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|has|have|had|can)\b"
)
_WORD = re.compile(r"[^\W\d_][\w’'.&-]*")
_DAYS_AND_MONTHS = frozenset(
    content_terms(
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August "
        "September October November December"
    )
)  # papers write them as numbers


def named(question: str) -> tuple[str, ...]:
    """Content terms of the proper names in an English question, each once: words with a capital that do not begin it.

    Other languages write capitals where English does not, so their questions give nothing.

    >>> named("How much did Noor Haddad pay in March?")
    ('noor', 'haddad')
    """
    words = _WORD.findall(question)
    lower = [word for word in words if word.islower()]
    if not _NAMES_ARE_ASKED_FOR.search(question.lower()) or not any(word in STOP_WORDS for word in lower):
        return ()
    capitals = " ".join(word for word in words[1:] if word[0].isupper() and word.lower() not in STOP_WORDS)
    return tuple(term for term in content_terms(capitals) if term not in _DAYS_AND_MONTHS)


# A follow-up question → what it is about, found in the questions before it; no model is asked.
#
# "How much does the Aurora 300 cost?" … "And how heavy is it?" → about: aurora 300 cost

_POINTS_BACK = re.compile(
    r"^\s*(?:and|but|or|so|then|also|what about|how about|which one)\b|"
    r"\b(?:it|its|they|them|their|he|she|his|him|hers?|this|that|these|those|there|one|ones|same|other|former|latter)\b",
    re.IGNORECASE,
)
_WORD_OF_A_TURN = re.compile(r"\w+(?:[-'’.]\w+)*")
_FEWEST_WORDS = 2
_FURTHEST_BACK = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """A question with the words that earlier questions lend it; "" where it stands by itself."""

    question: str
    topic: str = ""

    @property
    def search_text(self) -> str:
        """What retrieval looks for."""
        return f"{self.question} {self.topic}".strip()


def resolve(question: str, history: Sequence[Turn]) -> Resolved:
    """Lend the question the content words of the last questions up to one that stands by itself.

    A question points back when it says it, that, they …, begins with "and", or has fewer than two content words.
    A number in the new question replaces the old ones ("and the 500?" after "… the Aurora 300").
    """
    earlier = [turn.text for turn in history if turn.role == "user" and turn.text.strip()]
    if not earlier or not _points_back(question):
        return Resolved(question=question)
    known = set(content_terms(question))
    renumbered = any(is_number(term) for term in known)
    lent: list[str] = []
    for text in reversed(earlier[-_FURTHEST_BACK:]):
        lent = [*_lendable(text, known, without_numbers=renumbered), *lent]
        known |= set(content_terms(text))
        if not _points_back(text):
            break
    return Resolved(question=question, topic=" ".join(lent))


def _points_back(question: str) -> bool:
    return bool(_POINTS_BACK.search(question)) or len(content_terms(question)) < _FEWEST_WORDS


def _lendable(text: str, known: set[str], *, without_numbers: bool) -> list[str]:
    """The content words of `text` as written, those that are new."""
    words = []
    for word in _WORD_OF_A_TURN.findall(text):
        terms = content_terms(word)
        if not terms or fold(word) in STOP_WORDS or set(terms) <= known:
            continue
        if without_numbers and any(is_number(term) for term in terms):
            continue
        words.append(word)
    return words
