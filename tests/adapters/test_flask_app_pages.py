"""The app's own `/metrics` or `/health`: ours are answered in their place, and one line at the start says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Blueprint, Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from obs_flask import Observability
from obs_middleware import Observer

PathsTold = Callable[[], list[list[str]]]
PROBES = ["/health/live", "/health/ready", "/health/startup"]


FLASK = [
    (["/metrics"], ["/metrics"]),
    (["/metrics/"], ["/metrics"]),
    (["/health/<probe>"], PROBES),
    (["/<path:rest>", "/<page>"], []),
    (["/metrics.json"], []),
]


@pytest.mark.parametrize(("rules", "paths"), FLASK)
@pytest.mark.parametrize("is_first", [False, True], ids=["we come last", "we come first"])
def test_flask_app_is_told_of_its_pages_at_the_first_request(
    rules: list[str],
    paths: list[str],
    is_first: bool,
    observer: Observer,
    paths_told: PathsTold,
) -> None:
    app, blueprint = Flask(__name__), Blueprint("own", __name__)
    if is_first:
        Observability(app, observer=observer)
    for rule in rules:
        blueprint.add_url_rule(rule, endpoint=f"end-{len(rule)}", view_func=lambda **_: "", methods=["POST"])
    app.register_blueprint(blueprint)
    if not is_first:
        Observability(app, observer=observer)
    for _ in range(2):
        assert app.test_client().get("/health/live").status_code == 200
    assert paths_told() == ([paths] if paths else [])


def test_flask_app_keeps_its_own_page_at_another_name_of_a_probe(observer: Observer) -> None:
    app = Flask(__name__)
    app.add_url_rule("/health", view_func=lambda: "theirs")
    Observability(app, observer=observer)
    client = app.test_client()
    assert client.get("/health").text == "theirs"
    assert client.get("/readyz").mimetype == "application/health+json"


@pytest.mark.parametrize(("mount", "paths"), [("/metrics", ["/metrics"]), ("/metric", []), ("", [])])
def test_app_mounted_by_a_dispatcher_is_told_of(
    mount: str, paths: list[str], observer: Observer, paths_told: PathsTold
) -> None:
    app = Flask(__name__)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {mount: lambda environ, start: []})  # type: ignore[method-assign]
    Observability(app, observer=observer)
    app.test_client().get("/health/live")
    assert paths_told() == ([paths] if paths else [])


def test_pages_that_are_switched_off_are_the_apps() -> None:
    app = Flask(__name__)
    app.add_url_rule("/metrics", view_func=lambda: "theirs")
    Observability(app, metrics_path=None, ready_path=None, log_setup=False)
    client = app.test_client()
    assert client.get("/metrics").text == "theirs"
    assert client.get("/health/ready", buffered=True).status_code == 404
    assert client.get("/health/live").status_code == 200
