"""The Django app: how it gets in, what it reads, streams and files, and that async stays async."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path
from typing import Any

import django
import pytest
from a2wsgi import WSGIMiddleware
from asgiref.sync import SyncToAsync
from django.apps import apps
from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.http import HttpRequest
from django.test import Client
from django.urls import resolve
from starlette.applications import Starlette
from starlette.routing import Mount

from obs_asgi import ObservabilityMiddleware as AsgiMiddleware
from obs_django import get_observer
from obs_django.checks import check_settings
from obs_django.observer import own_settings
from obs_django.routes import _view_names, route_below, view_name
from obs_middleware import ConfigError
from obs_wsgi import ObservabilityMiddleware as WsgiMiddleware
from tests.adapters import django_project
from tests.adapters.asgi import ask, get, served
from tests.adapters.asgi import request as scope_of
from tests.adapters.django_project import MIDDLEWARE, asgi_app, project, wsgi_app
from tests.adapters.test_wsgi import GunicornFileWrapper
from tests.adapters.wsgi import Call, call


def told(line: Any) -> tuple[Any, ...]:
    return line.route, line.status, line.outcome, line.error_type


@pytest.fixture(params=["wsgi", "asgi"])
def ask_django(request: pytest.FixtureRequest) -> Any:
    """Ask the project under WSGI or ASGI and return (status, body, values of a header)."""

    def wsgi(path: str, host: str = "shop.test", **environ: Any) -> Any:
        done = call(wsgi_app(), path, HTTP_HOST=host, **environ)
        return done.status, done.sent, done.all

    def asgi(path: str, host: str = "shop.test", **scope: Any) -> Any:
        answer = get(asgi_app(), path, headers=[(b"host", host.encode())], **scope)
        return answer.status, answer.body, answer.all

    return wsgi if request.param == "wsgi" else asgi


# Getting in


def test_the_app_puts_its_middleware_first() -> None:
    """INSTALLED_APPS is enough; what the project lists comes after it, lists and tuples alike."""
    for listed in (["a", "b"], ("a", "b")):
        with project(MIDDLEWARE=listed):
            apps.get_app_config("obs_django").ready()
            assert list(django_settings.MIDDLEWARE) == [MIDDLEWARE, "a", "b"]


def test_a_middleware_that_is_listed_stays_where_it_is() -> None:
    with project(MIDDLEWARE=["a", MIDDLEWARE, "b"]):
        apps.get_app_config("obs_django").ready()
        assert list(django_settings.MIDDLEWARE) == ["a", MIDDLEWARE, "b"]


def test_listed_twice_it_observes_once(ask_django: Any, access: list[Any]) -> None:
    with project(MIDDLEWARE=[MIDDLEWARE, MIDDLEWARE]):
        _, _, all_ = ask_django("/items/7")
    assert len(all_("x-request-id")) == 1
    assert [told(line) for line in access] == [("/items/<int:i>", 200, "ok", None)]


def test_wrapped_by_hand_too_it_observes_once(access: list[Any]) -> None:
    """`application = ObservabilityMiddleware(get_wsgi_application())` on top of INSTALLED_APPS."""
    with project():
        done = call(WsgiMiddleware(wsgi_app(), get_observer()), "/items/7")
        answer = get(AsgiMiddleware(asgi_app(), get_observer()), "/items/7")
    assert len(done.all("x-request-id")) == 1
    assert len(answer.all("x-request-id")) == 1
    assert [told(line) for line in access] == [("/items/<int:i>", 200, "ok", None)] * 2


def test_one_observer_serves_the_process() -> None:
    with project():
        assert get_observer() is get_observer()


def test_the_view_has_its_exchange_on_the_request(ask_django: Any, access: list[Any]) -> None:
    with project():
        django_project.seen.clear()
        ask_django("/items/7")
    assert [exchange.request_id for exchange in django_project.seen] == [access[0].request_id]


# Settings


def test_settings_without_our_prefix_are_not_read() -> None:
    """Not even touched: a lazy setting of somebody else's may be dear, or raise."""
    with project(METRICS_PATH="/other", SERVICE_NAME="other", OBS_METRICS_PATH="/internal"):
        assert own_settings() == {"OBS_LOG_SETUP": False, "OBS_METRICS_PATH": "/internal"}
        assert get_observer().settings.metrics_path == "/internal"
        assert get_observer().settings.service_name == "unknown_service"


def test_none_and_an_empty_text_in_the_settings_turn_a_page_off(ask_django: Any) -> None:
    with project(OBS_METRICS_PATH=None, OBS_READY_PATH=""):
        paths = "/metrics", "/health/ready", "/health/live"
        assert [ask_django(path)[0] for path in paths] == [404, 404, 200]


def test_a_bad_setting_is_a_system_check() -> None:
    """`manage.py check` ends with the error, by the name that the user has written."""
    with (
        project(OBS_TRACE_SAMPLE_RATIO="10%"),
        pytest.raises(
            SystemCheckError, match=r"obs\.E001\) OBS_TRACE_SAMPLE_RATIO must be a number .* got '10%'"
        ),
    ):
        call_command("check")


def test_good_settings_pass_the_system_check() -> None:
    with project():
        assert check_settings(app_configs=None) == []
        call_command("check")


COMMON = "django.middleware.common.CommonMiddleware"


@pytest.mark.parametrize(
    ("middleware", "is_told"),
    [
        ([], False),
        ([MIDDLEWARE, COMMON], False),
        ([MIDDLEWARE, COMMON, MIDDLEWARE], False),
        ([COMMON, MIDDLEWARE], True),
    ],
)
def test_a_place_behind_other_middlewares_is_told(
    capsys: pytest.CaptureFixture[str], middleware: list[str], is_told: bool
) -> None:
    """What stands in front of it may answer, and change its answers, without being observed."""
    with project(MIDDLEWARE=middleware):
        call_command("check")
    told = capsys.readouterr().err
    assert ("(obs.W001)" in told, f"what {COMMON} answers" in told) == (is_told, is_told)


@pytest.mark.parametrize("make", [wsgi_app, asgi_app])
def test_a_bad_setting_stops_the_server_at_its_start(make: Any) -> None:
    """A server loads the middleware when it imports the application; that is before any request."""
    with project(OBS_TRACE_SAMPLE_RATIO="10%"), pytest.raises(ConfigError, match="OBS_TRACE_SAMPLE_RATIO"):
        make()


@pytest.mark.parametrize("debug", [True, False])
def test_debug_is_development(debug: bool) -> None:
    with project(DEBUG=debug):
        get_observer().health.add("disk", lambda: True)
        done = call(wsgi_app(), "/health/ready")
    assert (b"checks" in done.sent) is debug


def test_path_and_route_agree_on_a_prefix_that_a_proxy_strips(ask_django: Any, access: list[Any]) -> None:
    with project(FORCE_SCRIPT_NAME="/shop"):
        ask_django("/items/7")
    (line,) = access
    # Django 4.2 puts FORCE_SCRIPT_NAME into no path under ASGI.
    prefix = "" if django.VERSION < (5, 0) and ask_django.__name__ == "asgi" else "/shop"
    assert line.path == f"{prefix}/items/7"
    assert line.route.startswith(f"{prefix}/items/")


# Before Django's own refusals


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/startup", "/metrics"])
def test_probes_need_no_allowed_host_and_no_https(ask_django: Any, path: str) -> None:
    """A kubelet asks by address and in clear; what is not a probe is refused as ever."""
    security = "django.middleware.security.SecurityMiddleware"
    common = "django.middleware.common.CommonMiddleware"
    with project(MIDDLEWARE=[MIDDLEWARE, security, common], SECURE_SSL_REDIRECT=True):
        assert ask_django(path, host="10.1.2.3:8000")[0] == 200
        assert ask_django("/items/7", host="10.1.2.3:8000")[0] == 400
        assert ask_django("/items/7")[0] == 301


def test_a_probe_that_is_not_ready_is_no_error_of_the_project(
    ask_django: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Or Django logs each of them as an error, and mails it to the admins."""
    with project():
        get_observer().lifecycle.drain()
        assert ask_django("/health/ready")[0] == 503
        assert ask_django("/missing")[0] == 404
    logged = [record.getMessage() for record in caplog.records if record.name == "django.request"]
    assert logged == ["Not Found: /missing"]


def test_probes_answer_below_a_mount(ask_django: Any) -> None:
    with project():
        assert call(wsgi_app(), "/health/live", SCRIPT_NAME="/shop").sent == b'{"status":"pass"}'
        assert get(asgi_app(), "/shop/health/live", root_path="/shop").body == b'{"status":"pass"}'


def test_no_header_of_the_response_is_changed(ask_django: Any) -> None:
    """Above all no `Vary: Cookie`, which would spoil every cache: we ask neither user nor session."""
    middleware = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    installed = [
        "obs_django",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ]
    with project(MIDDLEWARE=[MIDDLEWARE, *middleware], INSTALLED_APPS=installed):
        status, _, all_ = ask_django("/async-item")
    assert status == 200
    assert all_("vary") == []


def test_headers_of_another_kind_get_ours_too(ask_django: Any, access: list[Any]) -> None:
    with project(MIDDLEWARE=[MIDDLEWARE, f"{django_project.__name__}.plain_headers"]):
        status, body, all_ = ask_django("/items/7")
    assert (status, body) == (200, b"item 7")
    assert all_("x-request-id") == all_("x-correlation-id") == [line.request_id for line in access]
    assert all_("content-type") == ["text/plain"]


@pytest.mark.parametrize(("proxy", "scheme"), [(None, "http"), (("HTTP_X_SCHEME", "https"), "https")])
def test_a_proxys_word_on_the_scheme_counts_where_the_settings_say_so(
    access: list[Any], proxy: Any, scheme: str
) -> None:
    with project(SECURE_PROXY_SSL_HEADER=proxy):
        call(wsgi_app(), "/items/7", HTTP_X_SCHEME="https")
        get(asgi_app(), "/items/7", headers=[(b"host", b"shop.test"), (b"x-scheme", b"https")])
    assert [exchange.info.scheme for exchange in django_project.seen[-2:]] == [scheme, scheme]


# Routes


ROUTES = {
    "/items/7": "/items/<int:i>",
    "/old/7": "/old/(?P<i>[0-9]+)",
    "/api/v1/lines/3/": "/api/(?P<version>v[^/]*)/lines/<int:line>/",
    "/api/v1/codes/x/": "/api/(?P<version>v[^/]*)/codes/(?P<code>[^/]+)/",
    "/orders/a-1/lines/3/": "/orders/<slug:order>/lines/<int:line>/",
    "/": "/",
    "/nothing": None,
}


def test_a_route_is_the_pattern_without_its_anchors(ask_django: Any, access: list[Any]) -> None:
    """And a negated class stays one: `[^/]` is no anchor."""
    with project():
        for path in ROUTES:
            ask_django(path)
    assert {line.path: line.route for line in access} == ROUTES


def test_a_mount_is_part_of_the_route(access: list[Any]) -> None:
    with project():
        call(wsgi_app(), "/items/7", SCRIPT_NAME="/shop")
        get(asgi_app(), "/shop/items/7", root_path="/shop")
    assert [(line.path, line.route) for line in access] == [("/shop/items/7", "/shop/items/<int:i>")] * 2


def test_a_mount_with_a_parameter_around_django_is_left_out(access: list[Any]) -> None:
    """Its path is made of values, and its template is the app's around."""
    with project():
        get(Starlette(routes=[Mount("/t/{tenant}", app=asgi_app())]), "/t/acme/items/7")
        get(Starlette(routes=[Mount("/old", app=asgi_app())]), "/old/items/7")
        bridge: Any = WSGIMiddleware(wsgi_app())
        served(Starlette(routes=[Mount("/t/{tenant}", app=bridge)]), "/t/acme/items/7")
    assert [line.route for line in access] == ["/items/<int:i>", "/old/items/<int:i>", "/items/<int:i>"]


# Errors


def test_djangos_test_client_raises_what_the_view_raises(access: list[Any]) -> None:
    with project():
        with pytest.raises(LookupError):
            Client(HTTP_HOST="shop.test").get("/boom")
        assert [line.error_type for line in access] == ["LookupError"]


def test_exceptions_that_django_lets_through_are_recorded(access: list[Any]) -> None:
    """DEBUG_PROPAGATE_EXCEPTIONS hands them to the server."""
    with project(DEBUG_PROPAGATE_EXCEPTIONS=True):
        assert isinstance(call(wsgi_app(), "/boom").error, LookupError)
    assert [(line.route, line.outcome, line.error_type) for line in access] == [
        ("/boom", "error", "LookupError")
    ]


# Files and streams


def test_under_wsgi_a_file_is_still_sent_by_the_server(access: list[Any]) -> None:
    """Its own wrapper around the file itself; it ends when the server closes it, and counts its declared bytes."""
    size = Path(django_project.__file__).stat().st_size
    with project():
        body = Call(wsgi_app(), "/film", **{"wsgi.file_wrapper": GunicornFileWrapper}).begin()
        assert type(body) is GunicornFileWrapper
        assert isinstance(body.filelike, io.BufferedReader)
        assert access == []
        body.close()
    assert body.filelike.closed
    assert [told(line) for line in access] == [("/film", 200, "ok", None)]
    assert access[0].response_bytes == size


def test_under_wsgi_a_file_of_a_head_counts_no_bytes(access: list[Any]) -> None:
    with project():
        Call(
            wsgi_app(), "/film", REQUEST_METHOD="HEAD", **{"wsgi.file_wrapper": GunicornFileWrapper}
        ).begin().close()
    assert [(line.status, line.response_bytes) for line in access] == [(200, 0)]


def test_without_a_file_wrapper_a_file_is_read_and_counted(access: list[Any]) -> None:
    with project():
        done = call(wsgi_app(), "/film")
    assert done.sent.startswith(b'"""A Django project')
    assert [(line.outcome, line.response_bytes) for line in access] == [("ok", len(done.sent))]


def test_a_stream_that_is_closed_early_is_closed_for_the_view_too(access: list[Any]) -> None:
    """Its generator runs its `finally`, and the client is known to have left."""
    with project():
        django_project.closed.clear()
        body = Call(wsgi_app(), "/stream").begin()
        pieces = iter(body)
        assert [next(pieces), next(pieces)] == [b"piece", b"piece"]
        assert access == []
        body.close()
    assert django_project.closed == ["sync"]
    assert [(line.status, line.outcome, line.response_bytes) for line in access] == [
        (200, "client_disconnect", 10)
    ]


def test_a_stream_that_is_closed_unread_ends_its_exchange(access: list[Any]) -> None:
    with project():
        Call(wsgi_app(), "/stream").begin().close()
    assert [(line.outcome, line.response_bytes) for line in access] == [("client_disconnect", 0)]


@pytest.mark.skipif(django.VERSION < (5, 0), reason="Django 4.2 does not listen for a disconnect")
def test_an_async_stream_that_is_left_early_is_closed_for_the_view_too(access: list[Any]) -> None:
    """As Django cancels it when the client leaves."""

    async def leave() -> None:
        messages, left = [{"type": "http.request", "body": b"", "more_body": False}], asyncio.Event()

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message.get("body"):
                left.set()

        await asgi_app()(scope_of("/async-stream"), receive, send)
        while not django_project.closed:
            await asyncio.sleep(0.001)

    with project():
        django_project.closed.clear()
        asyncio.run(leave())
    assert django_project.closed == ["async"]
    assert [(line.status, line.outcome) for line in access] == [(200, "client_disconnect")]


def test_a_request_body_counts_its_declared_bytes(access: list[Any]) -> None:
    """Django has taken the stream before the first middleware runs."""
    length: Any = {"CONTENT_LENGTH": "5", "REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(b"12345")}
    with project():
        assert call(wsgi_app(), "/upload", **length).sent == b"5"
        call(wsgi_app(), "/upload", **{**length, "CONTENT_LENGTH": "nonsense"})
    assert [line.request_bytes for line in access] == [5, 0]


# Async


def test_an_async_view_stays_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread is started and none is hopped to on our behalf: exactly what bare Django does, and no more."""
    hops: list[Any] = []
    hop = SyncToAsync.__call__

    async def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        hops.append(self.func)
        return await hop(self, *args, **kwargs)

    monkeypatch.setattr(SyncToAsync, "__call__", counted)

    async def ask_once() -> int:
        app = asgi_app()
        await ask(app, "/async-item")
        hops.clear()
        django_project.threads.clear()
        answer = await ask(app, "/async-item")
        assert answer.status == 200
        assert django_project.threads == [threading.get_ident()]
        return len(hops)

    before = {thread.name for thread in threading.enumerate()}
    with project(MIDDLEWARE=[]):
        bare = asyncio.run(ask_once())
    with project():
        assert asyncio.run(ask_once()) == bare
    assert not [
        thread.name for thread in threading.enumerate() if "obs" in thread.name and thread.name not in before
    ]


def test_an_async_check_runs_on_the_loop_that_serves(access: list[Any]) -> None:
    """Its connections belong to that loop."""
    loops: list[Any] = []

    async def database() -> None:
        loops.append(asyncio.get_running_loop())

    async def ask_ready() -> Any:
        get_observer().health.add("database", database)
        answer = await ask(asgi_app(), "/health/ready")
        assert loops == [asyncio.get_running_loop()]
        return answer

    with project():
        assert asyncio.run(ask_ready()).status == 200


@pytest.mark.parametrize(
    "target", ["/items/7", "/orders/a-b/lines/3/", "/orders/a-b/codes/x/", "/api/v1/lines/3/"]
)
def test_view_of_a_route_has_the_name_that_django_gives_it(target: str) -> None:
    with project():
        _view_names.cache_clear()
        request = HttpRequest()
        request.resolver_match = resolve(target)
        assert view_name(route_below(request) or "") == request.resolver_match.view_name
        assert view_name("/nowhere") == "/nowhere"
        _view_names.cache_clear()
