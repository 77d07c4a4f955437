"""The server span: one for each request, made or adopted, with the names and attributes of the standard."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

from obs_middleware import Exchange, Observer, RequestInfo, outgoing_headers
from tests.core.support import internal_errors, observer, request, serve, started

SECRET = "hunter2x"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Traced:
    """An Observer whose spans are caught."""

    def __init__(self, sampler: Sampler = ALWAYS_ON, **settings: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("others")
        self.observer: Observer = observer(tracer_provider=self.provider, access_log=False, **settings)

    def span(self, info: RequestInfo | None = None, **learned: Any) -> ReadableSpan:
        serve(self.observer, info, **learned)
        return self.one()

    def one(self) -> ReadableSpan:
        (span,) = self.exporter.get_finished_spans()
        return span


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    made.provider.shutdown()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def caller(flags: str = "01", **more: str) -> RequestInfo:
    return request(headers={"traceparent": f"00-{TRACE}-{PARENT}-{flags}", **more})


# Attributes


def test_span_tells_the_request(traced: Traced) -> None:
    info = request(
        "POST",
        "/items/7",
        f"page=2&token={SECRET}",
        scheme="https",
        headers={
            "host": "shop.example:8443",
            "user-agent": "curl/8",
            "x-request-id": "abc",
            "x-correlation-id": "story-1",
        },
        http_version="2",
    )
    span = traced.span(info, route="/items/{i}", status=201)
    assert span.name == "POST /items/{i}"
    assert span.kind is SpanKind.SERVER
    assert span.status.status_code is StatusCode.UNSET
    assert attributes(span) == {
        "http.request.method": "POST",
        "url.scheme": "https",
        "url.path": "/items/7",
        "url.query": "page=2&token=REDACTED",
        "http.route": "/items/{i}",
        "http.response.status_code": 201,
        "server.address": "shop.example",
        "server.port": 8443,
        "client.address": "192.0.2.1",
        "network.peer.address": "192.0.2.1",
        "network.peer.port": 50123,
        "network.protocol.version": "2",
        "user_agent.original": "curl/8",
        "obs.request_id": "abc",
        "obs.correlation_id": "story-1",
    }
    assert not span.events
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "obs_middleware"


def test_what_is_not_known_is_left_out(traced: Traced) -> None:
    span = traced.span(
        request(peer=None, http_version="", headers={"x-request-id": "abc"}),
        status=None,
        is_client_gone=True,
        is_complete=False,
    )
    assert attributes(span) == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": "/items/7",
        "error.type": "client_disconnect",
        "obs.request_id": "abc",
    }


@pytest.mark.parametrize(
    ("method", "route", "name", "original"),
    [
        ("GET", "/items/{i}", "GET /items/{i}", None),
        ("GET", None, "GET", None),
        ("GET", "", "GET", None),
        ("BREW", "/items/{i}", "HTTP /items/{i}", "BREW"),
        ("get", None, "HTTP", "get"),
    ],
)
def test_name_is_method_and_route_and_never_the_path(
    traced: Traced, method: str, route: str | None, name: str, original: str | None
) -> None:
    span = traced.span(request(method), route=route)
    assert span.name == name
    assert attributes(span).get("http.request.method_original") == original
    assert attributes(span)["http.request.method"] == ("GET" if original is None else "_OTHER")


@pytest.mark.parametrize(
    ("learned", "is_error", "error_type"),
    [
        ({"status": 200}, False, None),
        ({"status": 302}, False, None),
        ({"status": 404}, False, None),
        ({"status": 500}, True, "500"),
        ({"status": 500, "error": ValueError()}, True, "ValueError"),
        ({"status": 200, "error": ValueError()}, False, None),
        ({"status": 200, "is_client_gone": True, "is_complete": False}, True, "client_disconnect"),
        ({"status": None, "is_cancelled": True}, True, "cancelled"),
    ],
)
def test_status_is_error_for_a_failure_of_ours_alone(
    traced: Traced, learned: Any, is_error: bool, error_type: str | None
) -> None:
    span = traced.span(**learned)
    assert span.status.status_code is (StatusCode.ERROR if is_error else StatusCode.UNSET)
    assert not span.status.description
    assert attributes(span).get("error.type") == error_type
    assert attributes(span).get("http.response.status_code") == learned["status"]


@pytest.mark.parametrize(
    ("host", "scheme", "address", "port"),
    [
        ("shop.example", "http", "shop.example", 80),
        ("shop.example", "https", "shop.example", 443),
        ("shop.example", "wss", "shop.example", 443),
        ("shop.example", "odd", "shop.example", None),
        ("shop.example:8080", "https", "shop.example", 8080),
        ("[2001:db8::1]:8080", "http", "2001:db8::1", 8080),
        ("[2001:db8::1]", "http", "2001:db8::1", 80),
        ("shop.example:", "http", "shop.example:", 80),
        ("shop.example:x", "http", "shop.example:x", 80),
        ("a:999999", "http", "a:999999", 80),
        (" shop.example ", "http", "shop.example", 80),
        ("", "http", None, None),
    ],
)
def test_server_address_is_read_from_the_host(
    traced: Traced, host: str, scheme: str, address: str, port: int
) -> None:
    found = attributes(traced.span(request(scheme=scheme, headers={"host": host})))
    assert (found.get("server.address"), found.get("server.port")) == (address, port)


def test_websocket_is_told_as_such(traced: Traced) -> None:
    found = attributes(traced.span(request(scheme="ws"), status=101))
    assert found["network.protocol.name"] == "websocket"
    assert found["http.response.status_code"] == 101


def test_span_lasts_exactly_as_long_as_every_other_signal_says(traced: Traced) -> None:
    exchange = serve(traced.observer, route="/a")
    span = traced.one()
    assert span.start_time == exchange.started_ns
    assert span.end_time is not None
    assert span.end_time - exchange.started_ns == round(exchange.duration * 1e9)
    labels = {
        "http_request_method": "GET",
        "http_route": "/a",
        "http_response_status_code": "200",
        "error_type": "",
    }
    total = traced.observer.registry.get_sample_value("http_server_request_duration_seconds_sum", labels)
    assert total == exchange.duration


def test_exception_is_an_event_without_its_secrets(traced: Traced) -> None:
    try:
        raise ValueError(f"bad password={SECRET}")
    except ValueError as error:
        span = traced.span(status=500, error=error)
    (event,) = span.events
    found = dict(event.attributes or {})
    assert event.name == "exception"
    assert (found["exception.type"], found["exception.message"]) == ("ValueError", "bad password=REDACTED")
    assert SECRET not in str(found["exception.stacktrace"])


def test_nothing_secret_and_nothing_endless_is_in_a_span_of_a_hostile_request(traced: Traced) -> None:
    huge = "x" * 1_000_000
    info = request(
        f"BREW password={SECRET} {huge}",
        f"/password={SECRET}/{huge}",
        f"token={SECRET}&{huge}",
        headers={"host": huge, "user-agent": f"Bearer {SECRET} {huge}"},
    )
    span = traced.span(info, route="/{x}")
    text = repr(attributes(span)) + span.name
    assert SECRET not in text
    assert len(text) < 50_000


def test_every_text_in_a_span_can_be_sent(traced: Traced) -> None:
    info = request("G\ud800", "/\ud800", "a=\ud800", headers={"host": "\ud800", "user-agent": "\ud800"})
    for value in attributes(traced.span(info)).values():
        str(value).encode()


# Context


def test_span_continues_the_callers_trace(traced: Traced) -> None:
    exchange = serve(traced.observer, caller(tracestate="a=1,1@b=2"))
    span = traced.one()
    assert span.parent is not None
    assert span.context is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}", span.parent.is_remote) == (
        TRACE,
        PARENT,
        True,
    )
    assert (exchange.trace_id, exchange.span_id, exchange.is_sampled) == (
        TRACE,
        f"{span.context.span_id:016x}",
        True,
    )
    assert span.context.trace_state.to_header() == "a=1,1@b=2"


def test_calls_made_in_a_request_are_children_of_its_span(traced: Traced) -> None:
    exchange = started(traced.observer)
    with exchange:
        assert outgoing_headers()["traceparent"][:52] == f"00-{exchange.trace_id}-{exchange.span_id}"
        with traced.tracer.start_as_current_span("child") as child:
            assert f"{child.get_span_context().span_id:016x}" in outgoing_headers()["traceparent"]
    exchange.finish()
    names = [
        (span.name, span.parent.span_id if span.parent else None)
        for span in traced.exporter.get_finished_spans()
    ]
    assert names == [("child", int(exchange.span_id, 16)), ("GET", None)]


@pytest.mark.parametrize(("flags", "is_sampled"), [("01", True), ("00", False)])
def test_sampling_follows_the_caller(flags: str, is_sampled: bool) -> None:
    traced = Traced(ParentBased(ALWAYS_OFF if is_sampled else ALWAYS_ON))
    exchange = serve(traced.observer, caller(flags), status=500, error=ValueError())
    assert exchange.is_sampled is is_sampled
    assert exchange.trace_id == TRACE
    assert exchange.span_id not in (PARENT, "0" * 16)
    assert len(traced.exporter.get_finished_spans()) == is_sampled


def test_unsampled_request_has_its_ids_and_sends_them_on() -> None:
    traced = Traced(ALWAYS_OFF)
    exchange = started(traced.observer)
    with exchange:
        assert outgoing_headers()["traceparent"][:52] == f"00-{exchange.trace_id}-{exchange.span_id}"
    exchange.finish()
    assert not exchange.is_sampled
    assert int(exchange.trace_id, 16)
    assert not traced.exporter.get_finished_spans()


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_with_tracing_off_no_span_is_recorded_and_the_context_goes_on(flags: str) -> None:
    traced = Traced(tracing_enabled=False)
    exchange = started(traced.observer, caller(flags, tracestate="a=1"))
    with exchange:
        headers = outgoing_headers()
    exchange.finish()
    assert headers["traceparent"] == f"00-{TRACE}-{exchange.span_id}-{flags}"
    assert headers["tracestate"] == "a=1"
    assert exchange.span_id != PARENT
    assert exchange.is_sampled is (flags in ("01", "03"))
    assert not traced.exporter.get_finished_spans()


def test_without_an_sdk_provider_a_request_has_a_context_of_its_own() -> None:
    own = observer(tracer_provider=trace.NoOpTracerProvider(), access_log=False)
    alone, continued = serve(own), serve(own, caller())
    assert int(alone.trace_id, 16)
    assert int(alone.span_id, 16)
    assert not alone.is_sampled
    assert (continued.trace_id, continued.is_sampled) == (TRACE, True)
    assert continued.span_id != PARENT
    assert len({serve(own).trace_id for _ in range(1000)}) == 1000


# Adopted


def test_server_span_of_an_instrumentation_outside_is_adopted_and_not_ended(traced: Traced) -> None:
    with traced.tracer.start_as_current_span("theirs", kind=SpanKind.SERVER) as outside:
        exchange = serve(traced.observer, caller(), status=500, error=ValueError())
        assert exchange.span is outside
        assert outside.is_recording()
    span = traced.one()
    assert span.name == "theirs"
    assert exchange.span_id == f"{outside.get_span_context().span_id:016x}"
    assert exchange.trace_id != TRACE


def test_unsampled_span_outside_is_adopted_where_it_continues_the_callers_trace() -> None:
    traced = Traced(ALWAYS_OFF)
    remote = trace.SpanContext(int(TRACE, 16), int(PARENT, 16), True, trace.TraceFlags(0))
    context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    theirs = traced.tracer.start_span("theirs", context, kind=SpanKind.SERVER)
    with trace.use_span(theirs):
        exchange = serve(traced.observer, caller())
    assert exchange.span is theirs
    assert not traced.exporter.get_finished_spans()


def test_unsampled_span_outside_that_knows_nothing_of_the_caller_is_none_of_the_requests() -> None:
    """A server that was started inside a span: requests must not share its trace and forget their callers."""
    traced = Traced(ALWAYS_OFF)
    with traced.tracer.start_as_current_span("main"):
        exchange = serve(traced.observer, caller())
    assert exchange.trace_id == TRACE


def test_span_of_the_request_before_is_not_adopted(traced: Traced) -> None:
    """A server that starts a pipelined request inside the one before it hands that one's context on."""
    first = started(traced.observer)
    with first:
        first.finish()
        second = serve(traced.observer)
    assert second.trace_id != first.trace_id
    assert [span.parent for span in traced.exporter.get_finished_spans()] == [None, None]


def test_context_of_the_caller_that_is_current_already_is_no_span_of_the_servers(traced: Traced) -> None:
    remote = trace.SpanContext(int(TRACE, 16), int(PARENT, 16), True, trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(remote)):
        exchange = serve(traced.observer)
    assert exchange.trace_id == TRACE
    assert exchange.span_id != PARENT
    assert traced.one().kind is SpanKind.SERVER


def test_span_of_another_kind_outside_is_the_parent(traced: Traced) -> None:
    with traced.tracer.start_as_current_span("job", kind=SpanKind.CONSUMER) as outside:
        serve(traced.observer)
    ours, theirs = traced.exporter.get_finished_spans()
    assert (ours.name, theirs.name) == ("GET", "job")
    assert ours.parent is not None
    assert ours.parent.span_id == outside.get_span_context().span_id


def test_call_in_process_from_a_request_has_a_span_of_its_own(traced: Traced) -> None:
    outer = started(traced.observer)
    with outer:
        inner = serve(traced.observer)
    outer.status = 200
    outer.finish()
    child, parent = traced.exporter.get_finished_spans()
    assert inner.span_id != outer.span_id
    assert child.parent is not None
    assert child.parent.span_id == parent.context.span_id


def test_span_that_the_app_has_ended_or_renamed_does_no_harm(traced: Traced) -> None:
    exchange = started(traced.observer)
    assert exchange.span is not None
    exchange.span.end()
    exchange.finish()
    assert len(traced.exporter.get_finished_spans()) == 1


def test_attributes_of_the_app_stay(traced: Traced) -> None:
    exchange = started(traced.observer)
    with exchange:
        trace.get_current_span().set_attribute("shop.order", 42)
    exchange.finish()
    assert attributes(traced.one())["shop.order"] == 42


def test_failing_tracer_costs_no_request(caplog: pytest.LogCaptureFixture) -> None:
    class Tracer:
        def start_span(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("a sampler of the user's")

    provider = SimpleNamespace(get_tracer=lambda *_, **__: Tracer())
    own = observer(registry=CollectorRegistry(), tracer_provider=provider)
    exchange: Exchange | None = own.gateway.start(request())
    assert exchange is None or exchange.request_id
    assert "the request was not affected" in caplog.text


# Where the process stands still between requests


@pytest.mark.parametrize("flushes", [True, False])
def test_span_is_out_when_the_request_has_ended_with_a_provider_of_the_users_too(flushes: bool) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    own = observer(tracer_provider=provider, access_log=False, flush_each_request=flushes)
    serve(own)
    assert len(exporter.get_finished_spans()) == int(flushes)
    provider.shutdown()


def test_provider_that_has_nothing_to_flush_is_let_alone() -> None:
    own = observer(
        tracer_provider=trace.NoOpTracerProvider(),
        access_log=False,
        flush_each_request=True,
        trace_sample_ratio=1,
    )
    serve(own)
    own.gateway._spans.flush(1)
    assert not internal_errors(own, "flush")
