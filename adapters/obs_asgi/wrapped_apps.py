"""The apps inside a wrapped app, found once through attributes, closures and mounts.

A layer between may hide the app that has the routes: socket.io's ASGIApp, a function, a class with a dict of apps.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType
from typing import Any, NamedTuple

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
    return has(app, "build_middleware_stack") and has(app, "router")


def is_router(app: Any) -> bool:
    """Tell whether it is a router of Starlette."""
    return has_routes(app) and has(app, "middleware_stack") and not is_starlette(app)


def has_routes(app: Any) -> bool:
    """Tell whether it has routes as apps and routers of Starlette have them."""
    try:
        return has(app, "routes") and isinstance(app.routes, (list, tuple))
    except Exception:  # a property of another kind
        return False


def has(app: Any, name: str) -> bool:
    """Tell whether an object has an attribute, with no code of its class run."""
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
        return [route.app for route in app.routes if has(route, "app") and has(route, "routes")]
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
