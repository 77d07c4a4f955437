"""A real app behind a real server, and a layer around it that breaks one thing at a time, as proxies and apps do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer, Settings

TOKEN = "metrics-token"


class Asked(NamedTuple):
    method: str
    path: str
    query: str
    headers: dict[str, str]


class Answered(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def without(self, name: str) -> Answered:
        return self._replace(headers=[pair for pair in self.headers if pair[0].lower() != name.lower()])

    def with_header(self, name: str, value: str) -> Answered:
        return self._replace(headers=[*self.headers, (name, value)])

    def replacing(self, old: str, new: str) -> Answered:
        return self._replace(body=self.body.replace(old.encode(), new.encode())).without("content-length")


Fault = Callable[[Asked, Answered], Answered]


class FaultyApp:
    """The app, its Observer, and what is wrong with it now."""

    def __init__(self, **settings: Any) -> None:
        self.observer = Observer(
            Settings.load(env={}, log_setup="false", trace_sample_ratio=1.0, **settings),
            registry=CollectorRegistry(),
        )
        self.fault: Fault | None = None
        self.hides_proxies = False
        self.port = 0
        app = Starlette(routes=[Route("/", hello), Route("/items", hello)])
        app.add_middleware(ObservabilityMiddleware, observer=self.observer)
        self._app: Any = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self.hides_proxies:
            headers = [pair for pair in scope["headers"] if pair[0] != b"x-forwarded-for"]
            scope = {**scope, "headers": headers}
        if self.fault is None:
            await self._app(scope, receive, send)
            return
        answered = self.fault(_asked(scope), await self._answered(scope, receive))
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answered.headers]
        await send({"type": "http.response.start", "status": answered.status, "headers": raw})
        await send({"type": "http.response.body", "body": answered.body})

    async def _answered(self, scope: Any, receive: Any) -> Answered:
        start, body = {}, b""

        async def keep(message: Any) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            body += message.get("body", b"")

        await self._app(scope, receive, keep)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        return Answered(start["status"], headers, body)


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


def _asked(scope: Any) -> Asked:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Asked(scope["method"], scope["path"], scope["query_string"].decode(), headers)


@contextlib.contextmanager
def served(app: FaultyApp) -> Iterator[FaultyApp]:
    """Serve it by uvicorn in a thread, on a port of the system's choice."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app.port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=asyncio.run, args=(server.serve([listener]),), daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < deadline, "it does not start"
            time.sleep(0.01)
        try:
            yield app
        finally:
            server.should_exit = True
            thread.join(30)
