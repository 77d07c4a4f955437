"""What a copy of a scope tells: the route that a router leaves there, and whether the app runs it by itself.

A layer may hand on a copy of the scope, so each router behind such a layer notes the scope that it is called with.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any, NamedTuple

from obs_asgi.wrapped_apps import Inner, has, is_router
from obs_middleware.gateway import CARRIER_KEY, CURRENT, INERT, exchange_around, scope_request_info

Scope = MutableMapping[str, Any]

_ASGI = ("scope", "receive", "send")


class NotingRouter:
    """What a hidden router calls first: it notes the scope, where the router then leaves the route."""

    __slots__ = ("app",)

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
        outer = exchange_of(scope)
        if outer is not None and outer.carrier is not scope:
            scope = note_copy(outer, scope, self)
        return self.app(scope, receive, send)


def exchange_of(scope: Scope) -> Any:
    """Return the exchange that a scope belongs to, also where a layer has made the scope anew or has pickled it."""
    outer, current = scope.get(CARRIER_KEY), CURRENT.get()
    if current is None or current is outer:
        return outer
    if outer is None:
        with suppress(Exception):  # None where the app asks itself
            return exchange_around(scope, lambda: scope_request_info(scope, ()))
    elif outer.is_finished and outer.request_id == current.request_id:
        return current
    return outer


def note_routers(inner: Iterable[Inner]) -> None:
    """Let each hidden router note the scopes that it is called with: Starlette's, and an app of Litestar."""
    for app, is_hidden, _ in inner:
        name = "middleware_stack" if is_router(app) else "asgi_handler" if has(app, "asgi_router") else ""
        if is_hidden and name and not isinstance(getattr(app, name), NotingRouter):
            setattr(app, name, NotingRouter(getattr(app, name)))


class Copy(NamedTuple):
    """A copy of the scope of an exchange, on its way to a router."""

    scope: Scope
    path: str
    root_path: str
    has_parameters: bool


def note_copy(outer: Any, scope: Scope, place: object) -> Scope:
    """Note a copy of an exchange's scope that comes to a place inside, and return the scope to go on with.

    A copy that the app has made of a request that it has routed, and one of another path at the same place, is a part
    of the request that the app runs by itself (batch endpoints): nothing of it counts.
    """
    if outer.is_finished or not (outer.routed is None or type(outer.routed) is dict):  # another adapter's
        return scope
    routed = outer.routed = outer.routed or {}
    known = (scope, outer.carrier, *(copy.scope for copy in routed.values() if copy is not None))
    if "endpoint" in scope and any(map(is_routed, known)):
        return inert_copy(scope)
    before: Copy | None = routed.get(place)
    if before is not None and before.scope is scope:
        return scope
    path = scope.get("path", "")
    if place not in routed:
        root = scope.get("root_path", "")
        routed[place] = Copy(scope, path, root, bool(scope.get("path_params")))
        return scope
    if before is not None and not is_routed(
        before.scope
    ):  # a layer tries another path where one was not found
        routed[place] = before._replace(scope=scope, path=path)
        return scope
    if before is None or before.path != path:
        routed[place] = None
    return inert_copy(scope)


def inert_copy(scope: Scope) -> Scope:
    """Return a copy of a scope in which nothing is observed."""
    return {**scope, CARRIER_KEY: INERT}


def is_routed(scope: Scope) -> bool:
    """Tell whether a scope has been routed to its end, and not to a mount alone."""
    route = scope.get("route")
    if route is not None:
        return not hasattr(route, "routes")
    endpoint = scope.get("endpoint")  # before Starlette 1.0 it is all there is, also of a mount
    names = getattr(getattr(endpoint, "__code__", None), "co_varnames", ())[:3]
    return (inspect.isroutine(endpoint) and names != _ASGI) or inspect.isclass(endpoint)
