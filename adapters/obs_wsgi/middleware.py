"""The WSGI middleware (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from obs_middleware import Observer, Reply, RequestInfo
from obs_middleware.gateway import (
    CARRIER_KEY,
    CURRENT,
    OTHER_ID_HEADER,
    named_request_info,
    path_text,
    request_info,
    variables_of,
)
from obs_wsgi.app_pages import has_page
from obs_wsgi.body import Body, SizedBody, read, watch_file, watch_websocket
from obs_wsgi.closing import closing
from obs_wsgi.inside import outer_exchange, serve_inside
from obs_wsgi.request_body import CountedInput
from obs_wsgi.response import Response, StartResponse
from obs_wsgi.websocket import WebsocketResponse, is_handshake
from obs_wsgi.wrapped_app import Environ, RouteOf, WrappedApp

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from obs_middleware.gateway import Keywords

WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]
ReadyBody = Callable[[Iterable[bytes]], "Sequence[bytes] | None"]

_NO_LENGTH = ("", "0", None)
_PHRASES = {int(status): status.phrase for status in HTTPStatus}


class ObservabilityMiddleware:
    """Observe a WSGI app.

    Args:
        app: the app to run.
        observer: an Observer made elsewhere; or give settings by name.
        route_of: reads the route template from the environ once the app has routed it; a raw app sets
            `current_exchange().route` itself.
        match_route: finds the route template of an environ whose routing the app has forgotten; asked for websockets,
            and for what ends a request and is no `Exception`, such as `SystemExit`.
        ready_body: returns the chunks of a body that needs no more code of the app, and None of any other. A list
            and a tuple are recognised without it.
        is_debug: tells the framework's debug flag, which may be set later than this.

    Raises:
        ConfigError: a setting is not as it must be.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_context_headers",
        "_gateway",
        "_is_debug",
        "_is_serving",
        "_lifecycle",
        "_ready_body",
        "_request_info",
        "_wrapped",
        "app",
        "observer",
    )

    def __init__(
        self,
        app: WSGIApp,
        observer: Observer | None = None,
        *,
        route_of: RouteOf | None = None,
        match_route: RouteOf | None = None,
        ready_body: ReadyBody | None = None,
        is_debug: Callable[[], bool] = bool,
        **settings: Unpack[Keywords],
    ) -> None:
        self.app = app
        self.observer = Observer.given_or_new(observer, settings)
        self._gateway = gateway = self.observer.gateway
        self._lifecycle = self.observer.lifecycle
        # The rest is done at the first request, because a command may import the app for its own ends.
        gateway.started(is_serving=False)
        gateway.look_for_pages(partial(has_page, app))
        self._context_headers = variables_of(gateway.context_headers)
        self._is_debug = is_debug
        self._is_serving = False
        self._ready_body = ready_body
        header_names = gateway.response_header_names
        request_id, correlation_id = header_names
        lower_names = request_id.lower(), correlation_id.lower(), "content-length", OTHER_ID_HEADER
        self._wrapped = WrappedApp(
            gateway, route_of, match_route, header_names, lower_names, gateway.captures_response
        )
        self._request_info = named_request_info if gateway.needs_header_names else request_info

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if CARRIER_KEY in environ or "asgi.scope" in environ or CURRENT.get() is not None:
            outer = outer_exchange(environ, self._context_headers)
            if outer is not None:
                return serve_inside(self.app, environ, start_response, outer, self._wrapped)
        if not self._is_serving:
            self._is_serving = True
            self._gateway.set_up(debug=self._is_debug())
            self._gateway.started()
        path = environ["PATH_INFO"] if "PATH_INFO" in environ else ""  # noqa: SIM401 (a call less)
        gateway = self._gateway
        if path.__class__ is str and (
            path in gateway.paths
            or (
                gateway.path_prefix
                and path[gateway.prefix_of_path] == gateway.path_prefix
                and gateway.has_page(path := path_text(path))
            )
        ):
            info = request_info(environ, self._context_headers)
            reply = self._gateway.reply(info, path)
            if self._lifecycle.is_draining:  # asked after the reply, which may have begun the drain
                start_response = closing(environ, start_response)
            return _send(reply, info, start_response)
        response = self._open(environ, start_response)
        if response is None:
            return self.app(environ, start_response)
        exchange, chunks = response.exchange, None
        with exchange:
            try:
                body = self.app(environ, response.start)
                if self._ready_body is not None:
                    chunks = self._ready_body(body)
            except BaseException as error:
                response.fail(error)
                raise
        if response.__class__ is not Response:
            return watch_websocket(body, response)
        if chunks is not None:
            return read(chunks, exchange, response.length)
        if type(body) is list or type(body) is tuple:
            # Servers ask for the number of chunks where the app has not told the length.
            return read(body, exchange, response.length, is_sized=response.length is None)
        if isinstance(body, bytes) or _is_wrapped_file(body, environ):
            return watch_file(body, response)
        return (SizedBody if hasattr(body, "__len__") else Body)(body, response)

    def _open(self, environ: Environ, start_response: StartResponse) -> Response | None:
        """Begin an exchange; None when we fail, and the app is to be run without us."""
        gateway, wrapped = self._gateway, self._wrapped
        try:
            if "HTTP_UPGRADE" in environ and is_handshake(environ):
                return self._open_websocket(environ, start_response)
            info = self._request_info(environ, self._context_headers)
        except Exception as error:
            gateway.report("start", error)
            return None
        exchange = gateway.start(info)
        if exchange is None:
            return None
        environ[CARRIER_KEY], exchange.carrier, exchange.routed = exchange, environ, wrapped
        if self._lifecycle.is_draining:
            start_response = closing(environ, start_response)
        has_length = "CONTENT_LENGTH" in environ and environ["CONTENT_LENGTH"] not in _NO_LENGTH
        if (has_length or "HTTP_TRANSFER_ENCODING" in environ) and "wsgi.input" in environ:
            environ["wsgi.input"] = CountedInput(environ["wsgi.input"], exchange)
        return Response(exchange, environ, start_response, wrapped)

    def _open_websocket(self, environ: Environ, start_response: StartResponse) -> Response | None:
        scheme = "wss" if environ.get("wsgi.url_scheme") == "https" else "ws"
        exchange = self._gateway.start(self._request_info(environ, self._context_headers, None, None, scheme))
        if exchange is None:
            return None
        environ[CARRIER_KEY], exchange.carrier, exchange.routed = exchange, environ, self._wrapped
        return WebsocketResponse(exchange, environ, start_response, self._wrapped)


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
