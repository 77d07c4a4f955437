"""What the core learns of a request."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from obs_middleware._speedups import share_layout


@share_layout
class RequestInfo(msgspec.Struct, frozen=True):
    """What the core learns of a request.

    `path` and `query` are as the server gave them, decoded and raw; `header(name)` looks a lower-case name up and joins
    repeated fields with a comma; `peer` is (address, port) of the connection. `has_context_headers` is False where none
    of `Gateway.context_headers` is among the headers, whose look-ups are then saved.
    """

    method: str
    path: str
    query: str
    scheme: str
    header: Callable[[str], str | None]
    peer: tuple[str, int | None] | None = None
    http_version: str = ""
    has_context_headers: bool = True

    @property
    def is_websocket(self) -> bool:
        """Tell whether the request opens a websocket."""
        return self.scheme in ("ws", "wss")
