"""Exceptions that are noted where a layer inside answers them, before the response to them is made.

The error middleware of an app does so, and Connexion in a layer of its own. BaseHTTPMiddleware ends a stream that has
failed as if it were whole, and may answer what its `call_next` raises.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from obs_asgi.failing import own_error
from obs_asgi.scope_copies import is_routed
from obs_asgi.wrapped_apps import has, has_routes, is_starlette
from obs_middleware.gateway import CARRIER_KEY, own_status

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


def note_streams(stack: Any) -> None:
    """Let the innermost BaseHTTPMiddleware of a stack note how the response that it hands on has ended."""
    layer, innermost = stack, None
    for _ in range(_MOST):
        layer = getattr(layer, "__self__", layer)
        if layer is None or has_routes(layer):
            break
        if _BASE in _classes(layer):
            innermost = layer
        layer = getattr(layer, "app", None)
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
        outer = scope.get(CARRIER_KEY)
        if outer is None or (
            outer.carrier is not scope and is_routed(scope)
        ):  # a part that the app runs by itself
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
        outer = scope.get(CARRIER_KEY)
        if outer is None or outer.carrier is not scope:
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
                scope[CUT_KEY] = has_begun
            raise


def _built(build: Callable[[], Any]) -> Any:
    return _note_errors_of(build())


def _note_errors_of(stack: Any) -> Any:
    is_one = type(stack).__name__.endswith("ErrorMiddleware")
    if is_one and has(stack, "app") and type(stack.app) is not _NotingErrors:
        note_streams(stack)
        stack.app = _NotingErrors(stack.app)
    return stack


def _note_connexions(layer: Any) -> None:
    if _CONNEXIONS in _classes(layer) and type(layer.app) is not _NotingErrors:
        layer.app = _NotingErrors(layer.app, lambda error: own_status(error) is None)


def _classes(layer: Any) -> list[tuple[str, str]]:
    return [(kind.__module__, kind.__name__) for kind in type(layer).__mro__]
