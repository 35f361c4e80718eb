"""What counts as the same word in English made-up documents: for telling facts from the questions of the tests apart.

"Totals: 1,234.50 EUR on 5 March 2018" → total, 1234.5, eur, 2018-03-05
Words are folded (case, accents, plural), numbers lose their thousands separators, dates become ISO
whatever their writing. Both sides of every comparison go through here, so that they cannot disagree.
"""

import re
from datetime import date

from claims.passages import fold

# The words that carry no evidence by themselves: English function words and the words questions are made of.
_STOP_WORDS = """
    a about above after again all also am an and any are as at be because been before being below between both
    but by can cannot could did do does doing done down during each few for from further get give given gives
    had has have having he her here hers him his how however i if in into is it its itself just let list long
    many may me mean means might more most much must my no nor not of off often on once only or other our out
    over own per please same say says shall she should show shows so some such tell than that the their them
    then there these they this those through to too under until up upon us very was we were what whats when
    where whether which while who whom whose why will with within without would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_MONTH_NAMES = """
    january february march april may june july august september october november december
"""
_MONTHS = {
    writing: number
    for number, name in enumerate(_MONTH_NAMES.split(), start=1)
    for writing in {name, name[:3], "sept" if name == "september" else name}
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE_ISO = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_DATE_NUMERIC = re.compile(r"(?<!\d)(\d{1,2})\s?[-/.]\s?(\d{1,2})\s?[-/.]\s?(\d{4}|\d{2})(?!\d)")
_DATE_DAY_FIRST = re.compile(rf"(?<!\w)(\d{{1,2}})(?:st|nd|rd|th)?[\s\-./]*({_MONTH})[\s\-./,]*(\d{{4}}|\d{{2}})(?!\d)")
_DATE_MONTH_FIRST = re.compile(rf"(?<!\w)({_MONTH})[\s\-./]*(\d{{1,2}})(?:st|nd|rd|th)?,?[\s\-./]+(\d{{4}})(?!\d)")
_TOKEN = re.compile(r"\d+(?:[.,' ]\d{3})*(?:[.,]\d+)?(?![^\W\d_])|\w+(?:['’]\w+)*")
_NUMBER = re.compile(r"\d+(?:[.,' ]\d{3})*(?:[.,]\d+)?")
_NUMBER_ONLY = re.compile(r"-?\d+(?:\.\d+)?")


def terms(text: str) -> list[str]:
    """Every word, number and date of `text` in order, folded; a date is one term, its ISO form."""
    return [term for term, _ in _read(text)]


def content_terms(text: str) -> list[str]:
    """`terms` without the words that carry no evidence; each once, in order of appearance."""
    kept = (
        term
        for term, word in _read(text)
        if word not in STOP_WORDS and (len(word) > 1 or not word.isascii() or word.isdigit())
    )
    return list(dict.fromkeys(kept))


def is_number(term: str) -> bool:
    """True for a number or a date as `terms` writes them."""
    return term[:1].isdigit() and (_NUMBER_ONLY.fullmatch(term) is not None or is_date(term))


def is_date(term: str) -> bool:
    """True for a term that stands for a date."""
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", term) is not None


def _read(text: str) -> list[tuple[str, str]]:
    """Each term with the folded word it was made of."""
    rest, dates = _take_dates(fold(text))
    words = (match.group() for match in _TOKEN.finditer(rest))
    return [*((date, date) for date in dates), *((_term(word), word) for word in words)]


_COUNTED = "two three four five six seven eight nine ten eleven twelve"
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_COUNTED.split(), start=2)}


def _term(word: str) -> str:
    if word in _NUMBER_WORDS:  # "six minutes" and "6 minutes" are the same claim; "one" is rarely a number
        return _NUMBER_WORDS[word]
    if word[0].isdigit() and _NUMBER.fullmatch(word):
        return _number(word)
    return _stem(word.replace("’", "'").removesuffix("'s"))


def _number(written: str) -> str:
    """Write a number one way: the last separator is a decimal point unless exactly three digits follow it."""
    groups = re.split(r"[.,' ]", written)
    if len(groups) == 1:
        return groups[0].lstrip("0") or "0"
    separators = re.findall(r"[.,' ]", written)
    decimal = len(groups[-1]) != 3 or (len(set(separators)) > 1) or len(groups[0]) > 3 or groups[0] == "0"
    whole = "".join(groups[:-1] if decimal else groups).lstrip("0") or "0"
    fraction = groups[-1].rstrip("0") if decimal else ""
    return f"{whole}.{fraction}" if fraction else whole


def _stem(word: str) -> str:
    """Undo English plurals and -ing/-ed endings, lightly: wrong stems hurt less when both sides get them."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if len(word) > len(ending) + 3 and word.endswith(ending):
            word = word[: -len(ending)]
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz" else word
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def _take_dates(text: str) -> tuple[str, list[str]]:
    """Cut the dates out of folded text and return what is left with their ISO forms."""
    found: list[str] = []

    def take(match: re.Match[str], order: str) -> str:
        parts = dict(zip(order, match.groups(), strict=True))
        month = _MONTHS.get(parts["m"]) or int(parts["m"])
        written = _iso(int(parts["y"]), month, int(parts["d"]))
        if written is None:
            return match.group()
        found.append(written)
        return " "

    for pattern, order in (
        (_DATE_ISO, "ymd"),
        (_DATE_DAY_FIRST, "dmy"),
        (_DATE_MONTH_FIRST, "mdy"),
        (_DATE_NUMERIC, "dmy"),
    ):
        text = pattern.sub(lambda match, order=order: take(match, order), text)  # type: ignore[misc]  # of the default
    return text, found


def _iso(year: int, month: int, day: int) -> str | None:
    year = year + 2000 if year < 70 else year + 1900 if year < 100 else year
    for m, d in ((month, day), (day, month)):  # 12/25/2018 has its month first; 05/03/2018 is read as 5 March
        try:
            return date(year, m, d).isoformat()
        except ValueError:
            continue
    return None
