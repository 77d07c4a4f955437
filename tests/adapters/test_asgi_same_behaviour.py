"""An app behaves with the middleware as without it, but for our headers: odd apps, bare and observed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse, StreamingResponse
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from tests.adapters.asgi import Answer, Lifespan, ask, request

OURS = (b"x-request-id", b"x-correlation-id")
START = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"1")]}
LAST = {"type": "http.response.body", "body": b"fine"}


def sends(*messages: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def raises(error: Exception, *before: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in before:
            await send(message)
        raise error

    return app


async def sends_from_tasks(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.create_task(send(START))
    await asyncio.gather(*(send({**LAST, "more_body": True}) for _ in range(3)))
    await asyncio.wait_for(send(LAST), 5)


async def sends_late(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(LAST)
    await send(LAST)
    await asyncio.sleep(0)


async def keeps_the_scope(scope: Any, receive: Any, send: Any) -> None:
    keys = sorted(key for key in scope if not key.startswith("obs."))
    await PlainTextResponse(repr(keys))(scope, receive, send)


async def reads_all(scope: Any, receive: Any, send: Any) -> None:
    seen = [await receive()]
    await PlainTextResponse(repr(seen))(scope, receive, send)


async def clears_the_scope(scope: Any, receive: Any, send: Any) -> None:
    scope.clear()
    await send(START)
    await send(LAST)


class Returns:
    """An app whose call returns no coroutine but another awaitable."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return asyncio.ensure_future(sends(START, LAST)(scope, receive, send))


async def fine(request: Any) -> Any:
    return PlainTextResponse(
        "fine", background=BackgroundTask(lambda: request.app.state.ran.append(request.url.path))
    )


async def boom(request: Any) -> Any:
    raise LookupError("nothing there")


async def teapot(request: Any) -> Any:
    raise HTTPException(418, headers={"x-tea": "green"})


async def chunks(request: Any) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(5):
            yield str(number).encode()

    return StreamingResponse(pieces(), media_type="text/plain")


async def broken(request: Any) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        raise LookupError("nothing there")

    return StreamingResponse(pieces())


async def echo(websocket: Any) -> None:
    await websocket.accept(headers=[(b"x-room", b"1")])
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def a_file(request: Any) -> Any:
    return FileResponse(__file__)


class Base(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-base"] = "1"
        return response


async def sorry(request: Any, error: Exception) -> Any:
    return PlainTextResponse(f"sorry, {type(error).__name__}", status_code=503)


def starlette(**more: Any) -> Any:
    routes = [
        Route("/fine", fine),
        Route("/boom", boom),
        Route("/chunks", chunks),
        Route("/broken", broken),
        Route("/file", a_file),
        Mount("/static", app=StaticFiles(directory=".")),
        WebSocketRoute("/echo", echo),
    ]
    app = Starlette(routes=routes, **more)
    app.state.ran = []
    app.add_middleware(Base)
    app.add_middleware(GZipMiddleware, minimum_size=1)
    return app


def fastapi(**more: Any) -> Any:
    app, sub = FastAPI(**more), FastAPI()
    app.state.ran = []

    async def user(request: Request) -> AsyncIterator[str]:
        try:
            yield "jane"
        except LookupError:
            app.state.ran.append("seen by the dependency")
            raise

    @app.get("/items/{number}")
    async def item(number: int, who: str = Depends(user)) -> dict[str, Any]:
        if number == 13:
            raise LookupError("nothing there")
        return {"number": number, "who": who}

    @app.get("/redirect")
    def redirect() -> Any:
        return RedirectResponse("/items/1")

    app.add_api_route("/teapot", teapot)
    app.add_api_route("/chunks", chunks)
    sub.add_api_route("/boom", boom)
    app.mount("/sub", sub)
    return app


ODD: dict[str, Callable[[], Any]] = {
    "no headers": lambda: sends({"type": "http.response.start", "status": 204}, LAST),
    "headers of a generator": lambda: sends({**START, "headers": iter([(b"a", b"1"), (b"a", b"2")])}, LAST),
    "headers of lists": lambda: sends({**START, "headers": [[b"A", b"1"]]}, LAST),
    "headers of text": lambda: sends({**START, "headers": [("a", "1")]}, LAST),
    "our names": lambda: sends({**START, "headers": [(b"X-Request-ID", b"theirs")]}, LAST),
    "status of an enum": lambda: sends({**START, "status": HTTPStatus.ACCEPTED}, LAST),
    "status of text": lambda: sends({**START, "status": "202"}, LAST),
    "status of a phrase": lambda: sends({**START, "status": "202 Accepted"}, LAST),
    "no status": lambda: sends({"type": "http.response.start"}, LAST),
    "body of none": lambda: sends(START, {"type": "http.response.body", "body": None}),
    "no body": lambda: sends(START, {"type": "http.response.body"}),
    "body of a memoryview": lambda: sends(START, {**LAST, "body": memoryview(b"fine")}),
    "body of a bytearray": lambda: sends(
        START, {**LAST, "body": bytearray(b"fine"), "more_body": True}, LAST
    ),
    "unknown message": lambda: sends(START, {"type": "http.response.confetti", "colour": "red"}, LAST),
    "trailers": lambda: sends(
        {**START, "trailers": True}, LAST, {"type": "http.response.trailers", "headers": [(b"b", b"2")]}
    ),
    "early hint": lambda: sends({"type": "http.response.early_hint", "links": [b"<a>"]}, START, LAST),
    "two starts": lambda: sends(START, {**START, "status": 500}, LAST),
    "nothing": lambda: sends(),
    "start alone": lambda: sends(START),
    "after the end": lambda: sends_late,
    "from tasks": lambda: sends_from_tasks,
    "keys of the scope": lambda: keeps_the_scope,
    "what is received": lambda: reads_all,
    "an empty scope": lambda: clears_the_scope,
    "no coroutine": Returns,
    "fails in the middle": lambda: raises(LookupError("nothing"), START, {**LAST, "more_body": True}),
}


def without_ours(message: Any) -> Any:
    if "headers" not in message:
        return message
    fields = [tuple(field) for field in message["headers"]]
    kept = [field for field in fields if field[0] not in OURS]
    message = {**message, "headers": kept}
    return {key: value for key, value in message.items() if key != "headers" or value}


def told(answer: Answer) -> Any:
    return [without_ours(message) for message in answer.messages], repr(answer.error)


@pytest.mark.parametrize("name", ODD)
def test_odd_app_behaves_as_without_us(observer: Observer, name: str) -> None:
    make = ODD[name]
    observed = ObservabilityMiddleware(make(), observer=observer)
    bare, ours = (asyncio.run(ask(app, "/x")) for app in (make(), observed))
    assert told(ours) == told(bare)


SCOPES: dict[str, dict[str, Any]] = {
    "no headers": {"headers": None},
    "no path": {"path": None},
    "no method": {"method": None},
    "text headers": {"headers": [("host", "shop.test")]},
    "headers of a tuple": {"headers": ((b"host", b"shop.test"),)},
    "client of text": {"client": "192.0.2.1"},
    "path of bytes": {"path": b"/x"},
    "root path of bytes": {"root_path": b"/gw"},
    "query of text": {"query_string": "a=1"},
    "version of a number": {"http_version": 1.1},
    "method in lower case": {"method": "get"},
    "unknown method": {"method": "BREW"},
    "empty path": {"path": ""},
    "surrogates": {"path": "/\ud800"},
}


@pytest.mark.parametrize("fails", [False, True])
def test_scope_that_cannot_be_written_to_is_served_as_without_us(
    observer: Observer, access: list[Any], fails: bool
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        if fails:
            raise LookupError("nothing there")
        await send({"type": "http.response.body", "body": b"fine"})

    async def drive(app: Any) -> Any:
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(without_ours(message))

        with suppress(LookupError):
            await app(MappingProxyType(request("/x")), None, send)
        return messages

    ours = asyncio.run(drive(ObservabilityMiddleware(app, observer=observer)))
    assert ours == asyncio.run(drive(app))
    assert [(line.status, line.error_type) for line in access] == [(200, "LookupError" if fails else None)]
    page = generate_latest(observer.registry).decode()
    assert 'http_server_active_requests{http_request_method="GET",url_scheme="http"} 0.0' in page


@pytest.mark.parametrize("name", SCOPES)
@pytest.mark.parametrize("is_missing", [True, False])
def test_odd_scope_is_served_as_without_us(observer: Observer, name: str, is_missing: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen = [(key, scope[key]) for key in sorted(scope) if not key.startswith("obs.")]
        await send(START)
        await send({"type": "http.response.body", "body": repr(seen).encode("utf-8", "replace")})

    def scope() -> dict[str, Any]:
        made = {**request("/x"), **SCOPES[name]}
        if is_missing:
            made = {key: value for key, value in made.items() if value is not None}
        return made

    async def drive(app: Any) -> Any:
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(without_ours(message))

        async def receive() -> Any:
            return {"type": "http.request"}

        await app(scope(), receive, send)
        return messages

    observed = ObservabilityMiddleware(app, observer=observer)
    assert asyncio.run(drive(observed)) == asyncio.run(drive(app))


def added(app: Any, observer: Observer) -> Any:
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    return app


def wrapped(app: Any, observer: Observer) -> Any:
    return ObservabilityMiddleware(app, observer=observer)


APPS: dict[str, Callable[[], Any]] = {
    "Starlette": starlette,
    "Starlette in debug": lambda: starlette(debug=True),
    "Starlette with a handler": lambda: starlette(exception_handlers={Exception: sorry, 404: sorry}),
    "FastAPI": fastapi,
    "FastAPI with a handler": lambda: fastapi(exception_handlers={LookupError: sorry}),
}
PATHS = (
    *("/fine", "/boom", "/chunks", "/broken", "/file", "/static/pyproject.toml", "/static/none", "/nowhere"),
    *(
        "/items/1",
        "/items/x",
        "/items/13",
        "/redirect",
        "/teapot",
        "/sub/boom",
        "/sub/nowhere",
        "/openapi.json",
    ),
)
ECHO = [{"type": "websocket.receive", "text": "hello"}, {"type": "websocket.disconnect", "code": 1000}]


@pytest.mark.parametrize("name", APPS)
@pytest.mark.parametrize("how", [added, wrapped])
@pytest.mark.parametrize("has_lifespan", [True, False])
def test_app_of_a_framework_behaves_as_without_us(
    observer: Observer, name: str, how: Any, has_lifespan: bool
) -> None:
    """Every answer, exception and background task, whatever comes first."""

    async def run(app: Any, path: str) -> Any:
        if not has_lifespan:
            return [
                await ask(app, path),
                await ask(app, "/echo", type="websocket", scheme="ws", incoming=ECHO),
            ]
        async with Lifespan(app) as lifespan:
            return [*(await run_all(app, path)), lifespan.messages]

    async def run_all(app: Any, path: str) -> Any:
        return [await ask(app, path), await ask(app, "/echo", type="websocket", scheme="ws", incoming=ECHO)]

    for path in PATHS:
        bare = APPS[name]()
        inner = APPS[name]()
        observed = how(inner, observer)
        theirs, ours = (asyncio.run(run(app, path)) for app in (bare, observed))
        if "debug" in name and path == "/boom":  # its page shows the frames, ours among them
            assert ours[0].status == theirs[0].status == 500
            continue
        assert [told(one) for one in ours[:2]] == [told(one) for one in theirs[:2]], path
        assert ours[2:] == theirs[2:], path
        assert inner.state.ran == bare.state.ran, path
