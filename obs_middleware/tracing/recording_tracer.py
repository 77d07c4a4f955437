"""Which server spans are RecordingSpans: those of a provider that we have set up, while nobody else listens to it.

A span processor that is added later wants a span of the SDK at its start; from then on the SDK makes the spans.
Imported with the SDK only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, SynchronousMultiSpanProcessor
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from obs_middleware.tracing.attributes import SCHEMA, SCOPE, VERSION
from obs_middleware.tracing.recording_span import OUR_ATTRIBUTES, RecordingSpan

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from obs_middleware.exchange import Exchange
    from obs_middleware.redaction import Redactor
    from obs_middleware.tracing.packed_span import PackedBatchProcessor

_SAMPLED, _RANDOM = TraceFlags.SAMPLED, 0x02  # trace-context-2, section 3.2.2.5.2
_SDK_METRICS = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


class SpanProcessors(SynchronousMultiSpanProcessor):
    """The span processors of a provider of ours.

    Args:
        batches: the first of them, which exports.

    Attributes:
        has_others: whether another one was added.
    """

    def __init__(self, batches: PackedBatchProcessor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        super().add_span_processor(batches)
        self.batches = batches
        self.has_others = False

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add one; `TracerProvider.add_span_processor` calls it."""
        self.has_others = True
        super().add_span_processor(span_processor)


class RecordingTracer:
    """Start and export the server spans of a provider.

    Args:
        provider: has `processors`, and samples as `Sampling` does.

    Attributes:
        limits: of what a span keeps.
        has_room: whether all attributes of ours fit in, whole.

    Raises:
        ValueError: the SDK has to make the spans.
    """

    def __init__(self, provider: TracerProvider, processors: SpanProcessors) -> None:
        tracer = provider.get_tracer(SCOPE, VERSION, schema_url=SCHEMA)
        parent = SpanContext(1, 1, True, TraceFlags(_SAMPLED | _RANDOM))
        specimen = tracer.start_span(SCOPE, set_span_in_context(NonRecordingSpan(parent)), SpanKind.SERVER)
        if not isinstance(specimen, ReadableSpan):
            raise ValueError("the SDK is switched off")
        if os.environ.get(_SDK_METRICS, "").strip().lower() == "true":
            raise ValueError("the SDK counts its spans")
        self.provider, self._processors = provider, processors
        self.scope: InstrumentationScope | None = specimen.instrumentation_scope
        self.limits = limits = SpanLimits()
        self.has_room = limits.max_span_attribute_length is None and (
            limits.max_span_attributes is None or limits.max_span_attributes >= OUR_ATTRIBUTES
        )
        # None where the SDK's release does not know the flag.
        self._random = specimen.get_span_context().trace_flags & _RANDOM
        self._flags = {random: TraceFlags(_SAMPLED | random) for random in (0, _RANDOM)}
        self._root_flags = self._flags[self._random]

    def start(self, exchange: Exchange, parent: SpanContext, redactor: Redactor) -> RecordingSpan | None:
        """Start the span of an exchange whose trace is sampled; None where the SDK has to do it.

        Args:
            parent: not valid where a trace begins.
        """
        if self._processors.has_others:
            return None
        method = exchange.method
        request = method, exchange.info, redactor
        if parent is INVALID_SPAN_CONTEXT or not parent.is_valid:
            return RecordingSpan(
                self, exchange.ids, self._root_flags, None, None, method, exchange.started_ns, request
            )
        flags = self._flags[self._random & parent.trace_flags]
        return RecordingSpan(
            self, exchange.ids, flags, parent.trace_state, parent, method, exchange.started_ns, request
        )

    def export(self, span: RecordingSpan) -> None:
        """Hand a span that has ended to whoever wants it."""
        if not self._processors.has_others:
            packed = span.packed()
            if packed is not None:
                self._processors.batches.put(packed)
                return
        self._processors.on_end(span.readable())
