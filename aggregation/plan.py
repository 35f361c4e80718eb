"""A question about the whole collection → a plan: which files are meant, what is read in each, and what is done with
it.

    How many bills over 80 euros came in May?
    count | documents: bills | if: total (money) > 80 | if: date (date) = XXXX-05

The model writes the plan in one line. It is data: `parse_plan` knows six things to do and refuses everything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from typing import Literal, TypeVar, cast, get_args

from claims.passages import fold
from extraction.fields import Field, FieldsError, FieldType, parse_fields
from llava_model.serving.engine import Turn
from rag.errors import RagError
from rag.prompt import Write

Value = TypeVar("Value", Decimal, str)
Action = Literal["count", "list", "sum", "average", "highest", "lowest"]
ACTIONS: tuple[Action, ...] = get_args(Action)
Kind = Literal["files", "documents", "pictures"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Comparison = Literal["!=", "<=", ">=", "=", "<", ">"]
_COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)  # longer signs first

WHOLE_NAMES = ("folder", "extension")
"""Parts of a path that are named as a whole; of other values a part is enough."""
_ALL = "all"
_UNKNOWN_DIGIT = "X"
_MOST_TOKENS = 72
_PLAN = files("rag") / "instructions" / "plan.txt"


class PlanError(RagError):
    """The model's line is no plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirement:
    """What must hold for a value. `type` is None for a fact of the file or a part of its path."""

    name: str
    type: FieldType | None
    comparison: Comparison
    value: str

    def holds(self, values: Sequence[str]) -> bool:
        """Whether it holds for one of the values: as numbers where both are, as dates as far as the digits are known,
        else as words, one of which holds the other."""
        return any(self._holds(value) for value in values if value)

    def _holds(self, value: str) -> bool:
        wanted = self.value
        if self.type == "date" or _UNKNOWN_DIGIT in wanted:
            own = value[: len(wanted)]
            if self.comparison in ("=", "!="):
                pairs = zip(own, wanted, strict=False)
                same = len(own) == len(wanted) and all(sign in (_UNKNOWN_DIGIT, mine) for mine, sign in pairs)
                return same == (self.comparison == "=")
            return _compared(own, wanted, self.comparison)
        numbers = number_of(value), number_of(wanted)
        if numbers[0] is not None and numbers[1] is not None:
            return _compared(numbers[0], numbers[1], self.comparison)
        if self.comparison in ("=", "!="):
            own_words, wanted_words = fold(value), fold(wanted)
            same = own_words == wanted_words if self.name in WHOLE_NAMES else wanted_words in own_words
            return same == (self.comparison == "=")
        return _compared(value, wanted, self.comparison)


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionPlan:
    """What to do over which files."""

    action: Action
    kind: Kind = "files"
    which: str = ""
    """What the files are or show, in the model's words; "" for any."""
    words: str = ""
    """Words that stand in them, or with `without` do not."""
    without: bool = False
    field: Field | None = None
    requirements: tuple[Requirement, ...] = ()

    def __post_init__(self) -> None:
        if self.action in ("sum", "average", "highest", "lowest") and self.field is None:
            raise PlanError(f"there is no field for '{self.action}'")
        if self.kind == "pictures" and self.read:
            raise PlanError("nothing is read in pictures; scans are documents")

    @property
    def read(self) -> tuple[Field, ...]:
        """Everything that is read in each file."""
        fields = {self.field.name: self.field} if self.field else {}
        for each in self.requirements:
            if each.type is not None:
                fields.setdefault(each.name, Field(name=each.name, type=each.type))
        return tuple(fields.values())


def plan_of(question: str, write: Write) -> QuestionPlan:
    """Ask the model. Raises PlanError."""
    asked = _instructions().replace("{question}", " ".join(question.split()))
    return parse_plan(write([Turn(role="user", text=asked)], _MOST_TOKENS, ("\n",)))


@cache
def _instructions() -> str:
    return _PLAN.read_text(encoding="utf-8").strip()


def parse_plan(line: str) -> QuestionPlan:
    """Raises PlanError.

    >>> parse_plan("lowest | documents: offers | read: price (money)").field
    Field(name='price', type='money', hint='')
    """
    action, *parts = (part.strip() for part in line.split("|"))
    if action not in ACTIONS or not parts:
        raise PlanError(f"the model wrote no plan: {line[:100]!r}")
    said: dict[str, list[str]] = {}
    for name, _, value in (part.partition(":") for part in parts if part):
        said.setdefault(name.strip(), []).append(value.strip())
    kinds = [kind for kind in KINDS if kind in said]
    once = (*kinds, "words", "without", "read")
    if len(kinds) != 1 or not said.keys() <= {*once, "if"} or any(len(said.get(name, [])) > 1 for name in once):
        raise PlanError(f"the parts of the plan do not fit each other: {line[:100]!r}")
    (which,) = said[kinds[0]]
    words, without, field = (said.get(name, [""])[0] for name in ("words", "without", "read"))
    if words and without:
        raise PlanError("words that must stand in them, and words that must not, are not looked for at once")
    return QuestionPlan(
        action=action,
        kind=kinds[0],
        which="" if which.casefold() == _ALL else which,
        words=words or without,
        without=bool(without),
        field=_field(field),
        requirements=tuple(map(_requirement, said.get("if", []))),
    )


def _field(written: str) -> Field | None:
    """`price (money)`."""
    if not written:
        return None
    name, bracket, kind = written.partition("(")
    try:
        (field,) = parse_fields(f"{name}:{kind.rstrip(' )')}" if bracket else name)
    except (FieldsError, ValueError) as error:
        raise PlanError(f"'{written[:60]}' is no field") from error
    return replace(field, name=field.name.casefold())  # one spelling, wherever it stands


def _requirement(written: str) -> Requirement:
    comparison = next((sign for sign in _COMPARISONS if sign in written), "")
    name, _, value = (part.strip() for part in written.partition(comparison or "="))
    if not (comparison and name and value):
        raise PlanError(f"'{written[:60]}' is no condition")
    field = _field(name) if "(" in name else None
    return Requirement(
        name=field.name if field else name.casefold(),
        type=(field.type or "text") if field else None,
        comparison=cast(Comparison, comparison),
        value=value.strip("\"'"),
    )


def number_of(text: str) -> Decimal | None:
    """None where it is none, or no finite one."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _compared(own: Value, wanted: Value, comparison: Comparison) -> bool:
    order = (own > wanted) - (own < wanted)
    return {
        "=": order == 0,
        "!=": order != 0,
        "<": order < 0,
        ">": order > 0,
        "<=": order <= 0,
        ">=": order >= 0,
    }[comparison]
