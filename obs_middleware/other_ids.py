"""The IDs that other libraries give a request, so that the client and the lines have one ID.

asgi-correlation-id and django-guid make an ID, and keep it in a context variable. An exchange takes it
(`Exchange.take_other_id`) until its response starts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar

from obs_middleware.request import RequestInfo

_NAMES = (("asgi_correlation_id", "correlation_id"), ("django_guid", "get_guid"))  # a variable, a function

# Read the ID that a library has given the current request; of the libraries that are imported, most often none.
OTHER_IDS: list[Callable[[], object]] = []

_HEADERS = ("x-request-id", "x-correlation-id", "correlation-id")  # in which they take the caller's

# The ID taken last in this context, and when the exchange began that took it.
_taken: ContextVar[tuple[object, float]] = ContextVar("obs_taken_id", default=(None, 0.0))


def look_for() -> None:
    """Find those libraries that are imported."""
    found = [getattr(sys.modules.get(module), name, None) for module, name in _NAMES]
    reads = [getattr(source, "get", source) for source in found if source is not None]
    OTHER_IDS[:] = [read for read in reads if callable(read)]


def current(info: RequestInfo, started: float) -> str | None:
    """Return the ID that a library has given the request of an exchange, which began at `started`.

    Nobody resets these variables. In a context that serves one request after the other, an ID that an earlier
    exchange has taken is left behind by its request, unless this request has brought it.
    """
    for read in OTHER_IDS:
        value = read()
        if not isinstance(value, str):
            continue
        taken, by = _taken.get()
        if taken is not value:
            _taken.set((value, started))
        elif by != started and value not in map(info.header, _HEADERS):
            continue
        return value
    return None


def headers_added_to(info: RequestInfo) -> set[str]:
    """Return the lower-case names of the headers that asgi-correlation-id adds around a framework that can't hold it.

    It has put its ID into the request's header of the same name.
    """
    variable = getattr(sys.modules.get("asgi_correlation_id"), "correlation_id", None)
    value = variable.get() if isinstance(variable, ContextVar) else None
    return {name for name in _HEADERS if value is not None and info.header(name) == value}


def headers_added_around() -> set[str]:
    """Return the lower-case names of the headers that asgi-correlation-id adds around the caller, seen by its frames.

    It adds its header without a look at those that are there.
    """
    kind = getattr(sys.modules.get("asgi_correlation_id"), "CorrelationIdMiddleware", None)
    code = vars(kind)["__call__"].__code__ if kind is not None else None
    names, frame = set[str](), sys._getframe(1) if code is not None else None
    while frame is not None:
        if frame.f_code is code:
            names.add(str(getattr(frame.f_locals.get("self"), "header_name", "")).lower())
        frame = frame.f_back
    return names
