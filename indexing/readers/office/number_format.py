"""A number of a spreadsheet as its cell shows it: Excel's number formats (ECMA-376 part 1, 18.8.31).

    0.125 with "0.0%" → "12.5%" · 45356 with "dd.mm.yyyy" → "05.03.2024" · 1.5 with "[h]:mm" → "36:00"
    -1234.5 with '#,##0.00 "EUR";[Red](#,##0.00 "EUR")' → "(1,234.50 EUR)" · 7 with "000" → "007"

Signs of thousands and decimals are those that the format is written with (English), months and days have English
names. Formats that Excel shows by the computer's own habits (number 14, "system date") come as 2024-03-05.
A format that makes no sense gives the number as it is.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_(?P<space>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<general>General)|(?P<noon>AM/PM|A/P)|(?P<date>y+|m+|d+|h+|s+|e+(?![+-])|g+|b+)"
    r"|(?P<exponent>E[+-])|(?P<digit>[0#?])|(?P<text>@)|(?P<sign>.)",
    re.IGNORECASE | re.DOTALL,
)
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[\d.]+)")
_SYSTEM = ("$-F800", "$-F400", "$-x-sysdate", "$-x-systime")
_SYSTEM_DATES = frozenset({"mm-dd-yy", "m/d/yy", "m/d/yyyy"})
_LONGEST_FORMAT = 255  # Excel takes no longer one
_LATEST = 2_958_466  # the day after 9999-12-31

Token = tuple[str, str]
"""Its kind (a group of `_TOKEN`) and its text."""


def shown_number(value: float, code: str, *, is_1904: bool = False) -> str:
    """The number in the format; `is_1904` is for workbooks that count days from 1904 on."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    try:
        section, signed = _section_for(value, _sections(code[:_LONGEST_FORMAT]))
        if not section:
            return general(value)
        shown = _dated(value, section, code, is_1904) if is_date(section) else _numbered(value, section, signed)
    except (ValueError, OverflowError, InvalidOperation, ZeroDivisionError):
        return general(value)
    return shown.strip() or general(value)


def shown_text(value: str, code: str) -> str:
    """Text in a cell whose format has words of its own for it ('"Order "@')."""
    sections = _sections(code[:_LONGEST_FORMAT]) if "@" in code and code != "@" else ()
    section = next((each for each in sections if any(kind == "text" for kind, _ in each)), None)
    if section is None:
        return value
    return "".join(value if kind == "text" else _literal(kind, text) for kind, text in section)


def general(value: float) -> str:
    """All digits of the number that it was saved with, without an exponent where that stays short."""
    if abs(value) < 1e15 and value == int(value):
        return str(int(value))
    digits = format(value, ".15g")
    if "e" in digits and 1e-10 < abs(value) < 1e20:
        digits = format(Decimal(digits), "f")
    return digits.upper()


def is_date(section: Sequence[Token]) -> bool:
    """Whether the section shows a day or a time."""
    return any(kind in ("date", "noon", "elapsed", "system") for kind, _ in section)


@lru_cache(maxsize=500)
def _sections(code: str) -> tuple[tuple[Token, ...], ...]:
    """The format's parts between semicolons, as tokens."""
    sections: list[list[Token]] = [[]]
    for found in _TOKEN.finditer(code):
        kind = found.lastgroup or "sign"
        text = found[kind]
        if kind == "sign" and text == ";":
            sections.append([])
        else:
            sections[-1].append(_bracketed(text) if kind == "bracket" else (kind, text))
    return tuple(tuple(section) for section in sections)


def _bracketed(text: str) -> Token:
    if text in _SYSTEM:
        return "system", text
    if text.startswith("$"):
        return "quoted", text[1:].partition("-")[0]  # a currency, and a language after the dash
    if _ELAPSED.fullmatch(text):
        return "elapsed", text.lower()
    return ("condition", text) if _CONDITION.fullmatch(text) else ("colour", text)


def _section_for(value: float, sections: Sequence[Sequence[Token]]) -> tuple[Sequence[Token], bool]:
    """The section, and whether a minus is to be shown before what it gives."""
    conditions = [next((text for kind, text in each if kind == "condition"), None) for each in sections]
    if any(conditions):
        for section, condition in zip(sections, conditions, strict=True):
            if condition is None or _holds(value, condition):
                return section, value < 0
        return (), True
    numeric = [each for each in sections if not any(kind == "text" for kind, _ in each)] or [()]
    if value < 0 and len(numeric) > 1:
        return numeric[1], False
    return (numeric[2], False) if value == 0 and len(numeric) > 2 else (numeric[0], value < 0)


def _holds(value: float, condition: str) -> bool:
    found = _CONDITION.fullmatch(condition)
    assert found is not None  # it is one because it matched
    limit = float(found[2])
    return {
        "<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit,
        "=": value == limit, "<>": value != limit,
    }[found[1]]  # fmt: skip


def _literal(kind: str, text: str) -> str:
    if kind in ("quoted", "escaped", "sign"):
        return text
    return " " if kind == "space" else ""


# -- numbers --


def _numbered(value: float, section: Sequence[Token], signed: bool) -> str:
    kinds = [kind for kind, _ in section]
    minus = "-" if signed and value < 0 else ""
    if "digit" not in kinds:
        body = "".join(general(abs(value)) if k == "general" else _literal(k, t) for k, t in section)
        return (minus if "general" in kinds else "") + body
    number = abs(Decimal(repr(value)))
    if ("sign", "/") in section:
        return minus + _fraction(number, section)
    if "exponent" in kinds:
        return minus + _scientific(number, section)
    number *= 100 ** section.count(("sign", "%"))
    shown = _fixed(number, section)
    return (minus if re.search("[1-9]", shown) else "") + shown


def _fixed(number: Decimal, section: Sequence[Token]) -> str:
    """Digits in the places that the format has for them, with whatever stands between these."""
    places = [at for at, (kind, _) in enumerate(section) if kind == "digit"]
    point = next((at for at, token in enumerate(section) if token == ("sign", ".")), len(section))
    commas = [at for at, token in enumerate(section) if token == ("sign", ",")]
    whole = [at for at in places if at < point]
    thousands = [at for at in commas if whole and at > whole[-1] and (at < point or at > places[-1])]
    if places and places[-1] > point:
        thousands += [at for at in commas if at > places[-1] and at not in thousands]
    grouped = any(whole and whole[0] < at < whole[-1] for at in commas)
    decimals = [at for at in places if at > point]
    number = (number / 1000 ** len(thousands)).quantize(Decimal(1).scaleb(-len(decimals)), ROUND_HALF_UP)
    integer, _, fraction = format(number, "f").partition(".")
    shown = _whole_digits("" if integer == "0" else integer, section, whole, grouped)
    shown |= _decimal_digits(fraction, section, decimals)
    if decimals and point not in shown and not any(shown[at] for at in decimals):
        shown[point] = ""
    return "".join(
        shown[at] if at in shown else "" if at in commas and (grouped or at in thousands) else _literal(*section[at])
        for at in range(len(section))
    )


def _whole_digits(digits: str, section: Sequence[Token], places: Sequence[int], grouped: bool) -> dict[int, str]:
    """From the right; the leftmost place takes all digits that are left."""
    shown: dict[int, str] = {}
    left, count = digits, 0
    for at in reversed(places):
        taken = left if at == places[0] and len(left) > 1 else left[-1:] or {"0": "0", "?": " "}.get(section[at][1], "")
        left = left[: len(left) - len(taken)] if left else ""
        text = ""
        for digit in reversed(taken):
            text = digit + ("," if grouped and count and count % 3 == 0 and digit != " " else "") + text
            count += 1
        shown[at] = text
    return shown


def _decimal_digits(fraction: str, section: Sequence[Token], places: Sequence[int]) -> dict[int, str]:
    """A place written "#" is empty where only zeros would follow."""
    shown: dict[int, str] = {}
    for index, at in enumerate(places):
        is_needed = section[at][1] == "0" or fraction[index:].strip("0")
        shown[at] = fraction[index] if is_needed else " " if section[at][1] == "?" else ""
    return shown


def _scientific(number: Decimal, section: Sequence[Token]) -> str:
    at = next(index for index, (kind, _) in enumerate(section) if kind == "exponent")
    before = [text for kind, text in section[:at] if kind == "digit" or text == "."]
    decimals = len("".join(before).partition(".")[2])
    whole = max(1, len("".join(before).partition(".")[0]))
    exponent = number.adjusted() if number else 0
    exponent -= exponent % whole if whole > 1 else 0
    mantissa = number.scaleb(-exponent).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    width = sum(kind == "digit" for kind, _ in section[at:])
    sign = "-" if exponent < 0 else "+" if section[at][1].endswith("+") else ""
    return f"{mantissa:f}E{sign}{abs(exponent):0{width}d}"


def _fraction(number: Decimal, section: Sequence[Token]) -> str:
    slash = section.index(("sign", "/"))
    below = "".join(text for _, text in section[slash + 1 :]).strip()
    digits = re.match(r"[0#?]+", below)
    fixed = re.match(r"\d+", below) if not digits or (below[0].isdigit() and below.strip("0#?")) else None
    has_whole = any(
        kind == "digit" and (" " in "".join(t for _, t in section[at:slash]).strip())
        for at, (kind, _) in enumerate(section[:slash])
    )
    whole = int(number) if has_whole else 0
    rest = Fraction(number) - whole
    if fixed and int(fixed[0]):
        upper, lower = round(rest * int(fixed[0])), int(fixed[0])
    else:
        near = rest.limit_denominator(10 ** min(7, len(digits[0]) if digits else 1) - 1)
        upper, lower = near.numerator, near.denominator
    if upper == lower and has_whole:
        whole, upper = whole + 1, 0
    parts = [str(whole)] if has_whole and (whole or not upper) else []
    return " ".join([*parts, *([f"{upper}/{lower}"] if upper or not has_whole else [])])


# -- days and times --


def _dated(value: float, section: Sequence[Token], code: str, is_1904: bool) -> str:
    if any(kind == "elapsed" for kind, _ in section):
        return _elapsed(value, section)
    moment = _moment(value, section, is_1904)
    base = code.partition(" h")[0].partition(";")[0]
    if base in _SYSTEM_DATES and code.startswith(base):
        return moment.strftime("%Y-%m-%d %H:%M" if "h" in code else "%Y-%m-%d")
    if any(text == "$-F400" or text == "$-x-systime" for _, text in section):
        return moment.strftime("%H:%M:%S")
    if any(kind == "system" for kind, _ in section):
        return moment.strftime("%Y-%m-%d")
    has_noon = any(kind == "noon" for kind, _ in section)
    return "".join(_date_part(moment, section, at, has_noon) for at in range(len(section)))


def _moment(value: float, section: Sequence[Token], is_1904: bool) -> datetime:
    """Excel counts days from 1900 on, and has a 29th of February in that year."""
    if not 0 <= value < _LATEST:
        raise ValueError(f"no day of a calendar: {value}")
    if not is_1904 and value < 61:
        value += 1
    start = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30)
    unit = 10 ** min(6, _decimals_of_seconds(section))
    seconds = Decimal(repr(value)) * 86_400
    return start + timedelta(seconds=float(round(seconds * unit)) / unit)


def _decimals_of_seconds(section: Sequence[Token]) -> int:
    """Zeros after a point, as in ss.00."""
    count = 0
    for before, (kind, _) in pairwise(section):
        count += kind == "digit" and (before == ("sign", ".") or count > 0)
    return count


def _date_part(moment: datetime, section: Sequence[Token], at: int, has_noon: bool) -> str:
    kind, text = section[at]
    if kind == "noon":
        name = "AM" if moment.hour < 12 else "PM"
        return name if len(text) > 3 else name[0]
    if kind == "digit":
        decimals = _decimals_of_seconds(section)
        first = next(index for index, (each, _) in enumerate(section) if each == "digit")
        return f"{moment.microsecond:06d}"[:decimals] if at == first else ""
    if kind != "date":
        return _literal(kind, text)
    letters = text.lower()
    if letters[0] == "m" and _is_minute(section, at):
        return f"{moment.minute:02d}" if len(letters) > 1 else str(moment.minute)
    hour = (moment.hour % 12 or 12) if has_noon else moment.hour
    return _date_letters(moment, letters, hour)


def _date_letters(moment: datetime, letters: str, hour: int) -> str:
    first, width = letters[0], len(letters)
    if first in "ye":
        return f"{moment.year:04d}" if width > 2 or first == "e" else f"{moment.year % 100:02d}"
    if first in "gb":
        return ""
    if first in "md" and width > 2:
        month = ("%b", "%B")[width > 3] if first == "m" else ("%a", "%A")[width > 3]
        words = moment.strftime(month)
        return words[0] if first == "m" and width == 5 else words
    number = {"m": moment.month, "d": moment.day, "h": hour, "s": moment.second}[first]
    return f"{number:02d}" if width > 1 else str(number)


def _is_minute(section: Sequence[Token], at: int) -> bool:
    """After hours or before seconds; else it is a month."""
    before = next((text for kind, text in reversed(section[:at]) if kind in ("date", "elapsed")), "")
    after = next((text for kind, text in section[at + 1 :] if kind in ("date", "elapsed")), "")
    return before[:1].lower() == "h" or after[:1].lower() == "s"


def _elapsed(value: float, section: Sequence[Token]) -> str:
    """Hours may be more than 24: the largest unit takes all of the time."""
    decimals = _decimals_of_seconds(section)
    total = (abs(Decimal(repr(value))) * 86_400).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    largest = next(text[0] for kind, text in section if kind == "elapsed")
    whole, rest = int(total), total - int(total)
    numbers = {"h": whole // 3600, "m": whole // 60 % 60, "s": whole % 60}
    numbers[largest] = whole // {"h": 3600, "m": 60, "s": 1}[largest]
    parts: list[str] = []
    digits = str(rest)[2:]
    for kind, text in section:
        if kind in ("elapsed", "date") and text[0].lower() in numbers:
            parts.append(f"{numbers[text[0].lower()]:0{len(text)}d}")
        elif kind == "digit":
            parts.append(digits[:1])
            digits = digits[1:]
        else:
            parts.append(_literal(kind, text))
    return ("-" if value < 0 else "") + "".join(parts)
