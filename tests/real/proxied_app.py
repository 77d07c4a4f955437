"""Apps with other rules of access, one for each value of the header `X-App`, which a proxy sets."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from obs_asgi import ObservabilityMiddleware as Asgi
from obs_middleware import Observer
from obs_wsgi import ObservabilityMiddleware as Wsgi

INSIDE, OUTSIDE, PROXY = "127.0.0.2", "127.0.0.3", "127.0.0.1"
PAGE = b"a page of the app"
RULES: dict[str, dict[str, Any]] = {
    "unset": {},
    "inside": {"metrics_networks": INSIDE, "health_networks": INSIDE, "trusted_proxies": (PROXY, "unix")},
}


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise LookupError("there is none")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": PAGE})


def _wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [PAGE]


def _observers() -> dict[str, Observer]:
    made = {name: Observer(registry=CollectorRegistry(), **rules) for name, rules in RULES.items()}
    for one in made.values():
        one.health.add("stock", lambda: None, timeout_seconds=30.0)
    return made


_asgi_apps = {name: Asgi(_asgi, one) for name, one in _observers().items()}
_wsgi_apps = {name: Wsgi(_wsgi, one) for name, one in _observers().items()}


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    names = [value.decode() for name, value in scope.get("headers", ()) if name == b"x-app"]
    await _asgi_apps[names[0] if names else "unset"](scope, receive, send)


def wsgi(environ: Any, start_response: Any) -> Any:
    return _wsgi_apps[environ.get("HTTP_X_APP", "unset")](environ, start_response)
