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
        header_names: of the request ID's and the correlation ID's headers.
        lower_names: the same in lower case, that of Content-Length and OTHER_ID_HEADER.
    """

    gateway: Gateway
    route_of: RouteOf | None
    header_names: tuple[str, str]
    lower_names: tuple[str, str, str, str]

    @property
    def is_development(self) -> bool:
        """Tell whether a debugger around us may show an exception."""
        return self.gateway.is_development
