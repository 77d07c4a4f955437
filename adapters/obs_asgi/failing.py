"""What an app has raised, and who answers it: a layer around us, the exception itself, or we with a 500."""

from __future__ import annotations

import dis
import sys
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from traceback import walk_tb
from types import CodeType, FrameType
from typing import Any

# Servers, and instrumentations that raise on what they see.
_RAISE_ON = frozenset(
    {
        "asgiref",
        "daphne",
        "ddtrace",
        "elasticapm",
        "granian",
        "gunicorn",
        "hypercorn",
        "mangum",
        "newrelic",
        "obs_asgi",
        "opentelemetry",
        "sentry_sdk",
        "uvicorn",
        "uvicorn_worker",
    }
)
# What calls the stack of an app whose error middleware has had the exception already.
_RAISE_ON_MODULES = frozenset({"starlette.applications", "fastapi.applications", "fastapi.telemetry._asgi"})
_SELF = ("self", "cls")


def is_layer_around(entered: CodeType, send: Any) -> bool:
    """Tell whether an ASGI callable other than a server's waits for us, and may answer what we raise.

    One that catches nothing does not: it counts or measures.

    Args:
        entered: the code of our own callable.
        send: what we were called with; Starlette's BaseHTTPMiddleware waits in another task.
    """
    if getattr(send, "__module__", None) == "starlette.middleware.base":
        return True
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not entered:
        frame = frame.f_back
    has_catching = False
    while frame is not None:
        frame = frame.f_back
        if frame is not None:
            has_catching = has_catching or _catches(frame.f_code)
            if has_catching and _is_layer(frame):
                return True
    return False


@lru_cache(maxsize=256)
def _catches(code: CodeType) -> bool:
    """Tell whether a function has an `except`; a `finally` and a `with` let exceptions pass."""
    names = [instruction.opname for instruction in dis.get_instructions(code)]
    if sys.version_info < (3, 11):
        return "POP_EXCEPT" in names and "WITH_EXCEPT_START" not in names
    is_bare = ("PUSH_EXC_INFO", "POP_TOP") in pairwise(names)
    return is_bare or not {"CHECK_EXC_MATCH", "CHECK_EG_MATCH"}.isdisjoint(names)


def _is_layer(frame: FrameType) -> bool:
    module: str = frame.f_globals.get("__name__") or ""
    if module.partition(".")[0] in _RAISE_ON or module in _RAISE_ON_MODULES:
        return False
    arguments = _arguments(frame)
    if len(arguments) != 3:
        return False
    scope, receive, send = arguments
    return isinstance(scope, Mapping) and "type" in scope and callable(receive) and callable(send)


def _arguments(frame: FrameType) -> list[Any]:
    """Return the values of a function's positional arguments, without `self`."""
    code, values = frame.f_code, frame.f_locals
    names = code.co_varnames[: code.co_argcount]
    found = [values.get(name) for name in names if name not in _SELF]
    if code.co_flags & 0x04:  # inspect.CO_VARARGS
        found += values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ())
    return found


def own_error(error: Exception) -> BaseException:
    """Return what an app has raised, where Starlette takes each OSError of a stream for a client that has left."""
    is_starlettes = type(error).__name__ == "ClientDisconnect" and isinstance(error.__context__, OSError)
    return error.__context__ or error if is_starlettes else error


def is_refusal(error: BaseException | None, send: CodeType) -> bool:
    """Tell whether an exception is, comes of or holds an OSError that has passed through the server's `send`."""
    suspects, seen = [error], set[int]()
    while suspects:
        suspect = suspects.pop()
        if suspect is None or id(suspect) in seen:
            continue
        seen.add(id(suspect))
        if isinstance(suspect, OSError) and any(
            frame.f_code is send for frame, _ in walk_tb(suspect.__traceback__)
        ):
            return True
        suspects += suspect.__cause__, suspect.__context__, *getattr(suspect, "exceptions", ())
    return False
