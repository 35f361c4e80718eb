"""The gate of a page to which people sign in: without a session nothing behind it answers, whatever it is.

It stands behind the guard of `ui.page.server` and before Streamlit. Open to all are the health check and the way in:

    /sign-in ─► /auth/login (Streamlit) ─► the provider ─► /oauth2callback (Streamlit) ─► a session or a no
    /auth/logout (Streamlit) ─► the session ends, here and at the provider

Everything else (the page itself, its WebSocket, uploads, media, Streamlit's own files) needs the session's cookie, and
a WebSocket is closed when its session ends. Streamlit does the protocol (Authlib); the cookies that it makes of it stay
in the server's memory and never reach a browser.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.user_info import generate_login_redirect_url
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from ui import logs
from ui.page import entrance
from ui.page.sessions import Session, Sessions
from ui.page.watched import WHO
from ui.sign_in import CALLBACK, NotAllowedError, Person, SignIn

HEALTH = "/_stcore/health"
SIGN_IN, LOGIN, LOGOUT = "/sign-in", "/auth/login", "/auth/logout"
_NO_SESSION = "Sign in to Llavero first.\n"
_LOOKS_AGAIN_SECONDS = 1.0
_POLICY_VIOLATION = 1008


def streamlits_secrets(sign_in: SignIn) -> dict[str, Any]:
    """What `st.login` is set up with. Its cookies are signed with a secret of this process alone."""
    return {
        "auth": {
            "redirect_uri": sign_in.redirect_url,
            "cookie_secret": secrets.token_urlsafe(32),
            "client_id": sign_in.client_id,
            "client_secret": sign_in.secret,
            "server_metadata_url": sign_in.description_url,
            "client_kwargs": {"scope": " ".join(sign_in.scopes), "prompt": "select_account"},
        }
    }


class Gate:
    """The middleware; `sessions` are shared with the script that Streamlit runs."""

    def __init__(self, app: ASGIApp, *, sign_in: SignIn, sessions: Sessions) -> None:
        self._app, self._sign_in, self._sessions = app, sign_in, sessions
        self._cookie = cookie_name(sign_in)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the way in, let through who is signed in, and refuse everything else."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        value = HTTPConnection(scope).cookies.get(self._cookie, "")
        session = self._sessions.find(value)
        if session is not None:
            scope[WHO] = session.person.who
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send, value, session)
            return
        answer = await self._way_in(scope, receive, value, session)
        if answer is not None:
            await answer(scope, receive, send)
        elif session is not None or (scope["path"] == HEALTH and scope["method"] in ("GET", "HEAD")):
            await self._app(_without_theirs(scope), receive, send)
        else:
            await _refusal(scope)(scope, receive, send)

    async def _way_in(self, scope: Scope, receive: Receive, value: str, session: Session | None) -> Response | None:
        """The answer of one of the paths by which people come and go; None for another path."""
        path = scope["path"]
        if path not in (SIGN_IN, LOGIN, CALLBACK, LOGOUT):
            return None
        if scope["method"] != "GET":
            return PlainTextResponse("Only GET is answered here.\n", 405)
        if path == SIGN_IN:
            return RedirectResponse(generate_login_redirect_url("default"), 303)
        if path == LOGIN:
            found = await _collected(self._app, _without_theirs(scope), receive)
            return found.response() if found.status in (302, 303) else _page(entrance.provider_silent(), 503)
        if path == LOGOUT:
            return await self._sign_out(scope, receive, value, session)
        return await self._come_back(scope, receive, value)

    async def _sign_out(self, scope: Scope, receive: Receive, value: str, session: Session | None) -> Response:
        """A link on another site signs nobody out."""
        if Headers(scope=scope).get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("Only Llavero's own page signs people out.\n", 403)
        if session is None:
            return RedirectResponse("/", 303)
        self._sessions.end(value)
        logs.tell_who(session.person.who, "sign out")
        found = await _collected(self._app, _without_theirs(scope, session.provider_cookies), receive)
        target = found.headers.get("location", "/") if found.status in (302, 303) else "/"
        answer = RedirectResponse(target, 303)
        answer.delete_cookie(self._cookie, secure=self._sign_in.over_tls, httponly=True, samesite="lax")
        return answer

    async def _come_back(self, scope: Scope, receive: Receive, value: str) -> Response:
        """From the provider, with a person, with an error, or after a sign-out with neither."""
        found = await _collected(self._app, _without_theirs(scope), receive)
        brought = _cookies_set(found.headers)
        claims = _claims(brought)
        if not claims:
            asked = parse_qs(scope["query_string"].decode("latin-1"))
            if "state" not in asked and "error" not in asked:
                return RedirectResponse("/", 303)
            logs.tell_who("", "sign in", state="failed")
            return _page(entrance.failed(), 401)
        try:
            person = self._sign_in.person(claims)
        except NotAllowedError as error:
            logs.tell_who(error.who, "sign in", state="refused")
            return _page(entrance.not_allowed(error.who, str(error)), 403)
        self._sessions.end(value)  # the browser's former one, whoever's it was
        return self._welcome(person, brought, found)

    def _welcome(self, person: Person, brought: Mapping[str, str], found: "_Collected") -> Response:
        logs.tell_who(person.who, "sign in", state="done")
        value = self._sessions.begin(person, brought)
        answer = found.response(without_cookies=USER_COOKIE_NAME)
        answer.set_cookie(
            self._cookie,
            value,
            max_age=self._sign_in.session_minutes * 60,
            path="/",
            secure=self._sign_in.over_tls,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def _socket(self, scope: Scope, receive: Receive, send: Send, value: str, session: Session | None) -> None:
        if session is None:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        began = time.monotonic()
        watched = _WatchedSocket(receive, send, lambda: self._sessions.find(value) is not None)
        try:
            await self._app(_without_theirs(scope), watched.receive, watched.send)
        finally:
            watched.forget()
            logs.tell_who(session.person.who, "page closed", seconds=time.monotonic() - began)


class _WatchedSocket:
    """A WebSocket that is closed once its session has ended, whether anybody says something or not."""

    def __init__(self, receive: Receive, send: Send, holds: Any) -> None:
        self._receive, self._send, self._holds = receive, send, holds
        self._next: asyncio.Future[Message] | None = None
        self._closed = False

    async def receive(self) -> Message:
        """The next message; a disconnect as soon as the session has ended."""
        while not self._closed:
            if self._next is None:
                self._next = asyncio.ensure_future(self._receive())
            await asyncio.wait({self._next}, timeout=_LOOKS_AGAIN_SECONDS)
            if not self._holds():
                self._closed = True
                await self._send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            elif self._next.done():
                message, self._next = self._next.result(), None
                return message
        return {"type": "websocket.disconnect", "code": _POLICY_VIOLATION}

    async def send(self, message: Message) -> None:
        """Nothing goes out after the session's end."""
        if not self._closed and self._holds():
            await self._send(message)

    def forget(self) -> None:
        """Nobody waits for a message any more."""
        if self._next is not None:
            self._next.cancel()


class _Collected:
    """A short answer of the application behind the gate, whole."""

    def __init__(self) -> None:
        self.status, self.raw, self.body = 0, list[tuple[bytes, bytes]](), b""

    @property
    def headers(self) -> Headers:
        return Headers(raw=self.raw)

    def response(self, *, without_cookies: str = "") -> Response:
        """The same answer, without the cookies that begin so."""
        answer = Response(self.body, self.status)
        prefix = without_cookies.encode()
        kept = [
            (name, value)
            for name, value in self.raw
            if name != b"content-length" and not (prefix and name == b"set-cookie" and value.startswith(prefix))
        ]
        answer.raw_headers = [*kept, (b"content-length", str(len(self.body)).encode())]
        return answer


async def _collected(app: ASGIApp, scope: Scope, receive: Receive) -> _Collected:
    found = _Collected()

    async def take(message: Message) -> None:
        if message["type"] == "http.response.start":
            found.status, found.raw = message["status"], [(n.lower(), v) for n, v in message.get("headers", ())]
        elif message["type"] == "http.response.body":
            found.body += message.get("body", b"")

    await app(scope, receive, take)
    return found


def cookie_name(sign_in: SignIn) -> str:
    """With https a name that no other site of the domain can set; without, one for each port of this machine."""
    port = sign_in.page_url.rpartition(":")[2].strip("/")
    return "__Host-llavero" if sign_in.over_tls else f"llavero-session-{port if port.isdigit() else '80'}"


def _cookies_set(headers: Headers) -> dict[str, str]:
    """Streamlit's cookies about the person in an answer, by name."""
    found: dict[str, str] = {}
    for written in headers.getlist("set-cookie"):
        for name, morsel in SimpleCookie(written).items():
            if name.startswith(USER_COOKIE_NAME) and morsel.value and morsel["max-age"] != "0":
                found[name] = morsel.value
    return found


def _claims(cookies: Mapping[str, str]) -> dict[str, Any]:
    """What the provider said, out of the cookies that Streamlit signed; empty where they say nothing."""
    secret = get_cookie_secret()

    def one(name: str) -> bytes | None:
        return decode_signed_value(secret, name, cookies[name]) if name in cookies else None

    signed = get_cookie_with_chunks(one, USER_COOKIE_NAME)
    claims = json.loads(signed) if signed else {}
    return claims if isinstance(claims, dict) and claims.get("is_logged_in") is True else {}


def _without_theirs(scope: Scope, put_in: Mapping[str, str] | None = None) -> Scope:
    """The request without cookies in Streamlit's names, which no browser was given; with those that are kept here."""
    headers = MutableHeaders(raw=list(scope["headers"]))
    written = [pair.strip() for each in headers.getlist("cookie") for pair in each.split(";")]
    kept = [pair for pair in written if pair and not pair.startswith(USER_COOKIE_NAME)]
    kept += [f"{name}={value}" for name, value in (put_in or {}).items()]
    del headers["cookie"]
    if kept:
        headers["cookie"] = "; ".join(kept)
    return {**scope, "headers": headers.raw}


def _refusal(scope: Scope) -> Response:
    """A page for a person, a line for everything else; the same whether the thing is there or not."""
    wants_page = scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
    return _page(entrance.welcome(), 401) if wants_page else PlainTextResponse(_NO_SESSION, 401)


def _page(html: str, status: int) -> HTMLResponse:
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})
