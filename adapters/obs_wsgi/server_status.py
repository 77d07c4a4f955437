"""The status that a server was given, by whomever: a layer around us answers on the server's own `start_response`.

Servers keep it in an object or in a variable that `start_response` holds, under a name that says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from obs_middleware.gateway import cell_content, parts_of

_status = re.compile(r"[1-5]\d\d(?=\s|\Z)")
_NAMES = ("status", "head", "response", "code")


def later_status(start_response: Any) -> Callable[[], int | None]:
    """Return what tells, once the layer has answered, with which status; None where it has not, or nobody knows."""
    before = _status_set(start_response)

    def status_of() -> int | None:
        value = _status_set(start_response)
        return None if value is before else _number(value)

    return status_of


def _status_set(start_response: Any) -> Any:
    """Return the status that a server has, as it keeps it."""
    for part in parts_of(start_response):
        for name, value in _held(part):
            if any(word in name.lower() for word in _NAMES):
                first = value[0] if isinstance(value, (list, tuple)) and value else value
                if _number(first) is not None:
                    return first
    return None


def _held(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a callable holds, and what the objects hold that it holds."""
    code, cells = getattr(part, "__code__", None), getattr(part, "__closure__", None) or ()
    held = list(zip(getattr(code, "co_freevars", ()), map(cell_content, cells), strict=False))
    yield from held
    for owner in (getattr(part, "__self__", None), *(value for _, value in held)):
        own = getattr(owner, "__dict__", None)
        if isinstance(own, dict):
            yield from list(own.items())


def _number(value: Any) -> int | None:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    found = _status.match(value) if isinstance(value, str) else None
    return None if found is None else int(found.group())
