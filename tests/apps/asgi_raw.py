"""The probe app as a plain ASGI callable, which names its routes itself."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import parse_qs

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer, add_labels, leave_out, outgoing_headers

from . import probe

ITEM = re.compile(r"/items/(\d+)")
SLASHED = re.compile(r"/slashed/(\d+)(/?)")


def make_app(observer: Observer | None, options: probe.Options = probe.Options()) -> Any:
    """Return the probe app, wrapped."""
    return ObservabilityMiddleware(make_bare_app(options), **probe.new_observer(observer))


def make_bare_app(options: probe.Options = probe.Options()) -> Any:
    """Return the probe app alone."""
    return _catching_all(_application) if options.catch_all else _application


def _catching_all(app: Any) -> Any:
    async def catching(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except Exception:
            await _send(send, probe.CATCH_ALL_STATUS, b"caught")

    return catching


async def _application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _websocket(scope, receive, send)
    elif item := ITEM.fullmatch(scope["path"]):
        await _item(scope, send, item[1])
    elif slashed := SLASHED.fullmatch(scope["path"]):
        await _slashed(scope, send, slashed)
    else:
        view = VIEWS.get(scope["path"], _not_found)
        if view is not _not_found:
            probe.name_route(scope["path"])
        try:
            await view(scope, receive, send)
        except probe.HandledError as error:
            await _send(send, error.status, b"handled")


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _send(send: Any, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def _not_found(scope: Any, receive: Any, send: Any) -> None:
    await _send(send, 404, b"not found")


async def _item(scope: Any, send: Any, i: str) -> None:
    probe.name_route("/items/{i}")
    if scope["method"] == "GET":
        await _send(send, 200, b"item " + i.encode())
    elif scope["method"] == "HEAD":
        length = (b"content-length", b"%d" % len(f"item {i}"))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body"})
    else:
        await _send(send, 405, b"", (b"allow", b"GET, HEAD"))


async def _slashed(scope: Any, send: Any, match: re.Match[str]) -> None:
    if match[2]:
        probe.name_route("/slashed/{i}/")
        await _send(send, 200, b"slashed " + match[1].encode())
    else:
        await _send(send, 307, b"", (b"location", scope["path"].encode() + b"/"))


async def _boom(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("boom")


async def _handled(scope: Any, receive: Any, send: Any) -> None:
    raise probe.HandledError(500)


async def _teapot(scope: Any, receive: Any, send: Any) -> None:
    raise probe.HandledError(418)


async def _background(scope: Any, receive: Any, send: Any) -> None:
    await _send(send, 200, b"bg")
    await probe.background()


async def _stream(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for chunk in probe.CHUNKS:
        await asyncio.sleep(probe.CHUNK_SECONDS)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body"})


async def _stream_long(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    left = asyncio.ensure_future(_until_disconnect(receive))
    for _ in range(probe.LONG_CHUNKS):
        if left.done():
            return
        await send({"type": "http.response.body", "body": probe.LONG_CHUNK, "more_body": True})
        await asyncio.sleep(probe.LONG_PAUSE_SECONDS)
    await send({"type": "http.response.body"})


async def _until_disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream_broken(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": probe.CHUNKS[0], "more_body": True})
    raise ValueError("broken")


async def _slow(scope: Any, receive: Any, send: Any) -> None:
    await probe.be_slow()
    await _send(send, 200, b"slow")


async def _log(scope: Any, receive: Any, send: Any) -> None:
    probe.write_log()
    await _send(send, 200, b"logged")


async def _whoami(scope: Any, receive: Any, send: Any) -> None:
    milliseconds = float(parse_qs(scope["query_string"].decode()).get("ms", ["0"])[0])
    seen = {"view": probe.request_id(), "thread": probe.request_id_in_thread()}
    await asyncio.sleep(milliseconds / 1000)
    seen["to_thread"] = await asyncio.to_thread(probe.request_id)
    seen["task"] = await asyncio.create_task(_request_id())
    seen["later"] = probe.request_id()
    await _send(send, 200, json.dumps(seen).encode())


async def _request_id() -> str | None:
    return probe.request_id()


async def _outgoing(scope: Any, receive: Any, send: Any) -> None:
    await _send(send, 200, json.dumps(outgoing_headers()).encode())


async def _query(scope: Any, receive: Any, send: Any) -> None:
    await _send(send, 200, scope["query_string"])


async def _own_id(scope: Any, receive: Any, send: Any) -> None:
    value = probe.OWN_ID.encode()
    await _send(send, 200, b"own", (b"X-Request-ID", value), (b"x-correlation-id", value))


@leave_out
async def _left_out(scope: Any, receive: Any, send: Any) -> None:
    await _send(send, 200, b"seen")


@add_labels(team="checkout")
async def _labelled(scope: Any, receive: Any, send: Any) -> None:
    await _send(send, 200, b"seen")


async def _session(scope: Any, receive: Any, send: Any) -> None:
    cookies = [(b"set-cookie", cookie.encode()) for cookie in probe.COOKIES]
    await _send(send, 401, b"who?", (b"www-authenticate", b"Basic"), *cookies)


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await _send(send, 200, b"%d" % size)


async def _websocket(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    if scope["path"] == "/ws/reject":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.accept"})
    if scope["path"] == "/ws/boom":
        raise ValueError("boom")
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


VIEWS = {
    "/boom": _boom,
    "/handled": _handled,
    "/teapot": _teapot,
    "/bg": _background,
    "/stream": _stream,
    "/stream/long": _stream_long,
    "/stream/broken": _stream_broken,
    "/slow": _slow,
    "/log": _log,
    "/whoami": _whoami,
    "/outgoing": _outgoing,
    "/query": _query,
    "/own-id": _own_id,
    "/left-out": _left_out,
    "/labelled": _labelled,
    "/session": _session,
    "/echo": _echo,
}
