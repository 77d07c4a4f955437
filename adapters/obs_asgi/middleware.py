"""The ASGI middleware: http, websocket and lifespan.

Around an app, or around one mount, it observes what passes through it. Added to a Starlette or FastAPI app it lets a
copy of itself stand around the app's whole stack; the added instance then only notes exceptions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from obs_asgi.app_pages import has_route
from obs_asgi.failing import is_layer_around, own_error
from obs_asgi.lifespan import Lifespan, refuse
from obs_asgi.loop import in_thread, serving_loop
from obs_asgi.noted_errors import note_errors, note_errors_around
from obs_asgi.other_frameworks import read_routes
from obs_asgi.other_telemetry import Telemetry
from obs_asgi.request import named_request_info, own_path
from obs_asgi.response import STARTS, CapturingResponse, Response
from obs_asgi.routes import RouteOf, Routes
from obs_asgi.scope_copies import inert_copy, note_copy, note_routers
from obs_asgi.sending import closing, send_reply
from obs_asgi.starlette_stack import (
    building_frame,
    is_inside,
    stand_around,
    stand_around_connexion,
    stand_inside,
    take_place,
)
from obs_asgi.websocket import CapturingWebsocketResponse, WebsocketResponse
from obs_asgi.wrapped_apps import apps_inside, has_routes
from obs_middleware import ConfigError, Exchange, Observer
from obs_middleware.gateway import (
    CARRIER_KEY,
    CURRENT,
    INERT,
    OTHER_ID_HEADER,
    exchange_around,
    scope_request_info,
    with_path,
)

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
        route_of: reads the route template from the scope when the response ends, where the app's framework leaves it in
            a way of its own; a raw app may set `current_exchange().route` instead.

    Raises:
        ConfigError: a setting is not as it must be; where Starlette builds the middleware, at the lifespan's start.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_context_headers",
        "_error",
        "_gateway",
        "_has_begun",
        "_is_serving",
        "_lifecycle",
        "_names",
        "_request_info",
        "_response",
        "_route_of",
        "_routes",
        "_telemetry",
        "_websocket",
        "app",
        "around",
        "begins",
        "is_set_up",
        "observer",
        "owner",
        "stack",
    )

    def __init__(
        self,
        app: ASGIApp,
        observer: Observer | None = None,
        *,
        route_of: RouteOf | None = None,
        **settings: Unpack[Keywords],
    ) -> None:
        self.app = app
        self._error: ConfigError | None = None
        self._is_serving = self._has_begun = False
        self.begins = True  # exchanges; False where another instance around does
        self.owner: Any = None  # the Starlette app in whose stack it is
        self.stack: Any = None  # of that app, around which it stands
        self.around: ObservabilityMiddleware | None = None  # the copy that does
        self.is_set_up = False
        self._route_of = route_of
        self._routes = Routes()
        frame = building_frame()
        try:
            self.observer = Observer.given_or_new(observer, settings)
            self._gateway = gateway = self.observer.gateway
            self._lifecycle = self.observer.lifecycle
            self._context_headers = tuple(map(str.encode, gateway.context_headers))
            self._request_info = named_request_info if gateway.needs_header_names else scope_request_info
            captures = gateway.captures_response
            self._response = CapturingResponse if captures else Response
            self._websocket = CapturingWebsocketResponse if captures else WebsocketResponse
            request_id, correlation_id = gateway.response_header_names
            names = request_id, correlation_id, "content-length", OTHER_ID_HEADER
            self._names: Any = tuple(name.lower().encode() for name in names)
            self._telemetry = Telemetry(gateway)
        except ConfigError as error:
            # Starlette builds its stack at the first event, where servers take an exception for "no lifespan here".
            if frame is None:
                raise
            self._error = error
        if frame is not None:
            self.owner = frame.f_locals.get("self")
            self.begins = self._error is not None or not stand_around(frame, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if CARRIER_KEY in scope:  # inside an exchange that another instance has begun
            outer: Exchange = scope[CARRIER_KEY]
            if outer.carrier is not scope:
                scope = self._of_copy(outer, scope)
                outer = scope.get(CARRIER_KEY, INERT)
            try:
                await self.app(scope, receive, send)
            except Exception as error:
                outer.note_error(own_error(error))
                raise
            return
        kind = scope["type"]
        if not self.begins and self._is_left_out():
            self.begins, self.around = True, None
        if kind not in ("http", "websocket") or not self.begins:
            await (self._live if kind == "lifespan" and self.begins else self.app)(scope, receive, send)
            return
        if not (self._is_serving or self._begin(scope)):
            await self.app(scope, receive, send)
            return
        root = scope.get("root_path")
        path = own_path(scope) if root or "path" not in scope else scope["path"]
        gateway = self._gateway
        if (
            path in gateway.paths
            or (
                gateway.path_prefix
                and path[gateway.prefix_of_path] == gateway.path_prefix
                and gateway.has_page(path)
            )
        ) and kind == "http":
            await self._reply(scope, path, send)
            return
        if CURRENT.get() is not None or "wsgi_environ" in scope:
            around = self._exchange_around(scope)
            if around is not None:
                await self._run_inside(around, scope, receive, send)
                return
        response = self._open(scope, root, receive, send)
        if response is None:
            await self.app(scope, receive, send)
            return
        exchange = response.exchange
        with exchange:
            try:
                await self.app(scope, response.receive, response.send)
            except Exception as error:
                await response.fail(error, partial(self._is_answered, send))
                raise
            except BaseException as error:
                response.note_raised(error)
                raise
            finally:
                # Servers keep a connection's last scope: with some dozens of those, and all that hangs on an exchange,
                # the garbage collector would run with every wave of requests. So its end takes it out of the scope.
                if exchange.outcome is None:
                    response.end()

    def _open(self, scope: Scope, root: str | None, receive: Receive, send: Send) -> Response | None:
        """Begin an exchange; None when we fail, and the app is to be run without us."""
        try:
            info = self._request_info(scope, self._context_headers)
            if root and not info.path.startswith(root):
                info = with_path(info, root + info.path)  # a proxy has stripped it, and routes have it
        except Exception as error:
            self._gateway.report("request", error)
            return None
        exchange = self._gateway.start(info)
        if exchange is None:
            return None
        try:
            scope[CARRIER_KEY] = exchange
            exchange.carrier = scope
            if exchange.is_span_ours and self._telemetry.has_to_hide:
                self._telemetry.hide(scope)
        except TypeError:  # a scope that can't be written to, against the specification: the app may not mind
            pass
        if self._lifecycle.is_draining:
            send = closing(scope, send)
        if scope["type"] == "websocket":
            opened = self._gateway.websocket_opened
            return self._websocket(exchange, self._names, self._routes, scope, receive, send, opened)
        return self._response(exchange, self._names, self._routes, scope, receive, send)

    def _is_answered(self, send: Send) -> bool:
        """Tell whether what the app has raised is for others to answer."""
        return not self._gateway.error_response or is_layer_around(
            ObservabilityMiddleware.__call__.__code__, send
        )

    def _of_copy(self, outer: Exchange, scope: Scope) -> Scope:
        """Return the scope to go on with, where it is a copy of the one that an exchange has begun with."""
        if self.begins and self._gateway.has_begun(outer) and not outer.is_finished:
            return inert_copy(scope)  # the app calls itself
        return note_copy(outer, scope, self)

    def _exchange_around(self, scope: Scope) -> Exchange | None:
        """Return the exchange that an adapter of another kind has begun for this request."""
        try:
            return exchange_around(scope, partial(self._request_info, scope, self._context_headers))
        except Exception as error:
            self._gateway.report("request", error)
            return None

    async def _run_inside(self, around: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app for an exchange of another adapter, which learns the route and the errors alone."""
        with suppress(TypeError):  # as in `_open`
            scope[CARRIER_KEY] = around
        before = self._routes.before(scope)

        async def name_route(message: Message) -> None:
            if message["type"] in STARTS:
                try:
                    around.name_route(self._routes.template(scope, before))
                except Exception as error:
                    around.report("route", error)
            await send(message)

        try:
            await self.app(scope, receive, name_route)
        except Exception as error:
            around.note_error(own_error(error))
            raise

    async def _reply(self, scope: Scope, path: str, send: Send) -> None:
        info = scope_request_info(scope, self._context_headers)
        self._gateway.started(loop=serving_loop())  # a check runs in the loop of the probe that asks for it
        reply = await in_thread(self._gateway.threads(path), self._gateway.reply, info, path)
        if self._lifecycle.is_draining:
            send = closing(scope, send)
        await send_reply(reply, send, has_body=info.method != "HEAD")

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._error is not None:
            await refuse(self._error, receive, send)
        self._set_up(scope)
        self._gateway.starting()
        lifespan = Lifespan(self._gateway, receive, send)
        await self.app(scope, lifespan.receive, lifespan.send)

    def _begin(self, scope: Scope) -> bool:
        """Get ready at the first request, with a lifespan before it or none; tell whether its exchange begins here.

        Done again at the second one, because an app may build what is inside when it is called first.
        """
        if self._error is not None:
            raise self._error
        if self.owner is None and self._telemetry.is_to_be_around(self.app):
            stand_inside(self.app, self)
            self.begins = False
            return False
        self._set_up(scope)
        self._gateway.started(loop=serving_loop())
        self._is_serving, self._has_begun = self._has_begun, True
        return True

    def _is_left_out(self) -> bool:
        """Tell whether the copy around the stack is not there.

        OpenTelemetry makes an error middleware of its own, and a stack may be built again.
        """
        around = self.around
        if around is None:
            return False
        return not (is_inside(around) if self.owner is None else around.is_set_up)

    def _set_up(self, scope: Scope) -> None:
        if not self.is_set_up:
            self._gateway.look_for_pages(partial(has_route, self.owner or self.app))
        self.is_set_up = True
        app = self.owner or scope.get("app") or self.app
        self._gateway.set_up(debug=_is_in_debug(app))
        if self.owner is not None:
            take_place(self.owner, self)
        try:
            stand_around_connexion(scope.get("app"), self)
            self._look_inside()
        except Exception as error:
            self._gateway.report("inside", error)

    def _look_inside(self) -> None:
        """Find the apps inside, which may be hidden by layers: how they name their routes, and what they trace."""
        inside = apps_inside(self.app)
        apps = [inner.app for inner in inside]
        note_routers(inside)
        note_errors(app for app in apps if app is not self.owner)
        if self.owner is not None:
            note_errors_around(self.owner.middleware_stack)
        self._telemetry.agree([self.owner, *apps], around=self.owner or self.app)
        template_of = None if self._route_of is not None else read_routes(apps)
        routed = {
            id(inner.app.routes): inner.app
            for inner in inside
            if has_routes(inner.app) and not inner.is_mounted
        }
        self._routes = Routes(list(routed.values()), template_of=template_of, route_of=self._route_of)


def _is_in_debug(app: Any) -> bool:
    """Tell whether an app says so; where it fails to answer, it does not."""
    try:
        return bool(app.debug)
    except Exception:
        return False
