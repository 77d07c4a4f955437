"""The probe app on Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.websockets import WebSocket

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer, add_labels, leave_out, outgoing_headers

from . import probe


def make_app(observer: Observer | None, options: probe.Options = probe.Options()) -> Any:
    """Return the probe app with the middleware added."""
    app = make_bare_app(options)
    app.add_middleware(ObservabilityMiddleware, **probe.new_observer(observer))
    return app


def make_bare_app(options: probe.Options = probe.Options()) -> Starlette:
    """Return the probe app alone."""
    handlers: dict[Any, Any] = {probe.HandledError: handle}
    if options.catch_all:
        handlers[Exception] = catch_all
    limits: dict[str, Any] = {}
    if options.max_body_bytes is not None:
        limits["max_body_size"] = options.max_body_bytes
    return Starlette(routes=_routes(), exception_handlers=handlers, **limits)


def _routes() -> list[Any]:
    users = Router([Route("/users/{uid}", user)])
    sub = Starlette(routes=[Route("/things/{x}", thing)])
    return [
        Route("/items/{i:int}", item),
        Mount("/api/v1", app=users),
        Mount("/sub", app=sub),
        Route("/slashed/{i:int}/", slashed),
        Route("/boom", boom),
        Route("/handled", handled),
        Route("/teapot", teapot),
        Route("/bg", background),
        Route("/stream", stream),
        Route("/stream/long", stream_long),
        Route("/stream/broken", stream_broken),
        Route("/slow", slow),
        Route("/log", log),
        Route("/whoami", whoami),
        Route("/whoami/sync", whoami_sync),
        Route("/outgoing", outgoing),
        Route("/query", query),
        Route("/own-id", own_id),
        Route("/left-out", left_out),
        Route("/labelled", labelled),
        Route("/session", session),
        Route("/echo", echo, methods=["POST"]),
        WebSocketRoute("/ws", websocket),
        WebSocketRoute("/ws/reject", websocket_reject),
        WebSocketRoute("/ws/boom", websocket_boom),
    ]


async def handle(request: Request, error: Exception) -> Response:
    """Answer a HandledError."""
    assert isinstance(error, probe.HandledError)
    return PlainTextResponse("handled", status_code=error.status)


async def catch_all(request: Request, error: Exception) -> Response:
    """Answer what nobody else has handled."""
    return PlainTextResponse("caught", status_code=probe.CATCH_ALL_STATUS)


async def item(request: Request) -> Response:
    return PlainTextResponse(f"item {request.path_params['i']}")


async def user(request: Request) -> Response:
    return PlainTextResponse(f"user {request.path_params['uid']}")


async def thing(request: Request) -> Response:
    return PlainTextResponse(f"thing {request.path_params['x']}")


async def slashed(request: Request) -> Response:
    return PlainTextResponse(f"slashed {request.path_params['i']}")


async def boom(request: Request) -> Response:
    raise ValueError("boom")


async def handled(request: Request) -> Response:
    raise probe.HandledError(500)


async def teapot(request: Request) -> Response:
    raise probe.HandledError(418)


async def background(request: Request) -> Response:
    task = BackgroundTask(probe.background)
    return PlainTextResponse("bg", background=task)


async def stream(request: Request) -> Response:
    return StreamingResponse(chunks())


async def stream_long(request: Request) -> Response:
    return StreamingResponse(long_chunks())


async def stream_broken(request: Request) -> Response:
    return StreamingResponse(broken_chunks())


async def slow(request: Request) -> Response:
    await probe.be_slow()
    return PlainTextResponse("slow")


async def log(request: Request) -> Response:
    probe.write_log()
    return PlainTextResponse("logged")


async def whoami(request: Request) -> Response:
    return JSONResponse(await seen_ids(float(request.query_params.get("ms", "0"))))


def whoami_sync(request: Request) -> Response:
    return JSONResponse({"view": probe.request_id(), "thread": probe.request_id_in_thread()})


async def outgoing(request: Request) -> Response:
    return JSONResponse(outgoing_headers())


async def query(request: Request) -> Response:
    return PlainTextResponse(request.scope["query_string"])


async def own_id(request: Request) -> Response:
    headers = {"X-Request-ID": probe.OWN_ID, "x-correlation-id": probe.OWN_ID}
    return PlainTextResponse("own", headers=headers)


@leave_out
async def left_out(request: Request) -> Response:
    return PlainTextResponse("seen")


@add_labels(team="checkout")
async def labelled(request: Request) -> Response:
    return PlainTextResponse("seen")


async def session(request: Request) -> Response:
    response = PlainTextResponse("who?", status_code=401, headers={"www-authenticate": "Basic"})
    for cookie in probe.COOKIES:
        response.headers.append("set-cookie", cookie)
    return response


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def websocket(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def websocket_reject(socket: WebSocket) -> None:
    await socket.close(code=1008)


async def websocket_boom(socket: WebSocket) -> None:
    await socket.accept()
    raise ValueError("boom")


async def seen_ids(milliseconds: float) -> dict[str, str | None]:
    """Return the request ID as each place of an async view sees it."""
    seen = {"view": probe.request_id(), "thread": probe.request_id_in_thread()}
    await asyncio.sleep(milliseconds / 1000)
    seen["threadpool"] = await run_in_threadpool(probe.request_id)
    seen["to_thread"] = await asyncio.to_thread(probe.request_id)
    seen["task"] = await asyncio.create_task(_request_id())
    seen["later"] = probe.request_id()
    return seen


async def _request_id() -> str | None:
    return probe.request_id()


async def chunks() -> AsyncIterator[bytes]:
    for chunk in probe.CHUNKS:
        await asyncio.sleep(probe.CHUNK_SECONDS)
        yield chunk


async def long_chunks() -> AsyncIterator[bytes]:
    for _ in range(probe.LONG_CHUNKS):
        yield probe.LONG_CHUNK
        await asyncio.sleep(probe.LONG_PAUSE_SECONDS)


async def broken_chunks() -> AsyncIterator[bytes]:
    yield probe.CHUNKS[0]
    await asyncio.sleep(0.05)
    raise ValueError("broken")
