"""A service that drains has its clients close their connections, as far as the server lets an app say so.

PEP 3333 forbids an app the header `Connection`: wsgiref and waitress refuse it, and gunicorn drops it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from obs_middleware.gateway import parts_of

StartResponse = Callable[..., Callable[[bytes], object]]

_CLOSE = "Connection", "close"


def closing(environ: dict[str, Any], start_response: StartResponse) -> StartResponse:
    """Return a `start_response` after whose response the connection is closed."""
    for part in parts_of(start_response):
        force_close = getattr(getattr(part, "__self__", part), "force_close", None)
        if callable(force_close):  # gunicorn's
            force_close()
            return start_response
    if not has_word(environ):
        return start_response

    def start(status: str, headers: Iterable[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
        others = [field for field in headers if field[0].lower() != "connection"]
        return start_response(status, [*others, _CLOSE], *exc_info)

    return start


def has_word(environ: dict[str, Any]) -> bool:
    """Tell whether the server takes the header from an app, and the protocol has it (HTTP/1)."""
    is_granian = str(environ.get("SERVER_SOFTWARE", "")).lower().startswith("granian")
    return is_granian and str(environ.get("SERVER_PROTOCOL", "")).startswith("HTTP/1")
