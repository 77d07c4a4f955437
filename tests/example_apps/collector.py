"""A collector of traces: what services send by OTLP over HTTP, as plain values."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.http_servers import SilentHandler, serving


@dataclass(frozen=True, slots=True)
class Span:
    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    is_error: bool
    events: tuple[str, ...]


class Collector:
    """What has come."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []

    def of(self, trace_id: str) -> list[Span]:
        return [span for span in list(self.spans) if span.trace_id == trace_id]

    def way_to(self, trace_id: str, name: str) -> list[str]:
        """Return the names from the first span of a trace to one of this name; none while one is missing."""
        spans = {span.span_id: span for span in self.of(trace_id)}
        found = next((span for span in spans.values() if span.name == name), None)
        names: list[str] = []
        while found is not None:
            names.insert(0, found.name)
            found = spans.get(found.parent_id)
        return names

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            values = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [_plain(values["service.name"], span) for span in scope.spans]


def _plain(service: str, span: Any) -> Span:
    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
    events = tuple(event.name for event in span.events)
    return Span(service, span.name, *ids, span.status.code == 2, events)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector until the block ends."""

    class Handler(SilentHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Handler) as port:
        collector = Collector(f"http://127.0.0.1:{port}")
        yield collector
