"""Who may sign in: the settings, and what the rules make of a provider's claims."""

from pathlib import Path
from typing import Any

import pytest

from ui.settings import Settings, SettingsError
from ui.sign_in import NotAllowedError, SignIn, SignInError

TABLE = {
    "provider": "https://id.example.org/realms/archive",
    "client_id": "llavero",
    "page_url": "https://llavero.example.org",
    "allow": ["ada@example.net", "@example.org", "groups=archive"],
}
ENVIRONMENT = {"LLAVERO_SIGN_IN_CLIENT_SECRET": "s3cret"}


def loaded(environ: dict[str, str] = ENVIRONMENT, **changes: Any) -> SignIn:
    found = SignIn.load(TABLE | changes, environ)
    assert found is not None
    return found


def test_nobody_signs_in_where_nothing_is_set() -> None:
    assert SignIn.load({}, {}) is None
    assert Settings.load(Path("/nowhere"), environ={}).sign_in is None


def test_everything_can_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    environ = {
        "LLAVERO_SIGN_IN_PROVIDER": "http://localhost:9400",
        "LLAVERO_SIGN_IN_CLIENT_ID": "llavero",
        "LLAVERO_SIGN_IN_CLIENT_SECRET_FILE": str(tmp_path / "secret"),
        "LLAVERO_SIGN_IN_PAGE_URL": "http://127.0.0.1:8501",
        "LLAVERO_SIGN_IN_ALLOW": "@example.org, groups=archive",
        "LLAVERO_SIGN_IN_SESSION_MINUTES": "60",
    }
    found = Settings.load(tmp_path, environ=environ).sign_in
    assert found is not None
    assert (found.secret, found.session_minutes, found.allow) == ("from a file", 60, ("@example.org", "groups=archive"))
    assert found.description_url == "http://localhost:9400/.well-known/openid-configuration"
    assert (found.redirect_url, found.over_tls) == ("http://127.0.0.1:8501/oauth2callback", False)


def test_the_clients_secret_is_shown_nowhere() -> None:
    assert "s3cret" not in repr(loaded())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_secret": "x"}, "does not belong in this file"),
        ({"allow": []}, "'allow' is missing"),
        ({"allow": "everybody"}, "allow must be a list"),
        ({"allow": ["*"]}, "no address, no domain"),
        ({"allow": ["@"]}, "no address, no domain"),
        ({"allow": ["groups="]}, "no claim and value"),
        ({"allow": ["email=ada@example.org"]}, "no claim and value"),  # it would pass by whether it is verified
        ({"provider": "http://id.example.org"}, "must begin with https://"),
        ({"provider": "id.example.org"}, "no address"),
        ({"page_url": "http://llavero.example.org"}, "must begin with https://"),
        ({"page_url": "https://llavero.example.org/library"}, "a scheme and a name alone"),
        ({"session_minutes": 1}, "between 5 and"),
        ({"session_minutes": "60"}, "whole number"),
        ({"scopes": ["email"]}, "'openid'"),
        ({"colour": "red"}, "'colour' is not a setting"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_the_reason(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SignInError, match=words):
        loaded(**changes)


def test_a_missing_or_empty_secret_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SignInError, match="secret is missing"):
        loaded({})
    with pytest.raises(SignInError, match="cannot be read"):
        loaded({}, client_secret_file=str(tmp_path / "nothing"))
    (tmp_path / "empty").write_text(" \n")
    with pytest.raises(SignInError, match="is empty"):
        loaded({}, client_secret_file=str(tmp_path / "empty"))
    (tmp_path / "llavero.toml").write_text('[sign_in]\nprovider = "https://id.example.org"\n')
    with pytest.raises(SettingsError, match=r"llavero.toml: \[sign_in\] 'client_id' is missing"):
        Settings.load(tmp_path, environ=ENVIRONMENT)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "1", "email": "Ada@Example.NET", "email_verified": True},
        {"sub": "1", "email": "bob@example.org", "email_verified": True},
        {"sub": "1", "groups": ["readers", "archive"]},
        {"sub": "1", "groups": "archive"},
    ],
)
def test_who_is_named_comes_in(claims: dict[str, Any]) -> None:
    assert loaded().person(claims).who


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": "1"},
        {"sub": "ada@example.net"},  # the provider's name for somebody is no address
        {"sub": "1", "email": "bob@example.net", "email_verified": True},
        {"sub": "1", "email": "ada@example.org.evil.example", "email_verified": True},
        {"sub": "1", "email": "ada@evil.example@example.org", "email_verified": True},
        {"sub": "1", "email": "ada@sub.example.org", "email_verified": True},
        {"sub": "1", "email": "ada@example.net", "email_verified": False},
        {"sub": "1", "email": "ada@example.net", "email_verified": "false"},
        {"sub": "1", "email": "ada@example.net"},
        {"sub": "1", "email": ["ada@example.net"], "email_verified": True},
        {"sub": "1", "groups": ["archived", "Archive"]},
        {"sub": "1", "groups": {"archive": True}},
        {"sub": "1", "name": "ada@example.net", "preferred_username": "ada@example.net"},
    ],
)
def test_nobody_else_does(claims: dict[str, Any]) -> None:
    with pytest.raises(NotAllowedError):
        loaded().person(claims)


def test_a_provider_that_says_nothing_of_verified_addresses_can_be_believed_one_that_denies_it_never() -> None:
    trusting = loaded(unverified_addresses=True)
    assert trusting.person({"sub": "1", "email": "ada@example.net"}).who == "ada@example.net"
    with pytest.raises(NotAllowedError):
        trusting.person({"sub": "1", "email": "ada@example.net", "email_verified": False})
