"""A request as an ASGI scope tells it (ASGI specification, HTTP and WebSocket connection scope)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from types import MethodType
from typing import Any

from obs_middleware._speedups import fast, share
from obs_middleware.request import RequestInfo

_SEQUENCES = (list, tuple)


@fast("scope.c: scope_request_info")
def request_info(scope: Mapping[str, Any], context_headers: tuple[bytes, ...]) -> RequestInfo:
    """Return what the core learns of an http or websocket scope; `context_headers` are the Observer's."""
    get, is_http = scope.get, scope["type"] == "http"
    try:
        raw, path, method = scope["headers"], scope["path"], scope["method"] if is_http else "GET"
    except KeyError:
        return request_info(_repaired(scope), context_headers)
    query, client, version = get("query_string", b""), get("client"), get("http_version", "")
    scheme = get("scheme") or ("http" if is_http else "ws")
    if not (
        path.__class__ is method.__class__ is scheme.__class__ is version.__class__ is str
        and query.__class__ is bytes
        and raw.__class__ in _SEQUENCES
        and (client is None or client.__class__ in _SEQUENCES)
    ):
        return request_info(_repaired(scope), context_headers)
    try:
        fields = dict(raw)
    except (TypeError, ValueError):
        return request_info(_repaired(scope), context_headers)
    if len(fields) != len(raw):
        fields = _joined(raw)
    for name in fields:  # the first one tells whether a gateway has put text there
        if name.__class__ is not bytes:
            return request_info(_repaired(scope), context_headers)
        break
    return RequestInfo(
        method,
        path,
        query.decode("latin-1"),
        scheme,
        MethodType(_header, fields),
        tuple(client) if client else None,
        version,
        not fields.keys().isdisjoint(context_headers),
    )


def _repaired(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the specification wants of a scope that it would refuse: gateways and tests make such ones.

    Headers that can be read once only are put into the scope as a list, because the app reads them too.
    """
    raw = scope.get("headers") or ()
    if isinstance(raw, Mapping):
        raw = list(raw.items())
    elif raw.__class__ not in _SEQUENCES:
        raw = list(raw)
        if isinstance(scope, MutableMapping):
            scope["headers"] = raw
    client = scope.get("client")
    if client is not None and client.__class__ not in _SEQUENCES:
        client = (client, None) if isinstance(client, str) else None
    pairs = [tuple(pair) for pair in raw if pair.__class__ in _SEQUENCES and len(pair) == 2]
    return {
        "type": scope["type"],
        "headers": [(_bytes(name), _bytes(value)) for name, value in pairs],
        "method": _text(scope.get("method")) or "GET",
        "path": _text(scope.get("path")),
        "query_string": _bytes(scope.get("query_string")),
        "client": client,
        "scheme": _text(scope.get("scheme")),
        "http_version": _text(scope.get("http_version")),
    }


def header_names(scope: Mapping[str, Any]) -> list[str]:
    """Return the names of a scope's headers."""
    raw = scope.get("headers") or ()
    return [_text(pair[0]) for pair in (raw.items() if isinstance(raw, Mapping) else raw)]


def _bytes(value: Any) -> bytes:
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    return value if isinstance(value, bytes) else _text(value).encode("utf-8", "surrogateescape")


def _text(value: Any) -> str:
    """Return a value of a scope as text; latin-1, as headers are."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("latin-1")
    return "" if value is None else str(value)


def _joined(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in raw:
        fields[name] = b",".join((fields[name], value)) if name in fields else value
    return fields


def _header(fields: Mapping[bytes, bytes], name: str) -> str | None:
    """Look a header up by its lower-case name."""
    value = fields.get(name.encode())
    try:
        return None if value is None else value.decode("latin-1")
    except AttributeError:  # a memoryview, or text
        return _text(value)


share(scope_header=_header)
