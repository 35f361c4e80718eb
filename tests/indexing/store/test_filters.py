import pytest
from hypothesis import given
from hypothesis import strategies as st
from milvus_lite.search.filter.tokens import TokenKind, tokenize

from indexing.errors import UnknownFieldError
from indexing.store.protocol import FIELDS, Filter, FilterValueError, expression, literal


@given(st.text(st.characters(codec="utf-8")))
def test_a_literal_is_one_string_token_that_says_the_value(value: str) -> None:
    """The oracle is Milvus Lite's own lexer."""
    string, end = tokenize(literal(value))
    assert (string.kind, string.value, end.kind) == (TokenKind.STRING, value, TokenKind.EOF)


@given(st.text())
def test_a_literal_has_no_raw_end_of_line_and_no_bare_quote_inside(value: str) -> None:
    text = literal(value)
    assert text[0] == text[-1] == '"'
    inside = text[1:-1].replace("\\\\", "").replace('\\"', "")
    assert not set(inside) & {'"', "\n", "\r"}
    assert not inside.endswith("\\")
    text.encode()  # half a surrogate pair would fail here


@given(st.text(st.characters(codec="utf-8")), st.sampled_from(["name", "title", "folder", "path", "extension"]))
def test_no_value_adds_a_condition(value: str, field: str) -> None:
    def shape(text: str) -> list[TokenKind]:
        return [token.kind for token in tokenize(expression(Filter(where=((field, text),))))]

    assert shape(value) == shape("plain")


def test_an_empty_filter_is_an_empty_expression() -> None:
    assert expression(Filter()) == ""


def test_values_of_one_field_are_alternatives_and_fields_must_all_hold() -> None:
    chosen = Filter(kinds=("page", "text"), where=(("name", "a"), ("name", "b"), ("page", "2")))
    assert expression(chosen, also=["has_clip == true"]) == (
        'has_clip == true and (kind == "page" or kind == "text") and (name == "a" or name == "b") and (page == 2)'
    )


@pytest.mark.parametrize("field", ["id", "body", "Path", "path == '' or 1", "", "has_clip"])
def test_a_field_that_rows_do_not_have_is_refused_and_the_fields_are_named(field: str) -> None:
    with pytest.raises(UnknownFieldError) as caught:
        Filter(where=((field, "x"),))
    assert all(known in caught.value.__notes__[0] for known in FIELDS)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1 or 1 == 1", "", "²", "9" * 5_000, "1.5"])
def test_a_page_that_is_no_page_number_is_refused(value: str) -> None:
    with pytest.raises(FilterValueError, match="pages are numbers from 1"):
        Filter(where=(("page", value),))


def test_an_unknown_kind_is_refused_and_the_kinds_are_named() -> None:
    with pytest.raises(FilterValueError, match="image, page, text, table, figure"):
        Filter(where=(("kind", "photo"),))
    with pytest.raises(FilterValueError, match="photo"):
        Filter(kinds=("photo",))


def test_a_relative_folder_is_taken_from_the_current_one(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    assert expression(Filter(where=(("folder", "scans/../in"),))) == expression(
        Filter(where=(("folder", f"{here}/in"),))
    )
