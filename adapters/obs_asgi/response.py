"""What passes between app and server in one exchange: headers added, status, bytes and the end noted."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from time import perf_counter
from typing import Any

from obs_asgi.failing import is_refusal, own_error
from obs_asgi.noted_errors import CUT_KEY
from obs_asgi.routes import Routes
from obs_asgi.scope_copies import is_routed
from obs_middleware import Exchange
from obs_middleware.gateway import OTHER_IDS, header_values, headers_added_around, own_status

Message = MutableMapping[str, Any]

_ERROR = b"Internal Server Error"
_AT_ROOT = "", ""
STARTS = ("http.response.start", "websocket.http.response.start")
_WITH_HEADERS = (*STARTS, "websocket.accept")


class Response:
    """The response of one exchange, seen from between app and server.

    Args:
        exchange: the exchange.
        names: the lower-case names of its `response_headers`, of Content-Length and OTHER_ID_HEADER.
        routes: the app's route templates.
        scope, receive, send: what the server called with.
    """

    __slots__ = (
        "before",
        "exchange",
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
        names: tuple[bytes, bytes, bytes, bytes],
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
        self.is_streaming = False  # has sent a chunk; those that follow need no more than to be counted
        self.length: Any = None  # the response's Content-Length

    async def receive(self) -> Message:
        """Hand the app the server's next message."""
        message = await self.server_receive()
        kind = message["type"]
        exchange = self.exchange
        if kind == "http.request":
            exchange.request_bytes += len(message.get("body") or b"")
        elif kind == "http.disconnect":
            exchange.is_client_gone = True
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
        except BaseException as error:
            # Told of a disconnect, a listener of the app cancels what it may: the last piece was handed over before.
            if is_last and is_seen and exchange.is_client_gone and not isinstance(error, Exception):
                self.sent += len(message.get("body") or b"")
                self.end(is_complete=True)
            raise
        finally:
            if has_left:
                exchange.__enter__()
        if "body" in message:
            self.sent += len(message["body"] or b"")
        if is_last:
            self.end(is_complete=is_seen)
        else:  # that chunks to come are refused is seen by the frames of a Python function alone
            self.is_streaming = hasattr(self.server_send, "__code__")

    async def _send_other(self, kind: str, message: Message) -> None:
        exchange = self.exchange
        is_seen = not exchange.is_client_gone
        if kind in STARTS and exchange.time_to_first_byte is not None:
            await self.server_send(message)  # which has taken the first one: its status stays
            return
        if kind in _WITH_HEADERS:
            message = self._with_headers(kind, message)
        try:
            await self.server_send(message)
        except Exception as error:
            exchange.is_client_gone = exchange.is_client_gone or isinstance(error, OSError)
            if kind in STARTS:
                exchange.status = None
            raise
        if kind in STARTS:
            exchange.time_to_first_byte = perf_counter() - exchange.started
        elif kind.startswith("websocket.") and not kind.startswith("websocket.http"):
            self._note_websocket(kind, message)
        else:
            self._note_body(kind, message, is_seen=is_seen)

    async def fail(self, error: Exception, is_answered: Callable[[], bool]) -> None:
        """Note what the app has raised, and answer it where nobody else does, so that the 500 carries the request ID.

        Args:
            error: what it has raised.
            is_answered: tells whether it is for others to answer.
        """
        exchange = self.exchange
        try:
            self._note_failure(error)
            if exchange.status is not None or exchange.is_client_gone:
                return
            status = own_status(error)
            is_ours = status is None and self.scope["type"] == "http" and not is_answered()
        except Exception as failure:
            exchange.report("response", failure)
            return
        if is_ours:
            with suppress(Exception):
                await self._answer_error()
            return
        exchange.status = status or 500  # as the layer answers, or the server
        self.end(is_complete=exchange.status < 500)

    def note_raised(self, error: BaseException) -> None:
        """Note what is no Exception: where it is no cancellation either, servers answer it with a 500."""
        exchange = self.exchange
        exchange.note_raised(error)
        if exchange.status is None and not exchange.is_cancelled and not exchange.is_client_gone:
            exchange.status = 500

    async def _answer_error(self) -> None:
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(_ERROR)).encode()),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": _ERROR})

    def _note_failure(self, error: Exception) -> None:
        """Note what the app has raised, and whether the server refused a chunk since the client has gone."""
        if self.is_streaming and is_refusal(error, self.server_send.__code__):
            self.exchange.is_client_gone = True
        self.exchange.note_error(own_error(error))

    def end(self, *, is_complete: bool = False) -> None:
        """Finish the exchange, now that its route is known."""
        exchange = self.exchange
        if exchange.outcome is not None:
            return
        exchange.response_bytes += self.sent
        if exchange.error is not None and CUT_KEY in self.scope:
            is_complete = is_complete and not self.scope.pop(CUT_KEY)
        if exchange.route is None or exchange.routed is not None:
            try:
                exchange.route = self._route()
                if exchange.route is None:
                    self.routes.miss(exchange.status, exchange.method)
            except Exception as error:
                exchange.report("route", error)
        if self.routes.has_none and exchange.route is not None:
            self.routes.has_none = False
        exchange.finish(is_complete=is_complete)

    def _route(self) -> str | None:
        """Return the route of the scope, of a copy that has been routed, or of an adapter inside."""
        routed, routes = self.exchange.routed, self.routes
        if routed is None:
            return routes.template(self.scope, self.before)
        named, path = self.exchange.route, self.exchange.info.path
        if type(routed) is tuple:
            root, template = routed
            if named != f"{root.rstrip('/')}{template}":  # the user has named it since
                return named
            return f"{routes.entered(root, self.before, path, has_parameters=False)[1].rstrip('/')}{template}"
        if named is not None:
            return named
        copies = [copy for copy in routed.values() if copy is not None]
        if not copies:
            return routes.template(self.scope, self.before)
        last = next((copy for copy in reversed(copies) if is_routed(copy.scope)), copies[-1])
        before, scope = self.before, last.scope
        for _, _, root, has_parameters in (copies[0], last):
            before = routes.entered(root, before, path, has_parameters=has_parameters)
        return routes.template(scope, before) or routes.template(self.scope, self.before)

    def _with_headers(self, kind: str, message: Message) -> Message:
        """Note how the response begins, and return the message with the headers of ours that it lacks."""
        exchange = self.exchange
        if kind in STARTS:
            status = message["status"] if "status" in message else None  # noqa: SIM401 (no call)
            exchange.status = status if status.__class__ is int else _status(status)
            if "trailers" in message:
                self.has_trailers = message["trailers"]
        headers = [*(message.get("headers") or ())]
        request_id, correlation_id, *_ = names = self.names
        try:
            around = self._added_around(kind) if OTHER_IDS else ()
            present_id, present_related, self.length, other = found = header_values(headers, names)
            if present_id is not None or present_related is not None or other is not None:
                exchange.take_ids(*(None if found[at] is None else _text(found[at]) for at in (0, 1, 3)))
            own_id, related_id = exchange.request_id, exchange.correlation_id
            encoded = own_id.encode()
            if present_id is None and request_id not in around:
                headers.append((request_id, encoded))
            if present_related is None and correlation_id and correlation_id not in around:
                headers.append((correlation_id, encoded if related_id is own_id else related_id.encode()))
        except Exception as error:
            exchange.report("response_headers", error)
        message = dict(message)
        message["headers"] = headers
        return message

    def _added_around(self, kind: str) -> set[bytes]:
        """Take over the ID of another library, and return the names of the headers that it adds around us."""
        self.exchange.take_other_id()
        if kind != "http.response.start":
            return set()
        return {name.encode() for name in headers_added_around()}

    def _note_body(self, kind: str, message: Message, *, is_seen: bool) -> None:
        exchange = self.exchange
        if kind.endswith(("response.body", "response.zerocopysend")):
            self.sent += message.get("count") or len(message.get("body") or b"")
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
        """Note what an app has sent on a websocket; a request is none."""


class CapturingResponse(Response):
    """A response whose headers the user wants on the span."""

    __slots__ = ()

    def _with_headers(self, kind: str, message: Message) -> Message:
        message = super()._with_headers(kind, message)
        fields = ((_text(name), _text(value)) for name, value in message["headers"])
        self.exchange.capture_response_headers(fields)
        return message


def _text(field: Any) -> str:
    return field if isinstance(field, str) else bytes(field).decode("latin-1")


def _status(status: Any) -> int | None:
    """Return a status as its number: an HTTPStatus, or text."""
    try:
        return int(status[:3] if isinstance(status, (str, bytes)) else status)
    except (TypeError, ValueError):
        return None


# Bridges to synchronous apps ask whether `send` is a coroutine function; what it returns is the server's own coroutine.
_mark = getattr(inspect, "markcoroutinefunction", None)  # from Python 3.12 on
if _mark is not None:
    _mark(Response.send)
else:
    Response.send._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)  # type: ignore[attr-defined]
