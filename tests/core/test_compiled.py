"""The compiled core does what the Python code does."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from obs_middleware import Observer, RequestInfo, Settings, current_exchange, native, request_id
from obs_middleware.cgi import request_info, variables_of
from obs_middleware.ledger import Entry
from obs_middleware.metrics.http import HttpMetrics
from tests.core.support import UUID7, observer, request
from tests.twins import needs_compiled, take_python

_IDS = "4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7"
_SIZES = st.sampled_from([0, 1, 100, 101, 10**7, 10**9, 2**70])
_ENTRIES = st.builds(
    Entry,
    begun=st.sampled_from(["GET http", "POST https", "GET gopher", None]),
    method=st.sampled_from(["GET", "POST", "_OTHER"]),
    path=st.just("/"),
    route=st.sampled_from([None, "", "/a", "/é"]),
    status=st.sampled_from([None, 101, 200, 404, 500]),
    outcome=st.just("ok"),
    error_type=st.sampled_from(["", "KeyError"]),
    duration=st.sampled_from([0.0, 0.005, 0.1, 99.0]),
    time_to_first_byte=st.sampled_from([None, 0.0, 0.075, 10.0]),
    request_bytes=_SIZES,
    response_bytes=_SIZES,
    request_id=st.just("a"),
    correlation_id=st.just("b"),
    ids=st.just(_IDS),
    is_sampled=st.booleans(),
    client=st.none(),
    user_agent=st.none(),
    ended=st.just(1.5),
    is_measured=st.booleans(),
)


def fails(component: str, error: Exception) -> None:
    raise AssertionError(f"{component}: {error!r}")


@needs_compiled
@given(st.lists(_ENTRIES, max_size=12))
def test_entries_are_recorded_as_python_does(entries: list[Entry]) -> None:
    def page(record: Any) -> list[bytes]:
        registry = CollectorRegistry()
        metrics = HttpMetrics(registry, buckets=(0.005, 0.075, 10.0), max_series=4)
        copies = [Entry(*(getattr(entry, name) for name in Entry.__struct_fields__)) for entry in entries]
        for entry in entries:
            if entry.begun is not None:
                metrics.begin(entry.begun)
        record(metrics, copies, fails)
        assert all(entry.is_measured for entry in copies)
        return [line for line in generate_latest(registry).splitlines() if b"_created" not in line]

    compiled: Any = HttpMetrics.record
    assert page(compiled) == page(compiled.__wrapped__)


@needs_compiled
@given(
    method=st.sampled_from(["GET", "BREW"]),
    scheme=st.sampled_from(["http", "gopher"]),
    peer=st.sampled_from([None, ("10.0.0.1", 5), ("/run/x", None)]),
    agent=st.sampled_from([None, "curl", "é"]),
    is_marked=st.booleans(),
    ratio=st.sampled_from([0.0, 1.0]),
    learned=st.fixed_dictionaries(
        {"status": st.sampled_from([None, 200, 404, 500])},
        optional={
            "route": st.sampled_from(["/a"]),
            "error": st.just(KeyError("it")),
            "is_client_gone": st.just(True),
            "response_bytes": st.just(5),
        },
    ),
    is_complete=st.booleans(),
)
def test_an_exchange_is_what_python_makes_of_it(**case: Any) -> None:
    compiled = ended(**case)
    with pytest.MonkeyPatch.context() as patch:
        take_python(patch)
        assert ended(**case) == compiled


def ended(
    method: str,
    scheme: str,
    peer: Any,
    agent: str | None,
    is_marked: bool,
    ratio: float,
    learned: dict[str, Any],
    is_complete: bool,
) -> Any:
    """Return what an exchange leaves, without what is new each time."""
    own = observer(trace_sample_ratio=ratio, tracing_enabled=ratio > 0, log_setup=False)
    entries: list[Any] = []
    own._ledger._record = entries.extend
    headers = {"user-agent": agent} if agent else {}
    info = RequestInfo(method, "/a", "", scheme, headers.get, peer, "1.1", is_marked)
    seen: list[Any] = []
    for _ in range(2):  # the propagator is known from the second on
        exchange = own.start(info)
        assert exchange is not None
        with exchange:
            seen.append(current_exchange() is exchange)
            seen.append(exchange.leave())
            seen.append(current_exchange() is None)
            seen.append(exchange.leave())
            exchange.__enter__()
            for name, value in learned.items():
                setattr(exchange, name, value)
        seen.append(current_exchange() is None)
        exchange.finish(is_complete=is_complete)
        exchange.finish()
        seen += [exchange.outcome, exchange.error_type, exchange.error, exchange.begun, exchange.is_span_ours]
        seen += [len(exchange.ids), exchange.is_sampled, exchange.request_id == exchange.correlation_id]
        span: Any = exchange.span
        assert f"{span.get_span_context().trace_id:032x}" == exchange.trace_id
        assert f"{span.get_span_context().span_id:016x}" == exchange.span_id
    own._ledger.drain()
    new = ("request_id", "correlation_id", "ids", "duration", "ended")
    for entry in entries:
        seen.append([getattr(entry, name) for name in Entry.__struct_fields__ if name not in new])
        assert entry.duration > 0
        assert entry.ended > 1.7e9
    return seen


def test_what_a_subclass_says_of_an_attribute_holds() -> None:
    """Only what is of just the known class is read at the places of its slots."""
    slot: Any = Observer.__dict__["_methods"]

    class Own(Observer):
        _methods = property(lambda self: frozenset({"POST"}), slot.__set__)

    own = Own(Settings.load(env={}, log_setup=False), registry=CollectorRegistry())
    for _ in range(2):  # the propagator is known from the second on
        exchange = own.start(request())
        assert exchange is not None
        exchange.finish()
        assert exchange.method == "_OTHER"


@needs_compiled
def test_an_observer_that_lacks_a_part_lets_the_request_go_without_it() -> None:
    own = observer(trace_sample_ratio=1.0, log_setup=False)
    info = request()
    for _ in range(2):  # the propagator is known from the second on
        exchange = own.start(info)
        assert exchange is not None
        exchange.finish()
    del own._recorders
    assert own.start(info) is None


_TEXTS = st.sampled_from(["", "/a", "é", "5", "GET", "10.0.0.1", "HTTP/1.1", "https", "٣", "123456789"])
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
_MARKS = variables_of(["x-request-id", "x-correlation-id", "traceparent", "baggage"])


@needs_compiled
@given(
    variables=st.dictionaries(
        st.sampled_from(_VARIABLES),
        _TEXTS | st.none() | st.sampled_from([8000, 0, -1]),
    ),
    given_too=st.lists(st.none() | _TEXTS, max_size=4),
)
def test_variables_tell_what_they_tell_python(variables: dict[str, Any], given_too: list[Any]) -> None:
    def told(make: Any) -> Any:
        try:
            info = make(variables, _MARKS, *given_too)
        except Exception as error:
            return type(error), str(error)
        fields = [getattr(info, name) for name in RequestInfo.__struct_fields__ if name != "header"]
        return fields, [info.header(name) for name in ("user-agent", "content-type", "host")]

    compiled: Any = request_info
    assert told(compiled) == told(compiled.__wrapped__)


@needs_compiled
@pytest.mark.parametrize("draw", ["compiled", "python"])
def test_ids_look_the_same(draw: str) -> None:
    function: Any = request_id.draw if draw == "compiled" else vars(request_id)["draw"].__wrapped__
    now = 1_700_000_000_123_456_789
    drawn = [function(now) for _ in range(100)]
    assert all(re.fullmatch("[0-9a-f]{48}", ids) and re.fullmatch(UUID7, own) for ids, own in drawn)
    assert {own[:24] for _, own in drawn} == {drawn[0][1][:24]}
    assert drawn[0][1].startswith(f"{1_700_000_000_123 >> 16:08x}-{1_700_000_000_123 & 0xFFFF:04x}-7")
    assert drawn[0][1][:24] == request_id.draw(now)[1][:24], "both name the process"
    assert len({ids for ids, _ in drawn}) == len({own for _, own in drawn}) == 100


@needs_compiled
def test_it_can_be_turned_off() -> None:
    code = "from obs_middleware import Observer, native; Observer(); print(native.core.is_in_use)"
    for value, is_off in (("1", True), ("0", False), ("", False)):
        printed = subprocess.run(
            [sys.executable, "-c", code],
            env={native.SWITCH: value},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert printed.strip() == str(not is_off)


@needs_compiled
def test_a_class_that_is_not_as_it_is_known_turns_it_off() -> None:
    """A release of msgspec whose fields are no slots, say: in a process of its own, since it stays off."""
    code = """if True:
        from obs_middleware import Observer, native
        class Exchange: info = property(int)
        native.core.learn(Series=Exchange)
        print(native.core.is_in_use)
        exchange = Observer().start(__import__("obs_middleware").RequestInfo("GET", "/", "", "http", {}.get))
        with exchange: exchange.status = 200
        exchange.finish()
        print(exchange.outcome.value)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "ok"]
