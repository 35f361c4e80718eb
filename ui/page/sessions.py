"""Who is signed in: sessions in the server's memory, each named by a random cookie, each with an end.

What the provider of identities sent (tokens, claims) stays here; browsers hold the random name alone. So a sign-out
holds at once and for good, and a restart of the server signs everybody out.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ui.sign_in import Person

MOST = 10_000
PAGE = "page"
"""Who asks, for the audit log, where nobody has to sign in."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Somebody's stay."""

    person: Person
    ends: float
    """On the clock of `Sessions`."""
    provider_cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What Streamlit would have given to the browser: it signs people out at the provider with them."""


class Sessions:
    """All sessions of one server; safe to call from any thread."""

    def __init__(self, *, minutes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = minutes * 60.0, clock
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def begin(self, person: Person, provider_cookies: Mapping[str, str]) -> str:
        """→ the cookie's value, which is nowhere kept. Of too many sessions the one that ends first goes."""
        value = secrets.token_urlsafe(32)
        with self._lock:
            now = self._clock()
            self._open = {name: each for name, each in self._open.items() if each.ends > now}
            while len(self._open) >= MOST:
                del self._open[min(self._open, key=lambda name: self._open[name].ends)]
            self._open[_name(value)] = Session(
                person=person, ends=now + self._seconds, provider_cookies=dict(provider_cookies)
            )
        return value

    def find(self, value: str) -> Session | None:
        """The session of a cookie, if it has neither ended nor been ended."""
        with self._lock:
            session = self._open.get(_name(value))
        return session if session is not None and session.ends > self._clock() else None

    def end(self, value: str) -> None:
        """Sign out."""
        with self._lock:
            self._open.pop(_name(value), None)

    def seconds_left(self, session: Session) -> float:
        """Until it ends by itself."""
        return session.ends - self._clock()


@dataclass
class _Entrance:
    sessions: Sessions | None = None
    cookie: str = ""


entrance = _Entrance()
"""Of this process; the server fills it in where people sign in."""


def _name(value: str) -> str:
    """Looked up by its checksum, so that the time of a look-up says nothing about the values there are."""
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
