"""The route that an ASGI request is counted under: the whole template, and never the path."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from tests.adapters.asgi import get, served


async def fine(request: Any) -> Any:
    return PlainTextResponse("fine")


async def also_fine(request: Any) -> Any:
    return PlainTextResponse("fine")


async def chat(websocket: Any) -> None:
    await websocket.accept()
    await websocket.close()


class Orders(HTTPEndpoint):
    async def get(self, request: Any) -> Any:
        return PlainTextResponse("orders")


def observed(routes: list[Any], observer: Observer) -> Any:
    app = Starlette(routes=routes)
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    return app


def shop() -> list[Any]:
    """Return routes of every kind, at several depths."""
    inner = Router([Route("/{i:int}", fine), Route("/", also_fine)])
    rooms = Starlette(routes=[Route("/rooms/{room}", fine), Mount("/deep/{level:int}", app=inner)])
    return [
        Route("/items/{i:int}", fine),
        Route("/files/{path:path}", fine),
        Route("/orders", Orders),
        Mount("/plain", routes=[Route("/items/{i}", fine), Mount("/more", routes=[Route("/{j}/x", fine)])]),
        Mount("/t/{tenant}", routes=[Route("/items/{i}", fine), Mount("/{area}", app=rooms)]),
        Mount("/hotel/{name}", app=rooms),
        Mount("/raw", app=PlainTextResponse("raw")),
        Host("api.test", app=Router([Route("/only-here/{x}", fine)])),
        WebSocketRoute("/chat/{room}", chat),
    ]


CASES = {
    "/items/7": "/items/{i}",
    "/files/a/b/c": "/files/{path}",
    "/orders": "/orders",
    "/plain/items/7": "/plain/items/{i}",
    "/plain/more/7/x": "/plain/more/{j}/x",
    "/t/acme/items/7": "/t/{tenant}/items/{i}",
    "/t/acme/north/rooms/5": "/t/{tenant}/{area}/rooms/{room}",
    "/t/acme/north/deep/3/9": "/t/{tenant}/{area}/deep/{level}/{i}",
    "/t/acme/north/deep/3/": "/t/{tenant}/{area}/deep/{level}/",
    "/hotel/ritz/rooms/5": "/hotel/{name}/rooms/{room}",
    "/hotel/ritz/deep/3/9": "/hotel/{name}/deep/{level}/{i}",
    "/raw/anything/at/all": "/raw/{path}",
}
UNMATCHED = ("/nothing", "/items/seven", "/hotel/ritz/nothing/here", "/t/acme/north/deep/three/9")


def routes_of(app: Any, access: list[Any], *paths: str, **scope: Any) -> dict[str, Any]:
    access.clear()
    served(app, *paths, **scope)
    return {line.path: line.route for line in access}


def test_every_kind_of_route_is_counted_by_its_template(observer: Observer, access: list[Any]) -> None:
    assert routes_of(observed(shop(), observer), access, *CASES) == CASES


def test_an_app_wrapped_by_hand_has_the_same_routes(observer: Observer, access: list[Any]) -> None:
    app = ObservabilityMiddleware(Starlette(routes=shop()), observer=observer)
    assert routes_of(app, access, *CASES) == CASES


def test_an_app_below_another_middleware_has_the_same_routes(observer: Observer, access: list[Any]) -> None:
    """Wrapped around something that is not the app itself; no value of a mount's parameter may be a label."""
    app = ObservabilityMiddleware(CORSMiddleware(Starlette(routes=shop())), observer=observer)
    assert routes_of(app, access, *CASES) == CASES


def test_a_mounted_app_that_alone_is_observed_has_the_same_routes(
    observer: Observer, access: list[Any]
) -> None:
    """It can't know the templates of the app around it; no value of a mount's parameter may be a label."""
    sub = observed([Route("/items/{i}", fine)], observer)
    app = Starlette(routes=[Mount("/t/{tenant}", app=sub)])
    paths = [f"/t/tenant-{i}/items/1" for i in range(20)]
    assert len(set(routes_of(app, access, *paths).values())) == 1


@pytest.mark.parametrize("path", UNMATCHED)
def test_what_matches_nothing_never_has_its_path_for_a_route(
    observer: Observer, access: list[Any], path: str
) -> None:
    """It has no route; below a mount of an app that has no such path the mount is all that is known."""
    route = routes_of(observed(shop(), observer), access, path)[path]
    assert route is None or route in ("/hotel/{name}/{path}", "/t/{tenant}/{area}/{path}")


def test_a_mount_at_the_root_adds_nothing(observer: Observer, access: list[Any]) -> None:
    app = observed([Mount("", routes=[Route("/items/{i}", fine)])], observer)
    assert routes_of(app, access, "/items/7") == {"/items/7": "/items/{i}"}


def test_a_route_of_another_host_keeps_its_template(observer: Observer, access: list[Any]) -> None:
    headers = [(b"host", b"api.test")]
    app = observed(shop(), observer)
    assert routes_of(app, access, "/only-here/7", headers=headers) == {"/only-here/7": "/only-here/{x}"}
    assert routes_of(app, access, "/only-here/7") == {"/only-here/7": None}


def test_static_files_are_one_route(observer: Observer, access: list[Any], tmp_path: Any) -> None:
    """Found or not, whatever their names."""
    (tmp_path / "a.css").write_text("a {}")
    (tmp_path / "b.css").write_text("b {}")
    app = observed([Mount("/static", app=StaticFiles(directory=tmp_path))], observer)
    found = routes_of(app, access, "/static/a.css", "/static/b.css", "/static/c.css")
    assert set(found.values()) == {"/static/{path}"}
    assert [line.response_bytes for line in access][:2] == [4, 4]


def test_a_websocket_has_its_route(observer: Observer, access: list[Any]) -> None:
    get(observed(shop(), observer), "/chat/7", type="websocket", scheme="ws")
    assert [(line.route, line.status) for line in access] == [("/chat/{room}", 101)]


def test_the_servers_root_path_is_part_of_the_route(observer: Observer, access: list[Any]) -> None:
    """As Starlette takes it: in front of the path, or cut off by the proxy already."""
    app = observed(shop(), observer)
    assert routes_of(app, access, "/shop/items/7", root_path="/shop") == {"/shop/items/7": "/shop/items/{i}"}
    nested = routes_of(app, access, "/shop/t/acme/items/7", root_path="/shop")
    assert nested == {"/shop/t/acme/items/7": "/shop/t/{tenant}/items/{i}"}


# FastAPI


def fastapi_app(observer: Observer, **more: Any) -> Any:
    """Return an app with routers in routers, a mount with a parameter, and one function at two paths."""
    users = APIRouter(prefix="/users")
    users.get("/{uid}")(user)
    users.websocket("/{uid}/live")(fastapi_chat)
    v1 = APIRouter(prefix="/v1/{region}")
    v1.include_router(users, prefix="/people")
    app = FastAPI(**more)
    app.include_router(v1, prefix="/api")
    app.include_router(users)
    sub = FastAPI()
    sub.include_router(users, prefix="/inner")
    app.mount("/t/{tenant}", sub)
    app.get("/items/{i}")(also_fine_api)
    app.get("/old-items/{i}")(also_fine_api)
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    return app


def user(uid: str) -> str:
    return uid


def also_fine_api(i: int) -> int:
    return i


async def fastapi_chat(websocket: WebSocket, uid: str) -> None:
    await websocket.accept()
    await websocket.close()


FASTAPI_CASES = {
    "/api/v1/eu/people/users/7": "/api/v1/{region}/people/users/{uid}",
    "/users/7": "/users/{uid}",
    "/t/acme/inner/users/7": "/t/{tenant}/inner/users/{uid}",
    "/items/7": "/items/{i}",
    "/items/seven": "/items/{i}",  # 422
    "/old-items/7": "/old-items/{i}",
    "/docs": "/docs",
    "/openapi.json": "/openapi.json",
    "/nothing": None,
}


def test_routers_in_routers_keep_every_prefix(observer: Observer, access: list[Any]) -> None:
    assert routes_of(fastapi_app(observer), access, *FASTAPI_CASES) == FASTAPI_CASES


def test_a_websocket_of_an_included_router_keeps_every_prefix(observer: Observer, access: list[Any]) -> None:
    path = "/api/v1/eu/people/users/7/live"
    get(fastapi_app(observer), path, type="websocket", scheme="ws")
    assert [line.route for line in access] == ["/api/v1/{region}/people/users/{uid}/live"]


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
@pytest.mark.parametrize("path", ["/users/7", "/shop/users/7"])
def test_the_apps_own_root_path_is_part_of_the_route_and_of_the_path(
    path: str, observer: Observer, access: list[Any]
) -> None:
    """`FastAPI(root_path="/shop")` behind a proxy that cuts the prefix off, and behind one that does not."""
    app = fastapi_app(observer, root_path="/shop")
    assert routes_of(app, access, path) == {"/shop/users/7": "/shop/users/{uid}"}


@pytest.mark.parametrize("path", ["/items/7", "/shop/items/7"])
def test_a_servers_root_path_is_part_of_both(path: str, observer: Observer, access: list[Any]) -> None:
    """Some servers leave it out of the path, where the proxy has stripped it."""
    found = routes_of(observed(shop(), observer), access, path, root_path="/shop")
    assert found == {"/shop/items/7": "/shop/items/{i}"}


# Starlette before 1.0 leaves only the endpoint in the scope


class EndpointOnly:
    """An app with routes that leaves in the scope what Starlette 0.37 left there."""

    def __init__(self, endpoint: Any) -> None:
        self.routes = shop()
        self._endpoint = endpoint

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["endpoint"] = self._endpoint
        await PlainTextResponse("fine")(scope, receive, send)


def route_of_endpoint(observer: Observer, access: list[Any], endpoint: Any, path: str, **scope: Any) -> Any:
    get(ObservabilityMiddleware(EndpointOnly(endpoint), observer=observer), path, **scope)
    return access.pop().route


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        (Orders, "/orders"),
        (also_fine, "/t/acme/north/deep/3/"),
        *(
            (fine, path)
            for path in CASES
            if not path.startswith(("/orders", "/raw")) and not path.endswith("/")
        ),
    ],
)
def test_an_endpoint_alone_names_its_route(
    observer: Observer, access: list[Any], endpoint: Any, path: str
) -> None:
    """One function at several paths is told apart by the path."""
    assert route_of_endpoint(observer, access, endpoint, path) == CASES[path]
    assert (
        route_of_endpoint(observer, access, endpoint, f"/base{path}", root_path="/base")
        == f"/base{CASES[path]}"
    )


@pytest.mark.parametrize(("endpoint", "path"), [(print, "/x"), (fine, "/items/seven")])
def test_an_endpoint_that_nobody_knows_has_no_route(
    observer: Observer, access: list[Any], endpoint: Any, path: str
) -> None:
    assert route_of_endpoint(observer, access, endpoint, path) is None
