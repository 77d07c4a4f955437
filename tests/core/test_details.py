"""What few exchanges have besides, on the record, the line and the span."""

from __future__ import annotations

import json

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from obs_middleware.details import Details
from obs_middleware.logs.access_line import AccessLine, log_record
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.record import DetailedRecord, detailed
from obs_middleware.redaction import Redactor
from tests.core.metrics.scraping import active, counts
from tests.core.support import caught, observer, request, serve, started


def _details() -> Details:
    details = Details()
    for seconds in (0.25, 0.5):
        details.add_query("SELECT 1", seconds)
    return details


def test_statements_are_counted_each_for_itself() -> None:
    details = Details()
    numbers = [details.add_query(statement, 0.1) for statement in ("a", "b", "a", "a")]
    assert numbers == [1, 1, 2, 3]
    assert details.db_queries == 4


def test_statements_without_end_are_counted_and_not_remembered() -> None:
    details = Details()
    numbers = [details.add_query(f"SELECT {number}", 0.0) for number in range(1000)]
    assert (numbers[0], numbers[-1], details.db_queries) == (1, 0, 1000)
    assert details.add_query("SELECT 7", 0.0) == 2


def test_line_has_what_is_known_and_nothing_else() -> None:
    record = serve(observer(log_setup=False), route="/a").record()
    formatter, redactor = JsonFormatter(), Redactor()
    line = AccessLine(formatter, redactor, "INFO")
    plain = json.loads(line.line(record))
    assert not {"tenant", "db_queries", "db_ms"} & plain.keys()
    with_queries = json.loads(line.line(detailed(record, _details(), labels=(), bound=())))
    assert with_queries == {**plain, "db_queries": 2, "db_ms": 750.0}
    tenant = Details()
    tenant.tenant = 'acme "1"'
    assert json.loads(line.line(detailed(record, tenant, labels=(), bound=()))) == {
        **plain,
        "tenant": 'acme "1"',
    }


def test_line_is_the_one_that_the_formatter_writes() -> None:
    record = serve(observer(log_setup=False), route="/a").record()
    formatter, redactor = JsonFormatter(), Redactor()
    details = _details()
    details.tenant = "jane@example.org"
    own = detailed(record, details, labels=(("team", "a"),), bound=())
    assert isinstance(own, DetailedRecord)
    line = AccessLine(formatter, redactor, "INFO").line(own)
    assert b"jane@example.org" not in line
    assert json.loads(line) == json.loads(formatter.format(log_record(own, redactor, 20, None)))


def test_span_has_what_is_known() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    own = observer(log_setup=False, tracer_provider=provider, tenant_header="x-shop")
    for headers in ({"x-shop": "jane@example.org"}, {}):
        with started(own, request(headers=headers)) as exchange:
            if headers:
                own.gateway.note_query("SELECT 1", 0.25)
                own.gateway.note_query("SELECT 1", 0.5)
            exchange.status = 200
        exchange.finish()
    first, second = (span.attributes or {} for span in exporter.get_finished_spans())
    assert (first["obs.db.queries"], first["obs.db.seconds"]) == (2, 0.75)
    assert "jane@example.org" not in str(first["obs.tenant"])
    assert not {"obs.tenant", "obs.db.queries", "obs.db.seconds"} & second.keys()


def test_details_of_a_request_that_is_left_out_bring_it_back_nowhere() -> None:
    own = observer(access_log=False)
    with started(own) as exchange:
        exchange.leave_out()
        exchange.add_labels(team="a")
        own.gateway.note_query("SELECT 1", 0.25)
        exchange.leave_out()
        exchange.status = 200
    exchange.finish()
    assert counts(own) == {}
    assert active(own) == 0


def test_line_that_others_see_has_the_details_too() -> None:
    own = observer(log_setup=False)
    with caught("obs.access") as lines, started(own) as exchange:
        own.gateway.note_query("SELECT 1", 0.25)
        exchange.set_tenant("acme")
        exchange.status = 200
        exchange.finish()
    (record,) = lines.records
    assert (record.db_queries, record.db_ms, record.tenant) == (1, 250.0, "acme")  # type: ignore[attr-defined]
