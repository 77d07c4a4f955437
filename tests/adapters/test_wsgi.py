"""The WSGI middleware around raw apps: everything that PEP 3333 allows an app and a server to do."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper

import pytest

from obs_middleware import ConfigError, Observer
from obs_wsgi import ObservabilityMiddleware
from tests.adapters.wsgi import Call, call
from tests.core.support import python

TEXT = [("Content-Type", "text/plain")]


def told(line: Any) -> tuple[Any, ...]:
    return line.status, line.outcome, line.error_type, line.response_bytes


def ignored(*_: Any) -> Any:
    """Stand for a server's `start_response` whose calls do not matter."""


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [b"hel", b"lo"]


@pytest.mark.parametrize("name", ["größe", "日本", "a/b", "x y"])
def test_a_check_may_have_any_name(observer: Observer, name: str) -> None:
    """WSGI gives a path as a character for each byte."""
    observer.health.add(name, lambda: None)
    app = ObservabilityMiddleware(hello, observer)
    assert call(app, "/health/ready/" + name.encode().decode("latin-1")).status == 200
    assert call(app, "/health/ready/other").status == 404


# start_response


def test_a_response_may_be_started_at_its_first_piece(observer: Observer, access: list[Any]) -> None:
    """A generator runs nothing before it is iterated."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("201 Created", TEXT)
        yield b"late"

    done = call(ObservabilityMiddleware(app, observer))
    assert (done.status, done.sent) == (201, b"late")
    assert len(done.all("x-request-id")) == 1
    assert [told(line) for line in access] == [(201, "ok", None, 4)]


def test_a_response_may_be_started_anew_while_nothing_is_sent(observer: Observer, access: list[Any]) -> None:
    """With `exc_info` the second start counts; what it replies to is known, ours are on it once."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        try:
            raise LookupError("nothing there")
        except LookupError:
            start_response("503 Service Unavailable", TEXT, sys.exc_info())
        yield b"sorry"

    done = call(ObservabilityMiddleware(app, observer))
    assert (done.status, done.sent, done.error) == (503, b"sorry", None)
    assert len(done.all("x-request-id")) == 1
    assert [told(line) for line in access] == [(503, "error", "LookupError", 5)]


def test_a_response_that_was_sent_can_not_be_started_anew(observer: Observer, access: list[Any]) -> None:
    """The server raises what the app hands it; the client has seen the first status, and that is recorded."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"begun"
        try:
            raise LookupError("nothing there")
        except LookupError:
            start_response("500 Internal Server Error", TEXT, sys.exc_info())
        yield b"never"

    done = call(ObservabilityMiddleware(app, observer))
    assert isinstance(done.error, LookupError)
    assert (done.status, done.sent) == (200, b"begun")
    assert [told(line) for line in access] == [(200, "error", "LookupError", 5)]


def test_no_exc_info_is_handed_on_where_there_is_none(observer: Observer) -> None:
    """A server of before PEP 3333's third argument is called as the app would call it."""
    calls: list[Any] = []
    start_response: Any = lambda *given: calls.append(given)  # noqa: E731
    ObservabilityMiddleware(hello, observer)(Call(hello).environ, start_response)
    (given,) = calls
    assert given[0] == "200 OK"
    assert len(given) == 2


def test_the_apps_list_of_headers_is_not_changed(observer: Observer) -> None:
    """An app may hand over one and the same list for every request."""
    app = ObservabilityMiddleware(hello, observer)
    assert len({call(app).all("x-request-id")[0] for _ in range(3)}) == 3
    assert TEXT == [("Content-Type", "text/plain")]


def test_what_an_app_writes_is_counted(observer: Observer, access: list[Any]) -> None:
    """`write()`, the callable of old."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", TEXT)
        write(b"one")
        write(b"two")
        return [b"three"]

    done = call(ObservabilityMiddleware(app, observer))
    assert done.sent == b"onetwothree"
    assert [told(line) for line in access] == [(200, "ok", None, 11)]
    assert access[0].ttfb_ms is not None


# Exceptions


def raises_at_once(environ: Any, start_response: Any) -> Any:
    raise LookupError("nothing there")


def raises_after_start(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    raise LookupError("nothing there")


def raises_at_first_piece(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield from raises_at_once(environ, start_response)


def raises_before_a_late_start(environ: Any, start_response: Any) -> Iterator[bytes]:
    yield from raises_at_once(environ, start_response)


def raises_after_an_empty_piece(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b""
    raise LookupError("nothing there")


RAISING = [
    raises_at_once,
    raises_after_start,
    raises_at_first_piece,
    raises_before_a_late_start,
    raises_after_an_empty_piece,
]


@pytest.mark.parametrize("app", RAISING)
def test_an_exception_before_the_first_byte_is_a_500_with_the_id(
    observer: Observer, access: list[Any], app: Any
) -> None:
    """Whatever the app had announced; and the server gets the exception as without us."""
    done = call(ObservabilityMiddleware(app, observer))
    assert isinstance(done.error, LookupError)
    assert (done.status, done.sent) == (500, b"Internal Server Error")
    assert done.all("x-request-id") == [access[0].request_id]
    assert [told(line)[:3] for line in access] == [(500, "error", "LookupError")]


@pytest.mark.parametrize("app", RAISING)
def test_in_development_the_exception_is_left_to_a_debugger(access: list[Any], app: Any) -> None:
    """Nothing is sent before it, so that it can answer with its page."""
    from prometheus_client import CollectorRegistry

    observer = Observer(registry=CollectorRegistry(), log_setup=False, environment="development")
    done = call(ObservabilityMiddleware(app, observer))
    assert isinstance(done.error, LookupError)
    assert done.sent == b""
    assert [(line.outcome, line.error_type) for line in access] == [("error", "LookupError")]


def test_an_exception_after_the_first_byte_keeps_the_status_that_was_sent(
    observer: Observer, access: list[Any]
) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"half"
        raise LookupError("nothing there")

    done = call(ObservabilityMiddleware(app, observer))
    assert isinstance(done.error, LookupError)
    assert [told(line) for line in access] == [(200, "error", "LookupError", 4)]


def test_an_exception_after_a_write_keeps_the_status_that_was_sent(
    observer: Observer, access: list[Any]
) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)(b"half")
        raise LookupError("nothing there")

    done = call(ObservabilityMiddleware(app, observer))
    assert (done.status, done.sent) == (200, b"half")
    assert [told(line) for line in access] == [(200, "error", "LookupError", 4)]


def test_a_write_that_fails_since_the_client_has_gone_is_a_disconnect(
    observer: Observer, access: list[Any]
) -> None:
    """The server's own OSError comes back through the app: not the app's mistake."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)(b"half")
        return []

    def start_response(*_: Any) -> Any:
        def write(data: bytes) -> None:
            raise BrokenPipeError("gone")

        return write

    with pytest.raises(BrokenPipeError):
        ObservabilityMiddleware(app, observer)(Call(app).environ, start_response)
    assert [line.outcome for line in access] == ["client_disconnect"]


@pytest.mark.parametrize("where", ["in the call", "in the body"])
def test_an_exit_is_an_error_with_its_class(observer: Observer, access: list[Any], where: str) -> None:
    """gunicorn ends a worker that hangs with SystemExit, gevent a request that takes too long with Timeout."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        if where == "in the call":
            raise SystemExit(1)
        return leaves()

    def leaves() -> Iterator[bytes]:
        yield b"half"
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        call(ObservabilityMiddleware(app, observer))
    status, sent = (None, 0) if where == "in the call" else (200, 4)
    assert [told(line) for line in access] == [(status, "error", "SystemExit", sent)]


# The body


def test_a_list_keeps_its_length(observer: Observer) -> None:
    """Servers ask for it: one piece needs no chunks."""
    body: Any = ObservabilityMiddleware(hello, observer)(Call(hello).environ, ignored)
    assert len(body) == 2


@pytest.mark.parametrize(("read", "told_bytes"), [(0, 0), (1, 3)])
def test_a_list_that_is_closed_short_of_its_end_is_a_disconnect(
    observer: Observer, access: list[Any], read: int, told_bytes: int
) -> None:
    """Also before its first piece; a second close changes nothing."""
    body = Call(ObservabilityMiddleware(hello, observer)).begin()
    pieces = iter(body)
    for _ in range(read):
        next(pieces)
    body.close()
    body.close()
    assert [told(line) for line in access] == [(200, "client_disconnect", "client_disconnect", told_bytes)]


def test_a_list_whose_declared_bytes_were_all_taken_is_complete(
    observer: Observer, access: list[Any]
) -> None:
    """A server may stop there, and close."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [*TEXT, ("Content-LENGTH", "3")])
        return [b"all"]

    body = Call(ObservabilityMiddleware(app, observer)).begin()
    assert next(iter(body)) == b"all"
    body.close()
    assert [told(line) for line in access] == [(200, "ok", None, 3)]


class Chunks:
    """A collection of the app's own."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def __len__(self) -> int:
        return len(self._chunks)


@pytest.mark.parametrize("kind", [list, tuple, Chunks])
def test_a_collection_may_be_read_twice(observer: Observer, access: list[Any], kind: Any) -> None:
    """gevent's server adds the sizes up in the middle of reading, where the app declares no length."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return Chunks(b"hel", b"lo") if kind is Chunks else kind([b"hel", b"lo"])

    body = Call(ObservabilityMiddleware(app, observer)).begin()
    sizes = []
    for piece in body:
        sizes.append((piece, sum(len(other) for other in body)))
    body.close()
    assert sizes == [(b"hel", 5), (b"lo", 5)]
    assert [told(line) for line in access] == [(200, "ok", None, 5)]


def test_wsgiref_sets_the_length_of_a_single_piece(observer: Observer) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", TEXT)
        return [b"hello"]

    out = io.BytesIO()
    handler = SimpleHandler(io.BytesIO(), out, io.StringIO(), Call(app).environ)
    handler.run(ObservabilityMiddleware(app, observer))
    assert b"Content-Length: 5\r\n" in out.getvalue()


def test_a_body_without_a_length_has_none(observer: Observer) -> None:
    """waitress takes `hasattr(body, "__len__")` at its word; so does whoever asks `if body:`."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"piece"

    body: Any = ObservabilityMiddleware(app, observer)(Call(app).environ, ignored)
    assert not hasattr(body, "__len__")
    assert body
    body.close()


class Pieces:
    """A body that notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        self.done.append("iter")
        return iter([b"one", b"two"])

    def close(self) -> None:
        self.done.append("close")


def test_a_body_that_is_closed_unread_is_closed_for_the_app_too(
    observer: Observer, access: list[Any]
) -> None:
    """The client has left before the first piece; the exchange ends all the same, and once."""
    pieces = Pieces()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return pieces

    body = Call(ObservabilityMiddleware(app, observer)).begin()
    body.close()
    body.close()
    assert pieces.done == ["close", "close"]
    assert [line.outcome for line in access] == ["client_disconnect"]


def test_a_generator_that_never_began_ends_its_exchange(observer: Observer, access: list[Any]) -> None:
    """Its `finally` does not run, and ours does not hang on it."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"never"

    Call(ObservabilityMiddleware(app, observer)).begin().close()
    assert [(line.status, line.outcome) for line in access] == [(None, "client_disconnect")]


def test_a_close_that_fails_reaches_the_server_and_the_exchange_ends(
    observer: Observer, access: list[Any]
) -> None:
    class Fails(Pieces):
        def close(self) -> None:
            raise LookupError("in close")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return Fails()

    assert isinstance(call(ObservabilityMiddleware(app, observer)).error, LookupError)
    assert len(access) == 1


def test_a_length_that_was_kept_is_a_response_that_went_well(observer: Observer, access: list[Any]) -> None:
    """A server that knows the length may close without asking for the end."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "3")])
        return [b"one"]

    body = Call(ObservabilityMiddleware(app, observer)).begin()
    assert next(body) == b"one"
    body.close()
    assert [told(line) for line in access] == [(200, "ok", None, 3)]


def test_the_body_of_a_head_is_not_counted(observer: Observer, access: list[Any]) -> None:
    """The server sends none of it."""
    call(ObservabilityMiddleware(hello, observer), REQUEST_METHOD="HEAD")
    assert [told(line) for line in access] == [(200, "ok", None, 0)]


# wsgi.file_wrapper


class GunicornFileWrapper:
    """As in gunicorn.http.wsgi: the server asks isinstance() and closes what it has sent."""

    def __init__(self, filelike: Any, blksize: int = 8192) -> None:
        self.filelike = filelike
        if hasattr(filelike, "close"):
            self.close = filelike.close


def sends_file(file: Any, length: int = 4) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", str(length))])
        return environ["wsgi.file_wrapper"](file)

    return app


@pytest.mark.parametrize("wrapper", [GunicornFileWrapper, FileWrapper])
def test_a_wrapped_file_reaches_the_server_as_it_is(
    observer: Observer, access: list[Any], wrapper: Any
) -> None:
    """Only the server's own class is sent by the kernel; the exchange ends when the server closes it."""
    file = io.BytesIO(b"film")
    body = Call(ObservabilityMiddleware(sends_file(file), observer), **{"wsgi.file_wrapper": wrapper}).begin()
    assert type(body) is wrapper
    assert access == []
    body.close()
    assert file.closed
    assert [told(line) for line in access] == [(200, "ok", None, 4)]


def test_a_file_that_uwsgi_sends_is_the_very_same_object(
    observer: Observer, access: list[Any], tmp_path: Any
) -> None:
    """uWSGI's wrapper is a function that hands the file back, and looks for that object in what the app returns."""
    (tmp_path / "film").write_bytes(b"film")
    with open(tmp_path / "film", "rb") as file:
        wrapped: Any = {"wsgi.file_wrapper": lambda file, size=0: file}
        body = Call(ObservabilityMiddleware(sends_file(file), observer), **wrapped).begin()
        assert body is file
        body.close()
        assert file.closed
    assert [told(line) for line in access] == [(200, "ok", None, 4)]


def test_a_file_whose_close_can_not_be_hooked_ends_at_once(observer: Observer, access: list[Any]) -> None:
    class Fixed:
        __slots__ = ()

        def read(self) -> bytes:
            return b"film"

        def close(self) -> None:
            pass

    wrapped: Any = {"wsgi.file_wrapper": lambda file, size=0: file}
    file = Fixed()
    assert Call(ObservabilityMiddleware(sends_file(file), observer), **wrapped).begin() is file
    assert [told(line) for line in access] == [(200, "ok", None, 4)]


def test_a_wrapped_file_of_a_head_counts_no_bytes(observer: Observer, access: list[Any]) -> None:
    wrapped: Any = {"wsgi.file_wrapper": GunicornFileWrapper, "REQUEST_METHOD": "HEAD"}
    Call(ObservabilityMiddleware(sends_file(io.BytesIO(b"film")), observer), **wrapped).begin().close()
    assert [told(line) for line in access] == [(200, "ok", None, 0)]


def test_a_body_that_only_looks_like_a_file_is_read_as_any_other(
    observer: Observer, access: list[Any]
) -> None:
    """Without a wrapper on offer a file is just an iterable."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return io.BytesIO(b"film")

    assert call(ObservabilityMiddleware(app, observer)).sent == b"film"
    assert [told(line) for line in access] == [(200, "ok", None, 4)]


# The request's body


def posted(data: bytes, **more: Any) -> dict[str, Any]:
    return {"CONTENT_LENGTH": str(len(data)), "wsgi.input": io.BytesIO(data), **more}


READERS = {
    "read": lambda stream: stream.read(),
    "read some": lambda stream: stream.read(5),
    "readline": lambda stream: stream.readline(),
    "readline some": lambda stream: stream.readline(2),
    "readlines": lambda stream: b"".join(stream.readlines()),
    "iter": lambda stream: b"".join(stream),
    "next": lambda stream: next(stream),
}


@pytest.mark.parametrize("how", READERS)
def test_what_the_app_reads_is_counted(observer: Observer, access: list[Any], how: str) -> None:
    """And it is what the server gave."""
    data, seen = b"one\ntwo\nthree\n", []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(READERS[how](environ["wsgi.input"]))
        return hello(environ, start_response)

    call(ObservabilityMiddleware(app, observer), **posted(data))
    assert seen == [READERS[how](io.BytesIO(data))]
    assert [line.request_bytes for line in access] == [len(seen[0])]


def test_a_body_in_chunks_is_counted(observer: Observer, access: list[Any]) -> None:
    """It has no length; gunicorn hands over the header."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        return hello(environ, start_response)

    call(
        ObservabilityMiddleware(app, observer),
        **posted(b"12345", CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked"),
    )
    assert [line.request_bytes for line in access] == [5]


def test_what_else_the_servers_stream_can_do_it_still_can(observer: Observer) -> None:
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        stream = environ["wsgi.input"]
        seen.extend([stream.tell(), stream.seek(2), stream.closed, hasattr(stream, "fileno_of_the_server")])
        return hello(environ, start_response)

    call(ObservabilityMiddleware(app, observer), **posted(b"abc"))
    assert seen == [0, 2, False, False]


# Where we are


def test_two_middlewares_make_one_exchange(observer: Observer, access: list[Any]) -> None:
    """Wrapped twice by mistake: one access line, one ID, and the exception of the app is known."""
    for app in (hello, raises_at_once):
        twice = ObservabilityMiddleware(ObservabilityMiddleware(app, observer), observer)
        assert len(call(twice).all("x-request-id")) == 1
    assert [(line.status, line.error_type) for line in access] == [(200, None), (500, "LookupError")]


def test_probes_answer_below_a_mount(observer: Observer) -> None:
    """As a server or a dispatcher mounts an app: by SCRIPT_NAME."""
    app = ObservabilityMiddleware(hello, observer)
    assert call(app, "/health/live", SCRIPT_NAME="/shop").sent == b'{"status":"pass"}'


def test_an_observer_and_settings_together_are_refused(observer: Observer) -> None:
    with pytest.raises(ConfigError, match="either an observer or settings, got an observer and metrics_path"):
        ObservabilityMiddleware(hello, observer, metrics_path="/m")


def test_a_bad_setting_is_told_when_an_app_is_wrapped() -> None:
    with pytest.raises(ConfigError, match="trace_sample_ratio must be a number between 0 and 1, got 3"):
        ObservabilityMiddleware(hello, trace_sample_ratio=3)


def test_nothing_is_set_up_before_the_first_request() -> None:
    code = """
import logging
from obs_wsgi import ObservabilityMiddleware
def app(environ, start_response):
    start_response("200 OK", [])
    return [b""]
app = ObservabilityMiddleware(app)
print(logging.root.handlers)
"""
    assert python(code) == "[]\n"
