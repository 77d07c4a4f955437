"""A request that has an exchange already, of another of us around Django or of the same request before.

Nothing is added to the response, and nothing is counted. The outer exchange learns the route and the errors. A copy of
the request that goes through the app again, such as a part of a batch, is no request of its own, and tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from django.http import HttpRequest

from obs_django.routes import route_below
from obs_middleware import Exchange, RequestInfo
from obs_middleware.gateway import exchange_around, goes_again, note_inside, part_of


def exchange_outside(request: HttpRequest, info: Callable[[HttpRequest], RequestInfo]) -> Exchange | None:
    """Return the exchange that another instance, or obs_wsgi or obs_asgi around Django, has begun for the request."""
    own = request.__dict__
    here = own.get("obs_exchange")
    if isinstance(here, Exchange):
        return here
    for carrier in (request.META, own.get("scope")):
        if isinstance(carrier, Mapping):
            try:
                here = exchange_around(carrier, lambda: info(request))
            except Exception:
                return None
            if here is not None:
                return here
    return None


class Inside:
    """Serve a request inside its exchange."""

    def __init__(self, request: HttpRequest, outer: Exchange) -> None:
        self._request = request
        self._outer = outer
        self._part: Exchange | None = None
        own: dict[str, Any] = request.__dict__
        # Django 4.2 leaves `resolver_match` out of a copy; a request of its own has it, None at first.
        was_routed = "obs_exchange" in own and own.get("resolver_match", self) is not None
        if was_routed or goes_again(request.META, outer):
            self._part = part_of(outer)
            return
        if "obs_exchange" not in own and "scope" not in own:
            note_inside(request.META, outer)
        own["obs_exchange"] = outer

    def __enter__(self) -> None:
        if self._part is not None:
            self._part.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._part is not None:
            self._part.__exit__()
            return
        outer = self._outer
        if error is not None:
            outer.note_raised(error)
        try:
            outer.name_route(route_below(self._request), self._request.META.get("SCRIPT_NAME") or "")
        except Exception as failure:
            outer.report("route", failure)
