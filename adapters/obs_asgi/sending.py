"""Send what the core has made, in pieces, so that a big page neither stops the loop nor fills the server's buffers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from obs_asgi.loop import running_loop
from obs_middleware import Reply

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

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
