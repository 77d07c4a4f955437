"""What a response asks of the app that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from obs_middleware.gateway import Gateway

Environ = dict[str, Any]
RouteOf = Callable[[Environ], "str | None"]


@dataclass(frozen=True, slots=True)
class WrappedApp:
    """What is known of a wrapped app.

    Attributes:
        gateway: of its Observer.
        route_of: reads the route template from an environ that the app has routed.
        match_route: finds the route template of an environ whose routing the app has forgotten.
        header_names: of the request ID's and the correlation ID's headers.
        lower_names: the same in lower case, that of Content-Length and OTHER_ID_HEADER.
        captures_response: the headers of a response go to the span.
    """

    gateway: Gateway
    route_of: RouteOf | None
    match_route: RouteOf | None
    header_names: tuple[str, str]
    lower_names: tuple[str, str, str, str]
    captures_response: bool

    def forgotten_route(self, environ: Environ) -> str | None:
        """Return the route template also where the app tells it no more, or has not come to telling it."""
        route = None if self.route_of is None else self.route_of(environ)
        return self.match_route(environ) if route is None and self.match_route is not None else route
