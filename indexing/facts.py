"""Facts of files, as `key = value`, and the conditions by which a search is limited to files that have them.

    said by a person     `llavero index --meta client=ACME`, or a file beside the file (`indexing.sidecars`)
    said by the file     when and where a photograph was taken, a document's date and author (`own_facts`)
    conditions           "client=ACME", "client!=ACME", "year>=2019", "taken<=2019-07", "near=41.38,2.17,5km"

A key may have several values; a condition holds where one of them fulfils it. All conditions must hold. Words are
compared without regard to case and to how Unicode writes them. Dates are compared as far as the condition names them,
so that `taken=2019-07` is all of July, and as clocks showed them, whatever the zone.

FactsError   a key, a value or a condition makes no sense
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast, get_args

from indexing.errors import IndexingError
from indexing.records import Note

Facts = Mapping[str, tuple[str, ...]]
Operator = Literal["=", "!=", ">=", "<="]
OPERATORS: tuple[Operator, ...] = get_args(Operator)
NEAR = "near"
RESERVED = ("path", "folder", "name", "extension", "title", "page", "kind", NEAR)
"""What a condition can name already."""
LIKENESS, NEAR_DUPLICATES = ":likeness", ":near"
"""What is kept of a picture to find others that are nearly the same, and those contents (`indexing.likeness`). They lie
beside a content's own facts under keys that nobody can say, and are shown and compared nowhere as facts."""
MOST_FACTS = 100
LONGEST_VALUE = 1_000
_LONGEST_KEY = 64
_SAID_BY_READERS = ("confidence",)
"""Of passages, too, so that nobody else can say it of a file."""
_EARTH_KM = 6_371.0
_CONDITION = re.compile(r"\s*([^=!<>]*?)\s*(!=|>=|<=|=)(.*)", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?)?)?")
_PDF_DATE = re.compile(r"D:([0-9]{4})([0-9]{2})?([0-9]{2})?")


class FactsError(IndexingError):
    """What was written is no key, no value or no condition; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What persons say of a file, by where they say it, and what could not be understood there."""

    given: Facts = field(default_factory=dict)
    beside: Facts = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


NOTHING_SAID = Said()

# -- keys and values ---------------------------------------------------------------------------------------------------


def checked_key(written: str) -> str:
    """The key as it is kept, in small letters. Raises FactsError."""
    key = unicodedata.normalize("NFC", written.strip().lower())
    if not key or not all(each in "_-." or unicodedata.category(each)[0] in "LNM" for each in key):
        raise FactsError(f"'{key[:_LONGEST_KEY]}' is no key: a key has letters, digits, '_', '-' and '.' alone")
    if len(key) > _LONGEST_KEY:
        raise FactsError(f"a key has {len(key):,} characters, the limit is {_LONGEST_KEY}")
    if key in RESERVED:
        raise FactsError(f"'{key}' has a meaning of its own in conditions: choose another key")
    return key


def checked_value(key: str, value: Any) -> str:
    """A word, number or date as it is kept: in one line. Raises FactsError."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif hasattr(value, "isoformat"):
        value = value.isoformat()
    elif isinstance(value, int | float):
        value = _written_number(key, value)
    elif not isinstance(value, str):
        raise FactsError(f"the value of '{key}' is neither a word, a number, a date, nor a list of them")
    if len(value) > LONGEST_VALUE:
        raise FactsError(f"the value of '{key}' has {len(value):,} characters, the limit is {LONGEST_VALUE:,}")
    words = unicodedata.normalize("NFC", " ".join(value.split()))
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in words):
        raise FactsError(f"the value of '{key}' holds characters that are no text")
    return words


def _written_number(key: str, value: float) -> str:
    try:
        if math.isfinite(value):
            return str(value)
    except (ValueError, OverflowError):  # an integer of thousands of digits
        pass
    raise FactsError(f"the value of '{key}' is no number that can be compared")


def facts_of(pairs: Iterable[tuple[str, Sequence[Any]]]) -> dict[str, tuple[str, ...]]:
    """Checked facts; an empty value is left out, so a key can come without any. Raises FactsError."""
    found: dict[str, tuple[str, ...]] = {}
    for written, values in pairs:
        key = checked_key(written)
        if key in _SAID_BY_READERS:
            raise FactsError(f"'{key}' is what OCR says of the words that it read: choose another key")
        words = (checked_value(key, each) for each in values)
        found[key] = tuple(sorted({*found.get(key, ()), *filter(None, words)}))
    count = sum(max(1, len(values)) for values in found.values())
    if count > MOST_FACTS:
        raise FactsError(f"{count:,} facts on one file, the limit is {MOST_FACTS}")
    return found


def own_facts(metadata: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What a file says of itself, out of what its reader found.

    >>> own_facts({"taken": "2019-07-14T10:32:05+02:00", "latitude": "41.380000", "longitude": "2.170000"})["year"]
    ('2019',)
    >>> own_facts({"date": "Wed, 18 Jun 2025 09:00:00 +0200", "from": "Ada <ada@example.org>"})
    {'date': ('2025-06-18',), 'year': ('2025',), 'author': ('Ada <ada@example.org>',)}
    """
    taken, date = metadata.get("taken", ""), _day(metadata.get("date", ""))
    found = {
        "taken": taken[:19],
        "date": date,
        "year": (taken or date)[:4],
        "author": metadata.get("author", "") or metadata.get("from", ""),
        "camera": metadata.get("camera", ""),
        "latitude": metadata.get("latitude", ""),
        "longitude": metadata.get("longitude", ""),
    }
    facts: dict[str, tuple[str, ...]] = {}
    for key, value in found.items():
        try:
            words = checked_value(key, value[:LONGEST_VALUE])
        except FactsError:  # a file may say anything
            continue
        facts |= {key: (words,)} if words else {}
    return facts


def _day(written: str) -> str:
    """`2025-06-18` of a date as PDFs, mails and office files write it; "" of what is none."""
    pdf = _PDF_DATE.match(written)
    written = "-".join(filter(None, pdf.groups())) if pdf else written
    if _DATE.match(written):
        try:
            return datetime.fromisoformat(written[:10]).date().isoformat()
        except ValueError:
            return written[:4]
    try:
        return parsedate_to_datetime(written).date().isoformat()
    except (ValueError, TypeError, OverflowError):
        return ""


def counted(files: Iterable[Facts]) -> dict[str, list[tuple[str, int]]]:
    """For each key its values with the number of files that have them, the most frequent first. Spellings that are
    compared as the same count together, under the one that most files have.

    >>> counted([{"client": ("ACME",)}, {"client": ("acme", "Beta")}, {"client": ("ACME",)}])
    {'client': [('ACME', 3), ('Beta', 1)]}
    """
    spellings: dict[str, dict[str, Counter[str]]] = {}
    for facts in files:
        for key, values in facts.items():
            for folded, value in {_folded(value): value for value in values}.items():
                spellings.setdefault(key, {}).setdefault(folded, Counter())[value] += 1
    found: dict[str, list[tuple[str, int]]] = {}
    for key, by_folded in sorted(spellings.items()):
        told = [(each.most_common(1)[0][0], each.total()) for each in by_folded.values()]
        found[key] = sorted(told, key=lambda pair: (-pair[1], pair[0]))
    return found


# -- conditions --------------------------------------------------------------------------------------------------------


def parted(written: str) -> tuple[str, Operator, str]:
    """`year>=2019` → its field, operator and value, the value as it is written. Raises FactsError.

    >>> parted("Name = a=b.pdf")
    ('name', '=', ' a=b.pdf')
    """
    found = _CONDITION.fullmatch(written)
    if found is None or not found[1]:
        shown = written[:100]
        raise FactsError(f"'{shown}' is not FIELD=VALUE, nor with one of {', '.join(OPERATORS[1:])} instead of '='")
    field = found[1].lower() if found[1].lower() in RESERVED else found[1]
    return field, cast(Operator, found[2]), found[3]


@dataclass(frozen=True, kw_only=True, slots=True)
class FactCondition:
    """One condition, checked. `near` has the value LATITUDE,LONGITUDE,KILOMETRES."""

    key: str
    operator: Operator
    value: str

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise FactsError(f"'{self.operator}' is none of {', '.join(OPERATORS)}")
        if self.key == NEAR:
            _circle(self)
            return
        if self.key in RESERVED:
            raise FactsError(f"'{self.key}' is compared with '=' alone")
        wanted = checked_value(checked_key(self.key), self.value)
        if self.operator in (">=", "<=") and not (_NUMBER.fullmatch(wanted) or _DATE.match(wanted)):
            raise FactsError(f"'{wanted}' is neither a number nor a date such as 2019-07-14: {self.key}{self.operator}")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it looks at."""
        return ("latitude", "longitude") if self.key == NEAR else (checked_key(self.key),)

    def test(self) -> Callable[[Facts], bool]:
        """Whether a file with these facts fulfils it, made ready for many files."""
        if self.key == NEAR:
            return _is_within(*_circle(self))
        key, wanted = checked_key(self.key), checked_value(self.key, self.value)
        one = _at_least(wanted) if self.operator == ">=" else _at_most(wanted)
        if self.operator in ("=", "!="):
            one = _equals(wanted)
        expected = self.operator != "!="  # files without the key are not equal to anything
        return lambda facts: any(map(one, facts.get(key, ()))) is expected


def all_hold(conditions: Sequence[FactCondition]) -> Callable[[Facts], bool]:
    """Whether a file with these facts fulfils all of them."""
    tests = [each.test() for each in conditions]
    return lambda facts: all(test(facts) for test in tests)


def _folded(text: str) -> str:
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _date(text: str) -> str:
    """A date's part of a text, `T` before the time; "" where it is none."""
    found = _DATE.match(text if text[10:11] != " " else f"{text[:10]}T{text[11:]}")
    return found[0] if found else ""


def _equals(wanted: str) -> Callable[[str], bool]:
    folded, number, date = _folded(wanted), _number(wanted), _date(wanted) if _is_date(wanted) else ""

    def test(value: str) -> bool:
        if _folded(value) == folded:
            return True
        if number is not None and number == _number(value):
            return True
        return bool(date) and _is_date(value) and _date(value).startswith(date)

    return test


def _is_date(text: str) -> bool:
    """Nothing but a date, perhaps with fractions of a second and a zone."""
    return bool(re.fullmatch(r"(?:\.[0-9]+)?(?:Z|[+-][0-9:]{2,6})?", text[len(_date(text)) :])) and bool(_date(text))


def _at_least(wanted: str) -> Callable[[str], bool]:
    return _ordered(wanted, lambda value, limit: bool(value >= limit))


def _at_most(wanted: str) -> Callable[[str], bool]:
    return _ordered(wanted, lambda value, limit: bool(value <= limit))


def _ordered(wanted: str, holds: Callable[[Any, Any], bool]) -> Callable[[str], bool]:
    limit, date = _number(wanted), _date(wanted)

    def test(value: str) -> bool:
        if limit is not None and (number := _number(value)) is not None:
            return holds(number, limit)
        if not date or not _is_date(value):
            return False
        found = _date(value)
        known = min(len(found), len(date))
        return holds(found[:known], date[:known])

    return test


def _circle(condition: FactCondition) -> tuple[float, float, float]:
    """Latitude, longitude and radius in kilometres. Raises FactsError."""
    if condition.operator != "=":
        raise FactsError("'near' is compared with '=' alone: near=41.38,2.17,5km")
    parts = [part.strip() for part in condition.value.split(",")]
    parts[-1] = parts[-1].lower().removesuffix("km").strip()
    try:
        if not all(len(part) <= _LONGEST_KEY and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", part) for part in parts):
            raise ValueError
        latitude, longitude, radius = map(float, parts)
        if abs(latitude) > 90 or abs(longitude) > 180 or not 0 < radius <= 21_000:
            raise ValueError
    except ValueError:
        shown = condition.value[:100]
        raise FactsError(f"'{shown}' is not LATITUDE,LONGITUDE,KILOMETRES, such as near=41.38,2.17,5km") from None
    return latitude, longitude, radius


def _is_within(latitude: float, longitude: float, radius_km: float) -> Callable[[Facts], bool]:
    """By the haversine formula on a ball: off by less than 0.6 per cent."""
    north, east = math.radians(latitude), math.radians(longitude)

    def test(facts: Facts) -> bool:
        try:
            there, over = (math.radians(float(facts[key][0])) for key in ("latitude", "longitude"))
        except (KeyError, IndexError, ValueError):
            return False
        half = math.sin((there - north) / 2) ** 2
        half += math.cos(north) * math.cos(there) * math.sin((over - east) / 2) ** 2
        return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, abs(half)))) <= radius_km

    return test
