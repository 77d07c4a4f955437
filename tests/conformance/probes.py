"""A probe: one app on one front end, with all that it emits caught for a test to look at."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry

from obs_middleware import Observer
from obs_middleware.logs.outputs import LineHandler
from tests.apps import probe
from tests.conformance.front_ends import FrontEnd
from tests.conformance.messages import TIMEOUT_SECONDS, Request, Response, over_socket
from tests.conformance.servers import Server, eventually

DURATION = "http_server_request_duration_seconds"
FIRST_BYTE = "http_server_time_to_first_byte_seconds"
REQUEST_SIZE = "http_server_request_body_size_bytes"
RESPONSE_SIZE = "http_server_response_body_size_bytes"
ACTIVE = "http_server_active_requests"
WEBSOCKET = "http_server_websocket"
LABELS = ("http_request_method", "http_route", "http_response_status_code", "error_type")

# (method, route, status, error)
Labels = tuple[str, str, str, str]


class Probe:
    """One observed app and its signals."""

    def __init__(self, front_end: FrontEnd, observer: Observer, app: Any, output: io.StringIO) -> None:
        self.front_end = front_end
        self.observer = observer
        self.app = app
        self.registry: CollectorRegistry = observer.registry
        self.exporter = InMemorySpanExporter()
        self._output = output
        self._server: Server | None = None

    # Calls

    @contextlib.contextmanager
    def served_by(self, server: Server) -> Iterator[Probe]:
        """Serve the app while the block runs."""
        with server.serving(self.app):
            self._server = server
            yield self

    @property
    def address(self) -> tuple[str, int]:
        assert self._server is not None
        return self._server.address

    def get(self, target: str, *headers: tuple[str, str], method: str = "GET", body: bytes = b"") -> Response:
        """Ask the real server."""
        pairs = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
        host = b"%b:%d" % (self.address[0].encode(), self.address[1])
        return self.send(Request(target.encode(), method.encode(), pairs, body, host))

    def send(self, request: Request) -> Response:
        """Ask the real server with any bytes."""
        return over_socket(self.address, request)

    def connect(self) -> socket.socket:
        """Open a connection to the real server."""
        return socket.create_connection(self.address, timeout=TIMEOUT_SECONDS)

    def call(self, request: Request) -> Response:
        """Hand the request to the app with no server between."""
        return self.front_end.call(self.app, request)

    # Log

    def output(self) -> str:
        """Return all that was printed."""
        return self._output.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        """Return every log line; each must be one JSON object, and NaN is none."""
        return [json.loads(line, parse_constant=_refuse) for line in self.output().splitlines()]

    def access_lines(self, count: int | None = None) -> list[dict[str, Any]]:
        """Return the access lines, when there are so many."""

        def lines() -> list[dict[str, Any]]:
            return [line for line in self.lines() if line["logger"] == "obs.access"]

        if count is not None:
            eventually(lambda: len(lines()) >= count, f"{count} access lines")
            assert len(lines()) == count
        return lines()

    def access_line(self) -> dict[str, Any]:
        """Return the one access line."""
        return self.access_lines(1)[0]

    # Metrics

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return the value of every sample of the registry by name and labels."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of a name whose labels are these or more."""
        return sum(
            value for (key, own), value in self.samples().items() if key == name and labels.items() <= own
        )

    def counts(self, metric: str = DURATION) -> Counter[Labels]:
        """Return how many requests each label set has counted."""
        counts: Counter[Labels] = Counter()
        for (name, labels), value in self.samples().items():
            if name == f"{metric}_count":
                own = dict(labels)
                method, route, status, error = (own.get(label, "") for label in LABELS)
                counts[method, route, status, error] += int(value)
        return counts

    def counted(self, total: int) -> Counter[Labels]:
        """Return the counts when so many requests were counted."""
        eventually(lambda: self.counts().total() >= total, f"{total} requests counted, got {self.counts()}")
        assert self.counts().total() == total
        return self.counts()

    # Spans

    def spans(self, count: int) -> list[ReadableSpan]:
        """Return the server spans, when there are so many."""

        def spans() -> list[ReadableSpan]:
            return [span for span in self.exporter.get_finished_spans() if span.kind is SpanKind.SERVER]

        eventually(lambda: len(spans()) >= count, f"{count} server spans, got {len(spans())}")
        assert len(spans()) == count
        return spans()

    def span(self) -> ReadableSpan:
        """Return the one server span."""
        return self.spans(1)[0]


def make_probe(front_end: FrontEnd, options: probe.Options = probe.Options(), **settings: Any) -> Probe:
    """Make an observed app whose signals are its own."""
    provider = TracerProvider(shutdown_on_exit=False)
    arguments = {"service_name": "probe", "registry": CollectorRegistry(), "tracer_provider": provider}
    output = io.StringIO()
    with _as_in_a_fresh_process(output):
        observer = Observer(**{**arguments, **settings})
        observer.gateway.set_up()
        app = front_end.make_app(observer, options)
    made = Probe(front_end, observer, app, output)
    provider.add_span_processor(SimpleSpanProcessor(made.exporter))
    return made


@contextlib.contextmanager
def _as_in_a_fresh_process(output: io.StringIO) -> Iterator[None]:
    """Let the log be set up as where nobody has done so, with this for stdout; keep pytest's handlers besides."""
    root, stdout = logging.getLogger(), sys.stdout
    handlers, root.handlers, sys.stdout = root.handlers, [], output
    try:
        yield
    finally:
        sys.stdout = stdout
        for handler in root.handlers:
            if isinstance(handler, LineHandler):  # which would write to the stdout of the moment
                handler.stream = output
        root.handlers += handlers


@contextlib.contextmanager
def logging_restored() -> Iterator[None]:
    """Put the root logger back as it was."""
    root = logging.getLogger()
    handlers, level, filters = root.handlers[:], root.level, root.filters[:]
    try:
        yield
    finally:
        root.handlers, root.filters = handlers, filters
        root.setLevel(level)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
