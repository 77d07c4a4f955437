"""What few exchanges have besides, on the record, the line and the span."""

from __future__ import annotations

import json

from obs_middleware.details import Details
from obs_middleware.logs.access_line import AccessLine, log_record
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.record import DetailedRecord, detailed
from obs_middleware.redaction import Redactor
from tests.core.support import observer, serve


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
    with_queries = json.loads(line.line(detailed(record, _details(), ())))
    assert with_queries == {**plain, "db_queries": 2, "db_ms": 750.0}
    tenant = Details()
    tenant.tenant = 'acme "1"'
    assert json.loads(line.line(detailed(record, tenant, ()))) == {**plain, "tenant": 'acme "1"'}


def test_line_is_the_one_that_the_formatter_writes() -> None:
    record = serve(observer(log_setup=False), route="/a").record()
    formatter, redactor = JsonFormatter(), Redactor()
    details = _details()
    details.tenant = "jane@example.org"
    own = detailed(record, details, (("team", "a"),))
    assert isinstance(own, DetailedRecord)
    line = AccessLine(formatter, redactor, "INFO").line(own)
    assert b"jane@example.org" not in line
    assert json.loads(line) == json.loads(formatter.format(log_record(own, redactor, 20, None)))
