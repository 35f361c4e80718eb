import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.facts import (
    MOST_FACTS,
    NEAR,
    OPERATORS,
    RESERVED,
    FactCondition,
    Facts,
    FactsError,
    all_hold,
    checked_key,
    checked_value,
    facts_of,
    own_facts,
    parted,
)
from indexing.store.protocol import FIELDS

PHOTO: Facts = {
    "taken": ("2019-07-14T10:32:05",),
    "year": ("2019",),
    "latitude": ("41.385100",),
    "longitude": ("2.173400",),
    "client": ("ACME Straße",),
    "tags": ("cat", "desk"),
    "price": ("10.50",),
    "code": ("007",),
    "due": ("2024-02-29 08:00:00+01:00",),
}


def holds(*written: str, facts: Facts = PHOTO) -> bool:
    parts = [parted(each) for each in written]
    return all_hold([FactCondition(key=key, operator=how, value=value) for key, how, value in parts])(facts)


@pytest.mark.parametrize(
    "written",
    [
        "client=acme strasse", "Client = ACME  Straße ", "client!=ACME", "tags=CAT", "tags=desk", "year=2019",
        "year>=2019", "year<=2019", "year>=2018.5", "year!=2020", "taken=2019", "taken=2019-07", "taken=2019-07-14",
        "taken>=2019", "taken<=2019", "taken>=2019-07-14T10:32", "taken<=2019-07-14 10:33", "taken>=2018-12-31",
        "price=10.5", "price>=9", "price<=10.50", "code=007", "due=2024-02-29", "due<=2024-03",
        "near=41.38,2.17,5km", "near= 41.3851 , 2.1734 , 0.01", "near=-41,-177,21000", "nothing!=x",
    ],
)  # fmt: skip
def test_a_condition_that_holds(written: str) -> None:
    assert holds(written)


@pytest.mark.parametrize(
    "written",
    [
        "client=ACME", "client!=ACME STRASSE", "tags=dog", "tags!=cat", "year=201", "year>=2020", "year<=2018",
        "taken=2019-08", "taken>=2019-07-15", "taken<=2019-06", "taken>=2020", "code=7", "price>=10.51",
        "client>=5", "client<=2019-01-01", "near=41.38,2.17,0.3", "near=-41.38,2.17,5", "nothing=x", "nothing>=1",
    ],
)  # fmt: skip
def test_a_condition_that_does_not_hold(written: str) -> None:
    assert not holds(written)


def test_all_conditions_must_hold() -> None:
    assert holds("tags=cat", "tags=desk", "year>=2019")
    assert not holds("tags=cat", "year>=2020")


def test_a_place_is_near_by_the_length_of_the_way_there_also_over_the_date_line() -> None:
    paris: Facts = {"latitude": ("48.8566",), "longitude": ("2.3522",)}  # 344 km from London
    assert holds("near=51.5074,-0.1278,346km", facts=paris) and not holds("near=51.5074,-0.1278,342km", facts=paris)
    fiji: Facts = {"latitude": ("-17",), "longitude": ("179.9",)}
    assert holds("near=-17,-179.9,25km", facts=fiji)
    assert not holds("near=0,0,21000", facts={"latitude": ("north",), "longitude": ("0",)})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("client", "is not FIELD=VALUE"),
        ("=x", "is not FIELD=VALUE"),
        ("", "is not FIELD=VALUE"),
        ("year>2019", "is not FIELD=VALUE"),
        ("year<>2019", "is not FIELD=VALUE"),
        ("year>=soon", "neither a number nor a date"),
        ("bad key=1", "is no key"),
        ("a/b=1", "is no key"),
        ("name!=x", "compared with '=' alone"),
        ("near>=1,2,3", "compared with '=' alone"),
        ("near=1,2", "LATITUDE,LONGITUDE,KILOMETRES"),
        ("near=91,0,5", "LATITUDE,LONGITUDE,KILOMETRES"),
        ("near=0,181,5", "LATITUDE,LONGITUDE,KILOMETRES"),
        ("near=0,0,0", "LATITUDE,LONGITUDE,KILOMETRES"),
        ("near=0,0,-1", "LATITUDE,LONGITUDE,KILOMETRES"),
        ("near=0,0,nan", "LATITUDE,LONGITUDE,KILOMETRES"),
        ("near=0,0,1e3", "LATITUDE,LONGITUDE,KILOMETRES"),
        ("near=" + "9" * 5000 + ",0,1", "LATITUDE,LONGITUDE,KILOMETRES"),
        ("client=" + "x" * 10_000, "the limit is 1,000"),
        ("k" * 65 + "=1", "the limit is 64"),
    ],
)
def test_what_is_no_condition_is_refused_with_a_sentence(written: str, said: str) -> None:
    with pytest.raises(FactsError, match=said) as caught:
        holds(written)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        key, operator, value = parted(text)
        FactCondition(key=key, operator=operator, value=value).test()(PHOTO)
    except FactsError:
        return
    assert operator in OPERATORS and parted(f"{key}{operator}{value}") == (key, operator, value)


def test_keys_are_letters_digits_and_three_signs_in_any_script() -> None:
    assert checked_key(" Kunde-2.a_b ") == "kunde-2.a_b"
    assert checked_key("Größe") == "größe" and checked_key("客户") == "客户" and checked_key("हिन्दी")
    for wrong in ("", " ", "a b", "a:b", "a\nb", "a'", "🙂", "a\u202eb", "\ud800"):
        with pytest.raises(FactsError, match="is no key"):
            checked_key(wrong)


def test_what_conditions_can_name_already_is_no_key() -> None:
    assert set(RESERVED) == {*FIELDS, NEAR}
    for taken in RESERVED:
        with pytest.raises(FactsError, match="meaning of its own"):
            checked_key(taken.upper())


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("  a \n b ", "a b"),
        (True, "true"),
        (5, "5"),
        (2.5, "2.5"),
        (datetime.date(2019, 7, 14), "2019-07-14"),
        (datetime.datetime(2019, 7, 14, 10, 32), "2019-07-14T10:32:00"),
    ],
)
def test_values_are_kept_as_one_line(value: Any, kept: str) -> None:
    assert checked_value("k", value) == kept


def test_values_that_cannot_be_compared_are_refused() -> None:
    numbers = (float("nan"), float("inf"), 10**5000)
    for value in (None, {}, [1], b"x", *numbers, "x" * 1001, "a\0b", "\x1b[31m", "\ud800"):
        with pytest.raises(FactsError, match="the value of 'k'"):
            checked_value("k", value)


def test_too_many_facts_are_refused() -> None:
    assert len(facts_of([("k", [str(number) for number in range(MOST_FACTS)])])["k"]) == MOST_FACTS
    with pytest.raises(FactsError, match="1,000 facts on one file"):
        facts_of([(f"k{number}", ["x"]) for number in range(1000)])
    with pytest.raises(FactsError, match="101 facts on one file"):
        facts_of([("k", [str(number) for number in range(101)])])


@pytest.mark.parametrize(
    ("date", "day"),
    [
        ("D:20250618120000+02'00'", "2025-06-18"),
        ("D:2025", "2025"),
        ("2025-06-18T09:00:00+00:00", "2025-06-18"),
        ("2025-13-45", "2025"),
        ("Wed, 18 Jun 2025 09:00:00 +0200", "2025-06-18"),
        ("yesterday", ""),
        ("D:", ""),
    ],
)
def test_dates_of_documents_are_read_as_their_programs_write_them(date: str, day: str) -> None:
    facts = own_facts({"date": date})
    assert facts.get("date", ("",))[0] == day and facts.get("year", ("",))[0] == day[:4]


def test_a_file_that_says_nonsense_of_itself_says_nothing() -> None:
    assert own_facts({"author": "a\0b", "camera": "\x1b]0;x\x07", "subject": "x"}) == {}
    assert len(own_facts({"author": "x" * 9999})["author"][0]) == 1000
