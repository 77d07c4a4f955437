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
_PORT_DIGITS = 5
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
    if method:  # what is known better is not asked: it may be anything
        own_method = ""
    if path is not None:
        script_name = path_info = ""
    own_method, script_name, path_info = own_method or "", script_name or "", path_info or ""
    query, address = query or "", address or ""
    if not (
        own_method.__class__ is script_name.__class__ is path_info.__class__ is str
        and query.__class__ is address.__class__ is str
    ):
        own_method, script_name, path_info, query, address = map(
            _text, (own_method, script_name, path_info, query, address)
        )
    if path is None:
        path = f"{script_name}{path_info}"
        if not path.isascii():
            path = path.encode("latin-1", "replace").decode("utf-8", "replace")
    peer = None
    if address:
        port = get("REMOTE_PORT")
        if port and port.__class__ is not int:  # Django's is one
            text = port if port.__class__ is str else _text(port)
            port = int(text) if text.isdecimal() and not text[_PORT_DIGITS:] else None
        peer = address, port or None
    used: Any = scheme or get("wsgi.url_scheme") or "http"
    protocol = "" if http_version else get("SERVER_PROTOCOL") or ""
    return RequestInfo(
        method or own_method,
        path,
        query,
        used if used.__class__ is str else _text(used),
        MethodType(_header, variables),
        peer,
        http_version or (protocol if protocol.__class__ is str else _text(protocol)).removeprefix("HTTP/"),
        not variables.keys().isdisjoint(context_headers),
    )


def _text(value: Any) -> str:
    """Return a variable as text, which not every gateway and test makes it."""
    if isinstance(value, (bytes, bytearray)):
        return value.decode("latin-1")
    return str(value)


def named_request_info(
    variables: Mapping[str, Any], context_headers: tuple[str, ...], *facts: str | None
) -> RequestInfo:
    """Return what `request_info` does, with the names of the headers: where `Gateway.needs_header_names` says so."""
    info = request_info(variables, context_headers, *facts)
    return with_header_names(info, lambda: _header_names(variables))


def _header_names(variables: Iterable[Any]) -> Iterable[str]:
    """Return the names of the headers that variables hold."""
    names = [
        key.removeprefix("HTTP_")
        for key in variables
        if isinstance(key, str) and (key.startswith("HTTP_") or key in _NOT_PREFIXED)
    ]
    return [name.lower().replace("_", "-") for name in names]


def variables_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the variables that hold these headers, whose names are lower case."""
    return tuple(map(_variable, names))


def _header(variables: Mapping[str, Any], name: str) -> str | None:
    """Look a header up by its lower-case name."""
    value = variables.get(_variable(name))
    return value if value is None or value.__class__ is str else _text(value)


@cache  # code names headers, not clients
def _variable(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in _NOT_PREFIXED else f"HTTP_{key}"


share(header=_header)


def path_text(path: str) -> str:
    """Return a path as WSGI gives it, a character for each byte, as the text that was meant."""
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


def mount_of_route(variables: Mapping[str, Any], scope: Any = None) -> str:
    """Return what a route shows of the mount, `SCRIPT_NAME`.

    An ASGI app around may have mounts with parameters. They are left out, since their path is made of values.

    Args:
        scope: of the ASGI app around; without it a2wsgi's, if that is the bridge.
    """
    mount: str = variables.get("SCRIPT_NAME") or ""
    scope = scope or variables.get("asgi.scope")
    if not (isinstance(scope, Mapping) and scope.get("path_params")):
        return mount
    root = scope.get("root_path") or ""
    return f"{scope.get('app_root_path') or ''}{mount[len(root) :]}" if mount.startswith(root) else mount


def takes_close(environ: Mapping[str, Any]) -> bool:
    """Tell whether a WSGI server takes `Connection: close` from an app, and the protocol has it (HTTP/1).

    PEP 3333 forbids it: wsgiref and waitress refuse it, and gunicorn drops it.
    """
    is_granian = str(environ.get("SERVER_SOFTWARE", "")).lower().startswith("granian")
    return is_granian and str(environ.get("SERVER_PROTOCOL", "")).startswith("HTTP/1")
