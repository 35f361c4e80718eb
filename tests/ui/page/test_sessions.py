from ui.page import sessions
from ui.page.sessions import Sessions
from ui.sign_in import Person

ADA = Person(who="ada@example.org", name="Ada")


def test_a_session_ends_when_its_time_is_over() -> None:
    now = [0.0]
    kept = Sessions(minutes=5, clock=lambda: now[0])
    value = kept.begin(ADA, {})
    now[0] = 299.0
    found = kept.find(value)
    assert found is not None and found.person == ADA and kept.seconds_left(found) == 1.0
    now[0] = 300.0
    assert kept.find(value) is None


def test_a_session_that_was_ended_is_gone_and_others_stay() -> None:
    kept = Sessions(minutes=5)
    first, second = kept.begin(ADA, {}), kept.begin(ADA, {})
    kept.end(first)
    assert kept.find(first) is None and kept.find(second) is not None


def test_no_other_value_finds_a_session() -> None:
    kept = Sessions(minutes=5)
    value = kept.begin(ADA, {})
    for other in ("", value[:-1], value + "x", value.upper(), "\udc80", next(iter(kept._open))):
        assert kept.find(other) is None


def test_so_many_sessions_are_kept_and_no_more(monkeypatch: object) -> None:
    kept, most = Sessions(minutes=5), sessions.MOST
    try:
        sessions.MOST = 3
        values = [kept.begin(ADA, {}) for _ in range(5)]
    finally:
        sessions.MOST = most
    assert [kept.find(value) is not None for value in values] == [False, False, True, True, True]
