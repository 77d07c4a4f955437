"""The SDK's batch processor, whose waiting spans are packed: texts, numbers and bytes in place of some twenty objects.

Two thousand spans may wait. As the SDK has them they are megabytes, which push the app out of the processor's caches.
They are also tens of thousands of objects, at which the garbage collector looks. Packed they are a quarter, and nothing
to collect. Imported with the SDK only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from obs_middleware import process
from obs_middleware.losses import lose
from obs_middleware.tracing.attributes import SpanFacts

pack, unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
NO_EVENTS = pack([])


class PackedBatchProcessor(SpanProcessor):
    """Pack each span that ends, and unpack it when its batch is exported.

    Args:
        takes_packed: the exporter takes spans as they are packed.

    Attributes:
        put: takes a span that is packed already.
        span_exporter: what the batches go to, under the SDK's own name for it.
    """

    def __init__(self, exporter: SpanExporter, *, takes_packed: bool = False) -> None:
        self.span_exporter = exporter if takes_packed else _UnpackingExporter(exporter)
        self._begin()
        process.on_fork(in_unseen_child=self._begin)  # of the other forks Python tells the SDK

    def _begin(self) -> None:
        self._batches = BatchSpanProcessor(self.span_exporter)
        self.put: Callable[[Any], None] = self._batches.on_end

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that was sampled."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.put(_packed(span))

    def shutdown(self) -> None:
        """Export what waits, and take nothing any more."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """Export what waits."""
        return bool(self._batches.force_flush(timeout_millis))


class PackedSpan(msgspec.Struct, gc=False):
    """A span that waits for its export; `resource` and `scope` are shared with others."""

    # The batch processor asks it whether the span is sampled.
    context: ClassVar[Any] = SimpleNamespace(trace_flags=SimpleNamespace(sampled=True))

    name: str
    kind: SpanKind
    ids: str  # the digits of the trace and the span ID
    flags: TraceFlags
    state: Any
    parent_id: int
    is_parent_remote: bool
    parent_flags: TraceFlags | None
    start: int | None
    end: int | None
    code: StatusCode
    description: str | None
    attributes: bytes  # packed; those that `facts` tell are not among them
    facts: SpanFacts | None
    events: bytes
    resource: Any
    scope: Any

    def all_attributes(self) -> dict[str, Any]:
        """Return the attributes, those of the end last."""
        facts = self.facts
        if facts is None:
            return unpack(self.attributes)  # type: ignore[no-any-return]
        if not self.attributes:
            return facts.all()
        at_end = facts.at_end()
        others = {key: value for key, value in unpack(self.attributes).items() if key not in at_end}
        return others | at_end

    def unpacked(self) -> ReadableSpan:
        """Return the span as exporters want it."""
        parent, trace_id, span_id = None, int(self.ids[:32], 16), int(self.ids[32:], 16)
        if self.parent_flags is not None:
            parent = SpanContext(
                trace_id, self.parent_id, self.is_parent_remote, self.parent_flags, self.state
            )
        return ReadableSpan(
            name=self.name,
            context=SpanContext(trace_id, span_id, False, self.flags, self.state),
            parent=parent,
            resource=self.resource,
            attributes=_with_tuples(self.all_attributes()),
            events=[
                Event(name, _with_tuples(attributes), moment)
                for name, attributes, moment in unpack(self.events)
            ],
            kind=self.kind,
            status=Status(self.code, self.description),
            start_time=self.start,
            end_time=self.end,
            instrumentation_scope=self.scope,
        )


class _UnpackingExporter(SpanExporter):
    """Hand batches on, each span unpacked when it is looked at."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(_Batch(spans))
        except Exception:
            lose("spans", len(spans))
            raise
        if result is not SpanExportResult.SUCCESS:
            lose("spans", len(spans))
        return result

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
        return span.unpacked() if type(span) is PackedSpan else span

    def __iter__(self) -> Iterator[ReadableSpan]:
        return map(self.__getitem__, range(len(self._spans)))


def _packed(span: ReadableSpan) -> Any:
    """Return the span packed; as it is where it has links, has dropped something or does not fit."""
    here: Any = span.context
    parent, status = span.parent, span.status
    if span.links or span.dropped_attributes or span.dropped_events or span.dropped_links:
        return span
    try:
        attributes, events = pack(dict(span.attributes or {})), pack_events(span.events)
    except Exception:  # a number of more than 64 bits, a lone surrogate, an event that has dropped something
        return span
    return PackedSpan(
        span.name,
        span.kind,
        f"{here.trace_id:032x}{here.span_id:016x}",
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
        None,
        events,
        span.resource,
        span.instrumentation_scope,
    )


def pack_events(events: Sequence[Event]) -> bytes:
    """Return the events packed.

    Raises:
        Exception: they can't be, or some were dropped, or some of their attributes.
    """
    if getattr(events, "dropped", 0) or any(event.dropped_attributes for event in events):
        raise ValueError("the count of what was dropped would be lost")
    return pack([(event.name, dict(event.attributes or {}), event.timestamp) for event in events])


def _with_tuples(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes with tuples for lists, as the SDK keeps them, however deep."""
    return {
        name: _with_tuple(value) if type(value) in (list, dict) else value
        for name, value in attributes.items()
    }


def _with_tuple(value: Any) -> Any:
    if type(value) is dict:
        return _with_tuples(value)
    return tuple(map(_with_tuple, value)) if type(value) is list else value
