"""The headers of a response, as WSGI and ASGI have them: pairs of str, or of bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from obs_middleware._speedups import fast

_BUFFERS = (bytearray, memoryview)  # which some apps use for bytes


@fast("headers.c: header_values")
def header_values(headers: Iterable[tuple[Any, Any]], names: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the value of each header that is named, in lower case: the last one, or None where it is missing."""
    fields = {}
    for name, value in headers:
        fields[(bytes(name) if type(name) in _BUFFERS else name).lower()] = value
    return tuple(map(fields.get, names))
