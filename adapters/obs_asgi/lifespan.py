"""The app's start and stop, seen from between app and server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from obs_asgi.loop import in_thread, serving_loop
from obs_middleware import ConfigError
from obs_middleware.gateway import Gateway

Message = MutableMapping[str, Any]


class Lifespan:
    """Pass the messages of one lifespan on, and tell the Gateway what they mean."""

    def __init__(
        self,
        gateway: Gateway,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._gateway = gateway
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """Hand the app the server's next message; from its shutdown on the service is not ready."""
        message = await self._receive()
        if message["type"] == "lifespan.shutdown":
            self._gateway.stopping()
        return message

    async def send(self, message: Message) -> None:
        """Hand the server the app's next message; the end waits for spans that are still to be sent."""
        if message["type"] == "lifespan.startup.complete":
            self._gateway.started(loop=serving_loop())
        elif message["type"] == "lifespan.shutdown.complete":
            threads = self._gateway.closing_thread()
            try:
                await in_thread(threads, self._gateway.stopped)
            finally:
                threads.shutdown(wait=False)  # a server that cancels this must not wait in the loop
        await self._send(message)


async def refuse(
    error: ConfigError, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Stop the server at its start, in ASGI's own words."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": f"obs-middleware: {error}"})
    raise error
