"""The C functions do what the Python functions do: the same calls give the same results, state and exceptions."""

from __future__ import annotations

import contextvars
import copy
import math
import pickle
import sys
from collections.abc import Iterator
from operator import length_hint
from types import CodeType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from prometheus_client import CollectorRegistry

from obs_middleware import RequestInfo, RequestRecord, Settings, _speedups, current_exchange, request_id
from obs_middleware.environ import request_info, variables_of
from obs_middleware.exchange import Exchange
from obs_middleware.headers import header_values
from obs_middleware.logs import JsonFormatter
from obs_middleware.logs.access_line import AccessLine
from obs_middleware.metrics.http import HttpMetrics
from obs_middleware.metrics.plan import Plan
from obs_middleware.queue import RecordQueue, flush
from obs_middleware.redaction import Redactor
from obs_middleware.scope import request_info as scope_request_info
from tests.core.support import observer, request, started
from tests.native.both import both, functions, needs_compiled, said

_IDS = "4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7"


class Text(str):
    """A str that is not exactly one."""


class Number(int):
    """An int that is not exactly one."""


class Raises:
    """What can't be hashed, compared or measured."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ValueError("eq")

    def __float__(self) -> float:
        raise ValueError("float")


_ODD = st.sampled_from(
    [None, True, 1.5, -1, 2**70, 10**400, "é", "\ud800", b"x", ["x"], Text("/a"), Number(200)]
) | st.builds(Raises)
_SIZES = st.sampled_from([0, 1, 100, 101, 10**7, 10**9, 2**53, 2**53 + 1, 2**70])
_SECONDS = st.sampled_from(
    [0.0, -0.0, 0.005, 0.0123, 0.0005, 0.0015, 0.075, 10.0, 99.0, 1e9, -1.0]
) | st.floats(0, 1e6)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "active_key": st.sampled_from(["GET http", "POST https", "GET gopher", None]),
    "method": st.sampled_from(["GET", "POST", "_OTHER", 'A"B']),
    "path": st.sampled_from(["/", "/é", "/a?token=hunter22", "x" * 300, "x" * 5000]) | st.text(max_size=5),
    "route": st.sampled_from([None, "", "/a", "/é"]),
    "status": st.sampled_from([None, 101, 200, 404, 500, 10**30]),
    "outcome": st.sampled_from(["ok", "client_disconnect"]),
    "error_type": st.sampled_from(["", "KeyError"]),
    "duration": _SECONDS,
    "time_to_first_byte": st.none() | _SECONDS,
    "request_bytes": _SIZES,
    "response_bytes": _SIZES,
    "request_id": st.sampled_from(["0190c0de-0000-7000-8000-000000000000", "a/b:c"]),
    "correlation_id": st.just("b"),
    "ids": st.sampled_from(["", _IDS]),
    "is_sampled": st.booleans(),
    "client": st.sampled_from([None, "192.0.2.1", "é"]),
    "user_agent": st.sampled_from([None, "curl/8", "é" * 300]) | st.text(max_size=5),
    "ended": st.sampled_from([0.0, 951782400.0, 1.5, 1_769_860_800.1234565, 4e9, 2.5e11])
    | st.floats(0, 2e11),
    "is_logged": st.just(False),
}
_REDACTOR = Redactor()
_FORMATTERS = [
    JsonFormatter(settings=Settings(service_name="café"), is_ascii=is_ascii) for is_ascii in (False, True)
]
_COMMON = st.builds(RequestRecord, **_FIELDS)


@st.composite
def _records(draw: Any) -> RequestRecord:
    """Return a record, one in four with a field that is of another type."""
    record = draw(_COMMON)
    if draw(st.integers(0, 3)):
        return record
    values = {name: getattr(record, name) for name in RequestRecord.__struct_fields__}
    values[draw(st.sampled_from([*values]))] = draw(_ODD)
    return RequestRecord(**values)


def handed_over(take: Any, records: list[RequestRecord]) -> list[Any]:
    """Hand records to a sink as the queue does, and return the exceptions."""
    errors = []
    left = iter(records)
    while length_hint(left):
        try:
            take(left)
        except Exception as error:
            errors.append((type(error), str(error)))
    return errors


@needs_compiled
@given(st.lists(_records(), max_size=8), st.booleans())
def test_records_are_measured_as_python_does(records: list[RequestRecord], has_native: bool) -> None:
    settings = Settings(metrics_buckets=(0.005, 0.075, 10.0), native_histograms=has_native)

    def counted() -> Any:
        registry = CollectorRegistry()
        metrics = HttpMetrics(registry, Plan(settings), max_series=4)
        for record in records:
            if type(record.active_key) is str:
                metrics.begin(record.active_key)
        errors = handed_over(metrics.record, records + records)  # rows are there from the second time on
        own = metrics.instruments
        exemplars = [own.table.exemplars(row) for row in range(len(own.table))]
        packed = [(one._places, bytes(one._packed)) for one in exemplars if one is not None]
        return repr((errors, own.active, own.table.row_of, own.table.counts, own.table.sums, packed))

    compiled, python = both(counted)
    assert compiled == python


@needs_compiled
def test_native_histograms_are_counted_without_python() -> None:
    metrics = HttpMetrics(CollectorRegistry(), Plan(Settings(native_histograms=True)), max_series=4)
    record = _record()
    metrics.record(iter([record]))  # Python adds the row
    called = []
    sys.setprofile(lambda frame, event, function: called.append(getattr(function, "__name__", "")))
    try:
        metrics.record(iter([record]))
    finally:
        sys.setprofile(None)
    assert "bisect_left" not in called
    assert sum(metrics.instruments.table.counts) == 2 * 3  # without a first byte


@needs_compiled
@given(st.lists(_records(), max_size=8), st.booleans())
def test_lines_are_the_same_bytes(records: list[RequestRecord], is_ascii: bool) -> None:
    def lines() -> Any:
        line = AccessLine(_FORMATTERS[is_ascii], _REDACTOR, "INFO")
        return [_without_moment(said(line.line, record)) for record in records]

    compiled, python = both(lines)
    assert compiled == python


def _without_moment(line: Any) -> Any:
    """Return a line, without the time at which it could not be formatted."""
    return line[38:] if b"can't be formatted" in line else line


@needs_compiled
@given(st.floats(0, 2.5e11), st.floats(0, 1e7))
def test_moments_and_times_are_spelled_as_python_does(moment: float, seconds: float) -> None:
    line = AccessLine(_FORMATTERS[0], _REDACTOR, "INFO")
    fields: dict[str, Any] = {
        **dict.fromkeys(RequestRecord.__struct_fields__, "a"),
        "status": 200,
        "request_bytes": 1,
        "response_bytes": 1,
    }
    record = RequestRecord(
        **{**fields, "ids": "", "ended": moment, "duration": seconds, "time_to_first_byte": seconds}
    )
    function: Any = AccessLine.line
    assert function(line, record) == function.__wrapped__(line, record)


def _halves() -> list[float]:
    """Return seconds that lie, as decimal fractions, halfway between two thousandths of a millisecond.

    Most of them are no double, and fall short of it or go beyond it; a product of such a one is halfway again.
    """
    steps = [*range(3000), *range(10**7, 10**7 + 500), *range(10**11, 10**11 + 500)]
    return [neighbour for step in steps for neighbour in _around((2 * step + 1) / 2e6)]


def _around(seconds: float) -> tuple[float, ...]:
    return math.nextafter(seconds, 0.0), seconds, math.nextafter(seconds, math.inf)


@needs_compiled
def test_times_halfway_between_two_spellings_are_rounded_as_python_does() -> None:
    line = AccessLine(_FORMATTERS[0], _REDACTOR, "INFO")
    function: Any = AccessLine.line
    ordinary = _record()
    up = down = 0
    for seconds in _halves():
        record = msgspec.structs.replace(ordinary, duration=seconds, time_to_first_byte=seconds)
        assert function(line, record) == function.__wrapped__(line, record)
        # What rounding the product to the nearest would make of it.
        wrong_by = round(seconds * 1e3 * 1e3) - round(float(f"{seconds * 1e3:.3f}") * 1e3)
        up += wrong_by > 0
        down += wrong_by < 0
    assert min(up, down) > 100, "no such times were among them"


_LEARNT = st.fixed_dictionaries(
    {"status": st.sampled_from([None, 200, 404, 500, Number(200), 10**30, "200"])},
    optional={
        "route": st.sampled_from(["/a", Text("/a")]),
        "error": st.just(KeyError("it")),
        "is_client_gone": st.just(True),
        "response_bytes": st.sampled_from([5, 2**70]),
        "started_ns": st.sampled_from([1, 10**400, 1.5]),
        "fields": st.just({"a": 1}),
        "carrier": st.sampled_from([{"obs.exchange": 1}, {}]),
        "context": st.none(),
    },
)


@needs_compiled
@given(
    method=st.sampled_from(["GET", "BREW", "é", Text("GET")]),
    scheme=st.sampled_from(["http", "gopher", "é"]),
    peer=st.sampled_from([None, (), ("10.0.0.1", 5), ("/run/x", None), ["10.0.0.1", 5]]),
    agent=st.sampled_from([None, "curl", "é"]),
    has_context_headers=st.booleans(),
    is_enabled=st.booleans(),
    learnt=_LEARNT,
    finish=st.sampled_from([{}, {"is_complete": True}, {"is_complete": False}]),
    is_elsewhere=st.booleans(),
)
def test_an_exchange_is_what_python_makes_of_it(**case: Any) -> None:
    compiled, python = both(lambda: ended(**copy.deepcopy(case)))
    assert compiled == python


def ended(
    method: str,
    scheme: str,
    peer: Any,
    agent: str | None,
    has_context_headers: bool,
    is_enabled: bool,
    learnt: dict[str, Any],
    finish: dict[str, bool],
    is_elsewhere: bool,
) -> Any:
    """Return what an exchange leaves, without what is new each time."""
    own = observer(tracing_enabled=is_enabled, log_setup=False)
    records: list[Any] = []
    own.gateway._queue._sinks = (("test", records.extend),)
    headers = {"user-agent": agent} if agent else {}
    info = RequestInfo(method, "/a", "", scheme, headers.get, peer, "1.1", has_context_headers)
    seen: list[Any] = []
    for _ in range(2):  # the propagator is known from the second on
        exchange = started(own, info)
        with exchange:
            seen.append(current_exchange() is exchange)
            seen += [exchange.leave(), current_exchange() is None, exchange.leave()]
            exchange.__enter__()
            for name, value in learnt.items():
                setattr(exchange, name, value)
        seen += [current_exchange() is None, type(exchange.context).__name__]
        exchange.__enter__()
        if is_elsewhere:  # its tokens are good in the other context alone
            seen.append(contextvars.Context().run(said, exchange.__exit__))
        seen.append(said(exchange.__exit__, None, None, None))
        seen += [said(exchange.finish, **finish), said(exchange.finish)]
        seen += [exchange.outcome, exchange.error_type, exchange.error, exchange.routed, exchange.carrier]
        seen += [exchange.active_key, exchange.is_span_ours, exchange.method, exchange.is_finished]
        seen += [len(exchange.ids), exchange.is_sampled, exchange.request_id == exchange.correlation_id]
        seen.append(said(lambda: isinstance(exchange.record(), RequestRecord)))  # noqa: B023
        span: Any = exchange.span
        assert f"{span.get_span_context().trace_id:032x}" == exchange.trace_id
        assert f"{span.get_span_context().span_id:016x}" == exchange.span_id
        assert exchange.duration > 0
    flush()
    new = ("request_id", "correlation_id", "ids", "duration", "ended")
    for record in records:
        seen.append([getattr(record, name) for name in RequestRecord.__struct_fields__ if name not in new])
        seen.append(len(str(record.ids)))
    errors = own.gateway._metrics.instruments.internal_errors.collect()
    seen += [
        (sample.labels, sample.value)
        for family in errors
        for sample in family.samples
        if "created" not in sample.name
    ]
    return repr(seen)


@needs_compiled
def test_contexts_of_the_app_are_kept_across_the_body() -> None:
    """What the app has attached when the exchange is left is there when it is entered again."""
    from opentelemetry import context as otel_context

    def contexts() -> Any:
        exchange = started(observer(log_setup=False))
        with exchange:
            otel_context.attach(otel_context.set_value("a", 1, Context()))
        outside = otel_context.get_value("a")
        with exchange:
            inside = otel_context.get_value("a")
        exchange.finish()
        return outside, inside, exchange._before

    compiled, python = both(contexts)
    assert compiled == python == (None, 1, None)


_VARIABLES = (
    *(
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "REMOTE_ADDR",
        "REMOTE_PORT",
        "SERVER_PROTOCOL",
    ),
    *("wsgi.url_scheme", "HTTP_USER_AGENT", "HTTP_TRACEPARENT", "CONTENT_TYPE"),
)
_TEXTS = st.sampled_from(
    [
        "",
        "/a",
        "é",
        "5",
        "0",
        "51000",
        "GET",
        "10.0.0.1",
        "HTTP/1.1",
        "HTTP/",
        "https",
        "٣",
        "123456789",
        Text("x"),
    ]
)
_CONTEXT_HEADERS = variables_of(["x-request-id", "x-correlation-id", "traceparent", "baggage"])


@needs_compiled
@given(
    variables=st.dictionaries(
        st.sampled_from(_VARIABLES), _TEXTS | st.none() | st.sampled_from([8000, 0, -1, 2**70])
    ),
    better=st.lists(st.none() | _TEXTS, max_size=4),
)
def test_variables_say_what_they_say_to_python(variables: dict[str, Any], better: list[Any]) -> None:
    def info_of(make: Any) -> Any:
        info = make(variables, _CONTEXT_HEADERS, *better)
        fields = [getattr(info, name) for name in RequestInfo.__struct_fields__ if name != "header"]
        return fields, [info.header(name) for name in ("user-agent", "content-type", "host")]

    function: Any = request_info
    assert said(info_of, function) == said(info_of, function.__wrapped__)


_PAIRS = st.sampled_from(
    [
        (b"user-agent", b"curl"),
        (b"host", b"\xe9"),
        (b"traceparent", b"x"),
        [b"a", b"b"],
        (b"a",),
        ("a", "b"),
        (b"b", b""),
    ]
)
_SCOPES = st.fixed_dictionaries(
    {"type": st.sampled_from(["http", "websocket", "other", Text("http"), None])},
    optional={
        "headers": st.lists(_PAIRS, max_size=4) | st.lists(_PAIRS, max_size=4).map(tuple) | st.none(),
        "method": _TEXTS | st.none(),
        "path": _TEXTS | st.none(),
        "query_string": st.sampled_from([b"", b"a=\xff", None, "text", bytearray(b"a")]),
        "scheme": _TEXTS | st.none(),
        "client": st.sampled_from([None, (), [], ("::1", 5), ["::1", 5], "ab", 5]),
        "http_version": _TEXTS | st.none(),
    },
)


@needs_compiled
@given(_SCOPES)
def test_scopes_say_what_they_say_to_python(scope: dict[str, Any]) -> None:
    def info_of(make: Any) -> Any:
        info = make(scope, (b"traceparent", b"x-request-id"))
        fields = [getattr(info, name) for name in RequestInfo.__struct_fields__ if name != "header"]
        return fields, [info.header(name) for name in ("user-agent", "host", "a", "x")]

    function: Any = scope_request_info
    assert said(info_of, function) == said(info_of, function.__wrapped__)


@needs_compiled
@given(st.sampled_from(["curl", "é", Text("x"), None, 5]) | st.just(b"curl"), st.booleans())
def test_a_record_has_the_user_agent_that_python_finds(agent: Any, is_scope: bool) -> None:
    def found() -> Any:
        own = observer(log_setup=False)
        if is_scope:
            fields = [(b"user-agent", agent)] if isinstance(agent, bytes) else []
            info = scope_request_info(
                {"type": "http", "method": "GET", "path": "/", "headers": fields, "http_version": "1.1"}, ()
            )
        else:
            info = request_info({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_USER_AGENT": agent}, ())
        exchange = started(own, info)
        exchange.status = 200
        exchange.finish()
        return exchange.record().user_agent

    compiled, python = both(found)
    assert compiled == python
    assert type(compiled) is type(python)


_HEADER_NAMES = st.sampled_from(
    [
        *("X-Id", "x-id", "X-ID", "content-length", "é", "x-İd", Text("x-id"), "", None, 5),
        *(b"X-Id", b"x-id", b"content-length", b"\xe9", bytearray(b"X-Id"), memoryview(b"x-id"), b"[-id"),
    ]
)
_HEADERS = st.tuples(_HEADER_NAMES, st.sampled_from(["1", b"2", None])) | st.sampled_from(
    [(), ("x-id",), ["x-id", "3"], [b"x-id", b"4"], None, "ab"]
)


@needs_compiled
@given(
    st.lists(_HEADERS, max_size=4) | st.lists(_HEADERS, max_size=4).map(tuple) | st.none(),
    st.sampled_from(
        [
            ("x-id", "content-length"),
            (b"x-id", b"y", b"content-length"),
            ("x-id", b"x-id"),
            ("é",),
            (),
            ["x-id"],
        ]
    )
    | st.just(("x-id",) * 5),
)
def test_headers_have_the_values_that_python_finds(headers: Any, names: Any) -> None:
    function: Any = header_values
    assert said(function, headers, names) == said(function.__wrapped__, headers, names)


@needs_compiled
@given(st.integers(-1, 2**64) | st.just(10**30))
def test_ids_are_made_of_the_same_digits(now_ns: int) -> None:
    source, digits = request_id.IdSource(), "0123456789abcdef" * 3 + "fedcba987654"
    function: Any = request_id.IdSource.draw
    source._drawn = [digits, digits]
    assert said(function, source, now_ns) == said(function.__wrapped__, source, now_ns)
    assert len(source._drawn) == 0


@needs_compiled
def test_a_record_is_taken_in_as_python_does() -> None:
    def queued(count: int, is_asleep: bool) -> Any:
        taken: list[int] = []
        reported: list[str] = []
        queue = RecordQueue(
            [("test", lambda records: taken.append(len([*records])))],
            lambda _: None,
            lambda *e: reported.append(str(e)),
        )
        worker = queue.flusher.worker
        flush()
        before, worker.is_asleep = worker.is_asleep, is_asleep
        for _ in range(count):
            queue.add(_record())
        is_seen = (
            queue in queue.flusher.queues or not queue._waiting
        )  # the background thread may have been there
        flush()
        worker.is_asleep = before
        return sum(taken), is_seen, reported

    for count in (1, 63, 64, 200):
        compiled, python = both(lambda count=count: queued(count, False))  # type: ignore[misc]
        assert compiled == python
        assert compiled == (count, True, [])


def _record() -> RequestRecord:
    exchange = started(observer(log_setup=False, access_log=False))
    exchange.status = 200
    exchange.finish()
    return exchange.record()


@needs_compiled
def test_the_common_request_takes_the_c_functions_alone() -> None:
    slow = {function.__wrapped__.__code__: function.__qualname__ for _, _, function in functions()}
    seen: list[str] = []
    own = observer(log_setup=False)
    info = request_info(
        {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "::1", "REMOTE_PORT": "5"},
        _CONTEXT_HEADERS,
    )

    def note(frame: Any, event: str, _: object) -> None:
        code: CodeType = frame.f_code
        if event == "call" and code in slow:
            seen.append(slow[code])

    def serve() -> None:
        request_info({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, _CONTEXT_HEADERS)
        header_values([("Content-Length", "1")], ("x-request-id", "content-length"))
        exchange = started(own, info)
        with exchange:
            exchange.status, exchange.route, exchange.time_to_first_byte = 200, "/a", 0.001
            exchange.leave()
            exchange.__enter__()
        exchange.finish()
        line.line(exchange.record())

    line = AccessLine(_FORMATTERS[0], _REDACTOR, "INFO")
    own.gateway._spans._is_enabled = False  # no trace is kept
    own.gateway._access_log.may_wait = True  # type: ignore[union-attr]
    for _ in range(64):  # rows, texts and the propagator are known after these
        serve()
    flush()
    own.gateway._ids = request_id.IdSource()
    own.gateway._ids._drawn.extend(["0" * 60] * 100)
    own.gateway._access_log.may_wait = True  # type: ignore[union-attr]
    sys.setprofile(note)
    try:
        for _ in range(3):
            serve()
        flush()
    finally:
        sys.setprofile(None)
    assert seen == []


@needs_compiled
def test_a_fast_function_passes_for_a_function() -> None:
    for owner, name, function in functions():
        assert function.__name__ == name
        assert function.__doc__ == function.__wrapped__.__doc__
        assert copy.copy(function) is function
        if owner is not request_id:
            assert pickle.loads(pickle.dumps(function)) is function
    assert Exchange.finish.__get__(None, Exchange) is Exchange.finish


def test_what_a_subclass_says_of_an_attribute_holds() -> None:
    """Only what is of just the class that has shared its layout is read at the places of its fields."""
    from obs_middleware.gateway import Gateway

    own = observer(log_setup=False).gateway

    class Own(Gateway):
        @property
        def _methods(self) -> frozenset[str]:  # type: ignore[override]
            return frozenset({"POST"})

    own.__class__ = Own
    for _ in range(2):  # the propagator is known from the second on
        exchange = own.start(request())
        assert exchange is not None
        exchange.finish()
        assert exchange.method == "_OTHER"


@pytest.fixture(autouse=True)
def _flushed() -> Iterator[None]:
    yield
    flush()


def test_paths_say_what_is_on() -> None:
    paths = _speedups.paths()
    assert {"exchange", "gateway", "http", "access_line", "environ", "context_variable"} <= set(paths)
    compiled = {
        name for name, _ in _speedups.functions
    }  # the others are what tests before this one have noted
    assert all(paths[name] for name in compiled) == _speedups.is_in_use()
