"""Apps of other frameworks: answers unchanged, and a route each."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import falcon.asgi as falcon_asgi
import litestar as litestar_package
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from tests.adapters.asgi import ask, get, served
from tests.core.support import python


def litestar() -> Any:
    module: Any = litestar_package

    async def item(request: Any) -> dict[str, int]:
        return dict(request.path_params)

    async def boom() -> None:
        raise LookupError("nothing")

    item.__annotations__["request"] = module.Request
    routes = [module.get("/items/{number:int}")(item), module.get("/boom")(boom)]
    return module.Litestar(routes, logging_config=None)


def quart() -> Any:
    module = pytest.importorskip("quart")
    app = module.Quart("shop")
    api = module.Blueprint("api", "shop", url_prefix="/api")

    async def item(number: int) -> dict[str, int]:
        return {"number": number}

    async def boom() -> None:
        raise LookupError("nothing")

    app.get("/items/<int:number>")(item)
    api.get("/<int:number>")(item)
    app.register_blueprint(api)
    app.get("/boom")(boom)
    return app


def falcon() -> Any:
    module: Any = falcon_asgi

    class Item:
        async def on_get(self, request: Any, response: Any, number: int) -> None:
            response.media = {"number": number}

    class Boom:
        async def on_get(self, request: Any, response: Any) -> None:
            raise LookupError("nothing")

    app = module.App()
    app.add_route("/items/{number:int}", Item())
    app.add_route("/boom", Boom())
    return app


def blacksheep() -> Any:
    module = pytest.importorskip("blacksheep")
    app = module.Application()

    async def item(number: int) -> Any:
        return module.json({"number": number})

    async def boom() -> None:
        raise LookupError("nothing")

    app.router.add_get("/items/{number}", item)
    app.router.add_get("/boom", boom)
    return app


MAKERS = {maker.__name__: maker for maker in (litestar, quart, falcon, blacksheep)}
TEMPLATES = {
    "litestar": "/items/{number}",
    "quart": "/items/<int:number>",
    "falcon": "/items/{number:int}",
    "blacksheep": "/items/{number}",
}


def in_a_layer(app: Any) -> Any:
    async def layer(scope: Any, receive: Any, send: Any) -> None:
        await app(dict(scope), receive, send)

    return layer


@pytest.fixture(params=MAKERS)
def name(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("layer", [lambda app: app, in_a_layer], ids=["alone", "behind a layer"])
def test_app_of_another_framework_has_its_route_and_its_answers(
    observer: Observer, access: list[Any], name: str, layer: Any
) -> None:
    paths = ("/items/1", "/items/2", "/boom", "/nowhere")
    bare = served(layer(MAKERS[name]()), *paths)
    answers = served(ObservabilityMiddleware(layer(MAKERS[name]()), observer=observer), *paths)
    assert [(one.status, one.body) for one in answers] == [(one.status, one.body) for one in bare]
    assert [line.status for line in access] == [200, 200, 500, 404]
    assert [line.request_id for line in access] == [one.all("x-request-id")[0] for one in answers]
    template = TEMPLATES[name]
    assert [line.route for line in access] == [template, template, "/boom", None]


def test_mounted_app_of_another_framework_has_both_templates(
    observer: Observer, access: list[Any], name: str
) -> None:
    if name == "falcon":
        pytest.skip("mounted, it does not find its routes without us either")
    app = Starlette(routes=[Mount("/t/{tenant}", app=MAKERS[name]())])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    served(app, "/t/acme/items/1")
    assert [line.route for line in access] == [f"/t/{{tenant}}{TEMPLATES[name]}"]


@pytest.mark.parametrize("maker", [quart, litestar, blacksheep])
@pytest.mark.parametrize("layer", [lambda app: app, in_a_layer], ids=["alone", "behind a layer"])
def test_error_that_a_framework_answers_has_its_name(
    observer: Observer, access: list[Any], maker: Any, layer: Any
) -> None:
    """Quart tells of it by a signal, Litestar by a hook, BlackSheep where it answers it."""
    served(ObservabilityMiddleware(layer(maker()), observer=observer), "/boom", "/items/1", "/boom")
    assert [line.error_type for line in access] == ["LookupError", None, "LookupError"]


LITESTAR = """
import asyncio, logging
from litestar import Litestar, get
from litestar.logging import LoggingConfig
from obs_asgi import ObservabilityMiddleware
from tests.adapters.asgi import served

@get("/items/{number:int}")
async def item(number: int) -> int:
    logging.getLogger("shop").info("paid")
    return number

@get("/boom")
async def boom() -> None:
    raise LookupError("nothing")

def serve(**settings):
    served(ObservabilityMiddleware(Litestar([item, boom], **settings)), "/items/1", "/boom")
"""


@pytest.mark.once
def test_litestars_own_logging_is_no_configuration_of_the_users() -> None:
    text = python(LITESTAR + "serve(debug=True)", env={"OBS_ENVIRONMENT": "production"})
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["logger"] for line in lines} >= {"shop", "litestar", "obs.access"}
    assert all("request_id" in line for line in lines if line["logger"] != "obs")
    assert [line["route"] for line in lines if line["logger"] == "obs.access"] == ["/items/{number}", "/boom"]


@pytest.mark.once
@pytest.mark.parametrize(
    "config",
    [
        "logging_config=LoggingConfig(root={'level': 'DEBUG', 'handlers': ['queue_listener']})",
        "logging_config=LoggingConfig(formatters={'standard': {'format': '%(message)s'}})",
    ],
)
def test_logging_that_is_given_to_litestar_stays(config: str) -> None:
    text = python(f"import sys\nsys.stderr = sys.stdout\n{LITESTAR}serve({config})")
    assert "logging is configured already" in text
    assert '"request_id"' not in text


def test_blueprint_of_quart_has_its_prefix(observer: Observer, access: list[Any]) -> None:
    served(ObservabilityMiddleware(quart(), observer=observer), "/api/7")
    assert [line.route for line in access] == ["/api/<int:number>"]


# Any other app


async def raw(scope: Any, receive: Any, send: Any) -> None:
    scope["shop.rule"] = "/items/{number}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


def rule_of(scope: Any) -> Any:
    return scope.get("shop.rule")


def test_route_is_read_by_the_users_function(observer: Observer, access: list[Any]) -> None:
    seen = []

    def route_of(scope: Any) -> Any:
        seen.append(scope["path"])
        return rule_of(scope)

    app = ObservabilityMiddleware(raw, observer=observer, route_of=route_of)
    asyncio.run(ask(app, "/items/7"))
    assert seen == ["/items/7"]
    assert [line.route for line in access] == ["/items/{number}"]


def test_users_function_that_fails_is_no_failure_of_the_request(
    observer: Observer, access: list[Any]
) -> None:
    app = ObservabilityMiddleware(raw, observer=observer, route_of=lambda scope: scope["no such key"])
    assert asyncio.run(ask(app, "/items/7")).body == b"fine"
    assert [(line.route, line.status) for line in access] == [(None, 200)]


def test_scope_that_names_a_template_is_read(observer: Observer, access: list[Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["path_template"] = "/items/{number}"
        await raw(scope, receive, send)

    asyncio.run(ask(ObservabilityMiddleware(app, observer=observer), "/items/7"))
    assert [line.route for line in access] == ["/items/{number}"]


class _BlackSheepsRouter:
    def get_match_by_method_and_path(self, method: bytes, path: bytes) -> Any:
        known = {(b"GET", b"/items/1"): b"/items/:number", (b"GET_WS", b"/chat"): b"/chat"}
        return SimpleNamespace(pattern=known.get((method, path), b"*"))


class Application:
    """What we touch of BlackSheep's app: it is compiled, and not to be had for each Python that is tested."""

    def __init__(self) -> None:
        self.router = _BlackSheepsRouter()

    async def handle_internal_server_error(self, request: Any, error: Exception) -> int:
        return 500

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
            return
        status = 200
        if scope["path"] == "/boom":
            status = await self.handle_internal_server_error(None, LookupError("nothing"))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})


def test_app_in_the_shape_of_blacksheeps_has_routes_and_names_of_errors(
    observer: Observer, access: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Application, "__module__", "blacksheep.server.application")
    app = ObservabilityMiddleware(Application(), observer=observer)
    get(app, "/items/1")
    get(app, "/boom")
    get(app, "/nowhere")
    get(app, "/chat", type="websocket")
    assert [(line.route, line.status, line.error_type) for line in access] == [
        ("/items/:number", 200, None),
        (None, 500, "LookupError"),
        (None, 200, None),
        ("/chat", 101, None),
    ]
