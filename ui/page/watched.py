"""Around every request of the page: its id, which comes back, and its line in the audit log; no contents.

Files that belong to the page itself and its health are not worth a line. Who asks is known where people sign in.
"""

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indexing import spans
from ui import logs
from ui.http_methods import method_name
from ui.page.sessions import PAGE, entrance

WHO = "llavero.who"
"""In the scope of a request whose person is known, put there by `ui.page.gate`."""
_UNTOLD = (
    "/static",
    "/_stcore/health",
    "/_stcore/host-config",
    "/_stcore/stream",
    "/sign-in",
    "/auth",
    "/oauth2callback",
)
_KNOWN = ("/media", "/_stcore/upload_file", "/_stcore")


class Watched:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on with an id."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        identity = logs.new_request_id(Headers(scope=scope).get(logs.REQUEST_HEADER, ""))
        with logs.for_request(identity):
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
            else:
                await self._answered(scope, receive, send, identity)

    async def _answered(self, scope: Scope, receive: Receive, send: Send, identity: str) -> None:
        began, status = time.monotonic(), 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[logs.REQUEST_HEADER] = identity
            await send(message)

        method = method_name(scope["method"])
        inner = dict(scope)  # the gate notes in it who asks
        route = next((known for known in _KNOWN if _is_below(scope["path"], known)), "/")
        if any(_is_below(scope["path"], each) for each in _UNTOLD):
            await self._app(inner, receive, marked)
            return
        try:
            with spans.first_span("page.request", route=route, method=method) as work:
                await self._app(inner, receive, marked)
                work.count(status=status)
        finally:
            who = inner.get(WHO, "") or (PAGE if entrance.sessions is None else "")
            what = f"{method} {route}"
            logs.tell_who(who, what, seconds=time.monotonic() - began, status=status)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
