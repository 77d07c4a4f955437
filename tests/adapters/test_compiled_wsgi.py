"""The compiled way between a WSGI server and its app does what the Python code does."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from obs_middleware import Exchange, Observer, current_exchange
from obs_middleware.cgi import request_info
from obs_wsgi import ObservabilityMiddleware
from obs_wsgi.body import read
from obs_wsgi.response import Response
from tests.adapters.wsgi import Call
from tests.twins import needs_compiled, take_python

OURS = ("x-request-id", "x-correlation-id")
_LEARNT = (
    *(
        "route",
        "status",
        "response_bytes",
        "request_bytes",
        "declared_bytes",
        "is_client_gone",
        "is_cancelled",
    ),
    *("outcome", "error_type"),
)


class Text(str):
    """No exact str."""


class Refuses:
    """A server's `start_response`, which notes its calls; the one of a number raises."""

    def __init__(self, at: int | None = None, error: BaseException | None = None) -> None:
        self.at = at
        self.error = error
        self.calls: list[Any] = []
        self.written: list[Any] = []

    def __call__(self, status: Any, headers: Any, *exc_info: Any) -> Any:
        assert type(headers) is list
        self.calls.append((status, [masked(field) for field in headers], len(exc_info)))
        if self.error is not None and len(self.calls) - 1 == self.at:
            raise self.error
        return self.written.append


def masked(field: Any) -> Any:
    """Return a header with a mark for an ID, which is new each time."""
    if type(field) is tuple and len(field) == 2 and type(field[1]) is str and len(field[1]) > 20:
        return field[0], "*"
    return field


def learnt(exchange: Exchange) -> dict[str, Any]:
    """Return what an exchange has learnt, without what is new each time."""
    told = {name: getattr(exchange, name, "deleted") for name in _LEARNT}
    return told | {"has_begun": getattr(exchange, "time_to_first_byte", None) is not None}


def both(play: Any, **case: Any) -> None:
    """Ask both ways, and want the same answers."""
    compiled = play(**case)
    with pytest.MonkeyPatch.context() as patch:
        take_python(patch)
        assert play(**case) == compiled


@pytest.fixture(scope="module")
def shared() -> Iterator[Observer]:
    made = Observer(registry=CollectorRegistry(), log_setup=False)
    yield made
    made.close()


_MANY = settings(max_examples=3 * settings().max_examples, suppress_health_check=list(HealthCheck))

# Response.start

_NAMES = st.sampled_from(
    [
        *(
            "Content-Type",
            "CONTENT-length",
            "content-length",
            "X-Request-ID",
            "x-correlation-id",
            "content_length",
        ),
        *("ſet-cookie", "Set-\u212aookie", "X-Request-I\u0130", "", "content-lengt@"),
    ]
)
_FIELD = st.tuples(_NAMES, st.sampled_from(["5", "x", "é", "٣", "9" * 30]))
_ODD = st.sampled_from(
    [
        ("a",),
        ["content-length", "5"],
        ("content-length", 5),
        (Text("X-Request-ID"), "a"),
        (b"a", b"b"),
        None,
        "ab",
    ]
)
_HEADERS = (
    st.lists(_FIELD, max_size=4)
    | st.lists(_FIELD | _ODD, max_size=4)
    | st.lists(_FIELD, max_size=3).map(tuple)
    | st.none()
)
_STATUS = st.sampled_from(
    [
        *(
            "200 OK",
            "204 No Content",
            "404 Not Found",
            "500",
            "000",
            "20",
            " 20",
            "+20 x",
            "2_0",
            "٣٣٣ x",
            "abc",
        ),
        *("", None, 200, Text("200 OK"), b"200 OK"),
    ]
)
_START = st.fixed_dictionaries(
    {"status": st.just("200 OK") | _STATUS, "headers": _HEADERS},
    optional={"exc_info": st.sampled_from([None, "an error"])},
)
_ROUTES = st.sampled_from(["none", "text", "nothing", "error", "exit", "changes", "deletes"])
_ERRORS = st.sampled_from([OSError("gone"), KeyError("it"), KeyboardInterrupt(), SystemExit(1)])


@needs_compiled
@_MANY
@given(
    starts=st.lists(_START, min_size=1, max_size=3),
    route=_ROUTES,
    at=st.none() | st.integers(0, 2),
    error=_ERRORS,
)
@example(  # the first one's length is forgotten before the route is asked once more
    starts=[{"status": "200 OK", "headers": headers} for headers in ([("Content-Length", "5")], [])],
    route="nothing",
    at=None,
    error=OSError("gone"),
)
@example(
    starts=[{"status": "200 OK", "headers": [("Content-Type", "text/plain")]}],
    route="changes",
    at=None,
    error=OSError("gone"),
)
def test_a_response_is_started_as_python_does(shared: Observer, **case: Any) -> None:
    both(started, observer=shared, **case)


def started(observer: Observer, starts: list[Any], route: str, at: int | None, error: Any) -> Any:
    """Return what server, app and exchange see of a response that is started."""

    def route_of(environ: Any) -> Any:
        seen.append(("route_of", exchange.status, response.length, len(server.calls)))
        if route == "error":
            raise KeyError("route")
        if route == "exit":
            raise KeyboardInterrupt
        if route == "changes" and type(given) is list:
            given.append(("X-Request-ID", "theirs"))
        if route == "deletes":
            del exchange.route
        return "/a" if route != "nothing" else None

    seen: list[Any] = []
    server = Refuses(at, error)
    middleware: Any = ObservabilityMiddleware(
        lambda *_: [], observer, route_of=None if route == "none" else route_of
    )
    reported: list[str] = []
    environ = Call(None).environ
    exchange: Any = observer.start(request_info(environ, middleware._marks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observer, "report", lambda component, error: reported.append(f"{component} {error!r}"))
        response = Response(exchange, environ, server, middleware)
        for start in starts:
            given = list(start["headers"]) if type(start["headers"]) is list else start["headers"]
            about: Any = {"exc_info": (KeyError, KeyError("it"), None)} if start.get("exc_info") else {}
            before = given if type(given) is not list else [*given]
            try:
                write = response.start(start["status"], given, **about)
            except BaseException as raised:
                seen.append((type(raised), str(raised)))
            else:
                assert write == response.write
                write(b"abc")
            seen.append(
                (before == given, response.length, response.server_write is not None, learnt(exchange))
            )
    with suppress(AttributeError):
        exchange.finish()
    # A route that is asked in vain is asked again by Python where what it changes is no longer common.
    kept = [what for at, what in enumerate(seen) if what not in seen[at - 1 : at] or what[0] != "route_of"]
    return kept, reported, server.calls, server.written


def test_our_headers_come_last_and_the_apps_list_stays(shared: Observer) -> None:
    server, headers = Refuses(), [("Content-Type", "text/plain")]

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", headers)
        return []

    middleware: Any = ObservabilityMiddleware(app, shared)
    middleware(Call(None).environ, server).close()
    ((_, sent, _),) = server.calls
    assert [name.lower() for name, _ in sent] == ["content-type", *OURS]
    assert headers == [("Content-Type", "text/plain")]


# The reader

_PIECES = st.lists(st.sampled_from([b"", b"a", b"hello"]), max_size=4)
_ODD_PIECES = st.lists(st.sampled_from([b"", b"a", bytearray(b"ab"), "é", None, 5, 0]), max_size=4)
_STATUSES: dict[str, Any] = {"status 204": 204, "status None": None, "status odd": 204.0}
_STEPS = st.lists(
    st.sampled_from(
        [
            *("next", "next", "next", "next", "close", "len", "drop", "cycle", "append", "again"),
            *(*_STATUSES, "error", "finish", "delete"),
        ]
    ),
    max_size=8,
)


@needs_compiled
@_MANY
@given(
    pieces=_PIECES | _PIECES.map(tuple) | _ODD_PIECES,
    length=st.sampled_from([None, "1", "5", "10", "x"]),
    method=st.sampled_from(["GET", "HEAD", Text("HEAD")]),
    is_sized=st.booleans(),
    status=st.sampled_from([None, 200, 204, 304, 404, 500, 10**30, True]),
    steps=_STEPS,
    deleted=st.sampled_from(["outcome", "status", "info", "response_bytes", "time_to_first_byte", "started"]),
)
@example(  # no body follows
    pieces=[b"a"],
    length=None,
    method="GET",
    is_sized=False,
    status=304,
    steps=["next", "next"],
    deleted="",
)
@example(  # whether one follows is asked once
    pieces=[b"a", b"hello"],
    length=None,
    method="GET",
    is_sized=True,
    status=200,
    steps=["next", "status 204", "next", "next"],
    deleted="",
)
def test_a_body_is_read_as_python_does(shared: Observer, **case: Any) -> None:
    both(reads, observer=shared, **case)


def reads(
    observer: Observer,
    pieces: Any,
    length: str | None,
    method: str,
    is_sized: bool,
    status: Any,
    steps: list[str],
    deleted: str,
) -> Any:
    """Return what the server gets of a body and what the exchange has become, step by step."""
    environ = Call(None).environ
    exchange = observer.start(request_info(environ, frozenset(), method))
    assert exchange is not None
    exchange.status = status
    pieces = pieces if type(pieces) is tuple else [*pieces]
    # As the middleware looks it up.
    body: Any = sys.modules["obs_wsgi.middleware"].read(pieces, exchange, length, is_sized=is_sized)
    seen: list[Any] = []
    unraisable: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda given: unraisable.append(type(given.exc_value)))
        for step in [*steps, "drop"]:
            try:
                if step == "next":
                    seen.append(next(body))
                elif step == "again":
                    assert iter(iter(body)) is iter(body)
                elif step == "len":
                    seen.append(len(body) if is_sized else hasattr(body, "__len__"))
                elif step == "close":
                    seen.append(body.close())
                elif step == "cycle":
                    exchange.routed = {"body": body, "exchange": exchange}  # what no log line shows and keeps
                elif step == "append" and type(pieces) is list:
                    pieces.append(b"more")
                elif step.startswith("status"):
                    exchange.status = _STATUSES[step]
                elif step == "error":
                    exchange.note_error(KeyError("it"))
                elif step == "finish":
                    exchange.finish()
                elif step == "delete":
                    delattr(exchange, deleted)
                elif step == "drop":
                    body = iter(())
                    is_sized = False
            except BaseException as raised:
                seen.append((type(raised), str(raised)))
            seen.append(learnt(exchange))
        with suppress(AttributeError):
            exchange.routed = None
            exchange.finish()
    return seen, unraisable


def begun(observer: Observer) -> Exchange:
    exchange = observer.start(request_info(Call(None).environ, frozenset()))
    assert exchange is not None
    exchange.status = 200
    return exchange


@pytest.mark.parametrize("is_sized", [False, True])
def test_a_body_that_is_dropped_in_a_cycle_ends_its_exchange(shared: Observer, is_sized: bool) -> None:
    """The garbage collector finds it, and asks it to end before it takes it apart."""
    exchange = begun(shared)
    body = read([b"a", b"b"], exchange, None, is_sized=is_sized)
    assert next(body) == b"a"
    exchange.fields = {"body": body}
    kept = exchange.fields
    gc.collect()
    assert exchange.outcome is None
    told: list[Any] = []
    exchange._recorders[0] = (("test", lambda ended: told.append((ended.outcome, ended.response_bytes))),)
    del body, exchange, kept
    gc.collect()
    assert [(outcome.value, size) for outcome, size in told] == [("client_disconnect", 1)]


@pytest.mark.parametrize("how", ["next", "close"])
@pytest.mark.parametrize("end", [list, lambda body: body.close()], ids=["read", "closed"])
def test_a_recorder_can_not_resume_the_body_that_it_ends(shared: Observer, how: str, end: Any) -> None:
    """Python says so, and does not crash."""
    errors: list[str] = []

    def record(exchange: Exchange) -> None:
        try:
            next(body) if how == "next" else body.close()
        except ValueError as error:
            errors.append(str(error))

    exchange = begun(shared)
    exchange._recorders[0] = (("test", record),)
    body: Any = read([b"a"], exchange, None)
    end(body)
    assert errors == ["generator already executing"]
    assert next(body, None) is None
    assert body.close() is None


def test_a_body_may_be_the_last_that_holds_its_exchange(shared: Observer) -> None:
    body = read([b"a"], begun(shared), None)
    assert list(body) == [b"a"]
    read((b"a",), begun(shared), None)
    sized: Any = read((b"a", b"b"), begun(shared), None, is_sized=True)
    assert (len(sized), list(sized), len(sized)) == (2, [b"a", b"b"], 2)


@pytest.mark.parametrize("name", ["outcome", "status", "info", "route", "_owner", "request_id", "started"])
def test_an_exchange_whose_fields_were_deleted_fails_as_python_does(shared: Observer, name: str) -> None:
    middleware: Any = ObservabilityMiddleware(lambda *_: [], shared, route_of=lambda environ: "/")
    exchange = begun(shared)
    response = Response(exchange, {}, Refuses(), middleware)
    body: Any = read([b"a"], exchange, None)
    delattr(exchange, name)
    for call in (lambda: response.start("200 OK", []), lambda: next(body), body.close):
        with suppress(AttributeError):
            call()
    for own in Response.__slots__:
        response = Response(begun(shared), {}, Refuses(), middleware)
        delattr(response, own)
        with suppress(AttributeError):
            response.start("200 OK", [])


# A whole request

_REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "REQUEST_METHOD": st.sampled_from(["GET", "HEAD", "BREW"]),
        "CONTENT_LENGTH": st.sampled_from(["", "0", "3", None, 0, Text("3")]),
        "HTTP_TRANSFER_ENCODING": st.just("chunked"),
        "HTTP_X_REQUEST_ID": st.just("story-1"),
        "SCRIPT_NAME": st.just("/mount"),
        "PATH_INFO": st.sampled_from(["/", "/health/live", "/é"]),
    },
)


@needs_compiled
@_MANY
@given(
    request=_REQUEST,
    pieces=_PIECES,
    kind=st.sampled_from(["list", "tuple", "stream", "known", "odd"]),
    headers=st.lists(_FIELD, max_size=3),
    at=st.none() | st.integers(0, 1),
    error=_ERRORS,
    raises=st.booleans(),
    taken=st.integers(0, 5),
    ends=st.sampled_from(["close", "drop"]),
)
def test_a_request_is_what_python_makes_of_it(shared: Observer, **case: Any) -> None:
    both(served, observer=shared, **case)


def served(
    observer: Observer,
    request: dict[str, Any],
    pieces: list[bytes],
    kind: str,
    headers: Any,
    at: int | None,
    error: BaseException,
    raises: bool,
    taken: int,
    ends: str,
) -> Any:
    """Return what server, app and recorders see of one request."""

    def app(environ: Any, start_response: Any) -> Any:
        seen.append(current_exchange() is not None)
        seen.append(environ["wsgi.input"].read())
        start_response("200 OK", headers)(b"abc" if kind == "odd" else b"")
        if raises:
            raise error
        if kind in ("stream", "known"):
            return iter(pieces)
        return tuple(pieces) if kind == "tuple" else pieces

    seen: list[Any] = []
    entries: list[Any] = []
    observed: Any = ObservabilityMiddleware(
        app, observer, pieces_of=lambda body: [*body] if kind == "known" else None
    )
    server = Refuses(at, error)
    environ = Call(None, **request).environ
    observer._ledger.drain()
    record, observer._ledger._record = observer._ledger._record, entries.extend
    try:
        body = observed(environ, server)
        seen.append(hasattr(body, "__len__"))
        for _ in range(taken):
            piece = next(body, None) if hasattr(body, "__next__") else None
            seen.append((piece, current_exchange() is None))
        if ends == "close" and hasattr(body, "close"):
            body.close()
        del body
    except BaseException as raised:
        seen.append((type(raised), str(raised)))
    seen.append("obs.exchange" in environ)
    observer._ledger.drain()
    observer._ledger._record = record
    names = ("method", "path", "route", "status", "outcome", "error_type", "request_bytes", "response_bytes")
    told = [[getattr(entry, name) for name in names] for entry in entries]
    return seen, server.calls, server.written, told, [entry.time_to_first_byte is None for entry in entries]


def test_a_server_that_starts_anew_inside_its_start_response_is_answered(shared: Observer) -> None:
    """Nothing that is held there is lost."""

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        if len(calls) < 3:
            calls.append(status)
            headers.clear()
            del response.server_start
            response.server_start = start_response
            response.start("404 Not Found", [("Content-Length", str(len(calls)))])
        return print

    calls: list[str] = []
    middleware: Any = ObservabilityMiddleware(lambda *_: [], shared)
    exchange = begun(shared)
    response = Response(exchange, {}, start_response, middleware)
    response.start("200 OK", [])
    assert calls == ["200 OK", "404 Not Found", "404 Not Found"]
    assert exchange.status == 200
    exchange.finish()
