"""The fields that are read out of documents, as persons, clients and JSON schemas name them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from rag.errors import RagError

FieldType = Literal["text", "number", "date", "money", "yes/no"]
FIELD_TYPES: tuple[FieldType, ...] = get_args(FieldType)

_MOST_FIELDS = 100


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
