"""The ASGI middleware: http, websocket and lifespan.

Added to a Starlette or FastAPI app it sits inside the app's own error middleware, whose 500 it would never see.
So at the first scope that names the app it stands around the whole stack; the added instance only notes exceptions.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from obs_asgi.app_pages import has_route
from obs_asgi.fastapi_telemetry import agree_with_telemetry
from obs_asgi.lifespan import Lifespan, refuse
from obs_asgi.loop import in_thread, running_loop
from obs_asgi.request import named_request_info, own_path
from obs_asgi.response import CapturingResponse, Response
from obs_asgi.routes import Routes
from obs_asgi.sending import send_reply
from obs_middleware import ConfigError, Exchange, Observer
from obs_middleware.gateway import CARRIER_KEY, OTHER_ID_HEADER, scope_request_info

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from obs_middleware.gateway import Keywords

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class ObservabilityMiddleware:
    """Observe an ASGI app.

    Args:
        app: the app to run.
        observer: an Observer made elsewhere; or give settings by name.

    Raises:
        ConfigError: a setting is not as it must be; where Starlette builds the middleware, at the lifespan's start.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_context_headers",
        "_error",
        "_gateway",
        "_is_looked_at",
        "_is_serving",
        "_names",
        "_request_info",
        "_response",
        "_routes",
        "app",
        "observer",
    )

    def __init__(self, app: ASGIApp, observer: Observer | None = None, **settings: Unpack[Keywords]) -> None:
        self.app = app
        self._error: ConfigError | None = None
        self._is_serving = False
        self._is_looked_at = False
        self._routes = Routes(app)
        try:
            self.observer = Observer.given_or_new(observer, settings)
            self._gateway = gateway = self.observer.gateway
            self._context_headers = tuple(map(str.encode, gateway.context_headers))
            self._request_info = named_request_info if gateway.needs_header_names else scope_request_info
            self._response = CapturingResponse if gateway.captures_response else Response
            request_id, correlation_id = gateway.response_header_names
            names = request_id, correlation_id, "content-length", OTHER_ID_HEADER
            self._names: Any = tuple(name.lower().encode() for name in names)
        except ConfigError as error:
            # Starlette builds its stack at the first event, where servers take an exception for "no lifespan here".
            if not _is_built_by_starlette():
                raise
            self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if CARRIER_KEY in scope:
            # Inside an exchange that another instance has begun; a scope that is a copy is routed here.
            outer: Exchange = scope[CARRIER_KEY]
            outer.routed = None if outer.is_finished else scope
            try:
                await self.app(scope, receive, send)
            except Exception as error:
                outer.note_error(error)
                raise
            return
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await (self._live if kind == "lifespan" else self.app)(scope, receive, send)
            return
        app = self.app if self._is_serving else self._begin(scope)
        path = own_path(scope) if scope.get("root_path") else scope["path"]
        if path in self._gateway.paths and kind == "http":
            await self._reply(scope, path, send)
            return
        response = self._open(scope, receive, send)
        if response is None:
            await app(scope, receive, send)
            return
        exchange = response.exchange
        with exchange:
            try:
                await app(scope, response.receive, response.send)
            except Exception as error:
                await response.fail(error)
                raise
            except BaseException:  # asyncio.CancelledError, trio.Cancelled
                exchange.is_cancelled = True
                raise
            finally:
                if exchange.outcome is None:
                    response.end()
                # Servers keep a connection's last scope. With some dozens of exchanges in those, the garbage
                # collector would run with every wave of requests.
                scope.pop(CARRIER_KEY, None)

    def _open(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """Begin an exchange; None when we fail, and the app is to be run without us."""
        exchange = self._gateway.start(self._request_info(scope, self._context_headers))
        if exchange is None:
            return None
        scope[CARRIER_KEY] = exchange
        if exchange.is_span_ours:
            # FastAPI's native telemetry, inside us, would make a second server span.
            scope.setdefault("fastapi.telemetry", None)
        return self._response(exchange, self._names, self._routes, scope, receive, send)

    async def _reply(self, scope: Scope, path: str, send: Send) -> None:
        info = scope_request_info(scope, self._context_headers)
        self._gateway.started(loop=running_loop())  # a check runs in the loop of the probe that asks for it
        reply = await in_thread(self._gateway.threads(path), self._gateway.reply, info, path)
        await send_reply(reply, send, has_body=info.method != "HEAD")

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._error is not None:
            await refuse(self._error, receive, send)
        self._set_up(scope)
        self._gateway.starting()
        lifespan = Lifespan(self._gateway, receive, send)
        await self.app(scope, lifespan.receive, lifespan.send)

    def _begin(self, scope: Scope) -> ASGIApp:
        """Get ready at the first request, with a lifespan before it or none, and return the app for this request."""
        if self._error is not None:
            raise self._error
        app = self._set_up(scope)
        self._gateway.started(loop=running_loop())
        self._is_serving = True
        return app

    def _set_up(self, scope: Scope) -> ASGIApp:
        owner = scope.get("app")
        self._gateway.set_up(debug=bool(getattr(owner or self.app, "debug", False)))
        if not self._is_looked_at:
            self._is_looked_at = True
            self._gateway.look_for_pages(partial(has_route, owner or self.app))
        agree_with_telemetry(owner or self.app, self._gateway)
        stack = getattr(owner, "middleware_stack", None)
        if stack is None or isinstance(stack, ObservabilityMiddleware):
            return self.app
        around = copy.copy(self)
        around.app, around._routes = stack, Routes(owner)
        owner.middleware_stack = around  # type: ignore[union-attr]
        # A first request with no lifespan before it is inside the stack already: it gets an error handler of its own.
        errors = copy.copy(stack)
        errors.app = self
        return errors  # type: ignore[no-any-return]


def _is_built_by_starlette() -> bool:
    """Tell whether the middleware, or a subclass, is made while Starlette builds its stack."""
    frame = sys._getframe(2)
    while frame.f_code.co_name == "__init__" and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_name == "build_middleware_stack"
