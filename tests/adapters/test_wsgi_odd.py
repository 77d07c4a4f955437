"""Odd input: what the bare app takes, the observed one takes."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from obs_middleware import Observer
from obs_wsgi import ObservabilityMiddleware
from tests.adapters.test_wsgi import TEXT, told
from tests.adapters.wsgi import Call, call

ODD_VARIABLES: list[tuple[str, Any]] = [
    ("CONTENT_LENGTH", 5),
    ("CONTENT_LENGTH", b"5"),
    ("REQUEST_METHOD", b"GET"),
    ("PATH_INFO", None),
    ("PATH_INFO", b"/"),
    ("QUERY_STRING", b"a=1"),
    ("QUERY_STRING", None),
    ("REMOTE_ADDR", None),
    ("REMOTE_PORT", 50123),
    ("SERVER_PROTOCOL", b"HTTP/1.1"),
    ("HTTP_X_REQUEST_ID", 7),
    ("HTTP_USER_AGENT", b"curl"),
    ("HTTP_TRACEPARENT", b"00-1"),
    ("HTTP_UPGRADE", 7),
    ("wsgi.url_scheme", b"http"),
]
REQUIRED = ["REQUEST_METHOD", "PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "REMOTE_ADDR", "SERVER_PROTOCOL"]
REQUIRED += ["wsgi.input", "wsgi.url_scheme"]


def answer(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [b"fine"]


@pytest.mark.parametrize(("name", "value"), ODD_VARIABLES)
def test_odd_variables_change_no_answer(observer: Observer, access: list[Any], name: str, value: Any) -> None:
    done = call(ObservabilityMiddleware(answer, observer), **{name: value})
    assert (done.status, done.sent) == (200, b"fine")
    assert [told(line) for line in access] == [(200, "ok", None, 4)]
    assert access[0].client in ("127.0.0.1", None)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("length", ["", "5"])
def test_variables_may_be_missing(observer: Observer, access: list[Any], name: str, length: str) -> None:
    asked = Call(ObservabilityMiddleware(answer, observer), CONTENT_LENGTH=length)
    del asked.environ[name]
    assert asked.run().sent == b"fine"
    assert [told(line) for line in access] == [(200, "ok", None, 4)]


HEADERS: list[Any] = [
    lambda: iter([("X-Own", "1"), ("Content-Length", "4")]),
    lambda: (pair for pair in [("X-Own", "1"), ("Content-Length", "4")]),
    lambda: (("X-Own", "1"), ("Content-Length", "4")),
    lambda: {"X-Own": "1", "Content-Length": "4"}.items(),
    lambda: [["X-Own", "1"], ["Content-Length", "4"]],
]


@pytest.mark.parametrize("headers", HEADERS)
def test_headers_may_be_any_iterable(observer: Observer, access: list[Any], headers: Any) -> None:
    """An iterator gives its items once: all of the app's go out, and ours."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", headers())
        return [b"fine"]

    done = call(ObservabilityMiddleware(app, observer))
    assert (done.all("x-own"), done.all("content-length")) == (["1"], ["4"])
    assert done.all("x-request-id") == [line.request_id for line in access]


@pytest.mark.parametrize("length", [4, b"4", None, "four", "9" * 40])
@pytest.mark.parametrize("kind", [list, iter])
def test_a_length_may_be_odd(observer: Observer, access: list[Any], length: Any, kind: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", length)])
        return kind([b"fine"])

    body = Call(ObservabilityMiddleware(app, observer)).begin()
    next(iter(body))
    body.close()
    assert [line.status for line in access] == [200]


STATUSES: list[tuple[Any, int | None]] = [
    ("200", 200),
    (" 404 Not Found", 404),
    ("HTTP/1.1 503 Oh no", 503),
    (b"201 Created", 201),
    (HTTPStatus.NOT_FOUND, 404),
    (418, 418),
    ("nonsense", None),
    (None, None),
]


@pytest.mark.parametrize(("status", "number"), STATUSES)
def test_a_status_may_be_odd(observer: Observer, access: list[Any], status: Any, number: int | None) -> None:
    """The server gets it as it is, with our headers."""
    calls: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [*TEXT])
        return [b"fine"]

    def start_response(*given: Any) -> Any:
        calls.append(given)

    body: Any = ObservabilityMiddleware(app, observer)(Call(app).environ, start_response)
    assert list(body) == [b"fine"]
    assert calls[0][0] is status
    assert len(calls[0][1]) == len(TEXT) + 2
    assert [line.status for line in access] == [number]


@pytest.mark.parametrize("exc_info", [(None, None, None), (), "text"])
def test_what_stands_for_an_exception_may_be_odd(observer: Observer, exc_info: Any) -> None:
    calls: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [*TEXT], exc_info)
        return [b"fine"]

    def start_response(*given: Any) -> Any:
        calls.append(given)

    body: Any = ObservabilityMiddleware(app, observer)(Call(app).environ, start_response)
    assert list(body) == [b"fine"]
    assert calls[0][2] is exc_info


def test_text_for_bytes_reaches_the_server_as_it_is(observer: Observer, access: list[Any]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*TEXT])
        return ["text"]

    assert list(Call(ObservabilityMiddleware(app, observer)).begin()) == ["text"]
    assert [told(line) for line in access] == [(200, "ok", None, 4)]


def test_bytes_that_are_no_list_reach_the_server_as_they_are(observer: Observer, access: list[Any]) -> None:
    """uWSGI takes them."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*TEXT])
        return b"fine"

    assert Call(ObservabilityMiddleware(app, observer)).begin() == b"fine"
    assert [told(line) for line in access] == [(200, "ok", None, 4)]


# Bodies that nobody closes


class Pieces:
    def __iter__(self) -> Iterator[bytes]:
        return iter([b"one", b"two"])


BODIES = {
    "a list": lambda: [b"one", b"two"],
    "a generator": lambda: (piece for piece in [b"one", b"two"]),
    "an object": Pieces,
}


@pytest.mark.parametrize("declared", ["6", "3", None])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_nobody_closes_ends_when_it_is_dropped(
    observer: Observer, access: list[Any], body: Any, declared: str | None
) -> None:
    """A bridge that stops at the declared length; complete where all that was declared has been read."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [] if declared is None else [("Content-Length", declared)])
        return body()

    gc.disable()
    try:
        pieces = iter(Call(ObservabilityMiddleware(app, observer)).begin())
        assert next(pieces) == b"one"
        assert access == []
        del pieces
        assert [line.outcome for line in access] == ["ok" if declared == "3" else "client_disconnect"]
    finally:
        gc.enable()


class BufferWithClose:
    """As waitress's: the class has `close`, and instances take attributes."""

    def __init__(self, file: Any, size: int = 0) -> None:
        self.file = file

    def close(self) -> None:
        self.file.close()


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_file_leaves_nothing_for_the_collector(
    observer: Observer, access: list[Any], is_closed: bool
) -> None:
    files: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "4")])
        files.append(io.BytesIO(b"film"))
        return environ["wsgi.file_wrapper"](files[0])

    wrapped: Any = {"wsgi.file_wrapper": BufferWithClose}
    asked = Call(ObservabilityMiddleware(app, observer), **wrapped)
    gc.collect()
    gc.disable()
    try:
        body = asked.begin()
        if is_closed:
            body.close()
            body.close()
        del body
        assert files[0].closed is is_closed
        assert [told(line) for line in access] == [(200, "ok", None, 4)]
        assert not any(type(one) is BufferWithClose for one in gc.get_objects())
    finally:
        gc.enable()
