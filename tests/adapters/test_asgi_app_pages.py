"""The app's own `/metrics` or `/health`: ours are answered in their place, and one line at the start says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from tests.adapters.asgi import get

PathsTold = Callable[[], list[list[str]]]
PROBES = ["/health/live", "/health/ready", "/health/startup"]


async def view(request: Any) -> None:
    raise NotImplementedError


async def opaque(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError


def fastapi(prefix: str, template: str) -> Any:
    app, router = FastAPI(), APIRouter()
    router.add_api_route(template, view)
    app.include_router(router, prefix=prefix)
    return app


def fastapi_websocket(template: str) -> Any:
    app, router = FastAPI(), APIRouter()
    router.add_api_websocket_route(template, view)
    app.include_router(router)
    return app


ASGI: list[tuple[Callable[[], Any], list[str]]] = [
    (lambda: Starlette(routes=[Route("/metrics", view)]), ["/metrics"]),
    (lambda: Starlette(routes=[Route("/metrics", view, methods=["POST"])]), ["/metrics"]),
    (lambda: Starlette(routes=[Mount("/metrics", app=opaque)]), ["/metrics"]),
    (
        lambda: Starlette(routes=[Mount("/health", app=opaque)]),
        PROBES,
    ),
    (lambda: Starlette(routes=[Mount("/health", routes=[Route("/ready", view)])]), ["/health/ready"]),
    (lambda: Starlette(routes=[Mount("/health", app=Router([Route("/alive", view)]))]), []),
    (
        lambda: Starlette(routes=[Route("/health/{probe:str}/", view)]),
        PROBES,
    ),
    (lambda: Starlette(routes=[Host("x.test", app=Router([Route("/metrics", view)]))]), ["/metrics"]),
    (
        lambda: Starlette(
            routes=[Mount("/", app=opaque), Route("/{rest:path}", view), Route("/{page}", view)]
        ),
        [],
    ),
    (lambda: Starlette(routes=[Route("/metrics.json", view), Route("/a+b", view)]), []),
    (lambda: fastapi("/health", "/ready"), ["/health/ready"]),
    (lambda: fastapi("", "/metrics"), ["/metrics"]),
    (lambda: Starlette(routes=[Route("/health/{number:int}", view), Route("/health/{id:uuid}", view)]), []),
    (lambda: Starlette(routes=[WebSocketRoute("/metrics", view)]), []),
    (lambda: fastapi_websocket("/metrics"), []),
    (lambda: opaque, []),
]


@pytest.mark.parametrize(("make", "paths"), ASGI)
@pytest.mark.parametrize("is_added", [False, True], ids=["wrapped", "added"])
def test_asgi_app_is_told_of_its_pages_at_the_first_request(
    make: Callable[[], Any],
    paths: list[str],
    is_added: bool,
    observer: Observer,
    paths_told: PathsTold,
) -> None:
    app = make()
    if is_added and app is not opaque:
        app.add_middleware(ObservabilityMiddleware, observer=observer)
    else:
        app = ObservabilityMiddleware(app, observer)
    for _ in range(2):
        assert get(app, "/health/live").status == 200
    assert paths_told() == ([paths] if paths else [])


def test_route_that_is_added_after_the_middleware_is_told_of(
    observer: Observer, paths_told: PathsTold
) -> None:
    app = FastAPI()
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    app.add_api_route("/metrics", view)
    get(app, "/health/live")
    assert paths_told() == [["/metrics"]]


def in_a_closure(app: Any) -> Any:
    async def layer(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return layer


class Dispatcher:
    """Apps by their paths or their protocols."""

    def __init__(self, mounts: Any) -> None:
        self.mounts = mounts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("layer", "paths"),
    [
        (in_a_closure, [["/metrics"]]),
        (lambda app: Dispatcher({"http": app, "websocket": opaque}), [["/metrics"]]),
        (lambda app: Dispatcher({"/": app, "/x": opaque}), [["/metrics"]]),
        (lambda app: Dispatcher({"/api": app}), []),
        (lambda app: Dispatcher([("/api", app)]), []),
        (lambda app: Starlette(routes=[Mount("/api", app=in_a_closure(app))]), []),
    ],
)
def test_page_of_an_app_that_a_layer_hides_is_told_of(
    observer: Observer, paths_told: PathsTold, layer: Any, paths: Any
) -> None:
    """Unless it is asked for other paths there."""
    app = layer(Starlette(routes=[Route("/metrics", view)]))
    get(ObservabilityMiddleware(app, observer), "/health/live")
    assert paths_told() == paths


def test_app_keeps_its_own_page_at_another_name_of_a_probe(observer: Observer) -> None:
    app = FastAPI()
    app.add_api_route("/health", lambda: "theirs")
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    assert get(app, "/health").body == b'"theirs"'
    assert get(app, "/readyz").status == 200
