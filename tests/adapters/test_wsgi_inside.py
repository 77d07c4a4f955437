"""An environ that others have in hand: copied, pickled, sent through the app again, or inside another of us."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import flask
import pytest
from werkzeug.test import run_wsgi_app

from obs_flask import Observability
from obs_middleware import Observer, current_exchange
from obs_wsgi import ObservabilityMiddleware
from tests.adapters.test_wsgi import TEXT, hello, told
from tests.adapters.wsgi import call


def plain(environ: dict[str, Any]) -> dict[str, Any]:
    """Return what can be copied of an environ, as a careful app does: no streams."""
    return {name: value for name, value in environ.items() if not name.startswith(("wsgi.", "werkzeug."))}


@pytest.mark.parametrize(
    "how", [dict, copy.copy, copy.deepcopy, lambda environ: pickle.loads(pickle.dumps(environ))]
)
def test_an_environ_may_be_copied(observer: Observer, access: list[Any], how: Any) -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(how(plain(environ)))
        return hello(environ, start_response)

    assert call(ObservabilityMiddleware(app, observer)).status == 200
    assert seen[0]["PATH_INFO"] == "/"
    assert [told(line) for line in access] == [(200, "ok", None, 5)]


COPIES = [
    dict,
    lambda environ: {**plain(environ), **{k: v for k, v in environ.items() if k.startswith("wsgi.")}},
]


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("parts", [["/part/1", "/part/2"], ["/part/1", "/part/3"], ["/nowhere"]])
def test_a_part_of_a_flask_batch_changes_nothing(
    observer: Observer, access: list[Any], parts: list[str], copied: Any
) -> None:
    """Not the batch's route, status or error; a part that fails is answered as ever."""
    app = flask.Flask("shop")

    @app.get("/batch")
    def batch() -> Any:
        statuses = []
        for path in parts:
            environ = {**copied(flask.request.environ), "PATH_INFO": path}
            body, status, _ = run_wsgi_app(app.wsgi_app, environ, buffered=True)
            statuses.append(status[:3])
            b"".join(body)
        return statuses

    @app.get("/part/<int:number>")
    def part(number: int) -> str:
        if number == 3:
            raise LookupError("no third part")
        return "part"

    Observability(app, observer=observer)
    done = call(app, "/batch")
    assert done.status == 200
    assert len(done.all("x-request-id")) == 1
    of_batch = [line for line in access if line.path == "/batch"]
    assert [(line.route, *told(line)[:3]) for line in of_batch] == [("/batch", 200, "ok", None)]
    assert _active(observer) == 0


def test_a_part_of_a_raw_batch_changes_nothing(observer: Observer, access: list[Any]) -> None:
    """A raw app names its route itself, a part as well as the whole; the part's log lines keep the request's ID."""
    ids: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        exchange = current_exchange()
        assert exchange is not None
        ids.append(exchange.request_id)
        exchange.route = environ["PATH_INFO"]
        if environ["PATH_INFO"] == "/part":
            start_response("500 Internal Server Error", TEXT)
            return iter([b"failed"])
        body, status, _ = run_wsgi_app(observed, {**environ, "PATH_INFO": "/part"}, buffered=True)
        start_response("200 OK", TEXT)
        return [status.encode(), *body]

    observed = ObservabilityMiddleware(app, observer)
    done = call(observed, "/batch")
    assert done.sent == b"500 Internal Server Errorfailed"
    assert [(line.route, *told(line)[:3]) for line in access] == [("/batch", 200, "ok", None)]
    assert len(set(ids)) == 1


def test_a_layer_that_copies_between_two_of_us_keeps_the_route(observer: Observer, access: list[Any]) -> None:
    app = flask.Flask("shop")
    app.add_url_rule("/items/<int:i>", "item", lambda i: "item")
    app.add_url_rule("/boom/<int:i>", "boom", lambda i: {}[i])
    Observability(app, observer=observer)
    outer = ObservabilityMiddleware(lambda environ, start: app({**environ}, start), observer)
    assert len(call(outer, "/items/7").all("x-request-id")) == 1
    call(outer, "/boom/7")
    assert [(line.route, *told(line)[:3]) for line in access] == [
        ("/items/<int:i>", 200, "ok", None),
        ("/boom/<int:i>", 500, "error", "KeyError"),
    ]


def test_a_request_in_process_is_a_request_of_its_own(observer: Observer, access: list[Any]) -> None:
    """A test client inside a view makes a request that no copy is."""
    app = flask.Flask("shop")
    app.add_url_rule("/inner", "inner", lambda: ("gone", 410))
    app.add_url_rule("/outer", "outer", lambda: str(app.test_client().get("/inner").status_code))
    Observability(app, observer=observer)
    assert call(app, "/outer").sent == b"410"
    assert sorted((line.route, line.status) for line in access) == [("/inner", 410), ("/outer", 200)]


def _active(observer: Observer) -> float:
    observer.close()
    families = {family.name: family for family in observer.registry.collect()}
    return sum(sample.value for sample in families["http_server_active_requests"].samples)
