"""What an ASGI scope tells of its request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from obs_middleware import RequestInfo
from obs_middleware.gateway import with_header_names


def request_info(scope: Mapping[str, Any], context_headers: Set[bytes]) -> RequestInfo:
    """Return what the core learns of an http or websocket scope; `context_headers` are the Observer's."""
    raw = scope["headers"]
    fields = dict(raw)
    if len(fields) != len(raw):
        fields = _joined(raw)

    def header(name: str) -> str | None:
        value = fields.get(name.encode())
        return None if value is None else value.decode("latin-1")

    get = scope.get
    is_http, client = scope["type"] == "http", get("client")
    return RequestInfo(
        scope["method"] if is_http else "GET",
        scope["path"],
        get("query_string", b"").decode("latin-1"),
        get("scheme") or ("http" if is_http else "ws"),
        header,
        tuple(client) if client else None,
        get("http_version", ""),
        not fields.keys().isdisjoint(context_headers),
    )


def named_request_info(scope: Mapping[str, Any], context_headers: Set[bytes]) -> RequestInfo:
    """Return the same with the names of the headers, for the few who need them."""
    info = request_info(scope, context_headers)
    return with_header_names(info, lambda: [name.decode("latin-1") for name, _ in scope["headers"]])


def own_path(scope: Mapping[str, Any]) -> str:
    """Return a scope's path below the app's root (ASGI specification, `root_path`)."""
    path: str = scope.get("path", "")
    return path.removeprefix(scope.get("root_path", ""))


def _joined(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in raw:
        fields[name] = b",".join((fields[name], value)) if name in fields else value
    return fields
