"""What passes between app and server on a websocket: messages and bytes counted, and how it was closed.

It is an exchange from the handshake to the close. Its metrics follow it while it is open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from obs_asgi.response import CapturingResponse, Message, Response
from obs_asgi.routes import Routes
from obs_middleware import Exchange

# https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1: 1005 is a close frame without a code, 1006 is none at all.
_NORMAL, _NO_STATUS, _ABNORMAL_CLOSURE, _INTERNAL_ERROR = 1000, 1005, 1006, 1011


class WebsocketResponse(Response):
    """The messages of one websocket; its response is the answer to the handshake.

    Args:
        opened: counts a websocket that was accepted, and returns what counts what becomes of it.
    """

    __slots__ = ("close_code", "counted", "has_closed", "opened")

    def __init__(
        self,
        exchange: Exchange,
        names: tuple[bytes, bytes, bytes, bytes],
        routes: Routes,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        opened: Callable[[Exchange, str | None], Any],
    ) -> None:
        super().__init__(exchange, names, routes, scope, receive, send)
        self.opened = opened
        self.counted: Any = None  # from accept to close, where its metrics are wanted
        self.has_closed = False  # by either side
        self.close_code: int | None = None

    async def receive(self) -> Message:
        """Hand the app the server's next message."""
        message = await self.server_receive()
        kind, exchange = message["type"], self.exchange
        if kind == "websocket.receive":
            size = _size(message)
            exchange.request_bytes += size
            if self.counted is not None:
                self._count(self.counted.received, size)
        elif kind == "websocket.disconnect":
            is_lost = self._is_lost(message)
            exchange.is_client_gone = not self.has_closed and is_lost
            self._note_close(_ABNORMAL_CLOSURE if is_lost else _code(message, default=_NO_STATUS))
        return message

    def end(self, *, is_complete: bool = False) -> None:
        """Finish the exchange, now that its route is known."""
        exchange = self.exchange
        if exchange.outcome is not None:
            return
        if self.counted is not None:
            self._count(self.counted.closed, self._final_code())
            self.counted = None
        if exchange.status == 101:
            is_failed = exchange.is_client_gone or exchange.is_cancelled
            is_complete = not is_failed and (exchange.error is None or self.has_closed)
        super().end(is_complete=is_complete)

    def _note_websocket(self, kind: str, message: Message) -> None:
        exchange = self.exchange
        if kind == "websocket.accept":
            exchange.status = 101
            exchange.first_byte()
            self._open()
        elif kind == "websocket.send":
            size = _size(message)
            self.sent += size
            if self.counted is not None:
                self._count(self.counted.sent, size)
        elif kind == "websocket.close":
            self._note_close(_code(message, default=_NORMAL))
            if exchange.status is None:
                exchange.status = 403
                self.end(is_complete=True)

    def _open(self) -> None:
        try:
            self.counted = self.opened(self.exchange, self._route())
        except Exception as error:
            self.exchange.report("route", error)

    def _note_close(self, code: int | None) -> None:
        """Note that it was closed; the code of the side that was first counts."""
        if not self.has_closed:
            self.close_code = code
        self.has_closed = True

    def _final_code(self) -> int | None:
        """Return the code with which it was closed, by the server where the app and the client have sent none."""
        if self.has_closed:
            return self.close_code
        if self.exchange.error is not None:
            return _INTERNAL_ERROR
        return _ABNORMAL_CLOSURE if self.exchange.is_client_gone or self.exchange.is_cancelled else None

    def _count(self, count: Callable[[Any], None], value: Any) -> None:
        try:
            count(value)
        except Exception as error:
            self.exchange.report("websocket", error)

    def _is_lost(self, message: Message) -> bool:
        """Tell whether a websocket was dropped; uvicorn gives a reason with every close frame, an empty one too."""
        is_uvicorns = (getattr(self.server_send, "__module__", None) or "").startswith("uvicorn.")
        code = message.get("code")
        return code == _ABNORMAL_CLOSURE or (
            is_uvicorns and code == _NO_STATUS and message.get("reason") is None
        )


class CapturingWebsocketResponse(CapturingResponse, WebsocketResponse):
    """One whose headers the user wants on the span."""

    __slots__ = ()


def _code(message: Message, *, default: int) -> int | None:
    """Return the close code of a message, None where it is none."""
    code = message.get("code", default)
    return int(code) if isinstance(code, int) else None  # a server's may be an enum with a text of its own


def _size(message: Message) -> int:
    if message.get("bytes") is not None:
        return len(message["bytes"])
    return len((message.get("text") or "").encode("utf-8", "surrogatepass"))
