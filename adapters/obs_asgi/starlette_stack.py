"""The place of the middleware in the stack of a Starlette or FastAPI app.

Added there it sits inside the app's own error middleware, whose 500 it would never see. So a copy of it stands around
the whole stack, from the first request on. It is put there while Starlette builds the stack, as a subclass of the
error middleware, because OpenTelemetry's instrumentation looks for one. Where that is left out, and around a stack that
is built in another way, it is put when the first scope has come through, whose request is observed from inside.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import MutableMapping
from types import FrameType, MethodType
from typing import Any

from obs_asgi.noted_errors import layers, note_errors

Scope = MutableMapping[str, Any]


def building_frame() -> FrameType | None:
    """Return the frame that builds a Starlette app's stack, if it makes the middleware or a subclass of it now."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_name == "__init__":
        frame = frame.f_back
    return frame if frame is not None and frame.f_code.co_name == "build_middleware_stack" else None


def stand_around(frame: FrameType, middleware: Any) -> bool:
    """Put a copy of a middleware around the stack that a frame is about to build; tell whether that could be done.

    Starlette goes through a list of classes and their arguments from its end; the first one makes the error middleware.
    """
    entries = frame.f_locals.get("middleware")
    if type(entries) is not list or not entries:
        return False
    kind, *arguments = entries[0]
    if isinstance(kind, _Around):  # of an instance inside; the outermost one observes
        kind.middleware = middleware
        return True
    if not isinstance(kind, type) or not kind.__name__.endswith("ErrorMiddleware"):
        return False
    entries[0] = _Around(kind, middleware), *arguments
    return True


class _Around:
    """Make the error middleware of a stack, with a copy of a middleware of ours around it."""

    def __init__(self, kind: type[Any], middleware: Any) -> None:
        self._kind = kind
        self.middleware = middleware

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        kind, around = self._kind, copy.copy(self.middleware)

        def call(_: Any, scope: Scope, receive: Any, send: Any) -> Any:
            return around(scope, receive, send)

        names = {"__call__": call, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
        errors = type(kind.__name__, (kind,), names)(*args, **keywords)
        around.app, around.stack, around.begins = MethodType(kind.__call__, errors), errors, True
        self.middleware.around = around
        return errors


def take_place(owner: Any, middleware: Any) -> None:
    """Let an app call the middleware that stands around its stack, and no more by way of the error middleware.

    Around a stack that was built in another way a copy is put, for the requests to come.
    """
    if middleware.stack is None:
        around = copy.copy(middleware)
        around.app = around.stack = owner.middleware_stack
        owner.middleware_stack = around
        middleware.begins = False
    elif owner.middleware_stack is middleware.stack:
        owner.middleware_stack = middleware


def stand_inside(app: Any, middleware: Any) -> None:
    """Put a copy of a middleware that is wrapped around an app inside of it, around the app's stack.

    No added instance is there to note exceptions, so that the error middleware does.
    """
    if app.middleware_stack is None:
        app.middleware_stack = app.build_middleware_stack()
    note_errors((app,))
    around = copy.copy(middleware)
    around.owner, around.begins = app, True
    around.app = around.stack = app.middleware_stack
    app.middleware_stack = middleware.around = around


def is_inside(around: Any) -> bool:
    """Tell whether a copy that `stand_inside` has put there is still in the app's stack, which may be built again."""
    stack = around.owner.middleware_stack
    return stack is around or any(layer is around for layer in layers(stack))


def stand_around_connexion(owner: Any, middleware: Any) -> None:
    """Put a copy of a middleware around Connexion's stack, which answers validation and exceptions further outside.

    Connexion names itself in the scope, keeps the parts of its stack in a list, and calls the outermost as `app`.
    """
    if not type(owner).__module__.startswith("connexion.") or not isinstance(owner.middleware_stack, list):
        return
    if not isinstance(owner.app, type(middleware)):
        around = copy.copy(middleware)
        around.app, owner.app = owner.app, around
        middleware.begins = False
