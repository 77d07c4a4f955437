"""Around one mount: that mount is observed and nothing else of the app, and its pages are below it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from tests.adapters.asgi import get, served

PAGES = ("/metrics", "/health/live", "/health/ready", "/health/startup")


async def fine(request: Any) -> Any:
    return PlainTextResponse("fine")


async def fails(request: Any) -> Any:
    raise LookupError("nothing there")


async def chat(websocket: Any) -> None:
    await websocket.accept()
    await websocket.close()


ROUTES = [Route("/hello/{name}", fine), Route("/boom", fails), WebSocketRoute("/chat/{room}", chat)]


def by_keyword(path: str, observer: Observer) -> Any:
    return Mount(path, routes=ROUTES, middleware=[Middleware(ObservabilityMiddleware, observer=observer)])


def by_hand(path: str, observer: Observer) -> Any:
    return Mount(path, app=ObservabilityMiddleware(Router(ROUTES), observer=observer))


def by_app(path: str, observer: Observer) -> Any:
    app = Starlette(routes=ROUTES)
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    return Mount(path, app=app)


def by_wrapped_app(path: str, observer: Observer) -> Any:
    return Mount(path, app=ObservabilityMiddleware(Starlette(routes=ROUTES), observer=observer))


def by_router(path: str, observer: Observer) -> Any:
    middleware = [Middleware(ObservabilityMiddleware, observer=observer)]
    return Mount(path, app=Router(ROUTES, middleware=middleware))


def by_host(path: str, observer: Observer) -> Any:
    return Mount(
        path, routes=[Host("shop.test", app=ObservabilityMiddleware(Router(ROUTES), observer=observer))]
    )


@pytest.fixture(params=[by_keyword, by_hand, by_app, by_wrapped_app, by_router, by_host])
def mount(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["lifespan", "no lifespan"])
def call(request: pytest.FixtureRequest) -> Any:
    if request.param == "lifespan":
        return served
    return lambda app, *paths: [get(app, path) for path in paths]


def test_each_mount_has_its_own_requests_and_nobody_has_the_rest(
    call: Any, mount: Any, access: list[Any]
) -> None:
    observers = [Observer(registry=CollectorRegistry(), log_setup=False) for _ in range(2)]
    app = Starlette(
        routes=[mount("/api", observers[0]), mount("/internal", observers[1]), Route("/assets", fine)]
    )
    paths = ("/assets", "/api/hello/a", "/internal/hello/b", "/api/hello/c", "/assets", "/nowhere")
    answers = call(app, *paths)
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 200, 404]
    observed = ["/api/hello/{name}", "/internal/hello/{name}", "/api/hello/{name}"]
    assert [line.route for line in access] == observed
    assert [len(answer.all("x-request-id")) for answer in answers] == [0, 1, 1, 1, 0, 0]
    counts = [_counts(observer) for observer in observers]
    assert counts == [{"/api/hello/{name}": 2.0}, {"/internal/hello/{name}": 1.0}]


def _counts(observer: Observer) -> dict[str, float]:
    return {
        sample.labels["http_route"]: sample.value
        for family in observer.registry.collect()
        for sample in family.samples
        if sample.name == "http_server_request_duration_seconds_count"
    }


def test_pages_are_below_the_mount_before_and_after_its_requests(
    call: Any, mount: Any, observer: Observer
) -> None:
    app = Starlette(routes=[mount("/api", observer), Route("/assets", fine)])
    inside, outside = tuple(f"/api{path}" for path in PAGES), PAGES
    answers = call(app, *outside, "/api/hello/a", "/assets", *outside, *inside)
    assert [answer.status for answer in answers] == [404] * 4 + [200, 200] + [404] * 4 + [200] * 4


def test_password_of_a_mount_guards_its_pages(observer: Observer) -> None:
    class Password(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            return PlainTextResponse("who?", status_code=401)

    guarded = [Middleware(Password), Middleware(ObservabilityMiddleware, observer=observer)]
    app = Starlette(routes=[Mount("/api", routes=ROUTES, middleware=guarded)])
    answers = served(app, "/api/hello/a", "/api/metrics", "/metrics")
    assert [answer.status for answer in answers] == [401, 401, 404]


def test_error_of_a_mount_is_answered_by_the_app_around(
    call: Any, mount: Any, observer: Observer, access: list[Any]
) -> None:
    """Once, as without us, and with the status that the client gets."""
    handled = []

    async def apologise(request: Any, error: Exception) -> Any:
        handled.append(error)
        return PlainTextResponse("sorry", status_code=500)

    app = Starlette(routes=[mount("/api", observer)], exception_handlers={Exception: apologise})
    (answer,) = call(app, "/api/boom")
    is_own = mount in (by_app, by_wrapped_app)  # an app has an error middleware of its own
    assert answer.body == (b"Internal Server Error" if is_own else b"sorry")
    assert len(handled) == 1
    assert [(line.route, line.status, line.error_type) for line in access] == [
        ("/api/boom", 500, "LookupError")
    ]


def test_websocket_of_a_mount_is_observed(mount: Any, observer: Observer, access: list[Any]) -> None:
    get(Starlette(routes=[mount("/api", observer)]), "/api/chat/7", type="websocket", scheme="ws")
    assert [(line.route, line.status) for line in access] == [("/api/chat/{room}", 101)]


def test_one_route_alone_is_observed(observer: Observer, access: list[Any]) -> None:
    middleware = [Middleware(ObservabilityMiddleware, observer=observer)]
    app = Starlette(routes=[Route("/a/{x}", fine, middleware=middleware), Route("/b", fine)])
    served(app, "/a/1", "/b", "/a/2")
    assert [line.route for line in access] == ["/a/{x}"] * 2


def test_app_and_mount_make_one_request(mount: Any, observer: Observer, access: list[Any]) -> None:
    other = Observer(registry=CollectorRegistry(), log_setup=False)
    app = Starlette(routes=[mount("/api", other)])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    answer, failed, live = served(app, "/api/hello/a", "/api/boom", "/health/live")
    assert len(answer.all("x-request-id")) == len(failed.all("x-request-id")) == 1
    assert [(line.route, line.status, line.error_type) for line in access] == [
        ("/api/hello/{name}", 200, None),
        ("/api/boom", 500, "LookupError"),
    ]
    assert live.status == 200
    assert _counts(other) == {}


# Mounts and routes that are added while the app serves


def add_to(app: Any) -> None:
    app.mount(
        "/later/{version}", Starlette(routes=[Route("/items/{i}", fine), Mount("/x/{y}", routes=ROUTES)])
    )


@pytest.mark.parametrize("how", ["added", "wrapped"])
@pytest.mark.parametrize("kind", [Starlette, FastAPI])
def test_mount_that_is_added_later_has_its_template(
    observer: Observer, access: list[Any], how: str, kind: Any
) -> None:
    app = observed = kind()
    app.mount("/first/{version}", Starlette(routes=[Route("/items/{i}", fine)]))
    if how == "added":
        app.add_middleware(ObservabilityMiddleware, observer=observer)
    else:
        observed = ObservabilityMiddleware(app, observer=observer)
    served(observed, "/first/1/items/1", "/nowhere")
    add_to(app)
    served(observed, "/later/2/items/3", "/later/2/x/y/hello/z", "/first/4/items/5")
    assert [line.route for line in access] == [
        "/first/{version}/items/{i}",
        None,
        "/later/{version}/items/{i}",
        "/later/{version}/x/{y}/hello/{name}",
        "/first/{version}/items/{i}",
    ]


def test_mount_that_is_added_deep_inside_has_its_template(observer: Observer, access: list[Any]) -> None:
    inner = Router([Route("/items/{i}", fine)])
    app = Starlette(routes=[Mount("/t/{tenant}", app=inner)])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    served(app, "/t/acme/items/1")
    inner.mount("/more/{area}", Router([Route("/{x}", fine)]))
    served(app, "/t/acme/more/north/1")
    assert [line.route for line in access] == ["/t/{tenant}/items/{i}", "/t/{tenant}/more/{area}/{x}"]


def test_mount_that_is_added_at_the_start_has_its_template(observer: Observer, access: list[Any]) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> Any:
        add_to(app)
        yield

    app = Starlette(lifespan=lifespan)
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    served(app, "/later/2/items/3")
    assert [line.route for line in access] == ["/later/{version}/items/{i}"]


def test_mount_that_replaces_another_has_its_template(observer: Observer, access: list[Any]) -> None:
    app = Starlette(routes=[Mount("/t/{tenant}", routes=[Route("/items/{i}", fine)])])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    served(app, "/t/acme/items/1")
    app.router.routes[0] = Mount("/u/{user}", routes=[Route("/items/{i}", fine)])
    served(app, "/u/jane/items/1")
    assert [line.route for line in access] == ["/t/{tenant}/items/{i}", "/u/{user}/items/{i}"]


def test_values_of_an_unknown_mount_are_no_series(observer: Observer, access: list[Any]) -> None:
    """An app that sets `root_path` by itself may have put values there, where parameters are known."""

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        tenant = scope["path"].split("/")[1]
        scope["path_params"] = {"tenant": tenant}
        scope["root_path"] = f"/{tenant}"
        await Router(ROUTES)(scope, receive, send)

    app = ObservabilityMiddleware(dispatch, observer=observer)
    for tenant in ("a", "b", "c"):
        get(app, f"/{tenant}/hello/x")
    assert len({line.route for line in access}) == 1
