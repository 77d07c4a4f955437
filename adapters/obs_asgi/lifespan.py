"""The app's start and stop, seen from between app and server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from obs_middleware import ConfigError, Observer

Message = MutableMapping[str, Any]


class Lifespan:
    """Pass the messages of one lifespan on, and tell the Observer what they mean."""

    def __init__(
        self,
        observer: Observer,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._observer = observer
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """Hand the app the server's next message; from its shutdown on the service is not ready."""
        message = await self._receive()
        if message["type"] == "lifespan.shutdown":
            self._observer.drain()
        return message

    async def send(self, message: Message) -> None:
        """Hand the server the app's next message; the end waits for spans that are still to be sent."""
        if message["type"] == "lifespan.startup.complete":
            self._observer.started(loop=running_loop())
        elif message["type"] == "lifespan.shutdown.complete":
            with ThreadPoolExecutor(1, thread_name_prefix="obs-close") as threads:
                await in_thread(threads, self._observer.close)
        await self._send(message)


async def refuse(
    error: ConfigError, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Stop the server at its start, in ASGI's own words."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": f"obs-middleware: {error}"})
    raise error


async def in_thread(threads: Executor | None, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in one of the threads; here where there are none, or no asyncio loop serves the app (trio)."""
    loop = running_loop()
    if loop is None or threads is None:
        return function(*args)
    return await loop.run_in_executor(threads, function, *args)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the asyncio loop that runs this, or None under trio."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
