"""Our headers on a response of Django's.

`response.headers[name] = value` checks both for what a header can't hold, and `response.items()` is a generator in a
generator. Our names and values are checked already. So they are written where Django keeps them, in a private
dictionary of (name, value) by lower-case name. Headers without such a dictionary get them by `response.headers`.
"""

from __future__ import annotations

from django.http.response import HttpResponseBase, ResponseHeaders

from obs_middleware import Exchange
from obs_middleware.gateway import OTHER_ID_HEADER, note

note("django_headers", hasattr(ResponseHeaders({}), "_store"))


def add_headers(response: HttpResponseBase, exchange: Exchange, names: tuple[str, str]) -> None:
    """Add those of ours that the response lacks.

    Args:
        names: of the exchange's `response_headers`, in lower case and in their order.
    """
    store = getattr(response.headers, "_store", None)
    if store is None:
        for name, value in exchange.added_headers({name.lower(): value for name, value in response.items()}):
            response.headers[name] = value
        return
    request_id, correlation_id = names
    if request_id in store or correlation_id in store or OTHER_ID_HEADER in store:
        exchange.take_ids(*(store.get(name, (name, None))[1] for name in (*names, OTHER_ID_HEADER)))
    own = exchange.response_headers
    if request_id not in store:
        store[request_id] = own[0]
    if correlation_id and correlation_id not in store:
        store[correlation_id] = own[1]


def sent_headers(response: HttpResponseBase) -> list[tuple[str, str]]:
    """Return a response's headers, its cookies among them."""
    cookies = [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
    return [*response.items(), *cookies]
