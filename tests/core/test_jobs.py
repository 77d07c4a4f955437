"""A process without requests: it has what a server's has, and goes on with the request that has made a job."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from obs_middleware import bind, current_exchange, outgoing_headers
from obs_middleware.logs import ContextFilter
from tests.core.support import internal_errors, observer, python, request, started

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {
    "traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01",
    "tracestate": "shop=1",
    "baggage": "plan=gold",
    "X-Request-ID": "order-7",
    "X-Correlation-ID": "checkout-3",
}


def stamped() -> logging.LogRecord:
    record = logging.LogRecord("shop", logging.INFO, "", 0, "packed", None, None)
    ContextFilter().filter(record)
    return record


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def test_job_goes_on_with_the_request_that_has_made_it() -> None:
    own = observer()
    with started(own, request(headers={"x-correlation-id": "checkout-3"})) as asked:
        kept = json.loads(json.dumps(outgoing_headers()))
    asked.finish()
    with own.continue_trace(kept) as job:
        assert current_exchange() is job
        assert (job.request_id, job.correlation_id) == (asked.request_id, "checkout-3")
        assert (job.trace_id, job.span_id) == (asked.trace_id, asked.span_id)
        assert outgoing_headers() == kept
    assert current_exchange() is None
    assert "traceparent" not in outgoing_headers()


def test_spans_of_a_job_are_children_of_the_span_that_made_it(exporter: InMemorySpanExporter) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with observer().continue_trace(HEADERS):
        assert baggage.get_baggage("plan") == "gold"
        with provider.get_tracer("shop").start_as_current_span("pack"):
            assert outgoing_headers()["traceparent"].startswith(f"00-{TRACE_ID}-")
    (span,) = exporter.get_finished_spans()
    assert span.parent is not None
    assert span.context is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE_ID, SPAN_ID)
    assert span.context.trace_state.to_header() == "shop=1"


def test_lines_of_a_job_have_its_ids_and_what_is_bound() -> None:
    own = observer()
    with own.continue_trace(HEADERS):
        bind(store_id="vinyl-cave")
        line: Any = stamped()
    assert (line.request_id, line.correlation_id, line.trace_id) == ("order-7", "checkout-3", TRACE_ID)
    assert line.store_id == "vinyl-cave"
    with own.continue_trace(HEADERS):
        assert not hasattr(stamped(), "store_id")


def test_job_of_nobody_begins_its_own_trace_and_has_an_id_of_its_own(exporter: InMemorySpanExporter) -> None:
    own, provider = observer(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with own.continue_trace({}) as first, own.continue_trace({}) as second:
        assert first.request_id != second.request_id
        assert second.trace_id == ""
        with provider.get_tracer("shop").start_as_current_span("clean up"):
            pass
    (span,) = exporter.get_finished_spans()
    assert span.parent is None


def test_job_is_no_request_for_metrics_and_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    own = observer()
    with caplog.at_level(logging.INFO), own.continue_trace(HEADERS):
        pass
    own.close()
    assert "obs.access" not in {record.name for record in caplog.records}
    assert not own.registry.get_sample_value("http_server_active_requests")
    assert not [
        family for family in own.registry.collect() if "request_duration" in family.name and family.samples
    ]


def test_job_that_fails_hands_its_exception_on_and_leaves_nothing_current() -> None:
    with pytest.raises(ValueError, match="no such order"), observer().continue_trace(HEADERS):
        raise ValueError("no such order")
    assert current_exchange() is None
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("odd", [{"traceparent": "nonsense", "X-Request-ID": "a b\n"}, None, {7: 8}])
def test_job_with_odd_headers_runs_all_the_same(odd: Any) -> None:
    own = observer()
    with own.continue_trace(odd) as job:
        assert job.trace_id == ""
    assert internal_errors(own, "continue_trace") == 0


def test_request_that_is_served_inside_a_job_is_a_child_of_it() -> None:
    own = observer()
    with own.continue_trace(HEADERS) as job:
        inner = started(own)
        assert inner.trace_id == job.trace_id
        inner.finish()


STARTED = """
import logging, sys
from opentelemetry import trace
from obs_middleware import Observer

class Noting:
    name, interval_seconds = "noting", 3600
    def export(self, collected):
        print(f"exported {collected.is_running}\\n", end="", flush=True)

observer = Observer(service_name="shop-worker")
observer.exporters.add(Noting())
observer.lifecycle.on_change(lambda before, now: print(f"{before} {now}\\n", end=""))
observer.start()
observer.start()
with observer.continue_trace({"X-Request-ID": "order-7"}):
    logging.getLogger("shop").info("packed")
observer.close()
observer.start()
observer.close()
"""


def test_worker_that_starts_has_lines_states_and_exports() -> None:
    printed = python(STARTED).splitlines()
    lines = [json.loads(line) for line in printed if line.startswith("{")]
    packed = [line for line in lines if line["message"] == "packed"]
    assert [(line["service"], line["request_id"]) for line in packed] == [("shop-worker", "order-7")]
    changes = [line for line in printed if " " in line and not line.startswith(("{", "exported"))]
    once = ["starting serving", "serving draining", "draining stopped"]
    assert changes == [*once, "stopped starting", *once]
    assert printed.count("exported False") == 2


@pytest.mark.parametrize("headers", [None, [1], "text", {1: 2}, {"traceparent": b"x"}, {"X-Request-ID": 7}])
def test_headers_that_are_no_texts_are_as_if_they_were_not_there(headers: Any) -> None:
    own = observer()
    with own.continue_trace(headers) as job:
        assert job.request_id == job.correlation_id == outgoing_headers()["X-Request-ID"] != ""
    assert internal_errors(own, "continue_trace") == 0
