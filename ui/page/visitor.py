"""Who looks at the page, as the script that Streamlit runs asks it, and what they did, for the audit log.

Without sign-in everybody who reaches the page is `PAGE`. With it every run asks the session again, so that one which
has ended draws nothing of the library; the gate (`ui.page.gate`) closes its connection besides.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from ui import logs
from ui.page import shared
from ui.page.sessions import PAGE, Session, entrance

ENDS_SOON_SECONDS = 30.0
"""So long before the connection is closed the page says so itself."""


def _session() -> Session | None:
    if entrance.sessions is None:
        return None
    session = entrance.sessions.find(st.context.cookies.get(entrance.cookie, ""))
    if session is None or entrance.sessions.seconds_left(session) < ENDS_SOON_SECONDS:
        return None
    return session


def may_look() -> bool:
    """Whether this run may draw anything of the library."""
    return entrance.sessions is None or _session() is not None


def who() -> str:
    """For the audit log; "" for a session that has ended."""
    if entrance.sessions is None:
        return PAGE
    session = _session()
    return session.person.who if session else ""


def draw_ended() -> None:
    """Instead of the page, for a session that has ended."""
    shared.notice("Your session has ended.", "Sign in again to go on; a conversation with its address is kept.")
    if st.button("Sign in again", type="primary", icon=":material/login:"):
        st.login()


def draw_sign_out() -> None:
    """Who is signed in, and the way out; nothing without sign-in."""
    session = _session()
    if session is None:
        return
    shared.fine_print(f"Signed in as {session.person.name}")
    st.button("Sign out", icon=":material/logout:", type="tertiary", key="sign-out", on_click=st.logout)


@contextmanager
def acting(what: str, **counts: int) -> Iterator[None]:
    """Something that this person asked for: it has a request's id and a line in the audit log."""
    library = shared.workbench().library_folder.name
    with logs.for_request(logs.new_request_id()):
        logs.tell_who(who(), what, library=library, **counts)
        yield
