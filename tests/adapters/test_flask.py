"""The Flask extension: factories, config, debug, blueprints, prefixes, and exceptions that Flask lets through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask import Blueprint, Flask, abort, send_file
from prometheus_client import REGISTRY, CollectorRegistry
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

from obs_flask import Observability
from obs_flask.ready_body import ready_body
from obs_flask.routes import match_route
from obs_middleware import ConfigError, Observer, current_exchange
from tests.adapters.wsgi import Call, call
from tests.core.support import python


def bare(**config: Any) -> Flask:
    """Return an app with a few routes; the config is in place before we come."""
    app = Flask("shop")
    app.config.update(config)

    @app.get("/items/<int:i>")
    def item(i: int) -> str:
        return f"item {i}"

    @app.get("/boom")
    def boom() -> str:
        raise LookupError("nothing there")

    @app.get("/file")
    def file() -> Any:
        return send_file(__file__)

    return app


def observed(observer: Observer, **config: Any) -> Flask:
    app = bare(**config)
    Observability(app, observer=observer)
    return app


def make(**settings: Any) -> Observer:
    return Observer(registry=CollectorRegistry(), log_setup=False, **settings)


def get(app: Any, path: str, method: str = "GET") -> Any:
    """Ask through Flask's test client and read the whole answer, as a server does."""
    return app.test_client().open(path, method=method, buffered=True)


def told(line: Any) -> tuple[Any, ...]:
    return line.route, line.status, line.outcome, line.error_type


# Getting in


def test_an_app_factory_may_use_one_extension_for_all_its_apps(observer: Observer) -> None:
    """The pattern of every Flask extension: made once, `init_app` for each app."""
    extension = Observability(observer=observer)
    apps = [bare(), bare()]
    for app in apps:
        extension.init_app(app)
        assert get(app, "/items/1").headers["X-Request-ID"]
        assert app.extensions["obs"] is observer


def test_without_an_observer_every_app_has_one_of_its_own() -> None:
    extension = Observability(log_setup=False)
    first, second = bare(OBS_METRICS_PATH="/m1"), bare(OBS_METRICS_PATH="/m2")
    extension.init_app(first)
    assert extension.observer is first.extensions["obs"]
    extension.init_app(second)
    assert first.extensions["obs"] is not second.extensions["obs"]
    assert first.extensions["obs"].registry is second.extensions["obs"].registry is REGISTRY
    assert get(first, "/m1").status_code == get(second, "/m2").status_code == 200


def test_the_apps_config_names_settings_and_a_keyword_beats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keyword over config over environment; names without our prefix are not ours."""
    monkeypatch.setenv("OBS_LIVE_PATH", "/from-environment")
    app = bare(OBS_METRICS_PATH="/from-config", OBS_LIVE_PATH="/from-config-too", METRICS_PATH="/other")
    Observability(app, ready_path="/from-keyword", log_setup=False)
    client = app.test_client()
    assert {
        client.get(path, buffered=True).status_code
        for path in ("/from-config", "/from-config-too", "/from-keyword")
    } == {200}
    assert {
        client.get(path, buffered=True).status_code for path in ("/from-environment", "/metrics", "/other")
    } == {404}


def test_none_and_an_empty_text_in_the_config_turn_a_page_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does an empty variable of the environment."""
    monkeypatch.setenv("OBS_LIVE_PATH", "")
    app = bare(OBS_METRICS_PATH=None, OBS_READY_PATH="")
    Observability(app, log_setup=False)
    paths = "/metrics", "/health/ready", "/health/live", "/health/startup"
    assert [get(app, path).status_code for path in paths] == [404, 404, 404, 200]


def test_a_bad_name_in_the_config_is_an_error() -> None:
    with pytest.raises(ConfigError, match="OBS_METRICS_PTH is not a setting: did you mean OBS_METRICS_PATH"):
        Observability(bare(OBS_METRICS_PTH="/m"))


def test_an_app_is_observed_once(observer: Observer) -> None:
    app = observed(observer)
    with pytest.raises(ConfigError, match="'shop' is observed already"):
        Observability(app, observer=observer)


def test_an_observer_and_settings_together_are_refused(observer: Observer) -> None:
    with pytest.raises(ConfigError, match="either an observer or settings"):
        Observability(bare(), observer=observer, metrics_path="/m")


def test_an_app_that_could_not_be_observed_is_left_as_it_was() -> None:
    """After the error in the settings is mended, the same app can be observed."""
    app = bare()
    with pytest.raises(ConfigError):
        Observability(app, metrics_path="no slash")
    Observability(app, log_setup=False)
    assert get(app, "/health/live").status_code == 200


def test_routes_added_later_are_known(observer: Observer, access: list[Any]) -> None:
    """The line of ours may stand above all routes and blueprints."""
    app = observed(observer)
    orders = Blueprint("orders", __name__, url_prefix="/orders")
    lines = Blueprint("lines", __name__, url_prefix="/<int:order>/lines")
    lines.add_url_rule("/<int:line>", "line", lambda order, line: "line")
    orders.register_blueprint(lines)
    app.register_blueprint(orders, url_prefix="/api/<tenant>/orders")
    get(app, "/api/acme/orders/7/lines/3")
    assert [line.route for line in access] == ["/api/<tenant>/orders/<int:order>/lines/<int:line>"]


# Debug


@pytest.mark.parametrize("debug", [True, False])
def test_debug_is_development(debug: bool) -> None:
    """Details of the probes are open, where Flask's own traceback would be too."""
    app = bare()
    app.debug = debug
    observer = make()
    observer.health.add("disk", lambda: True)
    Observability(app, observer=observer)
    assert ("checks" in get(app, "/health/ready").get_json(force=True)) is debug


def test_a_named_environment_beats_debug() -> None:
    app = bare()
    app.debug = True
    observer = make(environment="production")
    observer.health.add("disk", lambda: True)
    Observability(app, observer=observer)
    assert "checks" not in get(app, "/health/ready").get_json(force=True)


@pytest.mark.parametrize("when", ["before us", "by app.run"])
def test_the_debugger_shows_its_page(observer: Observer, access: list[Any], when: str) -> None:
    """`app.run(debug=True)` sets debug long after our line was read."""
    app = bare()
    app.debug = when == "before us"
    Observability(app, observer=observer)
    app.debug = True
    done = call(DebuggedApplication(app, evalex=True), "/boom")
    assert done.status == 500
    assert b"LookupError: nothing there" in done.sent
    assert [told(line) for line in access] == [("/boom", 500, "error", "LookupError")]


# Exceptions


def test_a_test_client_gets_the_exception_itself(observer: Observer, access: list[Any]) -> None:
    """As Flask does it with TESTING or PROPAGATE_EXCEPTIONS; it is recorded with its route."""
    for config in ({"TESTING": True}, {"PROPAGATE_EXCEPTIONS": True}):
        with pytest.raises(LookupError, match="nothing there"):
            get(observed(observer, **config), "/boom")
    assert [told(line) for line in access] == [("/boom", 500, "error", "LookupError")] * 2


def test_the_exception_behind_flasks_500_is_known(observer: Observer, access: list[Any]) -> None:
    response = get(observed(observer), "/boom")
    assert response.status_code == 500
    assert "Internal Server Error" in response.text
    assert len(response.headers.getlist("X-Request-ID")) == 1
    assert [told(line) for line in access] == [("/boom", 500, "error", "LookupError")]


def test_the_answer_of_a_handler_for_exception_is_the_one_recorded(
    observer: Observer, access: list[Any]
) -> None:
    for status in (503, 418):
        app = observed(observer)
        app.register_error_handler(Exception, lambda error, status=status: ("sorry", status))
        assert get(app, "/boom").status_code == status
    assert [(line.status, line.outcome) for line in access] == [(503, "error"), (418, "ok")]


def test_the_answer_of_a_handler_for_500_is_the_one_recorded(observer: Observer, access: list[Any]) -> None:
    app = observed(observer)
    app.register_error_handler(500, lambda error: ("sorry", 502))
    assert get(app, "/boom").status_code == 502
    assert [told(line) for line in access] == [("/boom", 502, "error", "LookupError")]


def test_an_abort_is_no_error_of_the_app(observer: Observer, access: list[Any]) -> None:
    app = observed(observer)
    app.add_url_rule("/gone", "gone", lambda: abort(410))
    get(app, "/gone")
    assert [told(line) for line in access] == [("/gone", 410, "ok", None)]


def test_an_exception_in_teardown_is_recorded_once(observer: Observer, access: list[Any]) -> None:
    """It comes after the response was made and before the server has it: the server answers 500."""
    app = observed(observer)

    @app.teardown_request
    def fail(error: Any) -> None:
        raise LookupError("in teardown")

    with pytest.raises(LookupError):
        get(app, "/items/1")
    assert [told(line) for line in access] == [("/items/<int:i>", 500, "error", "LookupError")]


# Around the app


def test_below_a_dispatcher_the_prefix_is_part_of_the_route(observer: Observer, access: list[Any]) -> None:
    app: Any = DispatcherMiddleware(bare().wsgi_app, {"/shop": observed(observer)})
    client = Client(app, Response)
    assert client.get("/shop/items/7").text == "item 7"
    assert client.get("/shop/health/live").status_code == 200
    assert [told(line) for line in access] == [("/shop/items/<int:i>", 200, "ok", None)]


def test_an_app_dispatched_to_from_inside_is_part_of_the_exchange(
    observer: Observer, access: list[Any]
) -> None:
    """Both are observed; the outer one has the exchange, the inner one the route."""
    outer = bare()
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/sub": observed(observer)})  # type: ignore[method-assign]
    Observability(outer, observer=observer)
    response = get(outer, "/sub/items/7")
    assert len(response.headers.getlist("X-Request-ID")) == 1
    get(outer, "/sub/boom")
    assert [told(line) for line in access] == [
        ("/sub/items/<int:i>", 200, "ok", None),
        ("/sub/boom", 500, "error", "LookupError"),
    ]


def test_static_files_are_one_route_and_a_file_is_counted(observer: Observer, access: list[Any]) -> None:
    app = observed(observer)
    get(app, "/static/nothing.css")
    size = len(get(app, "/file").data)
    get(app, "/file", "HEAD")
    assert [(line.route, line.status, line.response_bytes) for line in access][1:] == [
        ("/file", 200, size),
        ("/file", 200, 0),
    ]
    assert access[0].route == "/static/<path:filename>"


def test_a_view_and_its_hooks_see_the_exchange(observer: Observer) -> None:
    app, seen = observed(observer), []

    def note(*given: Any) -> Any:
        seen.append(current_exchange())
        return given[0] if given else None

    app.before_request(note)
    app.after_request(note)
    app.teardown_request(lambda error: note() and None)
    app.add_url_rule("/seen", "seen", lambda: str(note() or "seen"))
    get(app, "/seen")
    assert len(seen) == 4
    assert len(set(map(id, seen))) == 1
    assert seen[0] is not None
    assert current_exchange() is None


def test_a_context_without_a_request_is_not_ours(observer: Observer) -> None:
    """`test_request_context` and the shell make requests that no server has sent."""
    app = observed(observer)
    with app.test_request_context("/items/1"):
        assert current_exchange() is None
        assert app.preprocess_request() is None
        assert app.dispatch_request() == "item 1"


def test_an_exception_outside_a_request_of_ours_is_flasks_alone(
    observer: Observer, access: list[Any]
) -> None:
    """`app.handle_exception` may be called where no exchange is."""
    app = observed(observer)
    with app.test_request_context("/boom"):
        assert app.handle_exception(LookupError("x")).status_code == 500
    assert access == []


# Bodies


class Tiding(flask.Response):
    """A response that makes its pieces as they are asked for."""

    def iter_encoded(self) -> Iterator[bytes]:
        yield from map(note, super().iter_encoded())


class Locked(flask.Response):
    """A response with an end of its own."""

    def close(self) -> None:
        note(b"")
        super().close()


class Lazy(list[bytes]):
    """A list that makes its items as they are asked for."""

    def __iter__(self) -> Iterator[bytes]:
        yield from map(note, super().__iter__())


def closing() -> flask.Response:
    response = flask.Response("text")
    response.call_on_close(lambda: note(b""))
    return response


seen: list[Any] = []  # the exchanges that were current where code of the app ran


def note(piece: bytes) -> bytes:
    seen.append(current_exchange())
    return piece


@pytest.mark.parametrize(
    "view",
    [
        lambda: Tiding("text"),
        lambda: Locked("text"),
        lambda: flask.Response(Lazy([b"te", b"xt"])),
        lambda: flask.Response(map(note, [b"te", b"xt"])),
        closing,
    ],
    ids=["own pieces", "own close", "own list", "stream", "callback"],
)
def test_what_a_body_runs_waits_for_the_server_and_sees_the_exchange(
    observer: Observer, access: list[Any], view: Any
) -> None:
    app = observed(observer)
    app.add_url_rule("/text", "text", view)
    asked = Call(app, "/text")
    body = asked.begin()
    seen.clear()
    assert b"".join(body) == b"text"
    body.close()
    assert [exchange.request_id for exchange in seen] == asked.all("X-Request-ID") * len(seen) != []
    assert [(*told(line), line.response_bytes) for line in access] == [("/text", 200, "ok", None, 4)]


@pytest.mark.parametrize("wrap", [lambda body: ClosingIterator(map(note, body), body.close), ClosingIterator])
def test_a_middleware_between_may_use_werkzeugs_iterator_too(
    observer: Observer, access: list[Any], wrap: Any
) -> None:
    app, inner = bare(), bare()

    def between(environ: Any, start_response: Any) -> Any:
        return wrap(inner(environ, start_response))

    app.wsgi_app = between  # type: ignore[method-assign]
    Observability(app, observer=observer)
    seen.clear()
    done = call(app, "/items/1")
    assert done.sent == b"item 1"
    assert None not in seen
    assert [(line.outcome, line.response_bytes) for line in access] == [("ok", 6)]


def test_a_body_whose_pieces_are_there_is_known() -> None:
    """What Werkzeug keeps where; of a release that keeps it elsewhere all bodies are taken for streams."""
    environ = Call(None).environ
    assert ready_body(Response("text")(environ, start)) == [b"text"]
    assert ready_body(Response(["te", "xt"])(environ, start)) == [b"te", b"xt"]
    assert ready_body(Response("text")({**environ, "REQUEST_METHOD": "HEAD"}, start)) == []
    for other in (ClosingIterator([b"x"]), ClosingIterator([b"x"], lambda: None), [b"x"]):
        assert ready_body(other) is None
    response = Response("text")
    other = ClosingIterator(map(note, response.iter_encoded()), [{}.clear, response.close])
    assert ready_body(other) is None


def start(*_: Any) -> Any:
    """Stand for a server's `start_response`."""


def test_a_response_has_no_length_as_without_us(observer: Observer) -> None:
    """A server must not be led to add a Content-Length that the app has taken away."""
    app = observed(observer)
    assert not hasattr(Call(app, "/items/1").begin(), "__len__")


@pytest.mark.parametrize("is_outside", [False, True], ids=["ProxyFix inside us", "ProxyFix around us"])
def test_path_and_route_agree_on_a_prefix_that_a_proxy_strips(
    is_outside: bool, observer: Observer, access: list[Any]
) -> None:
    app = bare()
    if is_outside:
        Observability(app, observer=observer)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]
    if not is_outside:
        Observability(app, observer=observer)
    Client(app).get("/items/7", headers={"X-Forwarded-Prefix": "/shop"})
    prefix = "/shop" if is_outside else ""
    assert [(line.path, line.route) for line in access] == [(f"{prefix}/items/7", f"{prefix}/items/<int:i>")]


# Past us


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    return [record.getMessage() for record in warnings if record.name != "obs.access"]


def test_an_app_that_is_served_past_us_says_so_once(
    observer: Observer, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody has taken `wsgi_app` before us, as a dispatcher does."""
    app = bare()
    taken = app.wsgi_app
    Observability(app, observer=observer)
    for _ in range(3):
        assert call(taken, "/items/1").status == 200
    (message,) = warnings_of(caplog)
    assert "Flask app 'shop' has come past Observability(app), and is not observed" in message


def test_an_app_that_is_observed_says_nothing(observer: Observer, caplog: pytest.LogCaptureFixture) -> None:
    app = observed(observer)
    call(app, "/health/live")
    call(app, "/items/1")
    call(app, "/boom")
    assert warnings_of(caplog) == []
    assert "full_dispatch_request" not in vars(app)


def test_connexion_which_takes_the_app_first_is_told_at_start(
    observer: Observer, caplog: pytest.LogCaptureFixture
) -> None:
    """By what it puts into its Flask app."""

    class Provider(type(bare().json)):  # type: ignore[misc]
        pass

    Provider.__module__ = "connexion.frameworks.flask"
    app = bare()
    app.json = Provider(app)
    Observability(app, observer=observer)
    (message,) = warnings_of(caplog)
    assert "observes nothing" in message
    assert "position=MiddlewarePosition.BEFORE_EXCEPTION" in message


@pytest.mark.parametrize("name", ["OBS_BUCKET", "OBS_SERVICE_HOST", "OBS_METRICS_PORT"])
def test_a_name_of_others_in_the_config_is_theirs(observer: Observer, name: str) -> None:
    """Apps take over their whole environment, where Kubernetes and clouds have names that begin as ours."""
    Observability(bare(**{name: "10.0.0.7"}), log_setup=False)


def test_without_flask_the_import_says_what_to_install() -> None:
    code = """
import sys
sys.modules["flask"] = None
try:
    import obs_flask
except ImportError as error:
    print(error)
"""
    assert "pip install 'obs-middleware[flask]'" in python(code)


class WithoutRoutes(Flask):
    """An app that binds its routes to no request, as one that routes by itself."""

    def create_url_adapter(self, request: Any) -> Any:
        return None


def test_rule_is_found_for_variables_that_have_come_past_us() -> None:
    """Those of a server's own websockets have no exchange."""
    variables = Call(None, "/items/7").environ
    mounted = {**variables, "SCRIPT_NAME": "/shop"}
    assert match_route(bare(), variables) == "/items/<int:i>"
    assert match_route(bare(), mounted) == "/shop/items/<int:i>"
    assert match_route(bare(), {**variables, "PATH_INFO": "/nowhere"}) is None
    assert match_route(WithoutRoutes("shop"), variables) is None
