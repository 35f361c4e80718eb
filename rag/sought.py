"""What kind of thing would answer? "How long …" seeks a duration, "what does it cost" an amount of money.

A line with such a thing in it is a better answer than one with more of the question's own words.
"""

import re
from dataclasses import dataclass

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

# The first line whose question fits decides; "when" stands before "what time" would be too late, so order matters.
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
class Sought:
    """A pattern of what a question seeks; `is_number` where any number is at least something, `heads` where it is
    who issued a paper, whose name stands at its head whether or not it looks like that of a company."""

    pattern: re.Pattern[str]
    is_number: bool
    heads: bool = False

    def fit(self, text: str) -> float:
        """1 for the thing itself, 0.4 for another number where a number is sought, else 0."""
        counts = self.pattern.pattern == _ANY_NUMBER.pattern
        if self.pattern.search(_NO_COUNT.sub(" ", text) if counts else text):
            return 1.0
        return 0.4 if self.is_number and _ANY_NUMBER.search(text) else 0.0


def sought(question: str) -> Sought | None:
    """What the question seeks; None where any words could answer it."""
    for asks, answers in _COMPILED:
        if asks.search(question):
            return Sought(
                pattern=answers,
                is_number=answers.pattern not in (_NAME, _COMPANY),
                heads=answers.pattern == _COMPANY,
            )
    return None
