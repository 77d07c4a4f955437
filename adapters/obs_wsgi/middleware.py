"""The WSGI middleware (PEP 3333)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from obs_middleware import Exchange, Observer, Reply, RequestInfo
from obs_middleware.cgi import request_info
from obs_middleware.exchange import CARRIED_AS
from obs_wsgi.body import Body, CountedInput, Pieces, SizedBody, watch_file

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from obs_middleware.keywords import Keywords

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]
RouteOf = Callable[[Environ], "str | None"]

_ERROR = b"Internal Server Error"
_PHRASES = {200: "OK", 401: "Unauthorized", 405: "Method Not Allowed", 503: "Service Unavailable"}


class ObservabilityMiddleware:
    """Observe a WSGI app.

    Args:
        app: the app to run.
        observer: an Observer made elsewhere; or give settings by name.
        route_of: reads the route template from the environ once the app has routed it; a raw app sets
            `current_exchange().route` itself.
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
        is_debug: Callable[[], bool] = bool,
        **settings: Unpack[Keywords],
    ) -> None:
        self.app = app
        self.observer = Observer.chosen(observer, settings)
        self.observer.set_up(debug=is_debug())
        self.observer.started()
        self._is_debug = is_debug
        self._is_serving = False
        self._route_of = route_of

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if CARRIED_AS in environ:  # another instance, outside, observes already
            return self.app(environ, start_response)
        if not self._is_serving:
            self._is_serving = True
            self.observer.set_up(debug=self._is_debug())
        info = request_info(environ)
        path = environ.get("PATH_INFO", "")
        if path in self.observer.paths:
            return _send(self.observer.reply(info, path), info, start_response)
        exchange = self.observer.start(info)
        if exchange is None:
            return self.app(environ, start_response)
        environ[CARRIED_AS], exchange.carrier = exchange, environ
        if environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = CountedInput(environ["wsgi.input"], exchange)
        return self._serve(_Response(exchange, environ, start_response, self._route_of, self.observer))

    def _serve(self, response: _Response) -> Iterable[bytes]:
        exchange, environ = response.exchange, response.environ
        with exchange:
            try:
                body = self.app(environ, response.start)
            except Exception as error:
                response.fail(error)
                raise
            except BaseException:
                exchange.is_cancelled = True
                exchange.finish(is_complete=False)
                raise
        if type(body) is list or type(body) is tuple:
            return Pieces(body, exchange)
        if _is_wrapped_file(body, environ):
            return watch_file(body, exchange)
        return (SizedBody if hasattr(body, "__len__") else Body)(body, exchange, response.fail)


class _Response:
    """The response of one exchange, seen from between app and server."""

    __slots__ = ("environ", "exchange", "observer", "route_of", "server_start", "server_write")

    def __init__(
        self,
        exchange: Exchange,
        environ: Environ,
        start: StartResponse,
        route_of: RouteOf | None,
        observer: Observer,
    ) -> None:
        self.exchange = exchange
        self.environ = environ
        self.server_start = start
        self.server_write: Any = None  # the server's answer
        self.route_of = route_of
        self.observer = observer

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Stand for the server's `start_response`; an app may call it late, or twice with `exc_info`."""
        exchange = self.exchange
        self._note_route()  # Werkzeug forgets its request once the app has returned
        own, code = self._noted(status, headers)
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
            if not self.observer.is_development:
                with suppress(Exception):
                    self.start("500 Internal Server Error", headers, sys.exc_info())(_ERROR)
        self._note_route()
        exchange.finish(is_complete=False)

    def _noted(self, status: str, headers: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], int | None]:
        exchange = self.exchange
        try:
            return exchange.added_headers({name.lower(): value for name, value in headers}), int(status[:3])
        except Exception as error:
            exchange.report("response_headers", error)
            return [], None

    def _note_route(self) -> None:
        exchange = self.exchange
        if exchange.route is None and self.route_of is not None:
            try:
                exchange.route = self.route_of(self.environ)
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
