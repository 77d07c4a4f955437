"""An ASGI server of a few lines, which shows every message that an app sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

Message = Any
App = Callable[..., Awaitable[None]]


class Answer:
    """What an app sent for one scope, and what it raised."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.error: BaseException | None = None

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.messages]

    @property
    def start(self) -> Message:
        """The message with status and headers."""
        return next(message for message in self.messages if message["type"].endswith("response.start"))

    @property
    def status(self) -> int:
        return int(self.start["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    def all(self, name: str, *, kind: str = "response.start") -> list[str]:
        """Return the values of a header in the message of a kind."""
        message = next(message for message in self.messages if message["type"].endswith(kind))
        pairs = [(bytes(key).decode(), bytes(value).decode()) for key, value in message.get("headers", ())]
        return [value for key, value in pairs if key.lower() == name]


async def ask(
    app: App, path: str = "/", *, incoming: Iterable[Message] = (), send: Any = None, **scope: Any
) -> Answer:
    """Hand one request to the app; `incoming` follows the request's body, `send` may refuse messages."""
    answer = Answer()
    messages = [{"type": "http.request", "body": b"", "more_body": False}, *incoming]
    if scope.get("type") == "websocket":
        messages = [{"type": "websocket.connect"}, *incoming]

    has_ended = asyncio.Event()

    async def receive() -> Message:
        if not messages:
            await has_ended.wait()  # the client stays until it has all; Quart waits for that
            return {"type": "http.disconnect"}
        return messages.pop(0)

    async def record(message: Message) -> None:
        if send is not None:
            await send(message)
        answer.messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            has_ended.set()

    try:
        await app({**request(path), **scope}, receive, record)
    except Exception as error:
        answer.error = error
    return answer


def get(app: App, path: str = "/", **more: Any) -> Answer:
    """Hand one request to an app with no lifespan before it."""
    return asyncio.run(ask(app, path, **more))


def served(app: App, *paths: str, **more: Any) -> list[Answer]:
    """Start the app, hand it the requests one after the other, and stop it."""

    async def serve() -> list[Answer]:
        async with Lifespan(app):
            return [await ask(app, path, **more) for path in paths]

    return asyncio.run(serve())


def request(path: str) -> dict[str, Any]:
    """Return a scope as servers make it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.test")],
        "client": ("127.0.0.1", 54321),
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }


class Lifespan:
    """Start and stop an app as a server does; what it says is in `messages`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.messages: list[Message] = []
        self.error: BaseException | None = None

    async def __aenter__(self) -> Lifespan:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._said = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())
        await self._tell("lifespan.startup")
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._task.done():
            await self._tell("lifespan.shutdown")
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(self._task, 60)

    async def _tell(self, kind: str) -> None:
        self._said.clear()
        await self._to_app.put({"type": kind})
        await asyncio.wait_for(self._said.wait(), 60)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            await self._app(scope, self._to_app.get, self._send)
        except Exception as error:
            self.error = error
        finally:
            self._said.set()

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        self._said.set()


def without_a_loop(app: App, scope: dict[str, Any], *incoming: Message) -> list[Message]:
    """Run an app that never waits with no asyncio event loop at all, as it is under trio."""
    sent: list[Message] = []
    messages = list(incoming)

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    coroutine: Any = app(scope, receive, send)
    with suppress(StopIteration):
        coroutine.send(None)
        raise AssertionError("the app waits")
    return sent
