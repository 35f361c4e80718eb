"""Who may sign in to the page, and at which provider of identities (OpenID Connect); off unless it is set.

    [sign_in]                                            # llavero.toml, or LLAVERO_SIGN_IN_PROVIDER and so on
    provider = "https://id.example.org/realms/archive"   # its issuer, or the address of its description
    client_id = "llavero"
    client_secret_file = "/run/secrets/sign_in"          # or LLAVERO_SIGN_IN_CLIENT_SECRET; never in this file
    page_url = "https://llavero.example.org"             # where browsers find the page
    allow = ["@example.org", "ada@example.net", "groups=archive"]

SignIn.person tells from the claims of a provider who somebody is, and whether the rules let them in.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DESCRIPTION = "/.well-known/openid-configuration"
CALLBACK = "/oauth2callback"
_VARIABLE = "LLAVERO_SIGN_IN_"
_SECRET = f"{_VARIABLE}CLIENT_SECRET"
_LISTS = ("allow", "scopes")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_NAME = 200


class SignInError(Exception):
    """The settings of signing in make no sense; the message names the setting."""


class NotAllowedError(Exception):
    """The provider knows who it is, and no rule lets them in."""

    def __init__(self, who: str, reason: str) -> None:
        super().__init__(reason)
        self.who = who


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who signed in."""

    who: str
    """Their address, else the provider's name for them; what the audit log says."""
    name: str
    """What the page calls them."""


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """How people sign in. Raises SignInError on construction."""

    provider: str
    """The issuer's address, or the one of its description (…/.well-known/openid-configuration)."""
    client_id: str
    """Llavero's name at the provider."""
    page_url: str
    """Where browsers find the page: https, except on this machine. The provider has to know PAGE_URL/oauth2callback."""
    allow: tuple[str, ...]
    """Who may come in: addresses (`ada@example.org`), domains (`@example.org`), claims (`groups=archive`)."""
    client_secret_file: str = ""
    """The file with the client's secret; LLAVERO_SIGN_IN_CLIENT_SECRET goes before it."""
    session_minutes: int = 480
    """After which they sign in again; 5 to 44,640."""
    unverified_addresses: bool = False
    """Take addresses of which the provider does not say whether it has verified them."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    """What the provider is asked for; some send groups only when they are asked for them."""
    secret: str = field(default="", repr=False)
    """The client's secret, from the variable or the file; `load` fills it in."""

    def __post_init__(self) -> None:
        for name in ("provider", "client_id", "page_url"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise SignInError(f"'{name}' is missing")
        _check_address("provider", self.provider)
        parts = _check_address("page_url", self.page_url)
        if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
            raise SignInError(
                f"page_url: '{self.page_url}' must be a scheme and a name alone, such as https://a.example"
            )
        if not self.allow:
            raise SignInError("'allow' names nobody: give addresses, domains (@example.org) or claims (groups=archive)")
        for rule in self.allow:
            _check_rule(rule)
        if isinstance(self.session_minutes, bool) or not isinstance(self.session_minutes, int):
            raise SignInError("session_minutes must be a whole number")
        if not 5 <= self.session_minutes <= 44_640:
            raise SignInError(f"session_minutes is {self.session_minutes}, it must be between 5 and 44,640")
        if "openid" not in self.scopes:
            raise SignInError("scopes must hold 'openid'")

    @classmethod
    def load(cls, table: object, environ: Mapping[str, str] = os.environ) -> "SignIn | None":
        """From the section of llavero.toml and the environment; None where neither says anything.

        Raises SignInError.
        """
        if not isinstance(table, dict):
            raise SignInError("it must be a section, not a single value")
        known = {f.name for f in fields(cls)} - {"secret"}
        if secrets := [name for name in table if name in ("secret", "client_secret", "cookie_secret")]:
            raise SignInError(f"'{secrets[0]}' does not belong in this file: name a file as client_secret_file")
        if unknown := set(table) - known:
            raise SignInError(f"'{min(unknown)}' is not a setting; settings there: {', '.join(sorted(known))}")
        chosen: dict[str, Any] = {**table, **_from_environment(environ, known)}
        if not chosen:
            return None
        for name in _LISTS:
            if name in chosen:
                chosen[name] = _texts(name, chosen[name])
        if missing := [name for name in ("provider", "client_id", "page_url", "allow") if not chosen.get(name)]:
            raise SignInError(f"'{missing[0]}' is missing")
        return cls(**chosen, secret=_read_secret(chosen.get("client_secret_file", ""), environ))

    @property
    def description_url(self) -> str:
        """Where the provider describes itself."""
        if self.provider.rstrip("/").endswith(DESCRIPTION):
            return self.provider
        return self.provider.rstrip("/") + DESCRIPTION

    @property
    def redirect_url(self) -> str:
        """Where the provider sends browsers back to."""
        return self.page_url.rstrip("/") + CALLBACK

    @property
    def host(self) -> str:
        """The page's name in `page_url`."""
        return urlsplit(self.page_url).hostname or ""

    @property
    def over_tls(self) -> bool:
        """Whether browsers reach the page with https."""
        return self.page_url.startswith("https://")

    def person(self, claims: Mapping[str, Any]) -> Person:
        """Who the provider's claims speak of. Raises NotAllowedError where no rule lets them in."""
        address, doubt = self._address(claims)
        who = (address or str(claims.get("sub") or ""))[:_LONGEST_NAME]
        if not who:
            raise NotAllowedError("", "the provider does not say who this is")
        if not any(_fits(rule, address, claims) for rule in self.allow):
            raise NotAllowedError(who, doubt or "nobody has named this address or a group of theirs")
        named = claims.get("name") or claims.get("preferred_username") or who
        return Person(who=who, name=str(named)[:_LONGEST_NAME])

    def _address(self, claims: Mapping[str, Any]) -> tuple[str, str]:
        """→ the address that counts, "" for none; and why one that was sent does not count."""
        address, verified = claims.get("email"), claims.get("email_verified")
        if not isinstance(address, str) or address.count("@") != 1:
            return "", ""
        if verified is True or (verified is None and self.unverified_addresses):
            return address.strip().casefold(), ""
        return "", "the provider does not say that it has verified the address"


def _fits(rule: str, address: str, claims: Mapping[str, Any]) -> bool:
    claim, is_claim, wanted = rule.partition("=")
    if is_claim:
        value = claims.get(claim)
        return wanted in [str(each) for each in value] if isinstance(value, list | tuple) else value == wanted
    if not address:
        return False
    return address.partition("@")[2] == rule[1:].casefold() if rule.startswith("@") else address == rule.casefold()


def _check_address(name: str, address: str) -> Any:
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        raise SignInError(f"{name}: '{address}' is no address such as https://name.example")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise SignInError(f"{name}: '{address}' must begin with https://, or anybody on the way reads who signs in")
    return parts


def _check_rule(rule: str) -> None:
    claim, is_claim, wanted = rule.partition("=")
    if is_claim and (not claim.strip() or not wanted.strip() or claim in ("email", "email_verified")):
        raise SignInError(
            f"allow: '{rule}' is no claim and value such as groups=archive; addresses stand by themselves"
        )
    if not is_claim and (rule.count("@") != 1 or rule.endswith("@") or any(c.isspace() for c in rule)):
        raise SignInError(f"allow: '{rule}' is no address, no domain such as @example.org and no claim")


def _from_environment(environ: Mapping[str, str], known: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in known:
        written = environ.get(_VARIABLE + name.upper(), "")
        if not written:
            continue
        if name in _LISTS:
            found[name] = [part.strip() for part in written.split(",") if part.strip()]
        elif name == "session_minutes":
            found[name] = int(written) if written.isascii() and written.isdigit() else written
        elif name == "unverified_addresses":
            found[name] = written.lower() in ("1", "true", "yes")
        else:
            found[name] = written
    return found


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise SignInError(f"{name} must be a list of texts")
    return tuple(value)


def _read_secret(file: str, environ: Mapping[str, str]) -> str:
    if secret := environ.get(_SECRET, "").strip():
        return secret
    if not file:
        raise SignInError(f"the client's secret is missing: name its file as client_secret_file, or set {_SECRET}")
    try:
        secret = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SignInError(f"client_secret_file: {file} cannot be read: {error}") from error
    if not secret:
        raise SignInError(f"client_secret_file: {file} is empty")
    return secret
