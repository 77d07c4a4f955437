"""Send what the core has made, in pieces, so that a big page neither stops the loop nor fills the server's buffers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from obs_asgi.loop import running_loop
from obs_middleware import Reply

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

_PIECE_BYTES = 65536


async def send_reply(reply: Reply, send: Send, *, has_body: bool) -> None:
    """Send a reply; a client that leaves in the middle is no error.

    A server waits inside `send` for a client that is slow; where all is taken at once, other requests get their turn
    between two pieces.
    """
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    body = reply.body if has_body else b""
    last = max(0, (len(body) - 1) // _PIECE_BYTES * _PIECE_BYTES)
    with suppress(OSError):
        for start in range(0, last, _PIECE_BYTES):
            piece = body[start : start + _PIECE_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if running_loop() is not None:
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": body[last:]})


def closing(scope: MutableMapping[str, Any], send: Send) -> Send:
    """Return a `send` that has the client close its connection, as far as the protocol has a word for it (HTTP/1).

    The service drains: who comes again is to come over a new connection, to another instance.
    """
    if scope["type"] != "http" or not str(scope.get("http_version")).startswith("1"):
        return send

    async def send_closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            others = [field for field in message.get("headers") or () if field[0].lower() != b"connection"]
            message = {**message, "headers": [*others, (b"connection", b"close")]}
        await send(message)

    return send_closing
