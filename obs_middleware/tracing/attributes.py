"""The server span's attributes, as the stable HTTP conventions of OpenTelemetry have them, without secrets.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange
    from obs_middleware.redaction import Redactor

Attributes = dict[str, "str | int"]

_CHARACTERS = 1024  # of one attribute
_HOSTS = 256  # remembered, of those that clients name
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def at_start(exchange: Exchange) -> Attributes:
    """Return what a sampler may want to know."""
    return {
        "http.request.method": exchange.method,
        "url.scheme": exchange.info.scheme,
        "url.path": exchange.path,
    }


def at_end(exchange: Exchange, redactor: Redactor) -> Attributes:
    """Return what is known at the end."""
    info = exchange.info
    known = redactor.known
    attributes: Attributes = {}
    if info.method != exchange.method:
        attributes["http.request.method_original"] = known(info.method, limit=_CHARACTERS)
    if exchange.route:
        attributes["http.route"] = known(exchange.route, limit=_CHARACTERS)
    if exchange.status is not None:
        attributes["http.response.status_code"] = exchange.status
    if exchange.error_type:
        attributes["error.type"] = known(exchange.error_type, limit=_CHARACTERS)
    host = info.header("host")
    if host:
        attributes.update(_server_address(known(host, limit=_CHARACTERS), info.scheme))
    if info.peer is not None:
        address, port = info.peer
        attributes["client.address"] = attributes["network.peer.address"] = known(address)
        if port is not None:
            attributes["network.peer.port"] = port
    if info.is_websocket:
        attributes["network.protocol.name"] = "websocket"
    if info.http_version:
        attributes["network.protocol.version"] = known(info.http_version, limit=_CHARACTERS)
    user_agent = info.header("user-agent")
    if user_agent:
        attributes["user_agent.original"] = known(user_agent, limit=_CHARACTERS)
    if info.query:
        attributes["url.query"] = redactor.query(info.query)
    return attributes


def of_exception(error: BaseException, redactor: Redactor) -> Attributes:
    """Return the attributes of an exception's event; its text is the app's."""
    kind, message, stack = redactor.error(error)
    return {"exception.type": kind, "exception.message": message, "exception.stacktrace": stack}


@lru_cache(_HOSTS)
def _server_address(field: str, scheme: str) -> Attributes:
    """Return the attributes that a Host field tells; the port of the scheme where it names none."""
    host = field.strip().rpartition("@")[2]
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal() and len(port) <= 5 and not name.endswith(":"):
        return {"server.address": name.strip("[]"), "server.port": int(port)}
    default = _PORTS.get(scheme) if host else None
    return {"server.address": host.strip("[]"), **({} if default is None else {"server.port": default})}
