"""Spans that wait for export are packed, and come out as they went in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from obs_middleware.tracing.packed_span import PackedBatchProcessor

RESOURCE = Resource({"service.name": "shop"})
STATE = TraceState([("a", "1"), ("b", "2")])
REMOTE = SpanContext(2**127 + 5, 2**63 + 6, True, TraceFlags(3), STATE)
LOCAL = SpanContext(7, 8, False, TraceFlags(1))


class Kept(SpanExporter):
    """An exporter that keeps the batches it was handed, and what went through its other methods."""

    def __init__(self) -> None:
        self.batches: list[Sequence[ReadableSpan]] = []
        self.calls: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.batches.append(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self.calls.append("force_flush")
        return True


class Packing:
    """A provider whose spans are packed; `last` is the one that ended last, as the SDK had it."""

    def __init__(self) -> None:
        self.exporter, self.last = Kept(), None
        self.processor = PackedBatchProcessor(self.exporter)
        self.provider = TracerProvider(resource=RESOURCE, sampler=ParentBased(ALWAYS_OFF))
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("scope", "1", "https://schema.example")

    def span(self, parent: SpanContext = REMOTE, **more: Any) -> Span:
        context = set_span_in_context(NonRecordingSpan(parent))
        span = self.tracer.start_span("name", context, SpanKind.SERVER, **more)
        assert isinstance(span, Span)
        return span

    def exported(self) -> ReadableSpan:
        self.provider.force_flush()
        ((span,),) = self.exporter.batches
        return span


@pytest.fixture
def packing() -> Iterator[Packing]:
    made = Packing()
    yield made
    made.provider.shutdown()


def contents(span: ReadableSpan) -> dict[str, Any]:
    """Return all that a span tells."""
    return {
        "name": span.name,
        "kind": span.kind,
        "context": span.context,
        "state": span.context and span.context.trace_state,
        "parent": span.parent,
        "is_parent_remote": span.parent and span.parent.is_remote,
        "times": (span.start_time, span.end_time),
        "attributes": [(name, type(value), value) for name, value in (span.attributes or {}).items()],
        "events": [(event.name, dict(event.attributes or {}), event.timestamp) for event in span.events],
        "links": [(link.context, dict(link.attributes or {})) for link in span.links],
        "status": (span.status.status_code, span.status.description),
        "resource": span.resource,
        "scope": span.instrumentation_scope,
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
    }


def assert_same(exported: ReadableSpan, span: Span) -> None:
    assert contents(exported) == contents(span)
    assert encode_spans([exported]).SerializeToString() == encode_spans([span]).SerializeToString()


ATTRIBUTES: dict[str, Any] = {
    "text": "text",
    "empty": "",
    "letters": "naïve ☃ 🦉 \x00 end",
    "true": True,
    "false": False,
    "zero": 0,
    "least": -(2**63),
    "most": 2**63 - 1,
    "number": 1.5,
    "whole": 2.0,
    "minus zero": -0.0,
    "infinite": float("inf"),
    "texts": ["x", "y"],
    "none of them": [],
    "numbers": (1, 2),
    "floats": [1.0, 2.5],
    "truths": [True, False],
    "bytes": b"bytes\x00",
}


@pytest.mark.parametrize("value", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_attribute_comes_out_as_it_went_in(value: Any, packing: Packing) -> None:
    span = packing.span(attributes={"before": 1, "own": value})
    span.add_event("event", {"own": value})
    span.end()
    exported = packing.exported()
    assert_same(exported, span)
    assert type(dict(exported.attributes or {})["own"]) is type(dict(span.attributes or {})["own"])


def test_nested_attributes_come_out_as_they_went_in(packing: Packing) -> None:
    """Releases that keep them; others drop them."""
    span = packing.span(attributes={"own": {"a": [1, [2, 3]], "b": {"c": None}}, "pairs": [[1, 2], [3]]})
    span.end()
    assert_same(packing.exported(), span)


def test_attributes_keep_their_order(packing: Packing) -> None:
    span = packing.span(attributes=dict.fromkeys("zyxabc", 1))
    span.end()
    assert list(packing.exported().attributes or {}) == list("zyxabc")


@pytest.mark.parametrize("parent", [REMOTE, LOCAL], ids=["remote", "local"])
def test_parent_comes_out_as_it_went_in(parent: SpanContext, packing: Packing) -> None:
    span = packing.span(parent)
    span.end()
    assert_same(packing.exported(), span)


def test_span_without_a_parent_comes_out_without_one() -> None:
    exporter = Kept()
    provider = TracerProvider()
    provider.add_span_processor(PackedBatchProcessor(exporter))
    span = provider.get_tracer("scope").start_span("root")
    span.end()
    provider.shutdown()
    ((exported,),) = exporter.batches
    assert exported.parent is None
    assert_same(exported, span)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "status", [(StatusCode.OK,), (StatusCode.ERROR,), (StatusCode.ERROR, "broken")], ids=str
)
def test_status_comes_out_as_it_went_in(status: Any, packing: Packing) -> None:
    span = packing.span()
    span.set_status(*status)
    span.end()
    assert_same(packing.exported(), span)


def test_events_come_out_as_they_went_in(packing: Packing) -> None:
    span = packing.span()
    span.add_event("plain")
    span.add_event("own", {"a": [1, 2]}, 17)
    span.record_exception(ValueError("no good"))
    span.end()
    exported = packing.exported()
    assert_same(exported, span)
    assert all(type(event) is Event for event in exported.events)


def test_times_of_the_users_come_out_as_they_went_in(packing: Packing) -> None:
    span = packing.span(start_time=1)
    span.end(2)
    assert_same(packing.exported(), span)


def drop_attributes(span: Span) -> None:
    span.set_attributes({str(number): number for number in range(200)})


def drop_events(span: Span) -> None:
    for number in range(200):
        span.add_event(str(number))


def drop_attributes_of_an_event(span: Span) -> None:
    span.add_event("event", {str(number): number for number in range(200)})


UNPACKED = {
    "70 bits": lambda span: span.set_attribute("own", 2**70),
    "lone surrogate": lambda span: span.set_attribute("own", "\ud800"),
    "lone surrogate of an event": lambda span: span.add_event("event", {"own": "\ud800"}),
    "dropped attributes": drop_attributes,
    "dropped events": drop_events,
    "dropped attributes of an event": drop_attributes_of_an_event,
}


@pytest.mark.parametrize("use", UNPACKED.values(), ids=UNPACKED)
def test_what_cannot_be_packed_stays_as_it_is(use: Any, packing: Packing) -> None:
    span = packing.span()
    use(span)
    span.end()
    exported = packing.exported()
    assert contents(exported) == contents(span)
    assert [event.dropped_attributes for event in exported.events] == [
        event.dropped_attributes for event in span.events
    ]


def test_links_stay_as_they_are(packing: Packing) -> None:
    span = packing.span(links=[Link(LOCAL, {"own": 1})])
    span.end()
    assert_same(packing.exported(), span)


def test_span_that_is_not_sampled_is_not_exported(packing: Packing) -> None:
    context = SpanContext(1, 2, False, TraceFlags(0))
    packing.processor.on_end(ReadableSpan("unsampled", context))
    packing.processor.on_end(ReadableSpan("without a context"))
    packing.provider.force_flush()
    assert packing.exporter.batches == []


def test_batch_is_a_sequence(packing: Packing) -> None:
    spans = [packing.span(attributes={"number": number}) for number in range(5)]
    for span in spans:
        span.end()
    packing.provider.force_flush()
    (batch,) = packing.exporter.batches
    assert len(batch) == 5
    assert [contents(span) for span in batch] == [contents(span) for span in spans]
    assert [contents(span) for span in batch[1:3]] == [contents(span) for span in spans[1:3]]
    assert contents(batch[-1]) == contents(spans[-1])
    with pytest.raises(IndexError):
        batch[5]


def test_exporter_is_shut_down(packing: Packing) -> None:
    packing.provider.shutdown()
    assert packing.exporter.calls == ["shutdown"]
    assert packing.processor.span_exporter.force_flush() is True


class Refusing(SpanExporter):
    """An exporter that fails, in one way or the other."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.failure is not None:
            raise self.failure
        return SpanExportResult.FAILURE


@pytest.mark.parametrize("failure", [None, OSError("no route")])
def test_spans_that_another_exporter_does_not_take_are_counted(
    failure: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[tuple[str, int]] = []
    monkeypatch.setattr("obs_middleware.losses._listeners", [lambda *loss: lost.append(loss)])
    provider = TracerProvider()
    provider.add_span_processor(PackedBatchProcessor(Refusing(failure)))
    for _ in range(2):
        provider.get_tracer("shop").start_span("GET").end()
    provider.force_flush()
    assert lost == [("spans", 2)]
