"""The fields that are read out of documents, and what their words mean: dates, numbers, amounts of money.

Meaning is taken from signs and digits alone. No month's name and no word of a language is known here: "5 March 2018"
is read by a model, and `day_of` checks what it says. A date or number that can be read two ways is settled by the other
ones of its document, or left as it is.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from claims.tokens import TextToken, read
from rag.errors import RagError

FieldType = Literal["text", "number", "date", "money", "yes/no"]
FIELD_TYPES: tuple[FieldType, ...] = get_args(FieldType)

_MOST_FIELDS = 100
_CURRENCY_SIGNS = 4  # the longest name of a currency beside an amount, as "RM", "EUR", "Kčs"


class FieldsError(RagError):
    """The fields that were asked for cannot be understood."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the fields cannot be understood: {problem}")
        self.add_note(f'Write them like "company, date, total:money"; types: {", ".join(FIELD_TYPES)}.')


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One column. Without a type the model is asked what its name stands for."""

    name: str
    type: FieldType | None = None
    hint: str = ""  # what else is known of it, for the model


def parse_fields(text: str) -> list[Field]:
    """`company, total:money` → two fields. Raises FieldsError.

    >>> [(each.name, each.type) for each in parse_fields("company, total:money")]
    [('company', None), ('total', 'money')]
    """
    found = []
    for part in text.split(","):
        name, colon, kind = (each.strip() for each in part.partition(":"))
        if colon and kind.casefold() not in FIELD_TYPES:
            raise FieldsError(f"'{name}' has the type '{kind}', which there is not")
        found.append(Field(name=name, type=cast(FieldType, kind.casefold()) if colon else None))
    return _checked(found)


def fields_of_schema(schema: object) -> list[Field]:
    """The properties of a JSON schema's object. Raises FieldsError."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not all(isinstance(each, dict) for each in properties.values()):
        raise FieldsError('a JSON schema needs "properties" that are objects')
    return _checked(
        [
            Field(name=name.strip(), type=_schema_type(each), hint=str(each.get("description", "")))
            for name, each in properties.items()
        ]
    )


def fields_of(described: Sequence[Mapping[str, Any]]) -> list[Field]:
    """`[{"name": "total", "type": "money"}]` → fields. Raises FieldsError."""
    for each in described:
        kind = each.get("type")
        if not isinstance(each.get("name"), str) or not isinstance(each.get("hint", ""), str):
            raise FieldsError("each needs a name, and both its name and its hint are texts")
        if kind is not None and kind not in FIELD_TYPES:
            raise FieldsError(f"'{each['name']}' has the type '{kind}', which there is not")
    return _checked(
        [Field(name=each["name"].strip(), type=each.get("type"), hint=each.get("hint", "")) for each in described]
    )


def _schema_type(described: Mapping[str, Any]) -> FieldType:
    kind, form = described.get("type", "string"), described.get("format", "")
    kind = next((each for each in kind if each != "null"), "string") if isinstance(kind, list) else kind
    if form in ("date", "date-time", "money"):
        return "money" if form == "money" else "date"
    types: dict[str, FieldType] = {"string": "text", "number": "number", "integer": "number", "boolean": "yes/no"}
    if kind not in types:
        raise FieldsError(f"a property of the JSON type '{kind}' cannot be a cell")
    return types[kind]


def _checked(fields: list[Field]) -> list[Field]:
    names = [each.name.casefold() for each in fields]
    double = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if not names or not all(names):
        raise FieldsError("a name is empty" if names else "there are none")
    if double or len(names) > _MOST_FIELDS:
        raise FieldsError(f"'{double}' stands twice" if double else f"{len(names)} are more than {_MOST_FIELDS}")
    return fields


# -- what words mean ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """`value` is "" where it cannot be told; several `readings` are what it can be."""

    value: str = ""
    currency: str = ""
    readings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How one document writes, as far as its clear dates and numbers tell; None where they do not, or disagree."""

    day_first: bool | None = None
    decimal_sign: str | None = None

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Style":
        """By every date and number of these texts that can be read in one way."""
        orders, signs = set[bool](), set[str]()
        for text in texts:
            for token in read(text):
                written = text[token.start : token.end]
                if len(token.readings) != 1:
                    continue
                if _days(token):
                    numbers = _numbers(written)
                    if len(numbers[0]) < 3 and numbers[0] != numbers[1]:
                        orders.add(int(_days(token)[0].split("-")[2]) == int(numbers[0]))
                elif "." in token.text and written[-3:-2] in (".", ","):
                    signs.add(written[-3])
        return cls(
            day_first=orders.pop() if len(orders) == 1 else None, decimal_sign=signs.pop() if len(signs) == 1 else None
        )


def meaning_of(words: str, kind: str, style: Style, around: str = "") -> Meaning:
    """`around`: the text before and after the words, parted by a line break; a currency may stand there."""
    tokens = [each for each in read(words) if each.readings]
    dates = [each for each in tokens if _days(each)]
    if kind == "date":
        return _date(dates[0], words, style) if len(dates) == 1 else Meaning()
    numbers = [each for each in tokens if each not in dates]
    if kind not in ("number", "money") or len({each.text for each in numbers}) != 1:
        return Meaning()
    meaning = _number(numbers[0], words, style)
    if kind == "number":
        return meaning
    return Meaning(value=meaning.value, readings=meaning.readings, currency=_currency(words, numbers[0], around))


def day_of(told: str, words: str) -> str:
    """The ISO date that a model told, "" unless its day and its year's last digits stand in the words.

    >>> day_of("2018-03-05", "05 MAR 18"), day_of("2018-03-06", "05 MAR 18")
    ('2018-03-05', '')
    """
    days = [day for token in read(told) for day in _days(token)]
    if len(days) != 1:
        return ""
    year, month, day = days[0].split("-")
    numbers = [number.lstrip("0") for number in _numbers(words)]
    kept = [number for number in numbers if number not in (year, year[2:].lstrip("0"))]
    if len(kept) == len(numbers) or day not in (kept if len(numbers) < 3 else numbers) or int(month) > 12:
        return ""
    return _iso(days[0])


def _days(token: TextToken) -> list[str]:
    return sorted(reading.lstrip("-") for reading in token.readings if reading.lstrip("-").count("-") == 2)


def _iso(day: str) -> str:
    year, month, number = day.split("-")
    return f"{year}-{month:0>2}-{number:0>2}"


def _numbers(text: str) -> list[str]:
    return "".join(sign if sign.isdecimal() else " " for sign in text).split()


def _date(token: TextToken, words: str, style: Style) -> Meaning:
    days = _days(token)
    if len(days) > 1 and style.day_first is not None:
        first = int(_numbers(words[token.start : token.end])[0])
        days = [day for day in days if (int(day.split("-")[2]) == first) == style.day_first]
    days = [_iso(day) for day in days]
    return Meaning(value=days[0]) if len(days) == 1 else Meaning(readings=tuple(days))


def _number(token: TextToken, words: str, style: Style) -> Meaning:
    written = words[token.start : token.end]
    owed = words.strip().startswith("(") and words.strip().endswith(")")  # how bookkeepers write what is owed
    minus = "-" if owed or words[: token.start].endswith("−") else ""
    if len(token.readings) == 1:
        return Meaning(value=_plain(minus, token.text))
    if style.decimal_sign is None:
        return Meaning(readings=tuple(sorted(_plain(minus, each) for each in token.readings)))
    sign = next((each for each in written if not each.isdecimal()), "")
    fraction = [each for each in token.readings if ("." in each) == (sign == style.decimal_sign)]
    return Meaning(value=_plain(minus, fraction[0])) if fraction else Meaning()


def _plain(minus: str, number: str) -> str:
    number = f"{minus}{number.lstrip('-')}" if minus else number
    try:
        float(number)
    except ValueError:
        return ""
    return number


def _currency(words: str, amount: TextToken, around: str) -> str:
    """The sign or short name beside the amount: in the words, or in the line where a sign or name touches them."""
    beside = [words[: amount.start], words[amount.end :]]
    if not any(sign.isalnum() or _is_sign(sign) for part in beside for sign in part):
        before, _, after = around.partition("\n")
        glued = before.split()[-1:] if before and not before[-1].isspace() else []
        beside = [*glued, *(sign for sign in (before.rstrip()[-1:], after.lstrip()[:1]) if _is_sign(sign))]
    for each in beside:
        name = each.strip(" \t()-−:=.,*")
        if _is_sign(name) or (name.isalpha() and len(name) <= _CURRENCY_SIGNS):
            return name
    return ""


def _is_sign(text: str) -> bool:
    return len(text) == 1 and unicodedata.category(text) == "Sc"
