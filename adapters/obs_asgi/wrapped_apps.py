"""The apps inside a wrapped app, found once through attributes, closures and mounts.

A layer between may hide the app that has the routes (socket.io's ASGIApp, a function), and may hand on a copy of the
scope, where a router then leaves the route. So each router behind such a layer notes the scope that it is called with.
"""

from __future__ import annotations

import functools
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType
from typing import Any, NamedTuple

from obs_middleware.gateway import CARRIER_KEY, CURRENT, INERT, exchange_around, scope_request_info

Scope = MutableMapping[str, Any]

_MOST, _MOST_OF_ONE = 1000, 100  # objects looked at
_HAND_ON_THE_SCOPE = ("starlette", "fastapi", "obs_asgi")
_ASGI = ("scope", "receive", "send")
_CONTAINERS = (list, tuple, dict)
_LEAVES = (type, BuiltinFunctionType)


class Inner(NamedTuple):
    """An object inside a wrapped app."""

    app: Any
    is_hidden: bool  # behind a layer that may copy the scope
    is_mounted: bool  # in an app whose routes lead to it


def apps_inside(app: Any) -> list[Inner]:
    """Return an app and what is inside, outermost first.

    No code of what is found is run: attributes are read where they are stored.
    """
    waiting = deque([Inner(app, is_hidden=False, is_mounted=False)])
    seen, found = set[tuple[int, bool]](), list[Inner]()
    while waiting and len(seen) < _MOST:
        inner = waiting.popleft()
        key = id(inner.app), inner.is_hidden
        if key in seen or not _is_of_interest(inner.app):
            continue
        seen.add(key)
        found.append(inner)
        with suppress(Exception):  # objects of any class are looked into
            is_layer = not _hands_on_the_scope(inner.app)
            is_mounted = has_routes(inner.app) or (inner.is_mounted and not is_layer)
            is_hidden = inner.is_hidden or is_layer
            waiting.extend([Inner(child, is_hidden, is_mounted) for child in _children(inner.app)])
    return found


def is_starlette(app: Any) -> bool:
    """Tell whether it is an app of Starlette or FastAPI."""
    return _has(app, "build_middleware_stack") and _has(app, "router")


def is_router(app: Any) -> bool:
    """Tell whether it is a router of Starlette."""
    return has_routes(app) and _has(app, "middleware_stack") and not is_starlette(app)


def has_routes(app: Any) -> bool:
    """Tell whether it has routes as apps and routers of Starlette have them."""
    try:
        return _has(app, "routes") and isinstance(app.routes, (list, tuple))
    except Exception:  # a property of another kind
        return False


def _has(app: Any, name: str) -> bool:
    return name in _own(app) or any(name in vars(kind) for kind in type(app).__mro__)


def _own(app: Any) -> dict[str, Any]:
    """Return the attributes of an object, with no code of its class run."""
    try:
        return object.__getattribute__(app, "__dict__")  # type: ignore[no-any-return]
    except AttributeError:
        return {}


def _is_of_interest(app: Any) -> bool:
    return type(app) in _CONTAINERS or (callable(app) and type(app) not in _LEAVES)


def _hands_on_the_scope(app: Any) -> bool:
    """Tell whether a layer hands on the very scope that it gets."""
    if type(app) in _CONTAINERS:
        return True
    call = getattr(app, "__func__", app) if type(app) in (FunctionType, MethodType) else type(app).__call__
    module = getattr(call, "__module__", None) or ""
    return module.partition(".")[0] in _HAND_ON_THE_SCOPE


def _children(app: Any) -> Iterable[Any]:
    """Return what an object may call: those of Starlette are known, of any other all that it holds."""
    if is_starlette(app):
        return (app.router,)
    if type(app).__module__.startswith("obs_asgi."):
        return (app.app,)
    if has_routes(app):
        return [route.app for route in app.routes if _has(route, "app") and _has(route, "routes")]
    if type(app) in (list, tuple):
        return app[:_MOST_OF_ONE]  # type: ignore[no-any-return]
    if type(app) is dict:
        return list(app.values())[:_MOST_OF_ONE]
    if type(app) is MethodType:
        return (*_of_holder(app.__self__), app.__func__)
    if type(app) is functools.partial:
        return app.func, *app.args, *app.keywords.values()
    if type(app) is FunctionType:
        return _referred_by(app)
    return _held(app)


def _held(app: Any) -> list[Any]:
    """Return the values of an object's attributes."""
    slots = (name for kind in type(app).__mro__ for name in vars(kind).get("__slots__", ()))
    members = [name for name in slots if type(vars(type(app)).get(name)) is MemberDescriptorType]
    return [*_own(app).values(), *(getattr(app, name, None) for name in members)]


def _of_holder(held: Any) -> list[Any]:
    """Return what a method or a closure knows: a callable, or what an object of another kind holds."""
    return [held] if _is_of_interest(held) else _held(held)


def _referred_by(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield from _of_holder(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if type(value) not in (FunctionType, type(None)):
            yield value
    yield getattr(function, "__wrapped__", None)


class NotingRouter:
    """What a hidden router calls first: it notes the scope, where the router then leaves the route."""

    __slots__ = ("app",)

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
        if CARRIER_KEY not in scope and CURRENT.get() is not None:
            with suppress(Exception):  # a layer has made a new scope, or the app asks itself
                outer = exchange_around(scope, lambda: scope_request_info(scope, ()))
                scope = scope if outer is None else note_copy(outer, scope, self)
        elif CARRIER_KEY in scope and scope[CARRIER_KEY].carrier is not scope:
            scope = note_copy(scope[CARRIER_KEY], scope, self)
        return self.app(scope, receive, send)


def note_routers(inner: Iterable[Inner]) -> None:
    """Let each hidden router note the scopes that it is called with: Starlette's, and an app of Litestar."""
    for app, is_hidden, _ in inner:
        name = "middleware_stack" if is_router(app) else "asgi_handler" if _has(app, "asgi_router") else ""
        if is_hidden and name and not isinstance(getattr(app, name), NotingRouter):
            setattr(app, name, NotingRouter(getattr(app, name)))


class NotingErrors:
    """What an error middleware calls first: it notes an exception before the response to it is made."""

    __slots__ = ("app",)

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        outer = scope.get(CARRIER_KEY)
        if outer is None or (
            outer.carrier is not scope and _is_routed(scope)
        ):  # a part that the app runs by itself
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            outer.note_error(error)
            raise


def note_errors(apps: Iterable[Any]) -> None:
    """Let the error middleware of each app of Starlette note what it answers, now or when the app builds its stack."""
    for app in filter(is_starlette, apps):
        if app.middleware_stack is not None:
            _note_errors_of(app.middleware_stack)
        elif "build_middleware_stack" not in _own(app):
            app.build_middleware_stack = functools.partial(_built, app.build_middleware_stack)


def _built(build: Callable[[], Any]) -> Any:
    return _note_errors_of(build())


def _note_errors_of(stack: Any) -> Any:
    is_one = type(stack).__name__.endswith("ErrorMiddleware")
    if is_one and _has(stack, "app") and type(stack.app) is not NotingErrors:
        stack.app = NotingErrors(stack.app)
    return stack


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
    if "endpoint" in scope and any(map(_is_routed, known)):
        return inert_copy(scope)
    before: Copy | None = routed.get(place)
    if before is not None and before.scope is scope:
        return scope
    path = scope.get("path", "")
    if place not in routed:
        root = scope.get("root_path", "")
        routed[place] = Copy(scope, path, root, bool(scope.get("path_params")))
        return scope
    if before is None or before.path != path:
        routed[place] = None
    return inert_copy(scope)


def inert_copy(scope: Scope) -> Scope:
    """Return a copy of a scope in which nothing is observed."""
    return {**scope, CARRIER_KEY: INERT}


def _is_routed(scope: Scope) -> bool:
    """Tell whether a scope has been routed to its end, and not to a mount alone."""
    route = scope.get("route")
    if route is not None:
        return not hasattr(route, "routes")
    endpoint = scope.get("endpoint")  # before Starlette 1.0 it is all there is, also of a mount
    names = getattr(getattr(endpoint, "__code__", None), "co_varnames", ())[:3]
    return (inspect.isroutine(endpoint) and names != _ASGI) or inspect.isclass(endpoint)
