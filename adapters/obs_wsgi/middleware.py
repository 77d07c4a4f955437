"""The WSGI middleware (PEP 3333)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from obs_middleware import Exchange, Observer, Reply, RequestInfo
from obs_middleware.cgi import request_info, variables_of
from obs_middleware.exchange import CARRIED_AS
from obs_wsgi.body import Body, CountedInput, Pieces, SizedBody, SizedPieces, watch_file

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from obs_middleware.keywords import Keywords

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]
RouteOf = Callable[[Environ], "str | None"]
PiecesOf = Callable[[Iterable[bytes]], "Sequence[bytes] | None"]

_ERROR = b"Internal Server Error"
_PHRASES = {200: "OK", 401: "Unauthorized", 405: "Method Not Allowed", 503: "Service Unavailable"}


class ObservabilityMiddleware:
    """Observe a WSGI app.

    Args:
        app: the app to run.
        observer: an Observer made elsewhere; or give settings by name.
        route_of: reads the route template from the environ once the app has routed it; a raw app sets
            `current_exchange().route` itself.
        pieces_of: returns the pieces of a body that needs no more code of the app, and None of any other; a list
            and a tuple are known.
        is_debug: tells the framework's debug flag, which may be set later than this.

    Raises:
        ConfigError: a setting is not as it must be.
    """

    def __init__(
        self,
        app: WSGIApp,
        observer: Observer | None = None,
        *,
        route_of: RouteOf | None = None,
        pieces_of: PiecesOf | None = None,
        is_debug: Callable[[], bool] = bool,
        **settings: Unpack[Keywords],
    ) -> None:
        self.app = app
        self.observer = Observer.chosen(observer, settings)
        self.observer.set_up(debug=is_debug())
        self.observer.started()
        self._marks = variables_of(self.observer.marks)
        self._is_debug = is_debug
        self._is_serving = False
        self.route_of = route_of
        self._pieces_of = pieces_of
        self.own_names = frozenset(name.lower() for name in self.observer.response_header_names)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if CARRIED_AS in environ:  # another instance, outside, observes already
            return self.app(environ, start_response)
        if not self._is_serving:
            self._is_serving = True
            self.observer.set_up(debug=self._is_debug())
        info = request_info(environ, self._marks)
        path = environ.get("PATH_INFO", "")
        if path in self.observer.paths:
            return _send(self.observer.reply(info, path), info, start_response)
        exchange = self.observer.start(info)
        if exchange is None:
            return self.app(environ, start_response)
        environ[CARRIED_AS], exchange.carrier = exchange, environ
        if environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = CountedInput(environ["wsgi.input"], exchange)
        return self._serve(_Response(exchange, environ, start_response, self))

    def _serve(self, response: _Response) -> Iterable[bytes]:
        exchange, environ, pieces = response.exchange, response.environ, None
        with exchange:
            try:
                body = self.app(environ, response.start)
                if self._pieces_of is not None:
                    pieces = self._pieces_of(body)
            except Exception as error:
                response.fail(error)
                raise
            except BaseException:
                exchange.is_cancelled = True
                exchange.finish(is_complete=False)
                raise
        if pieces is not None:
            return Pieces(pieces, exchange)
        if type(body) is list or type(body) is tuple:
            return SizedPieces(body, exchange)
        if _is_wrapped_file(body, environ):
            return watch_file(body, exchange)
        return (SizedBody if hasattr(body, "__len__") else Body)(body, exchange, response.fail)


class _Response:
    """The response of one exchange, seen from between app and server."""

    __slots__ = ("environ", "exchange", "middleware", "server_start", "server_write")

    def __init__(
        self,
        exchange: Exchange,
        environ: Environ,
        start: StartResponse,
        middleware: ObservabilityMiddleware,
    ) -> None:
        self.exchange = exchange
        self.environ = environ
        self.server_start = start
        self.server_write: Any = None  # the server's answer
        self.middleware = middleware

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Stand for the server's `start_response`; an app may call it late, or twice with `exc_info`."""
        exchange = self.exchange
        own: Iterable[tuple[str, str]] = ()
        code = None
        if exchange.route is None and self.middleware.route_of is not None:
            self._note_route()  # Werkzeug forgets its request once the app has returned
        try:
            own, code = self._own_headers(headers), int(status[:3])
        except Exception as error:
            exchange.report("response_headers", error)
        if exc_info is None:
            self.server_write = self.server_start(status, [*headers, *own])
        else:
            exchange.note_error(exc_info[1])
            self.server_write = self.server_start(status, [*headers, *own], exc_info)
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
        exchange.response_bytes += len(data) if exchange.has_body else 0
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
            if not self.middleware.observer.is_development:
                with suppress(Exception):
                    self.start("500 Internal Server Error", headers, sys.exc_info())(_ERROR)
        self._note_route()
        exchange.finish(is_complete=False)

    def _own_headers(self, headers: list[tuple[str, str]]) -> Iterable[tuple[str, str]]:
        """Take note of the app's headers and return those of ours that it lacks."""
        present = {}
        for name, value in headers:  # up to Python 3.11 a comprehension is a call of its own
            present[name.lower()] = value
        exchange = self.exchange
        if not self.middleware.own_names.isdisjoint(present):
            return exchange.added_headers(present)
        exchange.declare(present.get("content-length"))  # nearly always: the app has set none of ours
        return exchange.response_headers

    def _note_route(self) -> None:
        exchange, route_of = self.exchange, self.middleware.route_of
        if exchange.route is None and route_of is not None:
            try:
                exchange.route = route_of(self.environ)
            except Exception as error:
                exchange.report("route", error)


def _is_wrapped_file(body: object, environ: Environ) -> bool:
    """Tell whether `wsgi.file_wrapper` has made the body: an object of its class or, in uWSGI, the file itself."""
    wrapper = environ.get("wsgi.file_wrapper")
    return (
        isinstance(body, wrapper)
        if isinstance(wrapper, type)
        else wrapper is not None and hasattr(body, "read")
    )


def _send(reply: Reply, info: RequestInfo, start_response: StartResponse) -> Iterable[bytes]:
    headers = [*reply.headers.items(), ("Content-Length", str(len(reply.body)))]
    start_response(f"{reply.status} {_PHRASES[reply.status]}", headers)
    return [] if info.method == "HEAD" else [reply.body]
