"""What the peers need around them: an OpenTelemetry SDK like the one that we set up, and a JSON logger."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Sequence
from typing import Any

DEAD_END = "http://127.0.0.1:9/"  # nobody listens: `drop_spans` sees to it that nobody is asked
_providers: list[Any] = []
exported = [0]  # spans that the exporter has been given


def endpoint() -> str:
    """Return the base URL that spans are sent to."""
    return os.environ.get("BENCH_OTLP_ENDPOINT", DEAD_END)


def drop_spans() -> None:
    """Replace the OTLP exporters by one that drops, for ours and the peers alike, unless there is a sink to send to.

    The observed app is then set up as users do it, with `otlp_endpoint=`. The time of a batch is that of the batch
    processor, without encoding and sending.
    """
    if endpoint() != DEAD_END:
        return
    from opentelemetry.exporter.otlp.proto.http import trace_exporter
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    from benchmarks import earlier

    class Dropping(SpanExporter):
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            exported[0] += len(spans)
            return SpanExportResult.SUCCESS

    trace_exporter.OTLPSpanExporter = Dropping  # type: ignore[assignment,misc]
    earlier.exporter().OtlpExporter = Dropping


def provider(ratio: float) -> Any:
    """Return a TracerProvider for a peer: parent-based ratio, batch processor, OTLP over HTTP."""
    from opentelemetry.exporter.otlp.proto.http import trace_exporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    made = TracerProvider(
        resource=Resource.create({"service.name": "bench"}), sampler=ParentBased(TraceIdRatioBased(ratio))
    )
    exporter = trace_exporter.OTLPSpanExporter(endpoint=f"{endpoint()}v1/traces")
    made.add_span_processor(BatchSpanProcessor(exporter))
    _providers.append(made)
    return made


def flush() -> None:
    """Export what is held, by ours and by the peers."""
    from opentelemetry import trace

    for one in (*_providers, trace.get_tracer_provider()):
        if hasattr(one, "force_flush"):
            one.force_flush()


def json_log(*filters: logging.Filter) -> logging.Logger:
    """Return the logger of a peer's access line: JSON on standard output, as ours is."""
    from pythonjsonlogger.json import JsonFormatter

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    for one in filters:
        handler.addFilter(one)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return logging.getLogger("access")


def new_id() -> str:
    """Return a request ID, where the framework has no package of its own for it."""
    return uuid.uuid4().hex
