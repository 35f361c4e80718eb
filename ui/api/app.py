"""The application: routes, errors, limits, who asked what, and numbers for Prometheus."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indexing import spans
from ui import logs, wording
from ui.api import indexing_routes, library_routes, openai_routes, run_routes, work_numbers
from ui.api.access import OWNER, AccessError, AccessRules, Key, KeyFileError, allow, authorise
from ui.api.access import Scope as AccessScope
from ui.api.answers import HealthDocument, LibrariesDocument, LibraryName, VersionDocument
from ui.api.bodies import LibraryBody
from ui.api.body_limits import limited
from ui.api.description import DescribedApp, described_file, operation_id
from ui.api.libraries import Libraries
from ui.api.problems import REFUSALS, ProblemError, answer_problem
from ui.documents import Document
from ui.http_methods import method_name

_OPEN = ("/health", "/openapi.json")
"""Paths that answer everybody."""
_OF_A_LIBRARY = (library_routes.router, indexing_routes.router, run_routes.router)
_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


def build_app(
    libraries: Libraries,
    access: AccessRules,
    *,
    tools: ASGIApp | None = None,
    tools_scope: AccessScope = "read",
    origins: Sequence[str] = (),
) -> FastAPI:
    """The interface over TCP: `/v1`, `/health`, `/metrics`, and `/mcp` where `tools` are given, for keys of a scope.
    Browsers let web pages of these `origins` read its answers; what they may is what their key may."""
    app = _app(libraries, access, lifespan=_lifespan_of(tools))
    for router in _OF_A_LIBRARY:
        app.include_router(router, prefix="/v1/libraries/{library}", tags=["library"])
    app.include_router(openai_routes.router, prefix="/v1", tags=["openai"])
    _add_libraries(app)
    if tools is not None:
        app.mount("/mcp", _guarded(tools, app, tools_scope))
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return app


def build_owners_app(libraries: Libraries, access: AccessRules, *, url: str = "") -> ASGIApp:
    """The same routes for one library's socket, whose clients are its owner; `url` is where the process is seen."""
    app = _app(libraries, access)
    app.state.url = url
    for router in _OF_A_LIBRARY:
        app.include_router(router)

    async def owned(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, OWNER: True}, receive, send)

    return owned


def _app(libraries: Libraries, access: AccessRules, **more: Any) -> FastAPI:
    app = DescribedApp(
        title="Llavero",
        version=version("llavero"),
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
        **more,
    )
    app.state.libraries, app.state.access = libraries, access
    app.state.numbers = Numbers(libraries)
    for kind in (RequestValidationError, HTTPException, *REFUSALS, *wording.expected_faults(), Exception):
        app.add_exception_handler(kind, answer_problem)
    app.add_middleware(_Watched, numbers=app.state.numbers, access=access)

    @app.get("/health", response_model=HealthDocument, tags=["service"])
    def health() -> Document:
        """That the process answers; open to all, and says nothing else."""
        return {"status": "ok"}

    @app.get(
        "/metrics",
        dependencies=[allow("admin")],
        response_class=Response,
        responses=described_file("text/plain"),
        tags=["service"],
    )
    def metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(app.state.numbers.text(), media_type=CONTENT_TYPE_LATEST)

    return app


def _add_libraries(app: FastAPI) -> None:
    libraries: Libraries = app.state.libraries

    @app.get("/v1/libraries", dependencies=[allow("read")], response_model=LibrariesDocument, tags=["libraries"])
    def list_libraries(request: Request) -> Document:
        """The libraries that this key may see."""
        key: Key = request.state.key
        return {"libraries": [{"name": each.name} for each in libraries if key.opens(each.name)]}

    @app.post(
        "/v1/libraries", dependencies=[allow("admin")], status_code=201, response_model=LibraryName, tags=["libraries"]
    )
    def make_library(body: LibraryBody) -> Document:
        """A new, empty library."""
        return {"name": libraries.make(body.name).name}

    @app.delete("/v1/libraries/{library}", dependencies=[allow("admin")], status_code=204, tags=["libraries"])
    def delete_library(library: str) -> Response:
        """Delete a library that was made here; the files that it was made of stay."""
        libraries.delete(library)
        return Response(status_code=204)

    @app.get("/v1/version", dependencies=[allow("read")], response_model=VersionDocument, tags=["service"])
    def get_version() -> Document:
        """Llavero's version."""
        return {"version": app.version}


def _lifespan_of(tools: Any) -> Callable[[FastAPI], Any] | None:
    if tools is None:
        return None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with tools.router.lifespan_context(tools):
            yield

    return lifespan


def _guarded(tools: ASGIApp, app: FastAPI, needed: AccessScope) -> ASGIApp:
    """MCP's own application asks the same function as every route."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request({**scope, "app": app, "path_params": {}}, receive)
            try:
                key = authorise(request, needed)
                if not all(key.opens(each.name) for each in app.state.libraries):
                    raise ProblemError(403, "agents need a key for every library that is open here")
            except Exception as error:  # noqa: BLE001  # answered as everywhere
                await (await answer_problem(request, error))(scope, receive, send)
                return
        await tools(scope, receive, send)

    return guarded


class Numbers:
    """What is counted, in a registry of its own."""

    def __init__(self, libraries: Libraries) -> None:
        self._libraries = libraries
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "llavero_requests", "Requests answered", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "llavero_request_seconds", "From a request to its answer's end", ["route"], registry=self.registry,
            buckets=_BUCKETS,
        )  # fmt: skip
        self.under_way = Gauge("llavero_requests_under_way", "Requests being answered", registry=self.registry)
        self._files = Gauge("llavero_library_files", "Indexed files", ["library"], registry=self.registry)
        self._waiting = Gauge("llavero_index_jobs_waiting", "Jobs that wait", ["library"], registry=self.registry)
        self._model = Gauge(
            "llavero_model_requests", "Requests to the model in this process", ["library", "state"],
            registry=self.registry,
        )  # fmt: skip
        self._rate = Gauge("llavero_index_files_per_second", "Of the running job", ["library"], registry=self.registry)

    def text(self) -> bytes:
        """Prometheus's text format."""
        for each in self._libraries:
            view = each.jobs.view()
            progress = view.running.progress if view.running else None
            indexed = sum(entry.state == "indexed" for entry in each.service.bench.files())
            self._files.labels(each.name).set(indexed)
            self._waiting.labels(each.name).set(len(view.waiting))
            self._rate.labels(each.name).set(progress.files_per_second if progress else 0.0)
            running, waits = each.service.bench.model_load
            self._model.labels(each.name, "running").set(running)
            self._model.labels(each.name, "waiting").set(waits)
        return generate_latest(self.registry) + work_numbers.text()


class _Watched:
    """Around every request: its number, its key, the limits for its body, its line in the audit log, its place in the
    numbers. Nothing of a body is read for a client without a key; what a key may is asked by the route."""

    def __init__(self, app: ASGIApp, *, numbers: Numbers, access: AccessRules) -> None:
        self._app, self._numbers, self._access = app, numbers, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, method = time.monotonic(), method_name(scope["method"])
        identity = logs.new_request_id(Headers(scope=scope).get(logs.REQUEST_HEADER, ""))
        scope.setdefault("state", {})
        status = 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[logs.REQUEST_HEADER], headers["X-Content-Type-Options"] = identity, "nosniff"
            await send(message)

        self._numbers.under_way.inc()
        with logs.for_request(identity), spans.first_span("request", method=method) as work:
            try:
                await self._let_in(scope, receive, marked)
            finally:
                self._numbers.under_way.dec()
                route = getattr(scope.get("route"), "path", "") or "other"
                work.count(route=route, status=status)
                self._tell(scope, method, route, status, time.monotonic() - began)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in _OPEN and scope["method"] != "OPTIONS":
            request = Request(scope)
            try:
                self._access.key_of(request)
            except (AccessError, KeyFileError) as error:
                await (await answer_problem(request, error))(scope, receive, send)
                return
        await self._app(scope, limited(scope, receive), send)

    def _tell(self, scope: Scope, method: str, route: str, status: int, seconds: float) -> None:
        self._numbers.requests.labels(route, method, str(status)).inc()
        self._numbers.seconds.labels(route).observe(seconds)
        key: Key | None = scope["state"].get("key")
        logs.tell_who(
            key.name if key else "",
            f"{method} {route}",
            seconds=seconds,
            method=method,
            route=route,
            library=scope.get("path_params", {}).get("library", ""),
            status=status,
        )
