"""What passes between app and server in one exchange: headers added, status, bytes and the end noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from obs_middleware import Exchange

Message = MutableMapping[str, Any]

_ABNORMAL_CLOSURE = 1006  # no close frame was seen (RFC 6455, section 7.4.1)
_ERROR = b"Internal Server Error"


class Response:
    """The response of one exchange, seen from between app and server."""

    __slots__ = ("_exchange", "_has_closed", "_has_trailers", "_receive", "_scope", "_send", "_template")

    def __init__(
        self,
        exchange: Exchange,
        template: Callable[[Mapping[str, Any]], str | None],
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._exchange = exchange
        self._template = template
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_trailers = False
        self._has_closed = False  # a websocket, by either side

    async def receive(self) -> Message:
        """Hand the app the server's next message."""
        message = await self._receive()
        kind = message["type"]
        exchange = self._exchange
        if kind == "http.request":
            exchange.request_bytes += len(message.get("body", b""))
        elif kind == "websocket.receive":
            exchange.request_bytes += _size(message)
        elif kind == "http.disconnect":
            exchange.is_client_gone = True
        elif kind == "websocket.disconnect":
            exchange.is_client_gone = not self._has_closed and message.get("code") == _ABNORMAL_CLOSURE
            self._has_closed = True
        return message

    async def send(self, message: Message) -> None:
        """Hand the server the app's next message."""
        kind = message["type"]
        exchange = self._exchange
        is_start = kind.endswith("response.start")
        if is_start:
            exchange.status = int(message["status"])  # an HTTPStatus too is its number
            self._has_trailers = message.get("trailers", False)
            message = self._with_headers(message)
        elif kind == "websocket.accept":
            message = self._with_headers(message)
        was_client_gone = exchange.is_client_gone  # servers take what is sent then, and drop it
        try:
            await self._send(message)
        except Exception as error:
            # The client has gone (ASGI specification 2.4, "Disconnected client").
            exchange.is_client_gone = exchange.is_client_gone or isinstance(error, OSError)
            if is_start:
                exchange.status = None
            raise
        if is_start:
            exchange.first_byte()
        elif kind.startswith("websocket.") and not kind.startswith("websocket.http"):
            self._note_websocket(kind, message)
        else:
            self._note_body(kind, message, is_seen=not was_client_gone)

    async def answer_error(self) -> None:
        """Answer an exception that nobody has answered, so that the 500 carries the request ID."""
        if (
            self._exchange.status is not None
            or self._scope["type"] != "http"
            or self._exchange.is_client_gone
        ):
            return
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(_ERROR)).encode()),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": _ERROR})

    def end(self, *, is_complete: bool = False) -> None:
        """Finish the exchange, now that its route is known."""
        exchange = self._exchange
        if exchange.is_finished:
            return
        if self._scope["type"] == "websocket" and exchange.status == 101:
            is_failed = exchange.is_client_gone or exchange.is_cancelled
            is_complete = not is_failed and (exchange.error is None or self._has_closed)
        if exchange.route is None:
            try:
                exchange.route = self._template(exchange.routed or self._scope)
            except Exception as error:
                exchange.report("route", error)
        exchange.finish(is_complete=is_complete)

    def _with_headers(self, message: Message) -> Message:
        headers = [*(message.get("headers") or ())]
        try:
            own = self._exchange.added_headers((_text(name).lower(), _text(value)) for name, value in headers)
            added = [(name.lower().encode(), value.encode()) for name, value in own]
        except Exception as error:
            self._exchange.report("response_headers", error)
            added = []
        return {**message, "headers": headers + added}

    def _note_body(self, kind: str, message: Message, *, is_seen: bool) -> None:
        exchange = self._exchange
        if kind.endswith(("response.body", "response.zerocopysend")):
            if exchange.has_body:
                exchange.response_bytes += message.get("count") or len(message.get("body", b""))
            is_last = not message.get("more_body", False) and not self._has_trailers
        elif kind == "http.response.pathsend":
            exchange.sent_unseen()
            is_last = True
        else:
            is_last = kind == "http.response.trailers" and not message.get("more_trailers", False)
        if is_last:
            self.end(is_complete=is_seen)

    def _note_websocket(self, kind: str, message: Message) -> None:
        exchange = self._exchange
        if kind == "websocket.accept":
            exchange.status = 101
            exchange.first_byte()
        elif kind == "websocket.send":
            exchange.response_bytes += _size(message)
        elif kind == "websocket.close":
            self._has_closed = True
            if exchange.status is None:
                exchange.status = 403
                self.end(is_complete=True)


def _text(field: Any) -> str:
    return bytes(field).decode("latin-1")


def _size(message: Message) -> int:
    if message.get("bytes") is not None:
        return len(message["bytes"])
    return len((message.get("text") or "").encode("utf-8", "surrogatepass"))
