"""Exceptions that are noted where a layer inside answers them, before the response to them is made.

The error middleware of an app does so, and Connexion in a layer of its own. BaseHTTPMiddleware ends a stream that has
failed as if it were whole, and may answer what its `call_next` raises.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any

from obs_asgi.failing import own_error
from obs_asgi.scope_copies import exchange_of, is_routed
from obs_asgi.wrapped_apps import has, has_routes, is_starlette
from obs_middleware.gateway import own_status

Scope = MutableMapping[str, Any]

CUT_KEY = "obs.cut"  # in the scope of a response that has begun and failed, and that ends as if it were whole
_BASE = ("starlette.middleware.base", "BaseHTTPMiddleware")
_CONNEXIONS = ("connexion.middleware.exceptions", "ExceptionMiddleware")
_MOST = 100  # layers


def note_errors(apps: Iterable[Any]) -> None:
    """Let each app of Starlette note what it answers, now or when it builds its stack; Connexion's layer too."""
    for app in apps:
        if not is_starlette(app):
            _note_connexions(app)
        elif app.middleware_stack is not None:
            _note_errors_of(app.middleware_stack)
        elif "build_middleware_stack" not in vars(app):
            app.build_middleware_stack = functools.partial(_built, app.build_middleware_stack)


def note_errors_around(stack: Any) -> None:
    """Let the error middleware of a stack that has us inside note what passes none of us: another layer is outside.

    The innermost BaseHTTPMiddleware notes how the response that it hands on has ended.
    """
    for layer in layers(stack):
        is_outside = not type(getattr(layer, "app", None)).__module__.startswith("obs_asgi.")
        if is_outside and type(layer).__name__.endswith("ErrorMiddleware"):
            _note_errors_of(layer)
            break
    _note_streams(stack)


def layers(stack: Any) -> Iterator[Any]:
    """Yield the layers of a stack, outermost first, without the router."""
    layer = stack
    for _ in range(_MOST):
        layer = getattr(layer, "__self__", layer)
        if layer is None or has_routes(layer):
            return
        yield layer
        layer = getattr(layer, "app", None)


def _note_streams(stack: Any) -> None:
    innermost = None
    for layer in layers(stack):
        innermost = layer if _BASE in _classes(layer) else innermost
    if innermost is not None and type(innermost.app) is not _NotingStreams:
        innermost.app = _NotingStreams(innermost.app)


class _NotingErrors:
    """What such a layer calls: it notes an exception on its way to the layer."""

    __slots__ = ("_is_noted", "app")

    def __init__(
        self, app: Callable[..., Awaitable[None]], is_noted: Callable[[Exception], bool] | None = None
    ) -> None:
        self.app = app
        self._is_noted = is_noted

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        outer = exchange_of(scope)
        if outer is None or _is_part(outer, scope):
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            if self._is_noted is None or self._is_noted(error):
                outer.note_error(own_error(error))
            raise


class _NotingStreams:
    """The same of BaseHTTPMiddleware: it also notes that the response had begun."""

    __slots__ = ("app",)

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        outer = exchange_of(scope)
        if outer is None or _is_part(outer, scope):
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def note(message: MutableMapping[str, Any]) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, note)
        except Exception as error:
            if not outer.is_finished:  # as it is where a background task fails
                outer.note_error(own_error(error))
                outer.carrier[CUT_KEY] = has_begun
            raise


def _is_part(outer: Any, scope: Scope) -> bool:
    """Tell whether the app runs the scope by itself, as a part of a request that it has routed."""
    return outer.carrier is not scope and is_routed(scope)


def _built(build: Callable[[], Any]) -> Any:
    return _note_errors_of(build())


def _note_errors_of(stack: Any) -> Any:
    is_one = type(stack).__name__.endswith("ErrorMiddleware")
    if is_one and has(stack, "app") and type(stack.app) is not _NotingErrors:
        _note_streams(stack)
        stack.app = _NotingErrors(stack.app)
    return stack


def _note_connexions(layer: Any) -> None:
    if _CONNEXIONS in _classes(layer) and type(layer.app) is not _NotingErrors:
        layer.app = _NotingErrors(layer.app, lambda error: own_status(error) is None)


def _classes(layer: Any) -> list[tuple[str, str]]:
    return [(kind.__module__, kind.__name__) for kind in type(layer).__mro__]
