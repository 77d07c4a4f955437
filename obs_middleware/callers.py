"""Who answers what a WSGI app raises: the layers between us and the server, as the stack shows them.

Looked at when an app has failed, and never before.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any, NamedTuple

# The modules from which servers and bridges call an app, and the status with which they answer what is no Exception
# (`SystemExit`, `gevent.Timeout`); None where they close the connection. The first that fits counts.
_SERVERS: tuple[tuple[str, int | None], ...] = (
    ("gevent.pywsgi", 500),
    ("gunicorn.workers.sync", 500),
    ("gunicorn.workers.base_async", 500),
    ("wsgiref.", 500),
    *(
        (name, None)
        for name in (
            "a2wsgi.",
            "asgiref.",
            "bjoern",
            "cheroot.",
            "cherrypy.",
            "django.core.servers",
            "eventlet.",
            "fastwsgi",
            "granian",
            "gunicorn.",
            "hypercorn.",
            "meinheld",
            "mod_wsgi",
            "paste.httpserver",
            "starlette.middleware.wsgi",
            "tornado.",
            "twisted.",
            "uwsgi",
            "waitress.",
            "werkzeug.serving",
            "werkzeug.test",
        )
    ),
)
# Layers that look at an exception, and raise it again.
_OBSERVERS = ("ddtrace.", "elasticapm.", "newrelic.", "opentelemetry.", "sentry_sdk.")
_MOST_PARTS = 30
_KINDS = (FunctionType, MethodType, partial)
_HANDLING = {"SETUP_FINALLY", "SETUP_WITH"}  # before Python 3.11, which has a table of exceptions


class Callers(NamedTuple):
    """What stands around the app.

    Attributes:
        layer: the module of the innermost layer between us and the server that has an exception handler, and so may
            answer what the app raises; nothing where there is none.
        server: the module of the server that has called, or nothing where that is written in C or not known.
        exit_status: the status with which the server answers what is no `Exception`; None where it sends nothing.
    """

    layer: str
    server: str
    exit_status: int | None


def callers_of(start_response: Any) -> Callers:
    """Return who has called, by the stack of now.

    A server that is not known is recognised by its `start_response`, which its own file defines.
    """
    makers, layer = _files_of(start_response), ""
    for frame in _frames():
        module = frame.f_globals.get("__name__") or ""
        for server, exit_status in _SERVERS:
            if module.startswith(server):
                return Callers(layer, module, exit_status)
        code = frame.f_code
        if code.co_filename in makers and not _is_layer(frame):
            return Callers(layer, "", None)
        if not layer and _has_handler(code) and not module.startswith(_OBSERVERS):
            layer = module or code.co_filename
    return Callers(layer, "", None)


def _frames() -> Iterator[FrameType]:
    """Yield the frames around ours, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not str(frame.f_globals.get("__name__")).startswith("obs_"):
            yield frame
        frame = frame.f_back


def _files_of(start_response: Any) -> set[str]:
    """Return the files that define a callable and those that it holds, because layers wrap a server's; none of C."""
    codes = (getattr(part, "__code__", None) for part in parts_of(start_response))
    return {str(code.co_filename) for code in codes if code is not None}


def parts_of(start_response: Any) -> list[Any]:
    """Return a callable and those that it holds: what it wraps as a layer, or is made of.

    Python's functions, methods and partials alone: fastwsgi ends with a fault where the type of its own is looked at.
    """
    parts = [start_response] if isinstance(start_response, _KINDS) else []
    for part in parts:
        if len(parts) > _MOST_PARTS:
            break
        held = [part.func, *part.args] if isinstance(part, partial) else []
        if isinstance(part, FunctionType):
            held += map(cell_content, part.__closure__ or ())
        elif isinstance(part, MethodType):
            held.append(part.__func__)
        parts += [one for one in held if isinstance(one, _KINDS) and not any(one is known for known in parts)]
    return parts


def cell_content(cell: Any) -> Any:
    """Return what a function's cell holds, if anything."""
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _is_layer(frame: FrameType) -> bool:
    """Tell whether a frame is a WSGI app's: it was called with an environ and a `start_response`."""
    names, values = frame.f_code.co_varnames[: frame.f_code.co_argcount], frame.f_locals
    given = [values.get(name) for name in names]
    return any(
        isinstance(first, dict) and "REQUEST_METHOD" in first and callable(second)
        for first, second in pairwise(given)
    )


def _has_handler(code: CodeType) -> bool:
    table = getattr(code, "co_exceptiontable", None)
    if table is not None:
        return bool(table)
    return any(step.opname in _HANDLING for step in dis.get_instructions(code))
