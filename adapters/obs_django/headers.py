"""Our headers on a response of Django's.

`response.headers[name] = value` checks both for what a header can't hold, and `response.items()` is a generator in a
generator. Our names and values are checked already. So they are written where Django keeps them, in a private
dictionary of (name, value) by lower-case name. Headers without such a dictionary get them by `response.headers`.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase, ResponseHeaders

from obs_middleware import Exchange
from obs_middleware.gateway import OTHER_ID_HEADER, OTHER_IDS, headers_added_to, note, takes_close

MARK = "_obs_added"  # on a response that has had ours: the names that we have added

note("django_headers", hasattr(ResponseHeaders({}), "_store"))


def add_headers(response: HttpResponseBase, exchange: Exchange, names: tuple[str, str]) -> None:
    """Add those of ours that the response lacks.

    Args:
        names: of the exchange's `response_headers`, in lower case and in their order.
    """
    store = getattr(response.headers, "_store", None)
    if store is None:
        added = exchange.added_headers({name.lower(): value for name, value in response.items()})
        for name, value in added:
            response.headers[name] = value
        response.__dict__[MARK] = [name.lower() for name, _ in added]
        return
    around: Container[str] = ()
    if OTHER_IDS:
        exchange.take_other_id()
        around = headers_added_to(exchange.info)
    request_id, correlation_id = names
    if request_id in store or correlation_id in store or OTHER_ID_HEADER in store:
        exchange.take_ids(*(store.get(name, (name, None))[1] for name in (*names, OTHER_ID_HEADER)))
    own = exchange.response_headers
    has_request_id = request_id in store or request_id in around
    has_correlation_id = not correlation_id or correlation_id in store or correlation_id in around
    if not has_request_id:
        store[request_id] = own[0]
    if not has_correlation_id:
        store[correlation_id] = own[1]
    if has_request_id or has_correlation_id:
        has = (request_id, has_request_id), (correlation_id, has_correlation_id)
        response.__dict__[MARK] = [name for name, is_theirs in has if not is_theirs]
    else:
        response.__dict__[MARK] = names


def unshared(response: HttpResponseBase) -> HttpResponseBase:
    """Return a copy without our headers of a response that an app hands out for many requests.

    The one response may be on its way to several clients at once, and each is to have the ID of its own request.
    """
    made = object.__new__(type(response))
    own: dict[str, Any] = made.__dict__
    own.update(response.__dict__)
    added = own.pop(MARK)
    headers: Any = type(response.headers)
    own["headers"] = headers({name: value for name, value in response.items() if name.lower() not in added})
    if "_resource_closers" in own:
        own["_resource_closers"] = [*own["_resource_closers"]]
    return made


def sent_headers(response: HttpResponseBase) -> list[tuple[str, str]]:
    """Return a response's headers, its cookies among them."""
    cookies = [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
    return [*response.items(), *cookies]


def close_connection(request: HttpRequest, response: HttpResponseBase) -> None:
    """Have the client close its connection, where the server takes the word from an app: ASGI's do, with HTTP/1."""
    scope = request.__dict__.get("scope")
    is_1 = scope is not None and str(scope.get("http_version")).startswith("1")
    if is_1 or (scope is None and takes_close(request.META)):
        response.headers["Connection"] = "close"
