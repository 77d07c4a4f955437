"""Who answers what a WSGI app raises: our 500 goes out only where nobody around us answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from werkzeug.debug import DebuggedApplication
from werkzeug.exceptions import NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from obs_middleware import Observer
from obs_wsgi import ObservabilityMiddleware
from tests.adapters.test_wsgi import RAISING, TEXT, told
from tests.adapters.wsgi import Call, call
from tests.conformance.servers import eventually


class TurnsIntoPage:
    """A layer that answers exceptions itself, called as the server calls."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        try:
            return list(self.app(environ, start_response))
        except LookupError:
            start_response("503 Service Unavailable", TEXT, sys.exc_info())
            return [b"page"]


def yields_page(app: Any) -> Any:
    """Answer exceptions, as a generator that also sees those of the body."""

    def layer(environ: Any, start_response: Any) -> Iterator[bytes]:
        try:
            yield from app(environ, start_response)
        except LookupError:
            start_response("503 Service Unavailable", TEXT, sys.exc_info())
            yield b"page"

    return layer


def wraps_start(app: Any) -> Any:
    """Answer exceptions, and stand between app and `start_response` too."""

    def layer(environ: Any, start_response: Any) -> Any:
        def start(*given: Any) -> Any:
            return start_response(*given)

        try:
            return list(app(environ, start))
        except LookupError:
            start_response("503 Service Unavailable", TEXT, sys.exc_info())
            return [b"page"]

    return layer


@pytest.mark.parametrize("app", RAISING)
@pytest.mark.parametrize("layer", [TurnsIntoPage, yields_page, wraps_start])
def test_a_page_around_us_is_what_the_client_gets(
    observer: Observer, access: list[Any], layer: Any, app: Any
) -> None:
    began = time.perf_counter()
    done = call(layer(ObservabilityMiddleware(app, observer)))
    took_ms = (time.perf_counter() - began) * 1000
    assert (done.status, done.sent, done.error) == (503, b"page", None)
    time.sleep(0.05)  # which is no part of the request
    observer.close()
    assert [told(line)[:3] for line in access] == [(503, "error", "LookupError")]
    assert access[0].duration_ms < took_ms + 25


def test_the_status_of_a_page_around_us_is_learnt_without_being_asked(
    observer: Observer, access: list[Any]
) -> None:
    """Soon after; a layer that raises the exception again leaves it to the server, which answers 500."""

    def raises_again(environ: Any, start_response: Any) -> Any:
        try:
            return observed(environ, start_response)
        except LookupError as error:
            raise RuntimeError from error

    observed = ObservabilityMiddleware(RAISING[1], observer)
    call(TurnsIntoPage(observed))
    call(raises_again)
    eventually(lambda: len(access) == 2, "two lines")
    assert [told(line)[:3] for line in access] == [(status, "error", "LookupError") for status in (503, 500)]


def test_a_debugger_around_us_shows_its_page(observer: Observer, access: list[Any]) -> None:
    """Also where no flag says that we are in development."""
    done = call(DebuggedApplication(ObservabilityMiddleware(RAISING[0], observer)))
    assert done.status == 500
    assert b"LookupError: nothing there" in done.sent
    observer.close()
    assert [told(line)[:3] for line in access] == [(500, "error", "LookupError")]


def passes_on(app: Any) -> Any:
    return lambda environ, start_response: app(environ, start_response)


@pytest.mark.parametrize("layer", [ProxyFix, passes_on])
@pytest.mark.parametrize("app", RAISING)
def test_a_layer_that_handles_no_exception_changes_nothing(
    observer: Observer, access: list[Any], layer: Any, app: Any
) -> None:
    done = call(layer(ObservabilityMiddleware(app, observer)))
    assert (done.status, done.sent) == (500, b"Internal Server Error")
    assert done.all("x-request-id") == [line.request_id for line in access]


class CarriesResponse(Exception):
    """An exception that is a WSGI app, as werkzeug's are."""

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("402 Payment Required", TEXT)
        return [b"pay"]


@pytest.mark.parametrize("error", [NotFound(), CarriesResponse(), StopIteration()], ids=repr)
def test_what_carries_a_response_is_not_ours_to_answer(
    observer: Observer, access: list[Any], error: BaseException
) -> None:
    """The server answers, or a layer that calls the exception."""

    def app(environ: Any, start_response: Any) -> Any:
        raise error

    done = Call(ObservabilityMiddleware(app, observer))
    with pytest.raises(type(error)):
        done.begin()
    assert done.sent == b""
    assert [told(line)[:2] for line in access] == [(500, "error")]


@pytest.mark.parametrize("app", RAISING)
def test_a_setting_leaves_all_exceptions_to_the_server(access: list[Any], app: Any) -> None:
    observer = Observer(registry=CollectorRegistry(), log_setup=False, error_response=False)
    done = call(ObservabilityMiddleware(app, observer))
    assert isinstance(done.error, LookupError)
    assert done.sent == b""
    assert [told(line)[:3] for line in access] == [(500, "error", "LookupError")]


class Timeout(BaseException):
    """As gevent's: no Exception, and no cancellation."""


class GreenletExit(BaseException):
    """As greenlet's."""


GreenletExit.__module__ = "greenlet"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, Timeout])
@pytest.mark.parametrize("where", ["call", "body"])
def test_what_is_no_exception_and_no_cancellation_is_an_error(
    observer: Observer, access: list[Any], kind: Any, where: str
) -> None:
    with pytest.raises(kind):
        call(ObservabilityMiddleware(_raising(kind, where), observer))
    assert [line.outcome for line in access] == ["error"]
    assert access[0].error_type.endswith(kind.__name__)
    assert access[0].levelname == "ERROR"


@pytest.mark.parametrize("kind", [GeneratorExit, GreenletExit])
@pytest.mark.parametrize("where", ["call", "body"])
def test_the_end_of_a_generator_or_a_greenlet_is_a_cancellation(
    observer: Observer, access: list[Any], kind: Any, where: str
) -> None:
    with pytest.raises(kind):
        call(ObservabilityMiddleware(_raising(kind, where), observer))
    assert [(line.outcome, line.levelname) for line in access] == [("cancelled", "INFO")]


def _raising(kind: Any, where: str) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        if where == "call":
            raise kind
        start_response("200 OK", TEXT)
        return body()

    def body() -> Iterator[bytes]:
        yield b"half"
        raise kind

    return app


# A response that has not started, and uWSGI


@pytest.mark.parametrize("kind", [list, iter])
def test_piece_of_a_response_that_has_not_started_is_the_apps_fault(
    observer: Observer, access: list[Any], kind: Any
) -> None:
    """The server refuses the piece, answers with a 500, and closes the body as if the client had left."""
    done = call(ObservabilityMiddleware(lambda environ, start_response: kind([b"x"]), observer))
    assert isinstance(done.error, AssertionError)
    assert [told(line)[:3] for line in access] == [(500, "error", "500")]


@pytest.mark.parametrize(
    ("starts", "status"), [([], 500), (["200 OK"], 200), (["200 OK", "502 Bad Gateway"], 502)]
)
def test_uwsgi_sends_the_status_that_has_started_though_the_app_has_failed(
    observer: Observer, access: list[Any], starts: list[str], status: int
) -> None:
    """It takes the status of a second start too, whose `exc_info` it raises as a SystemError."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        try:
            for number, line in enumerate(starts):
                start_response(line, TEXT, *([(LookupError, LookupError("x"), None)] if number else []))
        finally:
            raise LookupError("nothing there")

    def uwsgis(status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info:
            raise SystemError("uwsgi_spit returned a result with an exception set")
        return lambda piece: None

    environ = {**Call(app).environ, "uwsgi.version": b"2.0"}
    with pytest.raises(LookupError):
        ObservabilityMiddleware(app, observer)(environ, uwsgis)
    assert [told(line)[:3] for line in access] == [(status, "error", "LookupError")]
