"""The response of one exchange, as the app starts and writes it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from obs_middleware import Exchange
from obs_middleware.gateway import header_values
from obs_wsgi.wrapped_app import Environ, WrappedApp

StartResponse = Callable[..., Callable[[bytes], object]]

_ERROR = b"Internal Server Error"
_CODES = {str(code): code for code in range(100, 600)}  # a look-up takes less than `int`


class Response:
    """The response of one exchange, seen from between app and server."""

    __slots__ = ("environ", "exchange", "length", "server_start", "server_write", "wrapped")

    def __init__(
        self,
        exchange: Exchange,
        environ: Environ,
        start: StartResponse,
        wrapped: WrappedApp,
    ) -> None:
        self.exchange = exchange
        self.environ = environ
        self.server_start = start
        self.server_write: Any = None  # the server's answer
        self.length: str | None = None  # its Content-Length, read by those few who ask
        self.wrapped = wrapped

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Stand for the server's `start_response`; an app may call it late, or twice with `exc_info`."""
        exchange, wrapped = self.exchange, self.wrapped
        sent = [*headers]
        code = self.length = None
        if exchange.route is None and wrapped.route_of is not None:
            self._note_route()  # Werkzeug forgets its request once the app has returned
        try:
            present_id, present_related, self.length, other = header_values(sent, wrapped.lower_names)
            if present_id is not None or present_related is not None or other is not None:
                exchange.take_ids(present_id, present_related, other)
            request_id, correlation_id = wrapped.header_names
            if present_id is None:
                sent.append((request_id, exchange.request_id))
            if present_related is None and correlation_id:
                sent.append((correlation_id, exchange.correlation_id))
            number = status[:3]
            code = _CODES[number] if number in _CODES else int(number)
        except Exception as error:
            exchange.report("response_headers", error)
        if exc_info is None:
            self.server_write = self.server_start(status, sent)
        else:
            exchange.note_error(exc_info[1])
            self.server_write = self.server_start(status, sent, exc_info)
        exchange.status = code
        return self.write

    def write(self, data: bytes) -> object:
        """Stand for the server's `write`."""
        exchange = self.exchange
        exchange.first_byte()
        try:
            written = self.server_write(data)
        except OSError:
            exchange.is_client_gone = True
            raise
        exchange.response_bytes += len(data)
        return written

    def fail(self, error: Exception) -> None:
        """End the exchange with an exception; where nothing was sent yet, a 500 that carries the request ID goes out.

        Not in development: there a debugger around us shows the exception.
        """
        exchange = self.exchange
        exchange.note_error(error)
        if exchange.time_to_first_byte is None:
            exchange.status = 500  # every server's answer
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(_ERROR)))]
            if not self.wrapped.is_development:
                with suppress(Exception):
                    self.start("500 Internal Server Error", headers, sys.exc_info())(_ERROR)
        self._note_route()
        exchange.finish(is_complete=False)

    def closed(self) -> None:
        """End the exchange because its response was closed."""
        self.exchange.declare(self.length)
        self.exchange.closed()

    def _note_route(self) -> None:
        exchange, route_of = self.exchange, self.wrapped.route_of
        if exchange.route is None and route_of is not None:
            try:
                exchange.route = route_of(self.environ)
            except Exception as error:
                exchange.report("route", error)


def start_captured(
    exchange: Exchange, start: StartResponse, status: str, headers: list[tuple[str, str]], *exc_info: Any
) -> Callable[[bytes], object]:
    """Call the server's `start_response` when the headers that the user wants are on the span."""
    exchange.capture_response_headers(headers)
    return start(status, headers, *exc_info)
