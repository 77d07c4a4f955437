"""Layers that copy a scope or hide the app, and copies that go through the app again."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, Router

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer, current_exchange
from tests.adapters.asgi import ask, get, served

App = Any


def shop() -> App:
    """Return an app with routes, a mounted app and a mount with a parameter."""
    app, books = FastAPI(), FastAPI()
    app.get("/items/{number}")(item)
    app.get("/boom/{number}")(boom)
    app.get("/stream/{number}")(stream)
    books.get("/items/{number}")(item)
    app.mount("/books", books)
    app.mount("/t/{tenant}", books)
    return app


async def item(number: int) -> int:
    return number


async def boom(number: int) -> int:
    raise LookupError("nothing there")


async def stream(number: int) -> Any:
    async def pieces() -> Any:
        yield b"a"
        raise ValueError("no more")

    return StreamingResponse(pieces())


async def fine(request: Any) -> Any:
    return PlainTextResponse("fine")


async def fails(request: Any) -> Any:
    raise LookupError("nothing there")


class Copies:
    """A layer that hands on a copy, as prefix strippers do."""

    def __init__(self, app: App, copied: Callable[[Any], Any] = dict) -> None:
        self.app, self._copied = app, copied

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(self._copied(scope), receive, send)


def stripped(scope: Any) -> Any:
    return {**scope, "path": scope["path"].removeprefix("/gw")}


def pickled(scope: Any) -> Any:
    return pickle.loads(pickle.dumps({**scope, "app": None, "extensions": {}, "state": {}}))


def as_function(app: App) -> App:
    async def layer(scope: Any, receive: Any, send: Any) -> None:
        await app(stripped(scope), receive, send)

    return layer


GLOBAL: dict[str, App] = {}


class MakesNew:
    """A layer that takes over what it knows of a scope."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        names = (
            "type",
            "http_version",
            "method",
            "scheme",
            "path",
            "query_string",
            "headers",
            "client",
            "state",
        )
        await self.app({name: scope[name] for name in names if name in scope}, receive, send)


class Dispatcher:
    """A layer that finds its app in a dict, as ProtocolTypeRouter does."""

    __slots__ = ("application_mapping",)

    def __init__(self, app: App) -> None:
        self.application_mapping = {"http": [app]}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.application_mapping[scope["type"]][0](copy.copy(scope), receive, send)


async def _in_a_partial(app: App, scope: Any, receive: Any, send: Any) -> None:
    await app(dict(scope), receive, send)


class Method:
    def __init__(self, app: App) -> None:
        self.inner = CORSMiddleware(app)

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self.inner(dict(scope), receive, send)


LAYERS: dict[str, Callable[[App], App]] = {
    "copy": Copies,
    "deep copy": lambda app: Copies(app, lambda scope: copy.deepcopy({**scope, "app": None})),
    "pickle": lambda app: Copies(app, pickled),
    "closure": as_function,
    "dict": Dispatcher,
    "partial": lambda app: partial(_in_a_partial, app),
    "method": lambda app: Method(app).serve,
    "new": MakesNew,
    "two": lambda app: Copies(as_function(app)),
}
ROUTES = {
    "/items/1": "/items/{number}",
    "/books/items/2": "/books/items/{number}",
    "/t/acme/items/3": "/t/{tenant}/items/{number}",
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_app_behind_a_layer_has_its_routes(observer: Observer, access: list[Any], layer: Any) -> None:
    served(ObservabilityMiddleware(layer(shop()), observer=observer), *ROUTES)
    assert {line.path: line.route for line in access} == ROUTES


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_error_of_an_app_behind_a_layer_has_its_name(
    observer: Observer, access: list[Any], layer: Any
) -> None:
    app = shop()
    app.middleware("http")(lambda request, call_next: call_next(request))
    served(ObservabilityMiddleware(layer(app), observer=observer), "/boom/1", "/stream/2", "/boom/3")
    assert [(line.route, line.status, line.error_type) for line in access] == [
        ("/boom/{number}", 500, "LookupError"),
        ("/stream/{number}", 200, "ValueError"),
        ("/boom/{number}", 500, "LookupError"),
    ]


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_layer_in_the_apps_own_stack_hides_nothing(observer: Observer, access: list[Any], layer: Any) -> None:
    """Inside of ours and outside."""
    for names in (("ours", "layer"), ("layer", "ours")):
        access.clear()
        app = shop()
        for name in names:
            if name == "ours":
                app.add_middleware(ObservabilityMiddleware, observer=observer)
            else:
                app.add_middleware(layer)
        served(app, *ROUTES)
        assert {line.path: line.route for line in access} == ROUTES


@pytest.mark.parametrize("kind", [Starlette, FastAPI])
def test_mounted_app_behind_a_layer_has_its_routes(observer: Observer, access: list[Any], kind: Any) -> None:
    app = kind(routes=[Mount("/v/{version}", app=Copies(shop())), Mount("/lit", app=as_function(shop()))])
    paths = ("/v/2/items/1", "/v/2/t/acme/items/3", "/lit/items/5", "/v/2/nowhere", "/v/2/t/acme/nowhere")
    served(ObservabilityMiddleware(app, observer=observer), *paths)
    assert [line.route for line in access] == [
        "/v/{version}/items/{number}",
        "/v/{version}/t/{tenant}/items/{number}",
        "/lit/items/{number}",
        "/v/{version}/{path}",
        "/v/{version}/t/{tenant}/{path}",
    ]


def test_prefix_that_a_layer_cuts_off_is_no_part_of_the_template(
    observer: Observer, access: list[Any]
) -> None:
    """One that it moves to `root_path` is."""

    async def moves(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/gw"}, receive, send)

    app = shop()
    get(ObservabilityMiddleware(as_function(app), observer=observer), "/gw/items/1")
    get(ObservabilityMiddleware(moves, observer=observer), "/gw/books/items/1")
    assert [line.route for line in access] == ["/items/{number}", "/gw/books/items/{number}"]


def set_in_place(scope: Any, root: str) -> Any:
    scope["root_path"] = scope["root_path"] + root
    return scope


def set_in_a_copy(scope: Any, root: str) -> Any:
    return set_in_place(dict(scope), root)


def moved_in_place(scope: Any, root: str) -> Any:
    scope["path"] = scope["path"].removeprefix(root)
    return set_in_place(scope, root)


@pytest.mark.parametrize("how", [set_in_place, set_in_a_copy, moved_in_place])
@pytest.mark.parametrize("is_added", [True, False], ids=["added", "wrapped"])
@pytest.mark.parametrize("kind", [Starlette, FastAPI])
def test_prefix_that_a_layer_moves_to_the_root_path_is_shown(
    observer: Observer, access: list[Any], how: Any, is_added: bool, kind: Any
) -> None:
    """Where a proxy has stripped it, it is neither in the path nor in the route."""

    class Layer:
        def __init__(self, app: App) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope = how(scope, "/gw")
            await self.app(scope, receive, send)

    app = kind()
    app.add_route("/items/{number}", fine)
    app.mount("/t/{tenant}", Starlette(routes=[Route("/items/{number}", fine)]))
    if is_added:
        app.add_middleware(Layer)
        app.add_middleware(ObservabilityMiddleware, observer=observer)
    else:
        app = ObservabilityMiddleware(Layer(app), observer=observer)
    served(app, "/gw/items/1", "/gw/t/acme/items/2", "/items/3")
    shown = [(line.path, line.route) for line in access]
    assert shown[0] == ("/gw/items/1", "/gw/items/{number}")
    assert shown[2] == ("/items/3", "/items/{number}")
    if how is not moved_in_place:  # Starlette finds no mount then, without us either
        assert shown[1] == ("/gw/t/acme/items/2", "/gw/t/{tenant}/items/{number}")


def test_layer_that_finds_its_app_in_a_module_has_routes(observer: Observer, access: list[Any]) -> None:
    async def layer(scope: Any, receive: Any, send: Any) -> None:
        await GLOBAL["app"](dict(scope), receive, send)

    GLOBAL["app"] = shop()
    get(ObservabilityMiddleware(layer, observer=observer), "/items/1")
    assert [line.route for line in access] == ["/items/{number}"]


def batch(*paths: str, kind: str) -> App:
    """Return an app whose /batch runs other paths of the app on copies of its scope."""

    async def run(request: Any) -> Any:
        statuses: list[int] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        for path in paths:
            scope = {**request.scope, "path": path, "raw_path": path.encode(), "root_path": ""}
            target: Any = {"app": app, "router": app.router, "stack": app.middleware_stack}[kind]
            try:
                await target(scope, request.receive, send)
            except LookupError:
                statuses.append(500)
        return PlainTextResponse(str(statuses))

    app = Starlette(
        routes=[
            Route("/batch", run),
            Route("/part/{number}", fine),
            Route("/bad/{number}", fails),
            Mount("/m", app=Copies(Router([Route("/part/{number}", fine)]))),
        ]
    )
    return app


@pytest.mark.parametrize("kind", ["app", "router", "stack"])
@pytest.mark.parametrize("how", ["added", "wrapped", "behind a layer", "both"])
def test_copy_that_goes_through_the_app_again_is_no_request(
    observer: Observer, access: list[Any], kind: str, how: str
) -> None:
    """It has no line, no ID and no count, and changes nothing of the request that it is a part of."""
    app = batch("/part/1", "/bad/2", "/m/part/3", "/part/4", kind=kind)
    if how in ("added", "both"):
        app.add_middleware(ObservabilityMiddleware, observer=observer)
    if how in ("wrapped", "both"):
        app = ObservabilityMiddleware(app, observer=observer)
    if how == "behind a layer":
        app = ObservabilityMiddleware(Copies(app), observer=observer)
    for answer in served(app, "/batch", "/batch"):
        assert answer.body == (b"[200, 500, 500, 200, 200]" if kind != "router" else b"[200, 500, 200, 200]")
    assert [(line.path, line.route, line.status, line.outcome) for line in access] == [
        ("/batch", "/batch", 200, "ok")
    ] * 2


def test_batch_of_a_layer_inside_has_no_route_of_a_part(observer: Observer, access: list[Any]) -> None:
    async def layer(scope: Any, receive: Any, send: Any) -> None:
        async def drop(message: Any) -> None:
            pass

        for path in ("/items/1", "/books/items/2"):
            await app({**scope, "path": path, "raw_path": path.encode()}, receive, drop)
        await PlainTextResponse("done")(scope, receive, send)

    app = shop()
    get(ObservabilityMiddleware(layer, observer=observer), "/batch")
    assert [(line.path, line.route, line.status) for line in access] == [("/batch", None, 200)]


@pytest.mark.parametrize("copied", [dict, copy.copy, lambda scope: scope], ids=["dict", "copy", "same"])
@pytest.mark.parametrize("is_added", [True, False], ids=["added", "wrapped"])
def test_layer_that_tries_another_path_has_the_route_of_that(
    observer: Observer, access: list[Any], copied: Any, is_added: bool
) -> None:
    """As for an app of one page, or a slash at the end; an error of the second try counts too."""

    class Tries:
        def __init__(self, app: App) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await self.app(scope, receive, send)
                return
            is_missing = False

            async def look(message: Any) -> None:
                nonlocal is_missing
                is_missing = is_missing or message.get("status") == 404
                if not is_missing:
                    await send(message)

            await self.app(copied(scope), receive, look)
            if is_missing:
                again = copied(scope)
                again["path"] = "/boom/1" if scope["path"] == "/fail" else "/items/1"
                await self.app(again, receive, send)

    app = shop()
    if is_added:
        app.add_middleware(Tries)
        app.add_middleware(ObservabilityMiddleware, observer=observer)
    else:
        app = ObservabilityMiddleware(Tries(app), observer=observer)
    served(app, "/some/page", "/books/items/2", "/fail")
    assert [(line.path, line.route, line.status, line.error_type) for line in access] == [
        ("/some/page", "/items/{number}", 200, None),
        ("/books/items/2", "/books/items/{number}", 200, None),
        ("/fail", "/boom/{number}", 500, "LookupError"),
    ]


@pytest.mark.parametrize("again", ["/items/1", "/nowhere"])
def test_layer_that_tries_again_on_the_copy_that_it_has_made_has_the_route_of_the_last(
    observer: Observer, access: list[Any], again: str
) -> None:
    async def layer(scope: Any, receive: Any, send: Any) -> None:
        async def drop(message: Any) -> None:
            pass

        mine = dict(scope)
        await app(mine, receive, drop)
        mine["path"] = again
        await app(mine, receive, send)

    app = shop()
    answer = get(ObservabilityMiddleware(layer, observer=observer), "/nowhere")
    is_found = again != "/nowhere"
    assert answer.status == (200 if is_found else 404)
    assert [line.route for line in access] == ["/items/{number}" if is_found else None]


def test_request_that_the_app_hands_to_itself_has_the_route_of_the_last(
    observer: Observer, access: list[Any]
) -> None:
    """An inner redirect goes on with the same scope, and its response is the client's."""

    async def old(request: Any) -> Any:
        request.scope["path"] = "/new/7"
        return request.app

    app = Starlette(routes=[Route("/old", old), Route("/new/{number}", fine)])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    (answer,) = served(app, "/old")
    assert answer.body == b"fine"
    assert [(line.path, line.route, line.status) for line in access] == [("/old", "/new/{number}", 200)]
    assert len(answer.all("x-request-id")) == 1


def test_call_in_process_with_a_scope_of_its_own_is_a_request_of_its_own(
    observer: Observer, access: list[Any]
) -> None:
    async def gateway(request: Any) -> Any:
        inner = await ask(app, "/part/7")
        return PlainTextResponse(inner.body)

    app = Starlette(routes=[Route("/gateway", gateway), Route("/part/{number}", fine)])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    (answer,) = served(app, "/gateway")
    assert answer.body == b"fine"
    assert [line.route for line in access] == ["/part/{number}", "/gateway"]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda scope: pickle.loads(pickle.dumps(scope))]
)
def test_scope_can_be_copied_by_the_app(observer: Observer, access: list[Any], copied: Any) -> None:
    """In every way, and what is copied is of no concern."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        other = copied(scope)
        assert other["path"] == scope["path"]
        await PlainTextResponse("fine")(other, receive, send)

    assert get(ObservabilityMiddleware(app, observer=observer), "/x").status == 200
    assert [line.status for line in access] == [200]


def test_nothing_of_ours_is_left_in_the_scope(observer: Observer, access: list[Any]) -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        assert current_exchange() is not None
        await PlainTextResponse("fine")(scope, receive, send)

    get(ObservabilityMiddleware(app, observer=observer))
    assert [key for key in scopes[0] if key.startswith("obs")] == []


def test_layer_that_cannot_be_looked_into_is_left_alone(observer: Observer, access: list[Any]) -> None:
    """No code of what is held is run: lazy objects stay lazy."""

    class Lazy:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("asked")

        @property
        def routes(self) -> Any:
            raise RuntimeError("outside of a request")

        def __call__(self) -> None:
            raise AssertionError("called")

    class Layer:
        def __init__(self, app: App) -> None:
            self.lazy, self.app = Lazy(), app
            self.me = self

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(dict(scope), receive, send)

    served(ObservabilityMiddleware(Layer(shop()), observer=observer), "/items/1")
    assert [line.route for line in access] == ["/items/{number}"]


@pytest.mark.parametrize("call", [served, lambda app, *paths: [get(app, path) for path in paths]])
def test_layer_whose_attributes_fail_is_served(
    observer: Observer, access: list[Any], caplog: pytest.LogCaptureFixture, call: Any
) -> None:
    """As one that makes its app when it is asked for the first time."""

    class Layer:
        def __init__(self, app: App) -> None:
            self._inner = app

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("not ready")

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self._inner(scope, receive, send)

    answers = call(ObservabilityMiddleware(Layer(shop()), observer=observer), "/items/1", "/items/2")
    assert [answer.body for answer in answers] == [b"1", b"2"]
    assert [line.route for line in access] == ["/items/{number}"] * 2
    assert not [record for record in caplog.records if record.name == "obs"]


def test_concurrent_requests_keep_their_routes(observer: Observer, access: list[Any]) -> None:
    app = ObservabilityMiddleware(as_function(shop()), observer=observer)

    async def all_at_once() -> None:
        paths = [f"/items/{i}" if i % 2 else f"/books/items/{i}" for i in range(50)]
        await asyncio.gather(*(ask(app, path) for path in paths))

    asyncio.run(all_at_once())
    assert {line.route for line in access if line.path.startswith("/books")} == {"/books/items/{number}"}
    assert {line.route for line in access if line.path.startswith("/items")} == {"/items/{number}"}


def test_app_that_is_built_at_its_first_call_has_routes_from_the_second_on(
    observer: Observer, access: list[Any]
) -> None:
    class Lazy:
        def __init__(self) -> None:
            self.app: Any = None

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if self.app is None:
                self.app = Copies(shop())
            await self.app(scope, receive, send)

    app = ObservabilityMiddleware(Lazy(), observer=observer)
    for _ in range(3):
        get(app, "/books/items/2")
    assert [line.route for line in access] == [None, "/books/items/{number}", "/books/items/{number}"]


def test_routes_that_are_never_found_are_told_once(
    observer: Observer, access: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def raw(scope: Any, receive: Any, send: Any) -> None:
        status = 404 if scope["path"] == "/none" else 200
        await PlainTextResponse("fine", status_code=status)(scope, receive, send)

    app = ObservabilityMiddleware(raw, observer=observer)
    for path in ["/none"] * 30 + ["/fine"] * 9:
        get(app, path)
    assert not _warnings(caplog)
    for _ in range(30):
        get(app, "/fine")
    (warning,) = _warnings(caplog)
    assert "none of 10 responses had a route" in warning
    assert "route_of" in warning


def test_routes_that_are_found_at_times_are_enough(
    observer: Observer, access: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = ObservabilityMiddleware(CORSMiddleware(shop(), allow_origins=["*"]), observer=observer)
    get(app, "/items/1")
    for _ in range(30):
        get(app, "/docs", method="OPTIONS")
        get(app, "/nowhere")
    assert not _warnings(caplog)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "obs"]
