import pytest

from extraction.fields import Field, FieldsError, fields_of_schema, parse_fields


def test_fields_are_names_with_types() -> None:
    assert parse_fields("company, Date of issue:date , paid:yes/no") == [
        Field(name="company"), Field(name="Date of issue", type="date"), Field(name="paid", type="yes/no"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "a,,b", "a, A", "total:euros", ",".join(f"f{i}" for i in range(101))])
def test_fields_that_cannot_be_understood_are_refused(text: str) -> None:
    with pytest.raises(FieldsError):
        parse_fields(text)


def test_a_schema_gives_types_and_hints() -> None:
    properties = {
        "total": {"type": ["number", "null"], "description": "with tax"},
        "issued": {"type": "string", "format": "date"},
        "price": {"type": "number", "format": "money"},
        "paid": {"type": "boolean"},
    }
    found = fields_of_schema({"type": "object", "properties": properties})
    assert [each.type for each in found] == ["number", "date", "money", "yes/no"] and found[0].hint == "with tax"
    for bad in ([], {"properties": {}}, {"properties": {"a": {"type": "array"}}}, {"properties": {"a": 1}}):
        with pytest.raises(FieldsError):
            fields_of_schema(bad)
