"""A service that drains has its clients close their connections, as far as the server lets an app say so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from obs_middleware.gateway import parts_of, takes_close

StartResponse = Callable[..., Callable[[bytes], object]]

_CLOSE = "Connection", "close"


def closing(environ: dict[str, Any], start_response: StartResponse) -> StartResponse:
    """Return a `start_response` after whose response the connection is closed."""
    for part in parts_of(start_response):
        force_close = getattr(getattr(part, "__self__", part), "force_close", None)
        if callable(force_close):  # gunicorn's
            force_close()
            return start_response
    if not takes_close(environ):
        return start_response

    def start(status: str, headers: Iterable[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
        others = [field for field in headers if field[0].lower() != "connection"]
        return start_response(status, [*others, _CLOSE], *exc_info)

    return start
