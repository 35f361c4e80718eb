"""Which rows a search may return, and how that is said to Milvus without letting a value speak.

`filter_params` is not parsed on Milvus Lite, so values are written into the expression itself: field names come
from an allow-list, and every value is a quoted literal in which nothing ends the quote.
LIKE is not used at all: its wildcards cannot be escaped on Lite (its two evaluators disagree about backslashes).
A folder and everything below it is a range of strings instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from indexing.discover import absolute
from indexing.errors import IndexingError, UnknownFieldError
from indexing.records import KINDS, Kind

Field = Literal["path", "folder", "name", "extension", "title", "page", "kind"]
FIELDS: tuple[Field, ...] = get_args(Field)

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_AFTER_SLASH = chr(ord("/") + 1)


class FilterValueError(IndexingError):
    """A filter's value cannot be one that the field has."""

    def __init__(self, field: str, value: str, expected: str) -> None:
        super().__init__(f"'{value}' is no {field}: {expected}")
        self.field, self.value = field, value


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which rows may be found. Values of one field are alternatives, different fields must all hold.

    `folder` matches the folder and everything below it; relative paths and folders are taken from the
    current directory. `extension` is compared without its dot and without regard to case. `page` is a number.
    """

    kinds: tuple[Kind, ...] = ()
    where: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for kind in self.kinds:
            _checked_kind(kind)
        for field, value in self.where:
            if field not in FIELDS:
                raise UnknownFieldError(field, FIELDS)
            _condition(field, value)


EVERYTHING = Filter()


def literal(value: str) -> str:
    """The value as a quoted string of Milvus's expression language.

    Half a surrogate pair cannot travel to Milvus and matches nothing; it becomes U+FFFD.

    >>> literal('a "b" \\\\')
    '"a \\\\"b\\\\" \\\\\\\\"'
    """
    sendable = value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return f'"{sendable.translate(_ESCAPES)}"'


def expression(chosen: Filter, *, also: Sequence[str] = ()) -> str:
    """The filter as a Milvus expression, with the conditions of ours in `also`; "" lets every row pass."""
    alternatives: dict[str, list[str]] = {}
    for kind in chosen.kinds:
        alternatives.setdefault("kinds", []).append(_condition("kind", kind))
    for field, value in chosen.where:
        alternatives.setdefault(field, []).append(_condition(cast(Field, field), value))
    return " and ".join([*also, *(f"({' or '.join(conditions)})" for conditions in alternatives.values())])


def _condition(field: Field, value: str) -> str:
    match field:
        case "page":
            return f"page == {_checked_page(value)}"
        case "kind":
            return f"kind == {literal(_checked_kind(value))}"
        case "extension":
            return f"extension == {literal(value.removeprefix('.').lower())}"
        case "path":
            return f"path == {literal(absolute(value))}"
        case "folder":
            return below(absolute(value))
        case "name" | "title":
            return f"{field} == {literal(value)}"


def below(folder: str) -> str:
    """Rows whose file lies in the folder or anywhere under it: a range of strings, so that no character is wild."""
    inside = folder.rstrip("/")
    return (
        f"(folder == {literal(inside or '/')} or "
        f"(folder >= {literal(inside + '/')} and folder < {literal(inside + _AFTER_SLASH)}))"
    )


def _checked_kind(value: str) -> Kind:
    if value not in KINDS:
        raise FilterValueError("kind", value, f"kinds are {', '.join(KINDS)}")
    return value


def _checked_page(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 0 < int(value[:10]) < 2**31 and len(value) <= 10):
        raise FilterValueError("page", value, "pages are numbers from 1")
    return int(value)
