"""A request as an ASGI scope tells it (ASGI specification, HTTP and WebSocket connection scope)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MethodType
from typing import Any

from obs_middleware._speedups import fast, share
from obs_middleware.request import RequestInfo


@fast("scope.c: scope_request_info")
def request_info(scope: Mapping[str, Any], context_headers: tuple[bytes, ...]) -> RequestInfo:
    """Return what the core learns of an http or websocket scope; `context_headers` are the Observer's."""
    raw = scope["headers"]
    fields = dict(raw)
    if len(fields) != len(raw):
        fields = _joined(raw)
    get = scope.get
    is_http, client = scope["type"] == "http", get("client")
    return RequestInfo(
        scope["method"] if is_http else "GET",
        scope["path"],
        get("query_string", b"").decode("latin-1"),
        get("scheme") or ("http" if is_http else "ws"),
        MethodType(_header, fields),
        tuple(client) if client else None,
        get("http_version", ""),
        not fields.keys().isdisjoint(context_headers),
    )


def _joined(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in raw:
        fields[name] = b",".join((fields[name], value)) if name in fields else value
    return fields


def _header(fields: Mapping[bytes, bytes], name: str) -> str | None:
    """Look a header up by its lower-case name."""
    value = fields.get(name.encode())
    return None if value is None else value.decode("latin-1")


share(scope_header=_header)
