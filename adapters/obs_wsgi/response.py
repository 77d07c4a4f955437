"""The response of one exchange, as the app starts and writes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from obs_middleware import Exchange
from obs_middleware.gateway import OTHER_IDS, callers_of, header_values, own_status, status_number
from obs_wsgi.server_status import later_status
from obs_wsgi.wrapped_app import Environ, WrappedApp

StartResponse = Callable[..., Callable[[bytes], object]]

_ERROR = b"Internal Server Error"
_CODES = {str(code): code for code in range(100, 600)}  # a look-up takes less than `int`
_DEBUGGER = "werkzeug.debug"  # answers with 500


class Response:
    """The response of one exchange, seen from between app and server."""

    __slots__ = ("environ", "exchange", "length", "server_start", "server_write", "status_of", "wrapped")

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
        self.status_of: Callable[[], int | None] | None = (
            None  # asks the server, where a layer around us answers
        )
        self.wrapped = wrapped

    def start(
        self, status: str, headers: Iterable[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Stand for the server's `start_response`; an app may call it late, or twice with `exc_info`."""
        exchange, wrapped = self.exchange, self.wrapped
        sent = [*headers]  # once: an iterator gives them no second time
        self.length = None
        if exchange.route is None and wrapped.route_of is not None:
            self.note_route()  # Werkzeug forgets its request once the app has returned
        try:
            if OTHER_IDS:
                exchange.take_other_id()
            present_id, present_related, self.length, other = header_values(sent, wrapped.lower_names)
            if present_id is not None or present_related is not None or other is not None:
                exchange.take_ids(present_id, present_related, other)
            request_id, correlation_id = wrapped.header_names
            if present_id is None:
                sent.append((request_id, exchange.request_id))
            if present_related is None and correlation_id:
                sent.append((correlation_id, exchange.correlation_id))
        except Exception as error:
            exchange.report("response_headers", error)
        try:
            code: int | None = _CODES[status[:3]]
        except Exception:
            code = status_number(status)
        if wrapped.captures_response:
            exchange.capture_response_headers(sent)
        if exc_info is None:
            self.server_write = self.server_start(status, sent)
        else:
            self._start_anew(status, sent, exc_info, code)
        exchange.status = code
        return self.write

    def _start_anew(
        self, status: str, fields: list[tuple[str, str]], exc_info: Any, code: int | None
    ) -> None:
        with suppress(Exception):
            self.exchange.note_error(exc_info[1])
        try:
            self.server_write = self.server_start(status, fields, exc_info)
        except SystemError:  # uWSGI raises it, and sends the status nevertheless
            self.exchange.status = code
            raise

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

    def fail(self, error: BaseException) -> None:
        """End the exchange with what the app has raised."""
        exchange = self.exchange
        exchange.note_raised(error)
        self.note_route(
            is_forgotten=not isinstance(error, Exception)
        )  # Flask tells its signal of no other error
        if exchange.time_to_first_byte is None and not exchange.is_cancelled:
            exchange.status = self._answer(error)
            if self.status_of is not None:
                self.wrapped.gateway.late_statuses.add(exchange, self.status_of)
                return
        exchange.finish(is_complete=False)

    def _answer(self, error: BaseException) -> int | None:
        """Return the status that the client gets; where nobody else answers, send a 500 that carries the request ID.

        Not in development: there a debugger around us shows the exception.
        """
        callers, meant = callers_of(self.server_start), own_status(error)
        if not isinstance(error, Exception):
            return callers.exit_status
        if callers.layer:
            if not callers.layer.startswith(_DEBUGGER):
                self.status_of = later_status(self.server_start)
            return meant or 500
        if "uwsgi.version" in self.environ:
            return self.exchange.status or 500  # it sends what has started, and drops what was written
        if meant is None and self._may_answer():
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(_ERROR)))]
            with suppress(Exception):
                self.start("500 Internal Server Error", headers, sys.exc_info())(_ERROR)
        elif meant == 0 and callers.server.startswith("gunicorn."):
            return None  # it closes the connection, for an app that has taken the socket over
        return 500  # every server's answer

    def _may_answer(self) -> bool:
        gateway = self.wrapped.gateway
        return gateway.error_response and not gateway.is_development

    def end(self) -> None:
        """End the exchange because the body has ended."""
        self.exchange.first_byte()
        self.exchange.finish()

    def closed(self) -> None:
        """End the exchange because its response was closed, or dropped."""
        end_closed(self.exchange, self.length)

    def note_route(self, *, is_forgotten: bool = False) -> None:
        """Name the route, once the app has routed the request.

        Args:
            is_forgotten: the framework may have let go of its request without a word.
        """
        exchange, wrapped = self.exchange, self.wrapped
        route_of = wrapped.forgotten_route if is_forgotten else wrapped.route_of
        if exchange.route is None and route_of is not None:
            try:
                exchange.route = route_of(self.environ)
            except Exception as error:
                exchange.report("route", error)


def end_closed(exchange: Exchange, length: str | None) -> None:
    """End an exchange whose response was closed before its end.

    A piece of a response that has not started is a fault of the app, and every server answers it with a 500.

    Args:
        length: the response's Content-Length.
    """
    if exchange.status is None and exchange.response_bytes:
        exchange.status = 500
        exchange.finish(is_complete=False)
        return
    exchange.declare(length)
    exchange.closed()
