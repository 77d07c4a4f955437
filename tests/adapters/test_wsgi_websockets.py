"""Websockets under WSGI: status 101, active while open, a span, a line, no histogram, and not one byte of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from obs_flask import Observability
from obs_middleware import Observer
from obs_wsgi import ObservabilityMiddleware
from tests.adapters.test_wsgi import TEXT, told
from tests.adapters.wsgi import Call

HANDSHAKE = {
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}


class Dropped(ConnectionError):
    """A client that has left."""


def raises(error: BaseException) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        raise error

    return app


def returns(body: Any) -> Any:
    return lambda environ, start_response: body


def starts(status: str, *pieces: bytes) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, TEXT)
        return [*pieces]

    return app


def ask(app: Any, observer: Observer, **environ: Any) -> Call:
    """Serve a handshake; the server's log of what it was told is empty where the app has the connection."""
    return Call(ObservabilityMiddleware(app, observer), "/talk", **{**HANDSHAKE, **environ}).run()


ENDS = {
    "gunicorn: StopIteration": raises(StopIteration()),
    "engineio under werkzeug: ConnectionError": raises(ConnectionError()),
    "gevent-websocket, uWSGI: nothing": returns([]),
    "uWSGI: bytes": returns(b""),
    "eventlet: a tuple": returns(()),
    "a generator that starts nothing": returns(iter(())),
    "werkzeug wants a response": starts("200 OK"),
    "the app says so itself": starts("101 Switching Protocols"),
}


@pytest.mark.parametrize("app", ENDS.values(), ids=ENDS)
def test_a_session_that_ends_is_a_websocket(observer: Observer, access: list[Any], app: Any) -> None:
    done = ask(app, observer)
    assert done.sent == b""
    observer.close()
    assert [told(line)[:3] for line in access] == [(101, "ok", None)]
    page = generate_latest(observer.registry).decode()
    assert 'http_server_active_requests{http_request_method="GET",url_scheme="ws"} 0.0' in page
    assert "http_server_request_duration_seconds_count" not in page


def test_a_session_is_active_while_it_is_open(observer: Observer) -> None:
    pages: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        pages.append(generate_latest(observer.registry).decode())
        raise StopIteration

    ask(app, observer, **{"wsgi.url_scheme": "https"})
    assert 'http_server_active_requests{http_request_method="GET",url_scheme="wss"} 1.0' in pages[0]


@pytest.mark.parametrize("status", ["200 OK", "101 Switching Protocols", "500 Internal Server Error"])
def test_nothing_is_added_once_the_app_may_have_the_connection(observer: Observer, status: str) -> None:
    done = ask(starts(status), observer)
    assert done.all("x-request-id") == []


@pytest.mark.parametrize("status", [302, 400, 401, 404, 426])
def test_a_refusal_is_an_answer_with_the_id(observer: Observer, access: list[Any], status: int) -> None:
    done = ask(starts(f"{status} No", b"no"), observer)
    assert done.all("x-request-id") == [line.request_id for line in access]
    assert [told(line) for line in access] == [(status, "ok", None, 2)]


def test_a_page_is_a_page_whatever_was_asked(observer: Observer, access: list[Any]) -> None:
    """An app that has no websockets answers as ever."""
    assert ask(starts("200 OK", b"page"), observer).sent == b"page"
    assert [told(line) for line in access] == [(200, "ok", None, 4)]


@pytest.mark.parametrize("error", [LookupError("x"), SystemExit()])
def test_an_exception_is_an_error_and_nothing_is_written(
    observer: Observer, access: list[Any], error: BaseException
) -> None:
    asked = Call(ObservabilityMiddleware(raises(error), observer), "/talk", **HANDSHAKE)
    with pytest.raises(type(error)):
        asked.begin()
    assert asked.sent == b""
    assert [(line.outcome, line.error_type) for line in access] == [("error", type(error).__name__)]


def test_an_exception_of_a_session_that_was_open_keeps_101(observer: Observer, access: list[Any]) -> None:
    """gevent-websocket has opened it before it calls the app."""
    opened: dict[str, Any] = {**HANDSHAKE, "wsgi.websocket": object()}
    asked = Call(ObservabilityMiddleware(raises(LookupError()), observer), **opened)
    with pytest.raises(LookupError):
        asked.begin()
    assert [told(line)[:3] for line in access] == [(101, "error", "LookupError")]


def test_a_client_that_leaves_is_a_disconnect(observer: Observer, access: list[Any]) -> None:
    ask(raises(Dropped("gone")), observer)
    assert [line.outcome for line in access] == ["client_disconnect"]


NO_HANDSHAKES: list[dict[str, Any]] = [
    {"HTTP_UPGRADE": "h2c"},
    {"HTTP_CONNECTION": "keep-alive"},
    {"REQUEST_METHOD": "POST"},
    {"HTTP_UPGRADE": b"websocket"},
    {"HTTP_CONNECTION": None},
]


@pytest.mark.parametrize("change", NO_HANDSHAKES)
def test_what_is_no_handshake_is_a_request(
    observer: Observer, access: list[Any], change: dict[str, Any]
) -> None:
    done = ask(starts("200 OK", b"page"), observer, **change)
    assert done.all("x-request-id") == [line.request_id for line in access]
    observer.close()
    assert 'url_scheme="http"' in generate_latest(observer.registry).decode()


# Flask


def rooms(raised: BaseException) -> flask.Flask:
    app = flask.Flask("shop")

    class TakenOver(flask.Response):
        """As flask-sock's under gunicorn."""

        def __call__(self, *_: Any) -> Any:
            raise raised

    app.add_url_rule("/talk/<room>", "talk", lambda room: TakenOver(), websocket=True)
    return app


@pytest.mark.parametrize("path", ["/talk/7", "/talk/8"])
def test_the_room_has_its_route(observer: Observer, access: list[Any], path: str) -> None:
    """Flask has let go of the request by the time that the session ends."""
    app = rooms(StopIteration())
    Observability(app, observer=observer)
    with pytest.raises(StopIteration):
        Call(app, path, **HANDSHAKE).begin()
    assert [(line.route, *told(line)[:3]) for line in access] == [("/talk/<room>", 101, "ok", None)]


def test_a_path_that_flask_has_not_has_no_route(observer: Observer, access: list[Any]) -> None:
    """Flask-SocketIO answers its own path in front of Flask."""
    app = flask.Flask("shop")
    app.wsgi_app = raises(StopIteration())  # type: ignore[method-assign]
    Observability(app, observer=observer)
    with pytest.raises(StopIteration):
        Call(app, "/socket.io/", **HANDSHAKE).begin()
    assert [(line.route, line.status) for line in access] == [(None, 101)]


def test_the_span_of_a_session_is_there_and_ends(access: list[Any]) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    observer = Observer(
        registry=CollectorRegistry(), log_setup=False, tracer_provider=provider, trace_sample_ratio=1.0
    )
    ask(raises(StopIteration()), observer)
    (span,) = exporter.get_finished_spans()
    assert (span.attributes or {}).get("http.response.status_code") == 101
    assert f"{span.context.trace_id:032x}" == access[0].trace_id


def test_a_body_that_goes_on_is_part_of_the_session(observer: Observer, access: list[Any]) -> None:
    """A generator may hold the session in its pieces."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        yield b""
        raise StopIteration

    done = Call(ObservabilityMiddleware(app, observer), **HANDSHAKE).run()
    assert isinstance(done.error, RuntimeError)  # which Python makes of it
    assert len(access) == 1
