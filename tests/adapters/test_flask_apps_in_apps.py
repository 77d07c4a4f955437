"""A Flask app with apps around it or in it: routes and errors are those of the app that has answered."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from obs_flask import Observability
from obs_middleware import Observer
from obs_wsgi import ObservabilityMiddleware
from tests.adapters.test_wsgi import told
from tests.adapters.wsgi import Call, call


class Timeout(BaseException):
    """As gevent's: no Exception, and no cancellation."""


def shop(name: str = "shop") -> flask.Flask:
    app = flask.Flask(name)
    app.add_url_rule("/items/<int:i>", "item", lambda i: f"item {i}")
    app.add_url_rule("/boom/<int:i>", "boom", lambda i: {}[i])

    @app.get("/ends/<int:i>")
    def ends(i: int) -> str:
        raise (SystemExit, KeyboardInterrupt, Timeout, GeneratorExit)[i]

    return app


def run(app: Any, path: str) -> Call:
    made = Call(app, path)
    try:
        return made.run()
    except BaseException as error:
        made.error = error
        return made


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "SystemExit"), (1, "KeyboardInterrupt"), (2, f"{__name__}.Timeout"), (3, "cancelled")],
)
@pytest.mark.parametrize("is_inside", [False, True])
def test_what_ends_a_view_and_is_no_exception_keeps_the_route(
    observer: Observer, access: list[Any], number: int, name: str, is_inside: bool
) -> None:
    """Such as the SystemExit with which gunicorn ends a worker that hangs: Flask tells no signal of it."""
    app: Any = shop()
    Observability(app, observer=observer)
    if is_inside:
        app = ObservabilityMiddleware(app, observer)
    run(app, f"/ends/{number}")
    assert [(line.route, line.error_type) for line in access] == [("/ends/<int:i>", name)]


def test_what_ends_a_request_in_front_of_the_routes_has_none(observer: Observer, access: list[Any]) -> None:
    def layer(environ: Any, start_response: Any) -> Any:
        raise SystemExit

    app = shop()
    app.wsgi_app = layer  # type: ignore[method-assign]
    Observability(app, observer=observer)
    run(app, "/nowhere")
    assert [(line.route, line.error_type) for line in access] == [(None, "SystemExit")]


def test_an_app_that_is_mounted_in_an_observed_one_names_its_errors(
    observer: Observer, access: list[Any]
) -> None:
    """It needs no `Observability` of its own."""
    app = shop()
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/admin": shop("admin")})  # type: ignore[method-assign]
    Observability(app, observer=observer)
    call(app, "/admin/items/1")
    call(app, "/admin/boom/2")
    assert [(line.route, *told(line)[:3]) for line in access] == [
        ("/admin/items/<int:i>", 200, "ok", None),
        ("/admin/boom/<int:i>", 500, "error", "KeyError"),
    ]


def test_an_app_in_a_raw_one_names_its_errors_and_no_routes(observer: Observer, access: list[Any]) -> None:
    """The observed app has no routes, so that errors are in the series of its other requests."""
    app = ObservabilityMiddleware(shop(), observer)
    call(app, "/items/1")
    call(app, "/boom/2")
    assert [(line.route, *told(line)[:3]) for line in access] == [
        (None, 200, "ok", None),
        (None, 500, "error", "KeyError"),
    ]
