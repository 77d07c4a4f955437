"""Exceptions that a layer inside answers, or whose stream it ends as if it were whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, Router

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from tests.adapters.asgi import get, served

App = Any


async def passes(request: Any, call_next: Any) -> Any:
    return await call_next(request)


async def buffers(request: Any, call_next: Any) -> Any:
    response = await call_next(request)
    return PlainTextResponse(b"".join([piece async for piece in response.body_iterator]))


async def answers(request: Any, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except Exception:
        return PlainTextResponse("later", status_code=int(request.query_params.get("status", "503")))


async def late(request: Any) -> Any:
    """Fail in mid-stream."""

    async def pieces() -> Any:
        yield b"a"
        raise ValueError("no more")

    return StreamingResponse(pieces())


async def disk(request: Any) -> Any:
    """Fail in mid-stream as disks and upstreams do."""

    async def pieces() -> Any:
        yield b"a"
        raise TimeoutError("the upstream is slow")

    return StreamingResponse(pieces())


async def boom(request: Any) -> Any:
    raise LookupError("nothing there")


async def whole(request: Any) -> Any:
    async def pieces() -> Any:
        yield b"a"
        yield b"b"

    return StreamingResponse(pieces())


async def background(request: Any) -> Any:
    return PlainTextResponse("fine", background=BackgroundTask(boom, request))


ROUTES = [Route(f"/{view.__name__}", view) for view in (late, disk, boom, whole, background)]


def added(app: App, observer: Observer) -> App:
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    return app


def wrapped(app: App, observer: Observer) -> App:
    return ObservabilityMiddleware(app, observer=observer)


def mounted(app: App, observer: Observer) -> App:
    return added(Starlette(routes=[Mount("/", app=app)]), observer)


def asked(app: App, *paths: str) -> Any:
    return [get(app, path) for path in paths]


@pytest.fixture(params=[added, wrapped, mounted])
def observed(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[served, asked])
def call(request: pytest.FixtureRequest) -> Any:
    """Call an app that was started, or one whose first event is the request."""
    return request.param


def made(kind: Any, *dispatches: Any) -> App:
    layers = [Middleware(BaseHTTPMiddleware, dispatch=dispatch) for dispatch in dispatches]
    return kind(routes=list(ROUTES), middleware=[*layers, Middleware(GZipMiddleware)])


def told(line: Any) -> tuple[Any, ...]:
    return line.status, line.outcome, line.error_type


@pytest.mark.parametrize("kind", [Starlette, FastAPI])
@pytest.mark.parametrize("dispatches", [(passes,), (passes, passes), (buffers, passes)])
def test_stream_that_a_layer_ends_after_its_failure_is_an_error(
    observer: Observer, access: list[Any], call: Any, observed: Any, kind: Any, dispatches: Any
) -> None:
    """The client has the beginning with a proper end, or a 500 of an older Starlette; what was sent stays as it is."""
    paths = ("/late", "/whole", "/disk", "/late")
    bare = call(made(kind, *dispatches), *paths)
    ours = call(observed(made(kind, *dispatches), observer), *paths)
    assert [(one.status, one.body, type(one.error)) for one in ours] == [
        (one.status, one.body, type(one.error)) for one in bare
    ]
    late, whole, disk, again = (one.status for one in ours)
    assert [told(line) for line in access] == [
        (late, "error", "ValueError"),
        (whole, "ok", None),
        (disk, "error", "TimeoutError"),
        (again, "error", "ValueError"),
    ]


def test_error_that_a_layer_answers_has_its_name(
    observer: Observer, access: list[Any], call: Any, observed: Any
) -> None:
    call(observed(made(Starlette, answers), observer), "/boom", "/whole", "/boom")
    assert [told(line) for line in access] == [
        (503, "error", "LookupError"),
        (200, "ok", None),
        (503, "error", "LookupError"),
    ]


def test_error_that_a_layer_makes_good_is_none(observer: Observer, access: list[Any], observed: Any) -> None:
    served(observed(made(Starlette, answers), observer), "/boom", query_string=b"status=200")
    assert [told(line) for line in access] == [(200, "ok", None)]


def test_background_task_that_fails_says_nothing_of_the_response(
    observer: Observer, access: list[Any], observed: Any
) -> None:
    served(observed(made(Starlette, passes), observer), "/background")
    assert [told(line) for line in access] == [(200, "ok", None)]


def test_oserror_of_a_stream_has_its_name(observer: Observer, access: list[Any], observed: Any) -> None:
    """Starlette takes it for a client that has left."""
    served(observed(Starlette(routes=ROUTES), observer), "/disk")
    assert [told(line) for line in access] == [(200, "error", "TimeoutError")]


# Connexion


class Exceptions(ExceptionMiddleware):
    """Connexion's, which answers every exception."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.add_exception_handler(Exception, self.problem)

    async def problem(self, request: Any, error: Exception) -> Any:
        return PlainTextResponse("problem", status_code=500)


Exceptions.__name__, Exceptions.__module__ = "ExceptionMiddleware", "connexion.middleware.exceptions"


class Operation:
    """What Connexion routes to, which handles no exception itself."""

    def __init__(self, view: Any) -> None:
        self._view = view

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await (await self._view(None))(scope, receive, send)


class Connexion:
    """An app that builds its stack as Connexion does."""

    __module__ = "connexion.apps"

    def __init__(self, *layers: Callable[[App], App]) -> None:
        routes = [Route("/boom", Operation(boom)), Route("/whole", Operation(whole))]
        self.app: App = Router([Mount("/v1", app=Router(routes))])
        self.middleware_stack: list[App] | None = None
        self.middlewares = layers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.middleware_stack is None:
            self.middleware_stack = [self.app]
            for layer in reversed(self.middlewares):
                self.app = layer(self.app)
                self.middleware_stack.append(self.app)
        scope["app"] = self
        await self.app(scope, receive, send)


class Routing:
    """Connexion's, which routes a copy of the scope and hands on another."""

    def __init__(self, app: App) -> None:
        self._app = app
        routes = [Route(path, self) for path in ("/boom", "/whole")]
        self._router = Router([Mount("/v1", routes=routes)])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if "original" in scope:
            await self._app(scope["original"], receive, send)
        elif scope["type"] == "http":
            await self._router({**scope, "original": dict(scope)}, receive, send)
        else:
            await self._app(scope, receive, send)


@pytest.mark.parametrize("place", ["outside", "around", "inside"])
def test_error_that_connexion_answers_has_its_name(observer: Observer, access: list[Any], place: str) -> None:
    """Wherever we are added, from the first request on; inside is where its `add_middleware` puts us."""

    def ours(app: App) -> App:
        return ObservabilityMiddleware(app, observer=observer)

    layers: Any = {"outside": (Exceptions, Routing), "around": (ours, Exceptions, Routing)}
    app: App = Connexion(*layers.get(place, (Exceptions, Routing, ours)))
    if place == "outside":
        app = ours(app)
    answers = served(app, "/v1/boom", "/v1/whole", "/v1/boom")
    assert [answer.body for answer in answers] == [b"problem", b"ab", b"problem"]
    assert [(line.route, *told(line)) for line in access] == [
        ("/v1/boom", 500, "error", "LookupError"),
        ("/v1/whole", 200, "ok", None),
        ("/v1/boom", 500, "error", "LookupError"),
    ]
