"""Spans are written as the SDK's own exporter writes them: the messages, parsed, are equal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanKind, StatusCode

from obs_middleware.tracing.otlp.encoder import encode, rejected
from obs_middleware.tracing.packed_span import PackedBatchProcessor, PackedSpan
from tests.core.tracing.test_packed_span import (
    ATTRIBUTES,
    LOCAL,
    REMOTE,
    STATE,
    Kept,
    drop_attributes,
    drop_attributes_of_an_event,
    drop_events,
)

RESOURCE = Resource({"service.name": "shop", "many": ["a", "b"]}, "https://schema.example/resource")
SCOPE = InstrumentationScope("scope", "1", "https://schema.example")


def refuse(error: Exception) -> None:
    raise AssertionError from error


def parsed(*spans: Any) -> ExportTraceServiceRequest:
    """Return what is written, without what this release of the SDK's exporter does not know."""
    request = ExportTraceServiceRequest.FromString(bytes(encode(spans, refuse)))
    if not KNOWS_SCOPES:
        for scope_spans in [inner for outer in request.resource_spans for inner in outer.scope_spans]:
            scope_spans.ClearField("schema_url")
            scope_spans.scope.ClearField("attributes")
    return request


def readable(**more: Any) -> ReadableSpan:
    known: dict[str, Any] = {"context": LOCAL, "resource": RESOURCE, "instrumentation_scope": SCOPE}
    return ReadableSpan(**{"name": "name", **known, **more})


(SPECIMEN,) = encode_spans([readable(attributes={"nothing": None})]).resource_spans[0].scope_spans
KNOWS_SCOPES = bool(SPECIMEN.schema_url)
KNOWS_NONE = bool(SPECIMEN.spans[0].attributes)


class Both:
    """A provider whose spans come out packed and as the SDK has them."""

    def __init__(self, **provider: Any) -> None:
        self.provider = TracerProvider(**{"resource": RESOURCE, **provider})
        self._packed = Kept()
        self.provider.add_span_processor(PackedBatchProcessor(self._packed, takes_packed=True))
        self.tracer = self.provider.get_tracer("scope", "1", "https://schema.example")

    def span(self, **more: Any) -> Span:
        span = self.tracer.start_span("name", **more)
        assert isinstance(span, Span)
        return span

    def assert_same(self, span: Span, *, is_packed: bool) -> None:
        """End the span and compare."""
        span.end()
        self.provider.shutdown()
        ((exported,),) = self._packed.batches
        assert isinstance(exported, PackedSpan) == is_packed
        assert parsed(exported) == parsed(span) == encode_spans([span])


@pytest.mark.parametrize("value", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_attribute_is_written_as_by_the_sdk(value: Any) -> None:
    both = Both()
    span = both.span(attributes={"before": 1, "own": value})
    span.add_event("event", {"own": value})
    both.assert_same(span, is_packed=True)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SINGLE = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(),
    *([st.none()] if KNOWS_NONE else []),
    st.text("é", min_size=50, max_size=300),
)
VALUES = st.recursive(
    SINGLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner).map(tuple), st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.dictionaries(TEXTS.filter(bool), VALUES))
def test_whatever_the_attributes_are_they_are_written_as_by_the_sdk(attributes: dict[str, Any]) -> None:
    span = readable(attributes=attributes, events=[Event("event", attributes, 7)])
    assert parsed(span) == encode_spans([span])


@pytest.mark.parametrize("edge", [0x7F, 0x80, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000])
def test_lengths_of_more_bytes_are_written_as_by_the_sdk(edge: int) -> None:
    for size in range(edge - 12, edge + 2):
        span = readable(name="n" * size, attributes={"key": "v" * size})
        assert parsed(span) == encode_spans([span])


@pytest.mark.parametrize("number", [0x7F, 0x80, 0x3FFF, 0x4000, 2**62, -1, -(2**63)])
def test_numbers_of_more_bytes_are_written_as_by_the_sdk(number: int) -> None:
    span = readable(attributes={"number": number, "numbers": [number, number + 1]})
    assert parsed(span) == encode_spans([span])


@pytest.mark.parametrize("kind", SpanKind)
@pytest.mark.parametrize("parent", [None, REMOTE, LOCAL], ids=["root", "remote", "local"])
def test_kind_parent_and_trace_state_are_written_as_by_the_sdk(kind: SpanKind, parent: Any) -> None:
    span = readable(kind=kind, parent=parent, context=REMOTE)
    assert REMOTE.trace_state == STATE
    assert parsed(span) == encode_spans([span])


def change_status(span: Span) -> None:
    span.set_status(StatusCode.ERROR, "broken ☃")


def add_events(span: Span) -> None:
    span.add_event("plain")
    span.add_event("own", {"a": [1, 2]}, 17)
    span.record_exception(ValueError("no good"))


USES: dict[str, tuple[Callable[[Span], None], bool]] = {
    "nothing": (lambda span: None, True),
    "status": (change_status, True),
    "ok": (lambda span: span.set_status(StatusCode.OK), True),
    "events": (add_events, True),
    "dropped attributes": (drop_attributes, False),
    "dropped events": (drop_events, False),
    "dropped attributes of an event": (drop_attributes_of_an_event, False),
}


@pytest.mark.parametrize(("use", "is_packed"), USES.values(), ids=USES)
def test_span_is_written_as_by_the_sdk(use: Callable[[Span], None], is_packed: bool) -> None:
    both = Both()
    span = both.span(kind=SpanKind.SERVER)
    use(span)
    both.assert_same(span, is_packed=is_packed)


def test_links_are_written_as_by_the_sdk() -> None:
    many = {str(number): number for number in range(200)}
    links = [Link(LOCAL), Link(REMOTE, {"own": [1.5]}), Link(LOCAL, many)] + [Link(REMOTE)] * 200
    both = Both()
    span = both.span(links=links)
    assert span.dropped_links
    both.assert_same(span, is_packed=False)


def test_times_that_are_not_there_are_not_written() -> None:
    span = readable(start_time=None, end_time=None)
    assert parsed(span) == encode_spans([span])


def test_spans_are_grouped_by_resource_and_scope() -> None:
    """By what they say: every `get_tracer` makes a scope of its own."""
    resources = [RESOURCE, Resource({"service.name": "other"}), Resource({})]
    scopes = [
        None,
        SCOPE,
        InstrumentationScope("scope", "1", "https://schema.example"),
        InstrumentationScope("bare"),
    ]
    spans = [
        readable(name=str(number), resource=resource, instrumentation_scope=scope)
        for resource in resources
        for number in range(2)
        for scope in scopes
    ]
    request = parsed(*spans)
    assert request == encode_spans(spans)
    assert [len(one.scope_spans) for one in request.resource_spans] == [3, 3, 3]


def test_attributes_of_a_scope_are_written_as_by_the_sdk() -> None:
    scope = TracerProvider().get_tracer("scope", attributes={"own": 1}).start_span("x").instrumentation_scope  # type: ignore[attr-defined]
    span = readable(instrumentation_scope=scope)
    assert parsed(span) == encode_spans([span])


def test_no_span_is_no_byte() -> None:
    assert encode([], refuse) == b""


def test_what_has_no_form_is_left_out_and_counted() -> None:
    unknown: dict[str, Any] = {"many bits": 2**63, "object": object(), "inside": [2**70], "kept": 1}
    span = readable(attributes=unknown, events=[Event("event", unknown, 1)])
    (written,) = parsed(span).resource_spans[0].scope_spans[0].spans
    assert [pair.key for pair in written.attributes] == ["kept"]
    assert written.dropped_attributes_count == written.events[0].dropped_attributes_count == 3


def test_half_a_character_costs_itself_alone() -> None:
    span = readable(name="a\ud800b", attributes={"a\ud800": "\ud800b", "long": "\ud800" * 200})
    (written,) = parsed(span).resource_spans[0].scope_spans[0].spans
    assert written.name == "a?b"
    assert [(pair.key, pair.value.string_value) for pair in written.attributes] == [
        ("a?", "?b"),
        ("long", "?" * 200),
    ]


def test_a_span_that_cannot_be_written_costs_itself_alone() -> None:
    reported: list[Exception] = []
    request = encode([readable(name="before 1970", start_time=-1), readable(name="kept")], reported.append)
    (written,) = ExportTraceServiceRequest.FromString(bytes(request)).resource_spans[0].scope_spans[0].spans
    assert written.name == "kept"
    assert len(reported) == 1


@given(st.integers(0, 2**63 - 1), TEXTS)
def test_what_a_collector_rejects_is_read(count: int, reason: str) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=count, error_message=reason)
    answer = ExportTraceServiceResponse(partial_success=partial)
    assert rejected(answer.SerializeToString()) == (count, reason)


def test_fields_that_are_not_known_are_passed_over() -> None:
    unknown = b"\x10\x80\x01" + b"\x19" + bytes(8) + b"\x22\x03abc" + b"\x2d" + bytes(4)
    assert rejected(unknown + b"\x0a\x04\x08\x05\x12\x00" + unknown) == (5, "")
    assert rejected(b"") == (0, "")


@given(st.binary())
def test_an_answer_that_is_none_ends(answer: bytes) -> None:
    with suppress(IndexError, KeyError, TypeError, AttributeError):
        rejected(answer)
