"""The probe app on FastAPI."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer, add_labels, leave_out, outgoing_headers

from . import probe, starlette_app


def make_app(observer: Observer | None, options: probe.Options = probe.Options()) -> Any:
    """Return the probe app with the middleware added."""
    app = make_bare_app(options)
    app.add_middleware(ObservabilityMiddleware, **probe.new_observer(observer))
    return app


def make_bare_app(options: probe.Options = probe.Options()) -> FastAPI:
    """Return the probe app alone."""
    arguments: dict[str, Any] = {}
    if options.telemetry is not None:
        arguments["telemetry"] = options.telemetry
    if options.max_body_bytes is not None:
        arguments["max_body_size"] = options.max_body_bytes
    app = FastAPI(**arguments)
    app.add_exception_handler(probe.HandledError, starlette_app.handle)
    if options.catch_all:
        app.add_exception_handler(Exception, starlette_app.catch_all)
    app.include_router(_router())
    app.include_router(_users(), prefix="/api/v1")
    sub = FastAPI()
    sub.add_api_route("/things/{x}", thing)
    app.mount("/sub", sub)
    return app


def _users() -> APIRouter:
    nested = APIRouter(prefix="/users")
    nested.add_api_route("/{uid}", user)
    router = APIRouter()
    router.include_router(nested)
    return router


def _router() -> APIRouter:
    router = APIRouter()
    router.add_api_route("/items/{i}", item, methods=["GET", "HEAD"])
    router.add_api_route("/slashed/{i}/", slashed)
    router.add_api_route("/boom", boom)
    router.add_api_route("/handled", handled)
    router.add_api_route("/teapot", teapot)
    router.add_api_route("/bg", background)
    router.add_api_route("/stream", stream)
    router.add_api_route("/stream/long", stream_long)
    router.add_api_route("/stream/broken", stream_broken)
    router.add_api_route("/slow", slow)
    router.add_api_route("/log", log)
    router.add_api_route("/whoami", whoami)
    router.add_api_route("/whoami/sync", whoami_sync)
    router.add_api_route("/outgoing", outgoing)
    router.add_api_route("/query", query)
    router.add_api_route("/own-id", own_id)
    router.add_api_route("/left-out", left_out)
    router.add_api_route("/labelled", labelled)
    router.add_api_route("/session", session)
    router.add_api_route("/echo", echo, methods=["POST"])
    router.add_api_websocket_route("/ws", websocket)
    router.add_api_websocket_route("/ws/reject", starlette_app.websocket_reject)
    router.add_api_websocket_route("/ws/boom", starlette_app.websocket_boom)
    return router


async def seen_by_dependency() -> str | None:
    return probe.request_id()


def seen_by_sync_dependency() -> str | None:
    return probe.request_id()


async def item(i: int) -> Response:
    return PlainTextResponse(f"item {i}")


async def user(uid: str) -> Response:
    return PlainTextResponse(f"user {uid}")


def thing(x: str) -> Response:
    return PlainTextResponse(f"thing {x}")


def slashed(i: int) -> Response:
    return PlainTextResponse(f"slashed {i}")


async def boom() -> Response:
    raise ValueError("boom")


def handled() -> Response:
    raise probe.HandledError(500)


async def teapot() -> Response:
    raise probe.HandledError(418)


async def background(tasks: BackgroundTasks) -> Response:
    tasks.add_task(probe.background)
    return PlainTextResponse("bg")


async def stream() -> Response:
    return StreamingResponse(starlette_app.chunks())


async def stream_long() -> Response:
    return StreamingResponse(starlette_app.long_chunks())


async def stream_broken() -> Response:
    return StreamingResponse(starlette_app.broken_chunks())


async def slow() -> Response:
    await probe.be_slow()
    return PlainTextResponse("slow")


async def log() -> Response:
    probe.write_log()
    return PlainTextResponse("logged")


async def whoami(
    ms: float = 0,
    dependency: Any = Depends(seen_by_dependency),
    sync_dependency: Any = Depends(seen_by_sync_dependency),
) -> Response:
    seen = await starlette_app.seen_ids(ms)
    return JSONResponse({**seen, "dependency": dependency, "sync_dependency": sync_dependency})


def whoami_sync() -> Response:
    return JSONResponse({"view": probe.request_id(), "thread": probe.request_id_in_thread()})


def outgoing() -> Response:
    return JSONResponse(outgoing_headers())


async def query(request: Request) -> Response:
    return PlainTextResponse(request.scope["query_string"])


async def own_id() -> Response:
    headers = {"X-Request-ID": probe.OWN_ID, "x-correlation-id": probe.OWN_ID}
    return PlainTextResponse("own", headers=headers)


@leave_out
async def left_out() -> Response:
    return PlainTextResponse("seen")


@add_labels(team="checkout")
async def labelled() -> Response:
    return PlainTextResponse("seen")


async def session() -> Response:
    response = PlainTextResponse("who?", status_code=401, headers={"www-authenticate": "Basic"})
    for cookie in probe.COOKIES:
        response.headers.append("set-cookie", cookie)
    return response


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def websocket(socket: WebSocket) -> None:
    await starlette_app.websocket(socket)
