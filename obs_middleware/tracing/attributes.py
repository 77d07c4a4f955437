"""The server span's attributes, as the stable HTTP conventions of OpenTelemetry have them, without secrets.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from obs_middleware.details import Details
    from obs_middleware.exchange import Exchange
    from obs_middleware.redaction import Redactor
    from obs_middleware.request import RequestInfo

Attributes = dict[str, "str | int"]

SCOPE, SCHEMA = "obs_middleware", "https://opentelemetry.io/schemas/1.41.0"  # of the tracer
VERSION = "0.1.0"  # that of pyproject.toml: importlib.metadata takes 0.3 MB at start to say so
# The conventions have no names for them.
REQUEST_ID, CORRELATION_ID = "obs.request_id", "obs.correlation_id"
TENANT, DB_QUERIES, DB_SECONDS = "obs.tenant", "obs.db.queries", "obs.db.seconds"
_CHARACTERS = 1024  # of one attribute
_HOSTS = 256  # remembered, of those that clients name
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def at_start(method: str, info: RequestInfo | SpanFacts, redactor: Redactor) -> Attributes:
    """Return what a sampler may want to know; the method is a known one or `_OTHER`."""
    return {
        "http.request.method": method,
        "url.scheme": info.scheme,
        "url.path": redactor.path(info.path),
    }


class SpanFacts(msgspec.Struct, gc=False):
    """What the request tells at its end: texts and numbers, of which attributes are made when they are exported."""

    redactor: Redactor
    method: str
    info_method: str
    scheme: str
    path: str
    query: str
    http_version: str
    host: str | None
    user_agent: str | None
    address: str | None
    peer: tuple[str, int | None] | None
    route: str | None
    status: int | None
    error_type: str
    request_id: str
    correlation_id: str

    def at_end(self) -> Attributes:
        """Return the attributes that follow those of the start."""
        redacted = self.redactor.cached_text
        attributes: Attributes = {}
        if self.info_method != self.method:
            attributes["http.request.method_original"] = redacted(self.info_method, limit=_CHARACTERS)
        if self.route:
            attributes["http.route"] = redacted(self.route, limit=_CHARACTERS)
        if self.status is not None:
            attributes["http.response.status_code"] = self.status
        if self.error_type:
            attributes["error.type"] = redacted(self.error_type, limit=_CHARACTERS)
        if self.host:
            attributes.update(_server_address(redacted(self.host, limit=_CHARACTERS), self.scheme))
        address = None if self.address is None else self.redactor.address(self.address)
        if address is not None:
            attributes["client.address"] = attributes["network.peer.address"] = address
            peer, port = self.peer or (None, None)
            if peer != self.address:
                attributes["network.peer.address"] = self.redactor.address(peer or "") or ""
            if port is not None and self.redactor.shows_addresses_whole:
                attributes["network.peer.port"] = port
        if self.scheme in ("ws", "wss"):
            attributes["network.protocol.name"] = "websocket"
        if self.http_version:
            attributes["network.protocol.version"] = redacted(self.http_version, limit=_CHARACTERS)
        if self.user_agent:
            attributes["user_agent.original"] = redacted(self.user_agent, limit=_CHARACTERS)
        if self.query:
            attributes["url.query"] = self.redactor.query(self.query)
        attributes[REQUEST_ID] = self.request_id
        if self.correlation_id != self.request_id:
            attributes[CORRELATION_ID] = self.correlation_id
        return attributes

    def all(self) -> Attributes:
        """Return those of the start and those that follow."""
        return at_start(self.method, self, self.redactor) | self.at_end()


def facts_of(exchange: Exchange, redactor: Redactor) -> SpanFacts:
    """Return what an exchange that has ended tells of its request and its response."""
    info = exchange.info
    client = info.peer
    return SpanFacts(
        redactor,
        exchange.method,
        info.method,
        info.scheme,
        info.path,
        info.query,
        info.http_version,
        info.header("host"),
        info.header("user-agent"),
        client[0] if client else None,
        client if client is None or client[1] is not None else info.connection,
        exchange.route,
        exchange.status,
        exchange.error_type,
        exchange.request_id,
        exchange.correlation_id,
    )


def of_details(details: Details, redactor: Redactor) -> dict[str, str | int | float]:
    """Return what is known of an exchange besides."""
    attributes: dict[str, str | int | float] = {}
    if details.tenant is not None:
        attributes[TENANT] = redactor.cached_text(details.tenant, limit=_CHARACTERS)
    if details.db_queries:
        attributes[DB_QUERIES], attributes[DB_SECONDS] = details.db_queries, details.db_seconds
    return attributes


def of_exception(error: BaseException, redactor: Redactor) -> Attributes:
    """Return the attributes of an exception's event; its text is the app's."""
    name, message, stack = redactor.error(error)
    return {"exception.type": name, "exception.message": message, "exception.stacktrace": stack}


@lru_cache(_HOSTS)
def _server_address(field: str, scheme: str) -> Attributes:
    """Return the attributes that a Host field tells; the port of the scheme where it names none."""
    host = field.strip().rpartition("@")[2]
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal() and len(port) <= 5 and not name.endswith(":"):
        return {"server.address": name.strip("[]"), "server.port": int(port)}
    default = _PORTS.get(scheme) if host else None
    return {"server.address": host.strip("[]"), **({} if default is None else {"server.port": default})}
