"""The SDK's batch processor, whose waiting spans are packed: texts, numbers and bytes in place of some twenty objects.

Two thousand spans may wait. As the SDK has them they are megabytes that push the app out of the processor's caches, and
tens of thousands of objects that the garbage collector looks at; packed they are a quarter, and nothing to collect.
Imported with the SDK only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import msgspec
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

_pack, _unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


class PackedBatches(BatchSpanProcessor):
    """Pack each span that ends, and unpack it when its batch is exported."""

    def __init__(self, exporter: SpanExporter) -> None:
        super().__init__(_Unpacking(exporter))

    def on_end(self, span: ReadableSpan) -> None:
        """Take in a span that was sampled."""
        if span.context is not None and span.context.trace_flags.sampled:
            super().on_end(_packed(span))


class _Packed(msgspec.Struct, gc=False):
    """A span; `resource` and `scope` are shared, the rest is its own."""

    context: ClassVar[SpanContext] = SpanContext(
        1, 1, False, TraceFlags(TraceFlags.SAMPLED)
    )  # the SDK looks at it

    name: str
    kind: SpanKind
    trace_id: int
    span_id: int
    flags: TraceFlags
    state: Any
    parent_id: int
    is_parent_remote: bool
    parent_flags: TraceFlags | None
    start: int | None
    end: int | None
    code: StatusCode
    description: str | None
    attributes: bytes
    events: bytes
    resource: Any
    scope: Any

    def unpacked(self) -> ReadableSpan:
        parent = None
        if self.parent_flags is not None:
            parent = SpanContext(
                self.trace_id, self.parent_id, self.is_parent_remote, self.parent_flags, self.state
            )
        return ReadableSpan(
            name=self.name,
            context=SpanContext(self.trace_id, self.span_id, False, self.flags, self.state),
            parent=parent,
            resource=self.resource,
            attributes=_attributes(_unpack(self.attributes)),
            events=[Event(name, _attributes(own), moment) for name, own, moment in _unpack(self.events)],
            kind=self.kind,
            status=Status(self.code, self.description),
            start_time=self.start,
            end_time=self.end,
            instrumentation_scope=self.scope,
        )


class _Unpacking(SpanExporter):
    """Hand batches on, each span unpacked when it is looked at."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export(_Batch(spans))

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Batch(Sequence[ReadableSpan]):
    def __init__(self, spans: Sequence[Any]) -> None:
        self._spans = spans

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: Any) -> Any:
        span = self._spans[index]
        if isinstance(index, slice):
            return _Batch(span)
        return span.unpacked() if type(span) is _Packed else span

    def __iter__(self) -> Iterator[ReadableSpan]:
        return map(self.__getitem__, range(len(self._spans)))


def _packed(span: ReadableSpan) -> Any:
    """Return the span packed; as it is where it has links, has dropped something or does not fit."""
    here, parent, status = span.context, span.parent, span.status
    if span.links or span.dropped_attributes or span.dropped_events or span.dropped_links:
        return span
    try:
        attributes = _pack(dict(span.attributes or {}))
        events = _pack([(event.name, dict(event.attributes or {}), event.timestamp) for event in span.events])
    except Exception:  # a number of more than 64 bits, a lone surrogate
        return span
    return _Packed(
        span.name,
        span.kind,
        here.trace_id,
        here.span_id,
        here.trace_flags,
        here.trace_state or None,
        0 if parent is None else parent.span_id,
        parent is not None and parent.is_remote,
        None if parent is None else parent.trace_flags,
        span.start_time,
        span.end_time,
        status.status_code,
        status.description,
        attributes,
        events,
        span.resource,
        span.instrumentation_scope,
    )


def _attributes(own: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if type(value) is list else value for name, value in own.items()}
