"""What passes between app and server in one exchange: headers added, status, bytes and the end noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from time import perf_counter
from traceback import walk_tb
from types import CodeType
from typing import Any

from obs_asgi.routes import Routes
from obs_middleware import Exchange
from obs_middleware.gateway import header_values

Message = MutableMapping[str, Any]

_ABNORMAL_CLOSURE = 1006  # no close frame was seen (RFC 6455, section 7.4.1)
_ERROR = b"Internal Server Error"
_AT_ROOT = "", ""
_STARTS = ("http.response.start", "websocket.http.response.start")
_WITH_HEADERS = (*_STARTS, "websocket.accept")


class Response:
    """The response of one exchange, seen from between app and server.

    Args:
        exchange: the exchange.
        names: the lower-case names of its `response_headers`, and of Content-Length.
        routes: the app's route templates.
        scope, receive, send: what the server called with.
    """

    __slots__ = (
        "before",
        "exchange",
        "has_closed",
        "has_trailers",
        "is_streaming",
        "length",
        "names",
        "routes",
        "scope",
        "sent",
        "server_receive",
        "server_send",
    )

    def __init__(
        self,
        exchange: Exchange,
        names: tuple[bytes, bytes, bytes],
        routes: Routes,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self.exchange = exchange
        self.names = names
        self.routes = routes
        self.before = routes.before(scope) if scope.get("root_path") else _AT_ROOT
        self.scope = scope
        self.server_receive = receive
        self.server_send = send
        self.sent = 0  # bytes of the body
        self.has_trailers = False
        self.has_closed = False  # a websocket, by either side
        self.is_streaming = False  # has sent a chunk; those that follow need no more than to be counted
        self.length: Any = None  # the response's Content-Length

    async def receive(self) -> Message:
        """Hand the app the server's next message."""
        message = await self.server_receive()
        kind = message["type"]
        exchange = self.exchange
        if kind == "http.request":
            exchange.request_bytes += len(message.get("body", b""))
        elif kind == "websocket.receive":
            exchange.request_bytes += _size(message)
        elif kind == "http.disconnect":
            exchange.is_client_gone = True
        elif kind == "websocket.disconnect":
            exchange.is_client_gone = not self.has_closed and message.get("code") == _ABNORMAL_CLOSURE
            self.has_closed = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Hand the server the app's next message."""
        if self.is_streaming:
            # No coroutine of ours for a stream's chunks, because they are many; `fail` sees how they end.
            try:
                size = len(message["body"]) if message["more_body"] else -1
            except (KeyError, TypeError):
                size = -1
            if size >= 0:
                self.sent += size
                return self.server_send(message)
        kind = message["type"]
        if kind == "http.response.body" and not self.has_trailers:
            return self._send_body(message)
        return self._send_other(kind, message)

    async def _send_body(self, message: Message) -> None:
        exchange = self.exchange
        is_last = "more_body" not in message or not message["more_body"]
        # Servers take what is sent when the client has gone, and drop it.
        is_seen = not exchange.is_client_gone
        has_left = is_last and exchange.leave()
        try:
            await self.server_send(message)
        except OSError:  # the client has gone (ASGI specification 2.4, "Disconnected client")
            exchange.is_client_gone = True
            raise
        finally:
            if has_left:
                exchange.__enter__()
        if "body" in message:
            self.sent += len(message["body"])
        if is_last:
            self.end(is_complete=is_seen)
        else:  # that chunks to come are refused is seen by the frames of a Python function alone
            self.is_streaming = hasattr(self.server_send, "__code__")

    async def _send_other(self, kind: str, message: Message) -> None:
        exchange = self.exchange
        is_seen = not exchange.is_client_gone
        if kind in _WITH_HEADERS:
            message = self._with_headers(kind, message)
        try:
            await self.server_send(message)
        except Exception as error:
            exchange.is_client_gone = exchange.is_client_gone or isinstance(error, OSError)
            if kind in _STARTS:
                exchange.status = None
            raise
        if kind in _STARTS:
            if exchange.time_to_first_byte is None:
                exchange.time_to_first_byte = perf_counter() - exchange.started
        elif kind.startswith("websocket.") and not kind.startswith("websocket.http"):
            self._note_websocket(kind, message)
        else:
            self._note_body(kind, message, is_seen=is_seen)

    async def fail(self, error: Exception) -> None:
        """Note what the app has raised, and answer it where nobody has, so that the 500 carries the request ID."""
        self._note_failure(error)
        with suppress(Exception):
            await self._answer_error()

    async def _answer_error(self) -> None:
        if self.exchange.status is not None or self.scope["type"] != "http" or self.exchange.is_client_gone:
            return
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(_ERROR)).encode()),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": _ERROR})

    def _note_failure(self, error: Exception) -> None:
        """Note what the app has raised, and whether the server refused a chunk since the client has gone."""
        if self.is_streaming and _is_refusal(error, self.server_send.__code__):
            self.exchange.is_client_gone = True
        self.exchange.note_error(error)

    def end(self, *, is_complete: bool = False) -> None:
        """Finish the exchange, now that its route is known."""
        exchange, scope = self.exchange, self.scope
        if exchange.outcome is not None:
            return
        exchange.response_bytes += self.sent
        if exchange.status == 101 and scope["type"] == "websocket":
            is_failed = exchange.is_client_gone or exchange.is_cancelled
            is_complete = not is_failed and (exchange.error is None or self.has_closed)
        if exchange.route is None:
            try:
                exchange.route = self.routes.template(exchange.routed or scope, self.before)
            except Exception as error:
                exchange.report("route", error)
        exchange.finish(is_complete=is_complete)

    def _with_headers(self, kind: str, message: Message) -> Message:
        """Note how the response begins, and return the message with the headers of ours that it lacks."""
        exchange = self.exchange
        if kind in _STARTS:
            status = message["status"]
            exchange.status = status if type(status) is int else int(status)  # an HTTPStatus is its number
            if "trailers" in message:
                self.has_trailers = message["trailers"]
        headers = [*(message.get("headers") or ())]
        request_id, correlation_id, _ = names = self.names
        own_id, related_id = exchange.request_id, exchange.correlation_id
        try:
            present_id, present_related, self.length = header_values(headers, names)
            encoded = own_id.encode()
            if present_id is None:
                headers.append((request_id, encoded))
            if present_related is None:
                headers.append((correlation_id, encoded if related_id is own_id else related_id.encode()))
        except Exception as error:
            exchange.report("response_headers", error)
        message = dict(message)
        message["headers"] = headers
        return message

    def _note_body(self, kind: str, message: Message, *, is_seen: bool) -> None:
        exchange = self.exchange
        if kind.endswith(("response.body", "response.zerocopysend")):
            self.sent += message.get("count") or len(message.get("body", b""))
            is_last = not message.get("more_body", False) and not self.has_trailers
        elif kind == "http.response.pathsend":
            exchange.declare(None if self.length is None else _text(self.length))
            exchange.sent_unseen()
            is_last = True
        else:
            is_last = kind == "http.response.trailers" and not message.get("more_trailers", False)
        if is_last:
            self.end(is_complete=is_seen)

    def _note_websocket(self, kind: str, message: Message) -> None:
        exchange = self.exchange
        if kind == "websocket.accept":
            exchange.status = 101
            exchange.first_byte()
        elif kind == "websocket.send":
            self.sent += _size(message)
        elif kind == "websocket.close":
            self.has_closed = True
            if exchange.status is None:
                exchange.status = 403
                self.end(is_complete=True)


class CapturingResponse(Response):
    """A response whose headers the user wants on the span."""

    __slots__ = ()

    def _with_headers(self, kind: str, message: Message) -> Message:
        message = super()._with_headers(kind, message)
        fields = ((_text(name), _text(value)) for name, value in message["headers"])
        self.exchange.capture_response_headers(fields)
        return message


def _text(field: Any) -> str:
    return bytes(field).decode("latin-1")


def _is_refusal(error: BaseException | None, send: CodeType) -> bool:
    """Tell whether an exception is, comes of or holds an OSError that has passed through the server's `send`."""
    suspects, seen = [error], set[int]()
    while suspects:
        suspect = suspects.pop()
        if suspect is None or id(suspect) in seen:
            continue
        seen.add(id(suspect))
        if isinstance(suspect, OSError) and any(
            frame.f_code is send for frame, _ in walk_tb(suspect.__traceback__)
        ):
            return True
        suspects += suspect.__cause__, suspect.__context__, *getattr(suspect, "exceptions", ())
    return False


def _size(message: Message) -> int:
    if message.get("bytes") is not None:
        return len(message["bytes"])
    return len((message.get("text") or "").encode("utf-8", "surrogatepass"))
