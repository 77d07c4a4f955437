"""Call an app in process, as a server would, with no socket in between.

Every request has the same headers, those of a browser behind a proxy; none of them continues a trace.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

HEADERS = {
    "host": "shop.example.com",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "accept": "application/json, text/plain, */*",
    "accept-language": "en-GB,en;q=0.7,de;q=0.3",
    "accept-encoding": "gzip, deflate, br",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-proto": "https",
    "cache-control": "no-cache",
}
# A scraper's, which comes through no proxy.
SCRAPE_HEADERS = {name: value for name, value in HEADERS.items() if not name.startswith("x-forwarded-")}
QUERY = "page=2&sort=price"


class Answer(NamedTuple):
    """A whole response; the names of its headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Driver(Protocol):
    """What calls the app."""

    def repeat(self, path: str, count: int) -> None:
        """Request one path again and again."""

    def ask(self, path: str, *, method: str = "GET", headers: Mapping[str, str] = HEADERS) -> Answer:
        """Return the answer to one request."""


def driver(app: Any, *, is_asgi: bool) -> Driver:
    """Return what calls the app."""
    return Asgi(app) if is_asgi else Wsgi(app)


class Asgi:
    """Call an ASGI app inside one event loop."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._never = asyncio.Event()
        self._lifespan = self._loop.create_task(self._live())
        self._loop.run_until_complete(asyncio.sleep(0.01))

    def repeat(self, path: str, count: int) -> None:
        self._loop.run_until_complete(self._repeat(path, count))

    def ask(self, path: str, *, method: str = "GET", headers: Mapping[str, str] = HEADERS) -> Answer:
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)

        self._loop.run_until_complete(self._app(scope(path, method, headers), self._receive(), send))
        sent = {name.decode().lower(): value.decode() for name, value in messages[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in messages[1:])
        return Answer(messages[0]["status"], sent, body)

    def close(self) -> None:
        """End the loop; the app is not told."""
        self._lifespan.cancel()
        self._loop.run_until_complete(asyncio.gather(self._lifespan, return_exceptions=True))
        self._loop.close()

    def run(self, coroutine: Any) -> Any:
        """Run something else in the loop."""
        return self._loop.run_until_complete(coroutine)

    async def call(self, path: str, headers: Mapping[str, str] = HEADERS) -> None:
        """Make one request inside the loop and forget its answer."""
        await self._app(scope(path, "GET", headers), self._receive(), _forget)

    async def _repeat(self, path: str, count: int) -> None:
        app, template, receive = self._app, scope(path, "GET", HEADERS), self._receive
        headers = template["headers"]
        for _ in range(count):
            await app({**template, "headers": headers.copy(), "state": {}}, receive(), _forget)

    def _receive(self) -> Any:
        is_first = True

        async def receive() -> Any:
            nonlocal is_first
            if is_first:
                is_first = False
                return {"type": "http.request", "body": b"", "more_body": False}
            return await self._never.wait()  # the client stays

        return receive

    async def _live(self) -> None:
        events = iter([{"type": "lifespan.startup"}])

        async def receive() -> Any:
            event = next(events, None)
            return event or await self._never.wait()

        with suppress(ValueError):  # Django has no lifespan
            await self._app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, _forget)


class Wsgi:
    """Call a WSGI app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def repeat(self, path: str, count: int) -> None:
        app, template = self._app, environ(path, "GET", HEADERS)
        for _ in range(count):
            body = app({**template, "wsgi.input": io.BytesIO()}, _start_response)
            for _piece in body:
                pass
            if hasattr(body, "close"):
                body.close()

    def ask(self, path: str, *, method: str = "GET", headers: Mapping[str, str] = HEADERS) -> Answer:
        told: list[Any] = []

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
            told[:] = [int(status[:3]), {name.lower(): value for name, value in headers}]

        body = self._app({**environ(path, method, headers), "wsgi.input": io.BytesIO()}, start_response)
        content = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return Answer(told[0], told[1], content)


def scope(path: str, method: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return a scope as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "state": {},
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": QUERY.encode(),
    }


def environ(path: str, method: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return an environ as gunicorn makes it."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": f"{path}?{QUERY}",
        "QUERY_STRING": QUERY,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_SOFTWARE": "gunicorn",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }


async def _forget(message: Any) -> None:
    pass


def _start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
    return _write


def _write(data: bytes) -> None:
    pass
