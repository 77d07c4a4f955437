"""A request as CGI variables tell it (RFC 3875, section 4.1): WSGI's environ and Django's META."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from operator import itemgetter
from types import MethodType
from typing import Any

from obs_middleware._speedups import fast, share
from obs_middleware.request import RequestInfo, with_header_names

_NOT_PREFIXED = ("CONTENT_TYPE", "CONTENT_LENGTH")
_SAID = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR")  # nearly always
_said = itemgetter(*_SAID)


@fast("environ.c: environ_request_info")
def request_info(
    variables: Mapping[str, Any],
    context_headers: tuple[str, ...],
    method: str | None = None,
    path: str | None = None,
    scheme: str | None = None,
    http_version: str | None = None,
) -> RequestInfo:
    """Return what the variables say of the request, and what is known better than from them.

    A path that is not given is decoded here, from the Latin-1 that PEP 3333 wants.

    Args:
        context_headers: the variables of the Observer's `context_headers`.
    """
    get = variables.get
    said: Iterable[Any]
    try:
        said = _said(variables)  # one call for five
    except KeyError:  # PEP 3333 lets a server leave out what is empty
        said = map(get, _SAID)
    own_method, script_name, path_info, query, address = said
    if path is None:
        path = f"{script_name or ''}{path_info or ''}"
        if not path.isascii():
            path = path.encode("latin-1", "replace").decode("utf-8", "replace")
    peer = None
    if address:
        port = get("REMOTE_PORT")
        peer = address, int(port) if port and str(port).isdecimal() else None
    return RequestInfo(
        method or own_method or "",
        path,
        query or "",
        scheme or get("wsgi.url_scheme") or "http",
        MethodType(_header, variables),
        peer,
        http_version or (get("SERVER_PROTOCOL") or "").removeprefix("HTTP/"),
        not variables.keys().isdisjoint(context_headers),
    )


def named_request_info(
    variables: Mapping[str, Any], context_headers: tuple[str, ...], *facts: str | None
) -> RequestInfo:
    """Return what `request_info` does, with the names of the headers: where `Gateway.needs_header_names` says so."""
    info = request_info(variables, context_headers, *facts)
    return with_header_names(info, lambda: _header_names(variables))


def _header_names(variables: Iterable[str]) -> Iterable[str]:
    """Return the names of the headers that variables hold."""
    names = [
        key.removeprefix("HTTP_") for key in variables if key.startswith("HTTP_") or key in _NOT_PREFIXED
    ]
    return [name.lower().replace("_", "-") for name in names]


def variables_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the variables that hold these headers, whose names are lower case."""
    return tuple(map(_variable, names))


def _header(variables: Mapping[str, Any], name: str) -> str | None:
    """Look a header up by its lower-case name."""
    return variables.get(_variable(name))


@cache  # code names headers, not clients
def _variable(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in _NOT_PREFIXED else f"HTTP_{key}"


share(header=_header)
