"""Who may do what: one function that every route asks (`allow`), and the keys that people hand out.

A request that came through the socket in a library's folder is its owner's and may do everything. Over TCP a key in
`Authorization: Bearer …` says what it may: its scope, and the libraries it is for. Where no key was ever made, only
this machine is answered, and only requests that name it as their host and come from no web page; they may read and
write, but name no paths of this machine.

Keys are random, so their SHA-256 is kept and nothing else of them. A key is shown once, when it is made.
"""

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from fastapi import Depends, Request

from llava_model.serving.http.access_control import is_this_machine, names_this_machine

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each holds those before it: read searches and asks, write adds and removes files, admin names paths and libraries."""
OWNER = "llavero.owner"
"""Set in the scope of requests that came through the library's own socket."""
_PREFIX = "llv_"
_ANY = "*"


class AccessError(Exception):
    """The request is refused. `status` is 401, 403 or 429."""

    def __init__(self, status: int, message: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.status, self.retry_after_seconds = status, retry_after_seconds


class KeyFileError(Exception):
    """The file with the keys cannot be read or written, or has no such key."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """What a key may; `digest` is the SHA-256 of the key itself, in hex."""

    name: str
    scope: Scope
    libraries: tuple[str, ...] = (_ANY,)
    digest: str = ""
    made: str = ""
    expires: str = ""  # a date, "" for never

    def opens(self, library: str) -> bool:
        """Whether it is for this library."""
        return _ANY in self.libraries or library in self.libraries

    @property
    def has_expired(self) -> bool:
        """Its date has passed."""
        return bool(self.expires) and self.expires <= datetime.now(UTC).date().isoformat()


OWNERS_KEY = Key(name="owner", scope="admin")
LOCAL_KEY = Key(name="this machine", scope="write")


class KeyFile:
    """Keys on disk, readable by their user alone; read again when the file has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._read: tuple[int, tuple[Key, ...]] = (-1, ())

    def all(self) -> tuple[Key, ...]:
        """All keys. Raises KeyFileError for a file that is damaged."""
        with self._lock:
            try:
                changed = self.path.stat().st_mtime_ns
            except FileNotFoundError:
                return ()
            except OSError as error:
                raise KeyFileError(f"the keys in {self.path} cannot be read: {error.strerror}") from error
            if changed != self._read[0]:
                self._read = changed, self._load()
            return self._read[1]

    def find(self, given: str) -> Key | None:
        """The key that this is; each comparison takes the same time."""
        digest = _digest(given)
        found = [key for key in self.all() if hmac.compare_digest(key.digest, digest)]
        return found[0] if found else None

    def add(self, name: str, scope: Scope, libraries: tuple[str, ...] = (), expires: str = "") -> str:
        """→ the new key itself, which is nowhere kept. Raises KeyFileError where the name is taken."""
        keys = self.all()
        if any(key.name == name for key in keys):
            raise KeyFileError(f"there is a key named '{name}' already")
        given = _PREFIX + secrets.token_urlsafe(32)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        key = Key(
            name=name, scope=scope, libraries=libraries or (_ANY,), digest=_digest(given), made=made, expires=expires
        )
        self._write([*keys, key])
        return given

    def remove(self, name: str) -> None:
        """It is refused from now on. Raises KeyFileError where there is none of that name."""
        keys = self.all()
        if all(key.name != name for key in keys):
            raise KeyFileError(f"there is no key named '{name}'")
        self._write([key for key in keys if key.name != name])

    def _load(self) -> tuple[Key, ...]:
        try:
            found = [
                Key(**{**each, "libraries": tuple(each["libraries"])}) for each in json.loads(self.path.read_text())
            ]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise KeyFileError(f"the keys in {self.path} cannot be read: {error}") from error
        if wrong := [key.name for key in found if key.scope not in SCOPES]:
            raise KeyFileError(f"the key '{wrong[0]}' in {self.path} has an unknown scope")
        return tuple(found)

    def _write(self, keys: list[Key]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump([asdict(key) for key in keys], file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            raise KeyFileError(f"the keys in {self.path} cannot be written: {error.strerror}") from error


def default_key_file() -> Path:
    """Where keys lie unless another file is named."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "llavero" / "keys.json"


class RateLimit:
    """So many requests a minute for each key; a bucket that fills evenly. Safe to call from several threads."""

    def __init__(self, per_minute: int) -> None:
        self._per_second, self._most = per_minute / 60, float(per_minute)
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, who: str) -> None:
        """Raises AccessError (429) with the seconds until the next one."""
        with self._lock:
            now = time.monotonic()
            left, since = self._left.get(who, (self._most, now))
            left = min(self._most, left + (now - since) * self._per_second)
            if left < 1:
                wait = (1 - left) / self._per_second
                raise AccessError(429, "too many requests with this key", retry_after_seconds=wait)
            self._left[who] = left - 1, now


@dataclass(frozen=True, kw_only=True)
class AccessRules:
    """What `allow` looks at; one for each application."""

    keys: KeyFile
    rate: RateLimit

    def key_of(self, request: Request) -> Key:
        """Whose request this is. Raises AccessError."""
        if request.scope.get(OWNER):
            return OWNERS_KEY
        keys = self.keys.all()
        if not keys:
            _check_local(request)
            return LOCAL_KEY
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        key = self.keys.find(given.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise AccessError(401, "the key is missing or wrong")
        if key.has_expired:
            raise AccessError(401, f"the key '{key.name}' has expired")
        return key


def authorise(request: Request, scope: Scope) -> Key:
    """The key of a request that may do what needs this scope, in the library that its path names. Raises AccessError.

    The key is put into the request's state, for those that list what it may see.
    """
    rules: AccessRules = request.app.state.access
    key = rules.key_of(request)
    rules.rate.take(key.name)
    if SCOPES.index(key.scope) < SCOPES.index(scope):
        raise AccessError(403, f"this needs a key with the scope '{scope}'; '{key.name}' has '{key.scope}'")
    library = request.path_params.get("library")
    if library is not None and not key.opens(library):
        raise AccessError(403, f"the key '{key.name}' is not for the library '{library}'")
    request.state.key = key
    return key


def allow(scope: Scope) -> Any:
    """For a route's `dependencies`: nobody without this scope."""

    async def check(request: Request) -> None:
        authorise(request, scope)

    return Depends(check)


def _digest(given: str) -> str:
    return hashlib.sha256(given.encode("utf-8", "surrogateescape")).hexdigest()


def _check_local(request: Request) -> None:
    """Without keys: this machine, under its own name, and no web page of another site."""
    client = request.client
    if client is None or not is_this_machine(client.host):
        raise AccessError(401, "other machines need a key: llavero key add NAME")
    if not names_this_machine(request.headers.get("host", "")):
        raise AccessError(403, "without a key only this machine is answered, under its own name")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise AccessError(403, "a web page from elsewhere may not ask this")
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise AccessError(403, "a web page from elsewhere may not ask this")


def without_secret(key: Key) -> dict[str, Any]:
    """A key as it is listed."""
    return {name: value for name, value in asdict(replace(key, digest="")).items() if name != "digest"}
