"""The compiled way does what the Python code does, and what it hands out is a coroutine in every respect."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from obs_asgi import ObservabilityMiddleware
from obs_asgi.compiled import asgi
from obs_asgi.request import request_info
from obs_django.compiled import django
from obs_middleware import Observer, current_exchange, native
from obs_wsgi.compiled import wsgi
from tests.adapters.asgi import ask, request
from tests.installed import has_compiler
from tests.twins import TWINS, needs_compiled, take_python

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}
BODY = {"type": "http.response.body", "body": b"hello"}


def test_it_is_compiled_where_it_can_be() -> None:
    is_wanted = native._is_wanted and has_compiler()
    assert [module.is_in_use for module in (native.core, asgi, wsgi, django)] == [is_wanted] * 4


# Python and the compiled way


class Refuses:
    """A server's `send`: the message of a number is refused."""

    def __init__(self, at: int | None, error: type[Exception], *, waits: bool) -> None:
        self.at = at
        self.error = error
        self.waits = waits
        self.count = 0

    async def __call__(self, message: Any) -> None:
        if self.waits:
            await asyncio.sleep(0)
        self.count += 1
        if self.count - 1 == self.at:
            raise self.error("refused")


_NAMES = st.sampled_from(
    [b"x-a", b"X-A", b"x-request-id", b"X-Request-ID", b"x-correlation-id", b"content-length"]
)
_FIELDS = st.tuples(_NAMES, st.sampled_from([b"5", b"x", b"story-1"]))
_BYTEARRAYS = _FIELDS.map(lambda field: (bytearray(field[0]), bytearray(field[1])))
_HEADERS = (
    st.lists(_FIELDS, max_size=4)
    | st.lists(_FIELDS.map(list), max_size=2)
    | st.lists(_BYTEARRAYS, max_size=2)
    | st.lists(_FIELDS, max_size=3).map(tuple)
)
_STARTS = st.fixed_dictionaries(
    {
        "type": st.just("http.response.start"),
        "status": st.sampled_from([200, 204, 304, 404, 500, HTTPStatus.CREATED]),
    },
    optional={"headers": _HEADERS, "trailers": st.booleans()},
)
_BODIES = st.fixed_dictionaries(
    {"type": st.just("http.response.body")},
    optional={
        "body": st.sampled_from([b"", b"hello", bytearray(b"hello"), memoryview(b"hello")]),
        "more_body": st.sampled_from([True, False, 0, 1]),
    },
)
_OTHERS = st.sampled_from(
    [
        {"type": "http.response.pathsend", "path": "/tmp/x"},
        {"type": "http.response.trailers", "headers": [], "more_trailers": False},
        {"type": "http.response.debug", "info": {}},
    ]
)
_ENDS = st.sampled_from([None, KeyError("it"), OSError("gone"), asyncio.CancelledError()])


@needs_compiled
@settings(max_examples=3 * settings().max_examples, suppress_health_check=list(HealthCheck))
@given(
    messages=st.tuples(_STARTS, st.lists(_BODIES | _OTHERS, max_size=4)).map(lambda both: [both[0], *both[1]])
    | st.lists(_STARTS | _BODIES | _OTHERS, max_size=4),
    end=_ENDS,
    at=st.none() | st.integers(0, 3),
    error=st.sampled_from([OSError, ValueError]),
    waits=st.booleans(),
    method=st.sampled_from(["GET", "HEAD", "BREW"]),
    headers=st.lists(_FIELDS, max_size=3),
)
def test_a_response_is_what_python_makes_of_it(**case: Any) -> None:
    compiled = seen(**case)
    with pytest.MonkeyPatch.context() as patch:
        take_python(patch)
        assert seen(**case) == compiled


def seen(
    messages: list[Any],
    end: BaseException | None,
    at: int | None,
    error: type[Exception],
    waits: bool,
    method: str,
    headers: list[tuple[bytes, bytes]],
) -> Any:
    """Return what server, app and recorders see of one request, without what is new each time."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/":
            return
        outcomes.append(current_exchange() is not None)
        for message in messages:
            try:
                await send(dict(message))
            finally:
                outcomes.append(current_exchange() is not None)
        if end is not None:
            raise end

    outcomes: list[Any] = []
    entries: list[Any] = []
    observer = Observer(registry=CollectorRegistry(), log_setup=False)
    observed: Any = ObservabilityMiddleware(app, observer=observer)
    observer._ledger._record = entries.extend

    async def serve() -> None:
        await ask(observed, "/first")
        send = Refuses(at, error, waits=waits)
        try:
            answer = await ask(observed, "/", send=send, method=method, headers=headers)
        except asyncio.CancelledError as cancelled:
            outcomes.append(cancelled)
        else:
            outcomes.extend(
                (type(answer.error), str(answer.error), [plain(message) for message in answer.messages])
            )

    try:
        asyncio.run(serve())
    except asyncio.CancelledError as cancelled:
        outcomes.append(type(cancelled))
    observer.close()
    (entry,) = (entry for entry in entries if entry.path == "/")
    told = {
        name: getattr(entry, name)
        for name in (
            "method",
            "route",
            "status",
            "outcome",
            "error_type",
            "request_bytes",
            "response_bytes",
            "client",
        )
    }
    return [str(outcome) for outcome in outcomes], told, entry.time_to_first_byte is None


def plain(message: Any) -> Any:
    """Return a message with marks for IDs that are new each time."""
    given = message.get("headers")
    if given is None:
        return message
    marked = [(bytes(name), b"*" if len(value) > 20 else bytes(value)) for name, value in given]
    return {**message, "headers": marked}


_RAW = st.lists(
    st.tuples(
        st.sampled_from([b"host", b"user-agent", b"traceparent", b"baggage", b"x-request-id", b"accept"]),
        st.binary(max_size=8),
    ),
    max_size=6,
)
_MARKS = frozenset((b"traceparent", b"baggage", b"x-request-id", b"x-correlation-id"))


@needs_compiled
@given(
    raw=_RAW | _RAW.map(tuple) | st.lists(st.tuples(st.just(b"host"), st.just(b"a")).map(list), max_size=3),
    scope=st.fixed_dictionaries(
        {
            "type": st.sampled_from(["http", "websocket"]),
            "method": st.sampled_from(["GET", "get", "BREW"]),
            "path": st.text(max_size=5),
        },
        optional={
            "query_string": st.binary(max_size=5),
            "scheme": st.sampled_from(["http", "https", "ws", "", None]),
            "client": st.sampled_from([None, ("10.0.0.1", 5), ["10.0.0.1", 5], ["/run/x", None], []]),
            "http_version": st.sampled_from(["1.1", "2"]),
        },
    ),
)
def test_a_request_is_what_python_makes_of_it(raw: Any, scope: dict[str, Any]) -> None:
    def told(info: Any) -> Any:
        fields = {name: getattr(info, name) for name in info.__struct_fields__ if name != "header"}
        return fields, [info.header(name) for name in ("host", "user-agent", "baggage", "x", "é")]

    python: Any = request_info
    scope = scope | {"headers": raw}
    assert told(request_info(scope, _MARKS)) == told(python.__wrapped__(scope, _MARKS))


# What is handed out is a coroutine


@pytest.fixture
def observer() -> Iterator[Observer]:
    made = Observer(registry=CollectorRegistry(), log_setup=False)
    yield made
    made.close()


class Running:
    """An observed app that has served one request, so that the next ones take the usual way."""

    def __init__(self, observer: Observer, app: Any) -> None:
        self.middleware: Any = ObservabilityMiddleware(app, observer=observer)
        self.entries: list[Any] = []
        observer._ledger._record = self.entries.extend
        asyncio.run(ask(self.middleware, "/first"))
        self._observer = observer

    def __call__(self, send: Any = None) -> Any:
        """Return the coroutine of one more request."""

        async def receive() -> Any:
            await asyncio.Event().wait()

        return self.middleware(request("/"), receive, send or taken)

    @property
    def outcome(self) -> str:
        """How that request ended."""
        self._observer._ledger.drain()
        (entry,) = (entry for entry in self.entries if entry.path == "/")
        return str(entry.outcome)


async def taken(message: Any) -> None:
    """Take a message as a server does that does not wait."""


async def answers(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(BODY)


async def waits(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/":
        await send(START)
        await asyncio.sleep(30)


def test_a_server_takes_it_for_a_coroutine_function(observer: Observer) -> None:
    """uvicorn and others tell ASGI 3 by that."""
    running = Running(observer, answers)
    assert inspect.iscoroutinefunction(running.middleware.__call__)
    assert list(inspect.signature(running.middleware.__call__).parameters) == ["scope", "receive", "send"]


def test_it_can_be_a_task(observer: Observer) -> None:
    running = Running(observer, answers)

    async def serve() -> None:
        await asyncio.create_task(running())
        await asyncio.wait_for(running(), 5)

    asyncio.run(serve())
    assert {entry.outcome for entry in running.entries} <= {"ok"}


def test_so_can_a_message_be(observer: Observer) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.create_task(send(START))
        await asyncio.gather(send(BODY))

    running = Running(observer, app)
    asyncio.run(running())
    assert running.outcome == "ok"


def test_a_task_that_is_cancelled_ends_cancelled(observer: Observer) -> None:
    running = Running(observer, waits)

    async def serve() -> None:
        task = asyncio.create_task(running())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(serve())
    assert running.outcome == "cancelled"


def test_an_app_that_takes_the_cancellation_goes_on(observer: Observer) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        try:
            await asyncio.sleep(30 if scope["path"] == "/" else 0)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        await send(BODY)

    running = Running(observer, app)

    async def serve() -> None:
        task = asyncio.create_task(running())
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    asyncio.run(serve())
    assert running.outcome == "ok"


@pytest.mark.parametrize("how", ["close", "drop"])
def test_one_that_is_closed_or_dropped_ends_cancelled(how: str, observer: Observer) -> None:
    running = Running(observer, waits)

    async def serve() -> None:
        coroutine = running()
        coroutine.send(None)
        if how == "close":
            coroutine.close()
        del coroutine
        gc.collect()
        assert current_exchange() is None

    asyncio.run(serve())
    assert running.outcome == "cancelled"


def test_what_is_thrown_in_arrives(observer: Observer) -> None:
    caught = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/":
            return
        try:
            await asyncio.sleep(30)
        except KeyError as error:
            caught.append(error)
            raise

    running = Running(observer, app)

    async def serve() -> None:
        coroutine, error = running(), KeyError("it")
        coroutine.send(None)
        with pytest.raises(KeyError) as raised:
            coroutine.throw(error)
        assert raised.value is error

    asyncio.run(serve())
    assert len(caught) == 1
    assert running.outcome == "error"


def test_an_exception_keeps_its_traceback_and_leaves_no_cycle(observer: Observer) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/":
            raise KeyError("it")

    running = Running(observer, app)
    with pytest.raises(KeyError) as raised:
        asyncio.run(running())
    assert raised.traceback[-1].name == "app"
    assert raised.value.__context__ is None
    assert running.outcome == "error"


@pytest.mark.parametrize("what", ["app", "message"])
def test_one_that_was_awaited_can_not_be_again(what: str, observer: Observer) -> None:
    kept: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kept.append(send(START))
        await kept[-1]
        await send(BODY)

    running = Running(observer, app)
    kept.append(running())
    again = kept[-1]
    asyncio.run(_await(again))
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        asyncio.run(_await(again if what == "app" else kept[-1]))


async def _await(awaitable: Any) -> None:
    await awaitable


def test_one_that_is_never_awaited_says_so(observer: Observer) -> None:
    running = Running(observer, answers)
    coroutine = running()
    with pytest.warns(RuntimeWarning, match="was never awaited"):
        del coroutine


def test_a_message_that_is_never_awaited_says_so(observer: Observer) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/":
            send(START)
            gc.collect()

    running = Running(observer, app)
    with pytest.warns(RuntimeWarning, match="was never awaited"):
        asyncio.run(running())


@needs_compiled
def test_nothing_is_compiled_that_can_not_be_compared() -> None:
    """A function that is compiled and not in the list would never be asked as Python."""
    found = {name for owner, name in TWINS if hasattr(vars(owner)[name], "__wrapped__")}
    assert found == {name for _, name in TWINS}


# What the server hands in may be anything


class Bare:
    """What some servers return: an awaitable with no `throw`, `send` or `close`."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> None:
        if self.times == 0:
            raise StopIteration
        self.times -= 1


def test_a_cancellation_while_a_server_that_is_no_python_sends_arrives(observer: Observer) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(START)
        except asyncio.CancelledError as error:
            seen.append(type(error))
            raise

    def send(message: Any) -> Any:
        return Bare(10**9)

    running = Running(observer, app)

    async def serve() -> None:
        task = asyncio.create_task(running(send))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    seen.clear()
    asyncio.run(serve())
    assert seen == [asyncio.CancelledError]
    assert running.outcome == "cancelled"


@pytest.mark.parametrize("what", ["close", "send", "throw"])
def test_a_message_that_is_under_way_can_not_be_resumed(what: str, observer: Observer) -> None:
    """By what waits for it: Python says so, and does not crash."""
    kept: list[Any] = []
    errors: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kept.append(send(START))
        await kept[-1]
        await send(BODY)

    async def send(message: Any) -> None:
        given = {"close": (), "send": (None,), "throw": (KeyError("it"),)}[what]
        if message["type"] != START["type"]:
            return
        try:
            getattr(kept[-1], what)(*given)
        except ValueError as error:
            errors.append(str(error))

    running = Running(observer, app)
    asyncio.run(running(send))
    assert "coroutine already executing" in errors
    assert running.outcome == "ok"


@pytest.mark.parametrize(
    "scope",
    [{"scheme": ""}, {"scheme": type("Scheme", (str,), {})("http")}, {"query_string": bytearray(b"a=b")}],
    ids=["no scheme", "a class of str", "a bytearray"],
)
def test_an_unusual_scope_is_served(scope: dict[str, Any], observer: Observer) -> None:
    running = Running(observer, answers)
    answer = asyncio.run(ask(running.middleware, "/", **scope))
    assert (answer.status, answer.error) == (200, None)


def test_a_status_that_is_none_reaches_the_server(observer: Observer) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "status": 10**30 if scope["path"] == "/" else 200})
        await send(BODY)

    running = Running(observer, app)
    answer = asyncio.run(ask(running.middleware, "/"))
    assert (answer.status, answer.error) == (10**30, None)


def test_headers_are_those_that_the_request_came_with(observer: Observer) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["headers"][:] = [(b"user-agent", b"changed")]
        await answers(scope, receive, send)

    running = Running(observer, app)
    asyncio.run(ask(running.middleware, "/", headers=[(b"user-agent", b"curl")]))
    observer._ledger.drain()
    assert [entry.user_agent for entry in running.entries if entry.path == "/"] == ["curl"]


def test_an_exchange_whose_fields_were_deleted_fails_as_python_does(observer: Observer) -> None:
    for name in ("outcome", "status", "_before", "_recorders", "info"):
        exchange = observer.start(request_info(request("/"), frozenset()))
        assert exchange is not None
        delattr(exchange, name)
        for call in (exchange.finish, exchange.leave, exchange.entry):
            with suppress(AttributeError):
                call()


def test_what_is_sent_to_a_client_that_has_gone_is_no_answer(observer: Observer) -> None:
    """Servers take it, and drop it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/":
            await receive()
            assert (await receive())["type"] == "http.disconnect"
        await answers(scope, receive, send)

    running = Running(observer, app)
    asyncio.run(ask(running.middleware, "/", incoming=[{"type": "http.disconnect"}]))
    assert running.outcome == "client_disconnect"
