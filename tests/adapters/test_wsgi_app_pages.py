"""The app's own `/metrics` or `/health`: ours are answered in their place, and one line at the start says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from obs_middleware import Observer
from obs_wsgi import ObservabilityMiddleware as WsgiMiddleware
from tests.adapters.wsgi import call

PathsTold = Callable[[], list[list[str]]]
PROBES = ["/health/live", "/health/ready", "/health/startup"]


def test_raw_wsgi_app_is_told_of_what_a_dispatcher_mounts(observer: Observer, paths_told: PathsTold) -> None:
    app = WsgiMiddleware(
        DispatcherMiddleware(lambda environ, start: [], {"/health": lambda environ, start: []}), observer
    )
    for _ in range(2):
        call(app, "/health/live")
    assert paths_told() == [PROBES]


def flask_app(rule: str) -> Flask:
    app = Flask(__name__)
    app.add_url_rule(rule, view_func=lambda: "own")
    return app


def test_flask_app_that_is_wrapped_by_hand_is_told_of(observer: Observer, paths_told: PathsTold) -> None:
    app = flask_app("/metrics")
    call(WsgiMiddleware(ProxyFix(app), observer), "/health/live")
    assert paths_told() == [["/metrics"]]


def test_flask_app_whose_wsgi_app_is_wrapped_by_hand_is_told_of(
    observer: Observer, paths_told: PathsTold
) -> None:
    app = flask_app("/metrics")
    app.wsgi_app = WsgiMiddleware(app.wsgi_app, observer)  # type: ignore[method-assign]
    call(app, "/health/live")
    assert paths_told() == [["/metrics"]]


def test_flask_app_behind_a_dispatcher_is_told_of_its_own_rules(
    observer: Observer, paths_told: PathsTold
) -> None:
    mounts: dict[str, Any] = {"/health": flask_app("/ready"), "/metrics": flask_app("/others")}
    call(WsgiMiddleware(DispatcherMiddleware(lambda environ, start: [], mounts), observer), "/health/live")
    assert paths_told() == [["/health/ready"]]
