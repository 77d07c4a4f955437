"""Recording spans are, for everybody who looks, the spans that the SDK would have made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from obs_middleware import Exchange, RequestInfo
from obs_middleware.tracing.packed_span import PackedBatchProcessor
from obs_middleware.tracing.provider import recording_tracer
from obs_middleware.tracing.recording_span import RecordingSpan
from obs_middleware.tracing.recording_tracer import RecordingTracer, SpanProcessors
from obs_middleware.tracing.sampling import Sampling
from tests.core.support import caught, observer, python, request, started

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTHER = SpanContext(5, 6, True, TraceFlags(1))


class Kept(SpanExporter):
    """An exporter that keeps what it was handed."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS


class Way:
    """An Observer with a provider as we set it up, whose server spans are made by us or by the SDK."""

    def __init__(self, *, is_ours: bool) -> None:
        self.exporter, self.sampling = Kept(), Sampling(1 << 64)
        processors = SpanProcessors(PackedBatchProcessor(self.exporter))
        self.provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(1.0)),
            id_generator=self.sampling,  # type: ignore[arg-type]
            resource=Resource({"service.name": "shop"}),
            active_span_processor=processors,
        )
        if is_ours:
            self.sampling.tracer = RecordingTracer(self.provider, processors)
        self.observer = observer(tracer_provider=self.provider, access_log=False)
        self.observer.gateway._spans.sampling = self.sampling  # as set_up() does for the global provider
        self.exchange().finish()  # from the second request on the propagator is known
        self.provider.force_flush()
        self.exporter.spans.clear()

    def exchange(self, info: RequestInfo | None = None) -> Exchange:
        exchange = started(self.observer, info or request(headers={"host": "shop.example"}))
        exchange.route = "/items/{i}"
        exchange.request_id = exchange.correlation_id = "both-ways-the-same"
        return exchange

    def run(self, use: Callable[[Any], object], info: RequestInfo | None, **learned: Any) -> Any:
        """Serve a request that does something with its span, and return the span."""
        exchange = self.exchange(info)
        with exchange, suppress(LookupError):
            use(trace.get_current_span())
        for name, value in ({"status": 200} | learned).items():
            setattr(exchange, name, value)
        exchange.finish()
        self.provider.force_flush()
        return exchange.span


@pytest.fixture
def ways() -> Iterator[tuple[Way, Way]]:
    both = Way(is_ours=True), Way(is_ours=False)
    yield both
    for way in both:
        way.provider.shutdown()


@pytest.fixture
def ours(ways: tuple[Way, Way]) -> Way:
    return ways[0]


# What apps and instrumentations do with a span.


LIMITS = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
)


class Words(str, Enum):
    WORD = "word"


def _nothing(span: Any) -> None:
    pass


def _set_attributes(span: Any) -> None:
    span.set_attribute("user.id", 7)
    span.set_attributes(
        {"a": True, "b": 1.5, "c": "text", "d": ["x", "y"], "e": (1, 2), "f": [], "g": b"bytes"}
    )
    span.set_attribute("a", False)


def _set_attributes_of_ours(span: Any) -> None:
    span.set_attribute("http.route", "/mine")
    span.set_attribute("url.path", "/mine")
    span.set_attribute("last", 1)


def _set_odd_attributes(span: Any) -> None:
    span.set_attributes(
        {"none": None, "object": object, "mixed": [1, "x"], "word": Words.WORD, "nested": {"a": [1]}}
    )
    span.set_attribute("", 1)
    span.set_attribute("pair", [[1, 2], [3]])


def _set_what_cannot_be_packed(span: Any) -> None:
    span.set_attribute("text", "\ud800 is no character")


def _set_too_many_attributes(span: Any) -> None:
    for number in range(130):
        span.set_attribute(f"own.{number}", number)


def _set_all_but_too_many_attributes(span: Any) -> None:
    span.set_attributes({f"own.{number}": number for number in range(120)})


def _add_events(span: Any) -> None:
    span.add_event("plain")
    span.add_event("with attributes", {"a": 1, "b": ["x", "y"]}, 1_700_000_000_000_000_000)


def _add_an_event_that_drops_attributes(span: Any) -> None:
    span.add_event("many", {f"own.{number}": number for number in range(140)})


def _add_too_many_events(span: Any) -> None:
    for number in range(140):
        span.add_event(f"event {number}")


def _record_an_exception(span: Any) -> None:
    try:
        raise ValueError("no good")
    except ValueError as error:
        span.record_exception(error, {"own": 1})


def _add_links(span: Any) -> None:
    span.add_link(OTHER, {"own": 1})
    span.add_link(trace.INVALID_SPAN_CONTEXT)


def _set_status(*statuses: Any) -> Callable[[Any], None]:
    def use(span: Any) -> None:
        for status in statuses:
            span.set_status(*status)

    return use


def _rename(span: Any) -> None:
    span.update_name("mine")


def _end_early(span: Any) -> None:
    span.set_attribute("own", 1)
    span.end()
    span.end()
    span.set_attribute("late", 1)
    span.set_attributes({"late": 1})
    span.add_event("late")
    span.add_link(OTHER)
    span.update_name("late")
    span.set_status(StatusCode.ERROR)


def _use_as_context_manager(span: Any) -> None:
    with span as entered:
        entered.set_attribute("own", 1)


def _leave_by_an_exception(span: Any) -> None:
    with span:
        raise LookupError("not there")


def _leave_use_span_by_an_exception(span: Any) -> None:
    with trace.use_span(span, end_on_exit=True):
        raise LookupError("not there")


def _look(span: Any) -> None:
    _seen(span)


USES: dict[str, Callable[[Any], None]] = {
    use.__name__.strip("_"): use
    for use in (
        _nothing,
        _set_attributes,
        _set_attributes_of_ours,
        _set_odd_attributes,
        _set_what_cannot_be_packed,
        _set_too_many_attributes,
        _set_all_but_too_many_attributes,
        _add_events,
        _add_an_event_that_drops_attributes,
        _add_too_many_events,
        _record_an_exception,
        _add_links,
        _rename,
        _end_early,
        _use_as_context_manager,
        _leave_by_an_exception,
        _leave_use_span_by_an_exception,
        _look,
    )
} | {
    "set status ok": _set_status((StatusCode.OK,), (StatusCode.ERROR, "no longer")),
    "set status error": _set_status((StatusCode.ERROR, "broken"), (StatusCode.UNSET,)),
    "set status whole": _set_status(
        (Status(StatusCode.ERROR, "one"), "ignored"), (Status(StatusCode.ERROR, "two"),)
    ),
}
REQUESTS = {
    "new": request(
        "POST",
        query="page=2&token=x",
        headers={"host": "shop.example:8443", "user-agent": "curl/8"},
        scheme="https",
    ),
    "caller": request(headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1,b=2"}),
    "random": request(headers={"traceparent": f"00-{TRACE}-{PARENT}-03", "baggage": "k=v"}, peer=None),
    "odd": request("BREW", path="/\ud800", http_version="", peer=("::1", None)),
}
everything = pytest.mark.parametrize("use", USES.values(), ids=USES)


@everything
def test_exporter_gets_the_same_bytes(use: Callable[[Any], None], ways: tuple[Way, Way]) -> None:
    for info in (None, *REQUESTS.values()):
        for learned in ({}, {"status": 503}, {"error": KeyError("k"), "status": 500}):
            for way in ways:
                way.run(use, info, **learned)
            ours, theirs = (_exported(way) for way in ways)
            assert ours == theirs


@everything
def test_whoever_reads_the_span_sees_the_same(use: Callable[[Any], None], ways: tuple[Way, Way]) -> None:
    for info in (None, REQUESTS["random"]):
        ours, theirs = (way.run(use, info) for way in ways)
        assert (type(ours), type(theirs).__name__) == (RecordingSpan, "_Span")
        assert _seen(ours) == _seen(theirs)


@everything
def test_the_same_warnings_are_logged(use: Callable[[Any], None], ways: tuple[Way, Way]) -> None:
    logs = []
    for way in ways:
        with caught("opentelemetry") as log:
            way.run(use, None)
        logs.append([(record.name, record.levelno, record.getMessage()) for record in log.records])
    assert logs[0] == logs[1]
    assert use is not _end_early or len(logs[0]) >= 7


@pytest.mark.parametrize("info", [None, *REQUESTS.values()], ids=["plain", *REQUESTS])
def test_context_that_is_carried_on_is_the_same(info: RequestInfo | None, ways: tuple[Way, Way]) -> None:
    contexts = [way.run(_nothing, info).get_span_context() for way in ways]
    ours, theirs = ((here.trace_flags, here.trace_state, here.is_remote, here.is_valid) for here in contexts)
    assert ours == theirs
    assert type(contexts[0].trace_flags) is TraceFlags


def test_exchange_and_span_have_the_same_ids(ours: Way) -> None:
    exchange = ours.exchange()
    here = exchange.span.get_span_context()  # type: ignore[union-attr]
    assert (exchange.trace_id, exchange.span_id) == (f"{here.trace_id:032x}", f"{here.span_id:016x}")
    assert exchange.span.get_span_context() is here  # type: ignore[union-attr]
    assert exchange.is_sampled
    exchange.finish()
    ours.provider.force_flush()
    assert ours.exporter.spans[0].context == here


def test_span_lasts_as_long_as_its_exchange(ways: tuple[Way, Way]) -> None:
    for way in ways:
        exchange = way.exchange()
        exchange.status = 200
        exchange.finish()
        span: Any = exchange.span
        assert span.start_time == exchange.started_ns
        assert span.end_time - span.start_time == round(exchange.duration * 1e9)


def test_spans_of_the_app_are_its_children(ways: tuple[Way, Way]) -> None:
    for way in ways:
        tracer = way.provider.get_tracer("app")
        span = way.run(partial(_start_child, tracer), None)
        child, server = way.exporter.spans
        assert child.parent == server.context == span.get_span_context()
        assert child.parent is not None
        assert not child.parent.is_remote


def test_next_root_span_of_the_thread_has_a_trace_of_its_own(ways: tuple[Way, Way]) -> None:
    for way in ways:
        span = way.run(_nothing, None)
        root = way.provider.get_tracer("app").start_span("root", otel_context.Context())
        assert root.get_span_context().trace_id != span.get_span_context().trace_id


def test_attributes_set_by_many_threads_all_arrive(ours: Way) -> None:
    def use(span: Span) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: span.set_attribute(f"own.{number}", number), range(100)))
            list(pool.map(lambda number: span.add_event(str(number)), range(100)))

    ours.run(use, None)
    (span,) = ours.exporter.spans
    assert {f"own.{number}" for number in range(100)} <= dict(span.attributes or {}).keys()
    assert len(span.events) == 100


# Whatever is called, in whatever order.

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KEYS = st.one_of(st.sampled_from(["http.route", "url.path", "user.id", ""]), TEXTS)
SINGLE = st.one_of(
    TEXTS,
    st.booleans(),
    st.none(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.binary(max_size=8),
    st.sampled_from([Words.WORD, object, KeyError("k"), "\ud800"]),
)
VALUES = st.recursive(
    SINGLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=5
)
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=4)
MAYBE_ATTRIBUTES = st.none() | ATTRIBUTES
TIMES = st.none() | st.integers(1, 2**62)
STATUSES = st.sampled_from(StatusCode)
CONTEXTS = st.sampled_from(
    [OTHER, trace.INVALID_SPAN_CONTEXT, SpanContext(0, 0, False, None, TraceState([("a", "1")]))]
)
CALLS = st.one_of(
    st.tuples(st.just("set_attribute"), KEYS, VALUES),
    st.tuples(st.just("set_attributes"), ATTRIBUTES | st.dictionaries(st.integers(), VALUES, max_size=2)),
    st.tuples(st.just("add_event"), TEXTS, MAYBE_ATTRIBUTES, TIMES),
    st.tuples(st.just("add_link"), CONTEXTS, MAYBE_ATTRIBUTES),
    st.tuples(
        st.just("record_exception"),
        st.sampled_from(
            [ValueError("no good"), KeyError("k"), UnicodeDecodeError("utf-8", b"x", 0, 1, "bad")]
        ),
        MAYBE_ATTRIBUTES,
        TIMES,
        st.booleans(),
    ),
    st.tuples(st.just("update_name"), TEXTS),
    st.tuples(st.just("set_status"), STATUSES, st.none() | TEXTS),
    st.tuples(st.just("set_status"), st.builds(Status, STATUSES, st.none() | TEXTS), st.none() | TEXTS),
    st.tuples(st.just("end"), st.none() | st.integers(2**61, 2**62)),
)
LIMITED = st.dictionaries(st.sampled_from(LIMITS), st.sampled_from(["", "0", "1", "3", "40"]), max_size=3)


@given(st.lists(CALLS, max_size=12), LIMITED, st.sampled_from([None, *REQUESTS.values()]), st.booleans())
@settings(deadline=None)  # each makes two providers
def test_the_same_calls_have_the_same_effect(
    calls: list[tuple[Any, ...]], limits: dict[str, str], info: RequestInfo | None, is_looked_at: bool
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in limits.items():
            patched.setenv(name, value)
        ways = Way(is_ours=True), Way(is_ours=False)
    seen, logs = [], []
    for way in ways:
        with caught("opentelemetry.sdk.trace") as log:
            span = way.run(partial(_call_all, calls, is_looked_at), info)
        seen.append((_exported(way), _seen(span)))
        logs.append([record.getMessage() for record in log.records])
        way.provider.shutdown()
    assert type(span).__name__ == "_Span"
    assert seen[0] == seen[1]
    assert logs[0] == logs[1]


def _call_all(calls: list[tuple[Any, ...]], is_looked_at: bool, span: Any) -> None:
    for name, *arguments in calls:
        getattr(span, name)(*arguments)
        if is_looked_at:
            _seen(span)


# When the SDK has to make the span.


class Noted(SpanProcessor):
    def __init__(self) -> None:
        self.started: list[Any] = []
        self.ended: list[ReadableSpan] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.started.append(span)

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span)


def test_processor_that_is_added_later_sees_spans_of_the_sdk(ways: tuple[Way, Way]) -> None:
    for way in ways:
        way.run(_nothing, None)
        amid, noted = way.exchange(), Noted()
        way.provider.add_span_processor(noted)
        span = way.run(_nothing, None)
        assert noted.started == [span]
        assert type(span).__name__ == "_Span"
        amid.status = 200
        amid.finish()
        way.provider.force_flush()
        assert [type(span) for span in noted.ended] == [ReadableSpan, ReadableSpan]
        assert noted.ended[1].context == amid.span.get_span_context()  # type: ignore[union-attr]
        assert dict(noted.ended[1].attributes or {})["http.response.status_code"] == 200
        assert len(way.exporter.spans) == 3


@pytest.mark.parametrize("limit", ["", "0", "1", "5", "40"])
@pytest.mark.parametrize("name", LIMITS)
def test_limits_hold(name: str, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, limit)
    ways = Way(is_ours=True), Way(is_ours=False)
    for use in (_nothing, _set_attributes, _add_events, _add_links, partial(_both, _add_events, _add_links)):
        for way in ways:
            way.run(use, None)
        assert _exported(ways[0]) == _exported(ways[1])
    for way in ways:
        way.provider.shutdown()


SET_UP = """
from obs_middleware import Observer, RequestInfo, Settings
own = Observer(Settings.load(log_setup=False, access_log=False))
own.gateway.set_up()
exchange = own.gateway.start(RequestInfo("GET", "/items/7", "", "http", {}.get))
print(type(exchange.span).__name__)
"""


@pytest.mark.parametrize(
    ("env", "kind"),
    [
        ({}, "RecordingSpan"),
        ({"OTEL_SDK_DISABLED": "true"}, "_Carried"),
        ({"OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true"}, "_Span"),
        ({"OBS_TRACE_SAMPLE_RATIO": "", "OTEL_TRACES_SAMPLER": "always_on"}, "_Span"),
    ],
    ids=str,
)
def test_provider_that_we_set_up_has_spans_of_ours(env: dict[str, str], kind: str) -> None:
    known = {"OBS_OTLP_ENDPOINT": "http://127.0.0.1:9", "OBS_TRACE_SAMPLE_RATIO": "1"} | env
    known = {name: value for name, value in known.items() if value}
    assert python(SET_UP, env=known) == f"{kind}\n"


def _start_child(tracer: trace.Tracer, span: Any) -> None:
    tracer.start_span("child").end()


def _both(first: Callable[[Any], None], second: Callable[[Any], None], span: Any) -> None:
    first(span)
    second(span)


def _exported(way: Way) -> bytes:
    """Return the OTLP bytes of the one span exported, without what differs from request to request."""
    (span,) = way.exporter.spans
    way.exporter.spans.clear()
    encoded = encode_spans([span])
    (own,) = encoded.resource_spans[0].scope_spans[0].spans
    assert own.end_time_unix_nano >= own.start_time_unix_nano > 0
    own.span_id, own.start_time_unix_nano, own.end_time_unix_nano = b"", 0, 0
    if not own.parent_span_id:
        own.trace_id = b""
    for event in own.events:
        event.time_unix_nano = 0
    return encoded.SerializeToString()


def _seen(span: Any) -> Any:
    """Return all that a span tells, without what differs from request to request."""
    return (
        _json(span),
        span.name,
        span.kind is SpanKind.SERVER,
        span.parent,
        dict(span.attributes),
        list(span.attributes),
        [(event.name, dict(event.attributes), event.dropped_attributes) for event in span.events],
        [(link.context, dict(link.attributes)) for link in span.links],
        (span.status.status_code, span.status.description),
        span.resource,
        span.instrumentation_scope,
        (span.start_time > 0, span.end_time is None),
        (span.dropped_attributes, span.dropped_events, span.dropped_links),
        span.is_recording(),
        span.get_span_context() is span.context,
        isinstance(span, ReadableSpan),
        hasattr(span, "no_such_thing"),
    )


def _json(span: Any) -> Any:
    try:
        described = json.loads(span.to_json())
    except TypeError as error:  # the SDK writes no bytes
        return str(error)
    for name in ("context", "start_time", "end_time"):
        described.pop(name)
    for event in described["events"]:
        event.pop("timestamp")
    return described


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED", "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"])
def test_sdk_that_is_switched_off_or_counts_its_spans_makes_them_itself(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    def tracer() -> RecordingTracer | None:
        processors = SpanProcessors(PackedBatchProcessor(Kept()))
        provider = TracerProvider(active_span_processor=processors, shutdown_on_exit=False)
        made = recording_tracer(provider, processors)
        provider.shutdown()
        return made

    assert tracer() is not None
    monkeypatch.setenv(variable, "true")
    assert tracer() is None
