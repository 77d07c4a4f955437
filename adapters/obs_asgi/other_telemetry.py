"""Getting on with the telemetry of FastAPI (0.142 and later) and Starlette: one server span, and they keep the rest.

FastAPI's stands outside every middleware and wakes up as soon as there is a global provider. Where that is the user's,
its server span is adopted, also where ours is wrapped around the app; where we have made the provider, the span is
ours. What is inside ours makes no second server span, unless it has a provider of its own. FastAPI's configuration and
the provider of Starlette's are private: should they go, probes are traced and there may be two server spans.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

from obs_asgi.request import own_path
from obs_asgi.wrapped_apps import is_starlette
from obs_middleware.gateway import Gateway

_STARLETTE = "starlette.opentelemetry"  # the key in a scope that has a span of it

_UNTIL_SET = "ProxyTracerProvider"  # of OpenTelemetry: hands on to the global provider once there is one

_MIDDLEWARE = ("starlette.middleware.opentelemetry", "OpenTelemetryMiddleware")


class Telemetry:
    """The telemetry of the frameworks inside one middleware."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.has_to_hide = False  # Starlette's middleware is inside

    def agree(self, apps: Iterable[Any], around: Any) -> None:
        """Agree with what is inside on who traces what.

        Args:
            apps: what is inside.
            around: the app whose telemetry may be around us: in whose stack we are, or that we are wrapped around.
        """
        for app in apps:
            config = _fastapis(app)
            if config is not None:
                self._agree(config, is_around=app is around)
            if is_starlette(app):
                self._look_at_stack(app)
            elif _is_starlettes(type(app)):
                self._agree_with_starlettes(getattr(app, "_tracer_provider", None))

    def _look_at_stack(self, app: Any) -> None:
        """Look for Starlette's middleware where an app keeps what its stack is built from."""
        for entry in getattr(app, "user_middleware", ()):
            if _is_starlettes(getattr(entry, "cls", None)):
                self._agree_with_starlettes(entry.kwargs.get("tracer_provider"))

    def _agree_with_starlettes(self, own_provider: Any) -> None:
        gateway = self._gateway
        if gateway.traces:
            is_of_all = own_provider is None or type(own_provider).__name__ == _UNTIL_SET
            self.has_to_hide |= is_of_all or own_provider is gateway.global_provider

    def _agree(self, config: dict[str, Any], *, is_around: bool) -> None:
        gateway = self._gateway
        has_own = config.get("tracer_provider") is not None
        if gateway.traces and not has_own and (gateway.has_own_provider or not is_around):
            config["tracing"] = False
        if config.get("exclude", "") is None:
            config["exclude"] = lambda scope: gateway.has_page(own_path(scope))

    def is_to_be_around(self, app: Any) -> bool:
        """Tell whether an app that we are wrapped around makes the server span, so that we have to be inside of it.

        One that makes none yet is told to make none later.
        """
        config = _fastapis(app)
        if config is None or not config.get("tracing"):
            return False
        if config.get("tracer_provider") is not None:
            return True
        if not self._gateway.has_own_provider and self._gateway.global_provider is not None:
            return True
        self._agree(config, is_around=False)
        return False

    def hide(self, scope: MutableMapping[str, Any]) -> None:
        """Let Starlette's middleware make no second server span."""
        scope[_STARLETTE] = True


def _is_starlettes(kind: Any) -> bool:
    return (getattr(kind, "__module__", None), getattr(kind, "__name__", None)) == _MIDDLEWARE


def _fastapis(app: Any) -> dict[str, Any] | None:
    """Return the configuration of FastAPI's telemetry."""
    config = getattr(app, "_telemetry", None) if hasattr(type(app), "build_middleware_stack") else None
    return config if isinstance(config, dict) else None
