"""Routes of frameworks that leave none in the scope, read in the ways that each of them documents.

Quart tells by signals, Falcon by a middleware, BlackSheep's router is asked. Litestar and Starlette leave theirs in the
scope; any other app has `route_of`. Litestar, Quart and BlackSheep answer exceptions
themselves, and are listened to for those too.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from obs_middleware import current_exchange
from obs_middleware.gateway import own_status

Scope = Mapping[str, Any]

_APPS = {
    ("quart.app", "Quart"),
    ("falcon.asgi.app", "App"),
    ("litestar.app", "Litestar"),
    ("blacksheep.server.application", "Application"),
}


def read_routes(apps: Iterable[Any]) -> Callable[[Scope], str | None] | None:
    """See that the routes of these apps are known; return what reads a template from a scope, if that is the way."""
    routers = []
    for app in apps:
        framework = _framework(app)
        if framework == "quart":
            _listen(app)
        elif framework == "falcon":
            app.add_middleware(_FalconMiddleware())
        elif framework == "litestar":
            if _litestar_has_failed not in app.after_exception:
                app.after_exception.append(_litestar_has_failed)
        elif framework == "blacksheep":
            routers.append(app.router)
            if "handle_internal_server_error" not in vars(app):
                handle = partial(_blacksheep_fails, app.handle_internal_server_error)
                app.handle_internal_server_error = handle
    return _asked(routers) if routers else None


def _framework(app: Any) -> str:
    """Return the framework that an app is made of, also where its class is the user's."""
    for kind in type(app).__mro__:
        if (kind.__module__, kind.__name__) in _APPS:
            return kind.__module__.partition(".")[0]
    return ""


def _listen(app: Any) -> None:
    """Be told by Quart's signals; by coroutines, because it runs functions in a thread."""
    signals = sys.modules["quart.signals"]
    for signal in (signals.request_started, signals.websocket_started):
        signal.connect(_quart_has_routed, app)
    for signal in (signals.got_request_exception, signals.got_websocket_exception):
        signal.connect(_quart_has_failed, app)


async def _quart_has_routed(_: Any, **__: Any) -> None:
    quart, exchange = sys.modules["quart"], current_exchange()
    with suppress(Exception):
        here = quart.request if quart.has_request_context() else quart.websocket
        if exchange is not None and here.url_rule is not None:
            exchange.name_route(here.url_rule.rule, here.root_path)


async def _quart_has_failed(_: Any, exception: BaseException | None = None, **__: Any) -> None:
    _note(exception)


async def _litestar_has_failed(error: Exception, _: Scope) -> None:
    if own_status(error) is None:
        _note(error)


async def _blacksheep_fails(handle: Callable[..., Awaitable[Any]], request: Any, error: Exception) -> Any:
    _note(error)
    return await handle(request, error)


def _note(error: BaseException | None) -> None:
    exchange = current_exchange()
    if exchange is not None and error is not None:
        exchange.note_error(error)


class _FalconMiddleware:
    """Falcon calls it when a request has been routed."""

    async def process_resource(self, request: Any, _: Any, __: Any, ___: Any) -> None:
        exchange = current_exchange()
        if exchange is not None:
            exchange.name_route(request.uri_template, request.root_path)

    async def process_resource_ws(self, request: Any, _: Any, __: Any, ___: Any) -> None:
        await self.process_resource(request, None, None, None)


def _asked(routers: list[Any]) -> Callable[[Scope], str | None]:
    def template_of(scope: Scope) -> str | None:
        root: str = scope.get("root_path", "")
        path = scope["path"].removeprefix(root).encode()
        method = b"GET_WS" if scope["type"] == "websocket" else scope["method"].encode()
        for router in routers:
            match = router.get_match_by_method_and_path(method, path)
            pattern = getattr(match, "pattern", None)
            if pattern and pattern.strip(b"/") != b"*":  # the fallback
                return str(pattern.decode("latin-1"))
        return None

    return template_of
