"""Two of our adapters around one request, in whatever order: one request, one ID, one span."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from a2wsgi import ASGIMiddleware, WSGIMiddleware
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from obs_asgi import ObservabilityMiddleware
from obs_flask import Observability
from obs_middleware import Observer, current_exchange
from obs_wsgi import ObservabilityMiddleware as WsgiMiddleware
from tests.adapters.asgi import ask, get, served
from tests.adapters.wsgi import call

IDS: list[Any] = []


def quiet() -> Observer:
    return Observer(registry=CollectorRegistry(), log_setup=False)


def note_id() -> None:
    exchange = current_exchange()
    IDS.append(exchange and exchange.request_id)


@pytest.fixture(autouse=True)
def ids() -> list[Any]:
    IDS.clear()
    return IDS


def fastapi(*, is_wrapped: bool = False) -> Any:
    app = FastAPI()

    @app.get("/orders/{number}")
    async def order(number: int) -> int:
        note_id()
        return number

    @app.get("/boom")
    async def boom() -> None:
        raise LookupError("nothing there")

    if is_wrapped:
        return ObservabilityMiddleware(app, observer=quiet())
    app.add_middleware(ObservabilityMiddleware, observer=quiet())
    return app


# ASGI inside WSGI


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_asgi_app_inside_a_wsgi_one_is_observed_once(
    observer: Observer, access: list[Any], is_wrapped: bool
) -> None:
    """a2wsgi runs it in the thread of a loop; its route and its errors are those of the request."""
    inner: Any = ASGIMiddleware(fastapi(is_wrapped=is_wrapped))
    app = WsgiMiddleware(inner, observer=observer)
    answer = call(app, "/orders/7")
    assert (answer.status, answer.all("x-request-id")) == (200, IDS)
    call(app, "/boom")
    assert [(line.path, line.route, line.status) for line in access] == [
        ("/orders/7", "/orders/{number}", 200),
        ("/boom", "/boom", 500),
    ]
    assert [line.request_id for line in access[:1]] == IDS


# ASGI inside ASGI, by a layer that makes a new scope


class MakesNew:
    """A layer that copies what it knows of a scope, and nothing else."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        known = (
            "type",
            "asgi",
            "http_version",
            "method",
            "scheme",
            "path",
            "query_string",
            "headers",
            "client",
        )
        await self.app({key: scope[key] for key in known if key in scope}, receive, send)


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_new_scope_of_the_same_request_is_observed_once(
    observer: Observer, access: list[Any], is_wrapped: bool
) -> None:
    app = ObservabilityMiddleware(MakesNew(fastapi(is_wrapped=is_wrapped)), observer=observer)
    answer = get(app, "/orders/7")
    assert answer.all("x-request-id") == IDS == [access[0].request_id]
    get(app, "/boom")
    assert [(line.route, line.status, line.error_type) for line in access] == [
        ("/orders/{number}", 200, None),
        ("/boom", 500, "LookupError"),
    ]


@pytest.mark.parametrize("is_forwarded", [True, False])
def test_call_in_process_of_the_same_path_is_another_request(
    observer: Observer, access: list[Any], is_forwarded: bool
) -> None:
    """A gateway that asks another app for the same path is a client of it, also with all that its own client sent."""
    other = ObservabilityMiddleware(Starlette(routes=[Route("/x", _fine)]), observer=quiet())

    async def gateway(request: Any) -> Any:
        more = {"headers": list(request.scope["headers"])} if is_forwarded else {"client": ("127.0.0.1", 123)}
        inner = await ask(other, "/x", **more)
        return PlainTextResponse(inner.body)

    app = ObservabilityMiddleware(Starlette(routes=[Route("/{path:path}", gateway)]), observer=observer)
    assert served(app, "/x")[0].body == b"fine"
    assert [line.route for line in access] == ["/x", "/{path}"]


async def _fine(request: Any) -> Any:
    return PlainTextResponse("fine")


def test_bridge_below_a_mount_with_a_parameter_has_its_template(
    observer: Observer, access: list[Any]
) -> None:
    """The inner adapter names the route below its root; the outer one knows what the root is made of."""

    async def bridge(scope: Any, receive: Any, send: Any) -> None:
        exchange = current_exchange()
        assert exchange is not None
        exchange.name_route("/orders/<int:number>", scope["root_path"])
        await PlainTextResponse("fine")(scope, receive, send)

    app = Starlette(routes=[Mount("/t/{tenant}", app=bridge), Mount("/old", app=bridge)])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    served(app, "/t/acme/orders/1", "/old/orders/2")
    assert [line.route for line in access] == ["/t/{tenant}/orders/<int:number>", "/old/orders/<int:number>"]


# WSGI inside ASGI, below mounts with parameters


def _shop(observer: Observer) -> Any:
    app = flask.Flask("shop")
    app.add_url_rule("/items/<int:i>", "item", lambda i: "item")
    app.add_url_rule("/boom", "boom", lambda: str(1 / 0))
    Observability(app, observer=observer)
    return app


PATHS, TEMPLATES = ["items/7", "boom"], ["items/<int:i>", "boom"]


def test_dispatcher_below_a_mount_with_a_parameter_keeps_its_template(
    observer: Observer, access: list[Any]
) -> None:
    """A layer between the bridge and Flask lengthens the root by a mount of its own."""
    inner: Any = DispatcherMiddleware(_shop(quiet()), {"/admin": _shop(quiet())})
    bridge: Any = WSGIMiddleware(inner)
    below = Mount("/b/{y}", app=bridge)
    app = Starlette(routes=[Mount("/a/{x}", routes=[below]), Mount("/admin", app=bridge)])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    for root in ("/a/1/b/2", "/a/1/b/2/admin", "/admin", "/admin/admin"):
        served(app, *(f"{root}/{path}" for path in PATHS))
    roots = ["/a/{x}/b/{y}", "/a/{x}/b/{y}/admin", "/admin", "/admin/admin"]
    assert [line.route for line in access] == [f"{root}/{route}" for root in roots for route in TEMPLATES]


@pytest.mark.parametrize(("mount", "shown"), [("/t/{tenant}", ""), ("/old", "/old")])
def test_where_flask_alone_is_observed_a_mount_with_a_parameter_is_left_out(
    observer: Observer, access: list[Any], mount: str, shown: str
) -> None:
    """Its path is made of values, and its template is the app's around."""
    bridge: Any = WSGIMiddleware(_shop(observer))
    app = Starlette(routes=[Mount(mount, app=bridge)])
    served(app, *(f"{mount.format(tenant='acme')}/{path}" for path in PATHS))
    assert [line.route for line in access] == [f"{shown}/{route}" for route in TEMPLATES]
