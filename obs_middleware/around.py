"""The exchange around an adapter: two of us may stand around one request, and the outermost has begun its exchange.

The inner adapter begins none. It names the route (`Exchange.name_route`), notes the errors that it sees, and leaves
the rest to the outer one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from obs_middleware.exchange import CARRIER_KEY, CURRENT, Exchange, inert
from obs_middleware.request import RequestInfo

# What an inner adapter hands on where a copy of a request goes through the app again: no request of its own.
INERT = inert()

# Where a2wsgi keeps the other side: its WSGIMiddleware in the environ, its ASGIMiddleware in the scope.
_BRIDGES = ("asgi.scope", "wsgi_environ")
_INSIDE_KEY = "obs.inside"  # has the identity of the variables that have come to an inner adapter
_SAME_HEADERS = ("host", "user-agent")


def exchange_around(carrier: Mapping[str, Any], info: Callable[[], RequestInfo]) -> Exchange | None:
    """Return the exchange that another adapter has begun for the request of a scope or an environ.

    It is found in the carrier, in what a bridge has put there, or as the current exchange where that is of the same
    request: bridges make a new environ, and run the app in a thread with a copy of the context. A request in process
    that the app makes itself, by a client, is another request.

    Args:
        info: returns what the carrier tells of its request.
    """
    for holder in (carrier, *map(carrier.get, _BRIDGES)):
        found = holder.get(CARRIER_KEY) if isinstance(holder, Mapping) else None
        if isinstance(found, Exchange):
            return found
    outer = CURRENT.get()
    if outer is None or outer.is_finished or outer.carrier is None:
        return None
    return outer if _are_same(outer.carrier, outer.info, carrier, info) else None


def part_of(outer: Exchange) -> Exchange:
    """Return an exchange for what goes through the app again: it has the IDs, and is no request of its own."""
    make, texts = outer.__reduce__()
    part: Exchange = make(*texts)
    part.fields = dict(outer.fields)
    return part


def note_inside(environ: MutableMapping[str, Any], outer: Exchange) -> None:
    """Note in CGI variables that they have come to an inner adapter, which another one may ask."""
    if environ.get(CARRIER_KEY) is not outer:
        environ[CARRIER_KEY] = outer
    environ[_INSIDE_KEY] = id(environ)


def goes_again(environ: Mapping[str, Any], outer: Exchange, begun_by: object = None) -> bool:
    """Tell whether CGI variables are a copy of those that have gone through the app before, such as a part of a batch.

    Args:
        begun_by: what the adapter that asks has put into `routed` of the exchanges that it has begun.
    """
    if outer.is_finished or CARRIER_KEY not in environ:
        return False
    mark = environ.get(_INSIDE_KEY)
    if mark is not None:
        return bool(mark != id(environ))
    if outer.carrier is environ:
        return False
    was_routed = getattr(environ.get("werkzeug.request"), "url_rule", None) is not None
    return was_routed or (begun_by is not None and outer.routed is begun_by)


def _are_same(
    outer: Mapping[str, Any], known: RequestInfo, inner: Mapping[str, Any], info: Callable[[], RequestInfo]
) -> bool:
    """Tell whether two carriers are of one request, which may have lost the beginning of its path between them.

    From a scope to a scope, a layer hands on the server's headers; a client in process makes new ones, though their
    values may be the same. Nobody makes an environ of an environ.
    """
    if ("type" in outer) is ("type" in inner):
        headers = inner.get("headers")
        return bool(headers) and headers is outer.get("headers") and known.path.endswith(info().path)
    told = info()
    return (
        known.method == told.method
        and known.query == told.query
        and known.path.endswith(told.path)
        and (known.connection or ("",))[0] == (told.connection or ("",))[0]
        and all(known.header(name) == told.header(name) for name in _SAME_HEADERS)
    )
