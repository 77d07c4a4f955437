"""The seven front ends: how each makes its app, what its routes are called, and what it cannot have.

A behaviour asks for what it needs with `@pytest.mark.needs("websocket")`; a front end that declares this absent is not
collected for it, and the table says why.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette

from tests.apps import probe
from tests.conformance.messages import Request, Response, through_asgi, through_wsgi
from tests.conformance.servers import AsgiServer, Lifespan, Server, WsgiServer


@dataclass(frozen=True)
class FrontEnd:
    """One way to serve the probe app."""

    name: str
    label: str
    module: str
    is_asgi: bool
    routes: Mapping[str, str]
    absent: Mapping[str, str] = field(default_factory=dict)
    early_rejection: tuple[Request, int] = (Request(), 0)
    many: int = 10_000  # how many requests show that a series is bounded

    def make_app(self, observer: Any, options: probe.Options = probe.Options()) -> Any:
        """Return the probe app observed by this observer, or by the default one."""
        return importlib.import_module(self.module).make_app(observer, options)

    def make_bare_app(self, options: probe.Options = probe.Options()) -> Any:
        """Return the probe app as if we did not exist."""
        return importlib.import_module(self.module).make_bare_app(options)

    def make_server(self) -> Server:
        """Return a running server of the right kind."""
        return AsgiServer() if self.is_asgi else WsgiServer()

    def call(self, app: Any, request: Request) -> Response:
        """Hand one request to the app, in this process and with nothing between."""
        return self.call_all(app, [request])[0]

    def call_all(self, app: Any, requests: Iterable[Request]) -> list[Response]:
        """Hand requests to the app one after the other."""
        if not self.is_asgi:
            return [through_wsgi(app, request) for request in requests]
        return self.run(app, lambda: _one_by_one(app, requests))

    def run(self, app: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        """Run a coroutine function with the ASGI app started."""

        async def started() -> Any:
            lifespan = Lifespan(app)
            await lifespan.start()
            try:
                return await work()
            finally:
                await lifespan.stop()

        return asyncio.run(started())


async def _one_by_one(app: Any, requests: Iterable[Request]) -> list[Response]:
    return [await through_asgi(app, request) for request in requests]


def _is_older(package: str, bound: tuple[int, ...]) -> bool:
    numbers = version(package).split(".")[: len(bound)]
    return tuple(int("".join(filter(str.isdigit, number)) or 0) for number in numbers) < bound


def _limits_bodies(app: type) -> bool:
    """Tell whether the framework itself can refuse a large body."""
    return "max_body_size" in inspect.signature(app).parameters


TOO_LARGE = Request(b"/echo", b"POST", body=b"x" * 2000)
MAX_BODY_BYTES = 1000

_RAW = {
    "router": "a raw app has no routers: it names its routes itself",
    "mount": "a raw app has no mounts: it names its routes itself",
    "early rejection": "a raw app has no framework that could refuse a request before it",
}
_NO_ASGI = {
    "asgi": "WSGI",
    "websocket": "WSGI has no websockets",
    "background": "WSGI has no background tasks",
    "cancellation": "WSGI requests are not cancelled",
    "thread pool": "WSGI has sync views alone",
}
_ASGI = {"wsgi": "ASGI has no body object to close"}
_NO_POOL = {"thread pool": "a raw app has no thread pool"}
_NOT_FASTAPI = {"native telemetry": "FastAPI alone has telemetry of its own"}
_ONE_DJANGO = {"two apps": "a process has one Django app, by Django's own design"}
_NO_BODY_LIMIT = {"early rejection": "this version has no limit for bodies"}

_ROUTES = {
    "item": "/items/{i}",
    "user": "/api/v1/users/{uid}",
    "thing": "/sub/things/{x}",
    "slashed": "/slashed/{i}/",
}
_FLASK_ROUTES = {
    "item": "/items/<int:i>",
    "user": "/api/v1/users/<uid>",
    "thing": "/sub/things/<x>",
    "slashed": "/slashed/<int:i>/",
}
_BAD_HOST = (Request(b"/items/1", host=b"evil.test"), 400)


def _django_disconnects() -> dict[str, str]:
    if _is_older("Django", (5, 0)):
        return {"disconnect": "Django 4.2 under ASGI does not ask whether the client is still there"}
    return {}


FRONT_ENDS = (
    FrontEnd(
        "asgi",
        "raw ASGI",
        "tests.apps.asgi_raw",
        True,
        _ROUTES,
        {**_RAW, **_ASGI, **_NOT_FASTAPI, **_NO_POOL},
    ),
    FrontEnd(
        "starlette",
        "Starlette",
        "tests.apps.starlette_app",
        True,
        _ROUTES,
        {**_ASGI, **_NOT_FASTAPI, **({} if _limits_bodies(Starlette) else _NO_BODY_LIMIT)},
        (TOO_LARGE, 413),
    ),
    FrontEnd(
        "fastapi",
        "FastAPI",
        "tests.apps.fastapi_app",
        True,
        _ROUTES,
        {
            **_ASGI,
            **({} if _limits_bodies(FastAPI) else _NO_BODY_LIMIT),
            **(
                {"native telemetry": "FastAPI before 0.142 has none"}
                if _is_older("fastapi", (0, 142))
                else {}
            ),
        },
        (TOO_LARGE, 413),
    ),
    FrontEnd(
        "wsgi",
        "raw WSGI",
        "tests.apps.wsgi_raw",
        False,
        _ROUTES,
        {**_RAW, **_NO_ASGI, **_NOT_FASTAPI},
    ),
    FrontEnd(
        "flask",
        "Flask",
        "tests.apps.flask_app",
        False,
        _FLASK_ROUTES,
        {**_NO_ASGI, **_NOT_FASTAPI},
        (TOO_LARGE, 413),
    ),
    FrontEnd(
        "django_wsgi",
        "Django sync",
        "tests.apps.django_app.wsgi",
        False,
        _FLASK_ROUTES,
        {**_NO_ASGI, **_NOT_FASTAPI, **_ONE_DJANGO},
        _BAD_HOST,
        many=1_000,  # which take a millisecond each
    ),
    FrontEnd(
        "django_asgi",
        "Django async",
        "tests.apps.django_app.asgi",
        True,
        _FLASK_ROUTES,
        {
            **_ASGI,
            **_NOT_FASTAPI,
            **_ONE_DJANGO,
            "websocket": "Django has no websockets",
            "thread pool": "asked by the view's own sync_to_async",
            "background": "Django has no background tasks that run in the request",
            "no thread": "Django's ASGI handler itself starts a thread for each request",
            "raw query": "Django refuses it before any middleware runs",
            "send": "Django's middleware has ended when the body is sent",
            **_django_disconnects(),
        },
        _BAD_HOST,
        many=1_000,  # which take milliseconds each
    ),
)
