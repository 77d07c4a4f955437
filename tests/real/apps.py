"""One small app, raw, for ASGI and for WSGI: `/hello /boom /stream /endless /upload`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from obs_asgi import ObservabilityMiddleware as AsgiMiddleware
from obs_middleware import current_exchange
from obs_wsgi import ObservabilityMiddleware as WsgiMiddleware

PAUSE_SECONDS = 0.1
CHUNKS = 3
ENDLESS_CHUNKS = 6000
CHUNK = b"chunk" * 2000


def name_route(path: str) -> None:
    exchange = current_exchange()
    if exchange is not None:
        exchange.route = path


async def raw_asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer as the path wants."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    path = scope["path"]
    name_route(path)
    if path == "/boom":
        raise LookupError("nothing there")
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if path == "/stream":
        for _ in range(CHUNKS):
            await pause()
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    elif path == "/endless":  # as frameworks do it: `send` is silent when the client has gone
        gone = asyncio.ensure_future(receive())
        for _ in range(ENDLESS_CHUNKS):
            if (await asyncio.wait([gone], timeout=0.02))[0]:
                return
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        gone.cancel()
    await send({"type": "http.response.body", "body": f"hello {size}".encode()})


async def pause() -> None:
    """Sleep for no less than the pause: uvloop's timers count whole milliseconds and ring up to one too early."""
    end = time.perf_counter() + PAUSE_SECONDS
    while (left := end - time.perf_counter()) > 0:
        await asyncio.sleep(left)


def raw_wsgi(environ: Any, start_response: Any) -> Any:
    """Answer as the path wants."""
    path = environ["PATH_INFO"]
    name_route(path)
    if path == "/boom":
        raise LookupError("nothing there")
    size = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path in ("/stream", "/endless"):
        return chunks(path)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [f"hello {size}".encode()]


def chunks(path: str) -> Iterator[bytes]:
    for _ in range(CHUNKS if path == "/stream" else ENDLESS_CHUNKS):
        time.sleep(PAUSE_SECONDS if path == "/stream" else 0.02)
        yield CHUNK
    yield b"hello 0"


asgi = AsgiMiddleware(raw_asgi)
wsgi = WsgiMiddleware(raw_wsgi)
