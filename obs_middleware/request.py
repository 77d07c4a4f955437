"""What the core learns of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MethodType
from typing import Any

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

    def header_names(self) -> Iterable[str]:
        """Return the names of the headers: all where `Gateway.needs_header_names` has asked for them.

        Else those of the mapping to which `header` is bound, for propagators that are set after the adapter was made.
        """
        fields = self.header.__self__ if isinstance(self.header, MethodType) else None
        return list(_names_of(fields)) if isinstance(fields, Mapping) else ()

    @property
    def connection(self) -> tuple[str, int | None] | None:
        """Return (address, port) of the connection, which is a proxy's where `peer` is its client."""
        return self.peer

    @property
    def peer_address(self) -> str | None:
        """Return the address of `peer`."""
        return self.peer[0] if self.peer else None

    @property
    def is_websocket(self) -> bool:
        """Tell whether the request opens a websocket."""
        return self.scheme in ("ws", "wss")


def _names_of(fields: Mapping[Any, Any]) -> Iterator[str]:
    """Yield the names of headers by which fields are kept, CGI variables (RFC 3875, section 4.1.18) among them."""
    has_variables = "REQUEST_METHOD" in fields
    for key in fields:
        name = key.decode("latin-1") if isinstance(key, bytes) else str(key)
        if not has_variables:
            yield name.lower()
        elif name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            yield name.removeprefix("HTTP_").lower().replace("_", "-")


class _NamedRequestInfo(RequestInfo, frozen=True):
    names: Callable[[], Iterable[str]] = tuple

    def header_names(self) -> Iterable[str]:
        return self.names()


def with_header_names(info: RequestInfo, names: Callable[[], Iterable[str]]) -> RequestInfo:
    """Return what the core learns of a request with a function that returns the names of its headers."""
    return _NamedRequestInfo(**msgspec.structs.asdict(info), names=names)


class _ClientRequestInfo(_NamedRequestInfo, frozen=True):
    proxy: tuple[str, int | None] | None = None

    @property
    def connection(self) -> tuple[str, int | None] | None:
        return self.proxy


def with_client(info: RequestInfo, address: str) -> RequestInfo:
    """Return what the core learns of a request that a trusted proxy has handed on, with its client's address."""
    facts = {name: getattr(info, name) for name in RequestInfo.__struct_fields__}
    facts["peer"] = (address, None)
    return _ClientRequestInfo(**facts, names=info.header_names, proxy=info.peer)


def with_path(info: RequestInfo, path: str) -> RequestInfo:
    """Return what the core learns of a request with another path."""
    return msgspec.structs.replace(info, path=path)
