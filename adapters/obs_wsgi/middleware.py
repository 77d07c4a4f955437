"""The WSGI middleware (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from obs_middleware import Observer, Reply, RequestInfo
from obs_middleware.cgi import request_info, variables_of
from obs_middleware.exchange import CARRIED_AS
from obs_wsgi.body import Body, CountedInput, SizedBody, read, watch_file
from obs_wsgi.compiled import wsgi
from obs_wsgi.response import Environ, Response, StartResponse

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from obs_middleware.keywords import Keywords

WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]
RouteOf = Callable[[Environ], "str | None"]
PiecesOf = Callable[[Iterable[bytes]], "Sequence[bytes] | None"]

_NO_LENGTH = ("", "0", None)
_PHRASES = {200: "OK", 401: "Unauthorized", 405: "Method Not Allowed", 503: "Service Unavailable"}


@wsgi.laid_out
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

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_is_debug",
        "_is_serving",
        "_marks",
        "_pieces_of",
        "app",
        "observer",
        "own_names",
        "route_of",
    )

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
        path = environ.get("PATH_INFO", "")
        if path in self.observer.paths:
            info = request_info(environ, self._marks)
            return _send(self.observer.reply(info, path), info, start_response)
        response = self._open(environ, start_response)
        if response is None:
            return self.app(environ, start_response)
        exchange, pieces = response.exchange, None
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
            return read(pieces, exchange, response.length)
        if type(body) is list or type(body) is tuple:
            return read(body, exchange, response.length, is_sized=True)
        if _is_wrapped_file(body, environ):
            return watch_file(body, response)
        return (SizedBody if hasattr(body, "__len__") else Body)(body, response)

    @wsgi.compiled
    def _open(self, environ: Environ, start_response: StartResponse) -> Response | None:
        """Begin an exchange; None when we fail, and the app is to be run without us."""
        exchange = self.observer.start(request_info(environ, self._marks))
        if exchange is None:
            return None
        environ[CARRIED_AS], exchange.carrier = exchange, environ
        has_length = "CONTENT_LENGTH" in environ and environ["CONTENT_LENGTH"] not in _NO_LENGTH
        if has_length or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = CountedInput(environ["wsgi.input"], exchange)
        return Response(exchange, environ, start_response, self)


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
