"""What a line says of the request it was written in."""

from __future__ import annotations

import logging
import uuid

import pytest
from opentelemetry.sdk.trace import TracerProvider

from obs_middleware import Settings, bind
from obs_middleware.logs import JsonFormatter
from tests.core.logs.support import IDS, SECRET, LocalProxy, Raising, cycle, line, with_extra
from tests.core.support import caught, observer, request, started, strict_json


def test_line_outside_a_request_has_its_ids_all_the_same() -> None:
    assert [line()[key] for key in IDS] == [None] * 4


def test_line_in_a_request_has_its_ids_and_bound_fields() -> None:
    with started(observer(), request(headers={"x-request-id": "r-1", "x-correlation-id": "c-1"})) as exchange:
        bind(tenant="acme", password=SECRET)
        found = line()
    assert [found[key] for key in IDS] == ["r-1", "c-1", exchange.trace_id, exchange.span_id]
    assert (found["tenant"], found["password"]) == ("acme", "REDACTED")


def test_line_of_a_child_span_has_the_childs_id() -> None:
    tracer = TracerProvider().get_tracer("test")
    with (
        caught("shop", formatter=JsonFormatter(settings=Settings())) as handler,
        started(observer()) as exchange,
        tracer.start_as_current_span("child") as child,
    ):
        logging.getLogger("shop").info("paid")
    found = strict_json(handler.lines[0])
    assert found["trace_id"] == exchange.trace_id
    assert found["span_id"] == f"{child.get_span_context().span_id:016x}"


def test_line_that_names_its_request_belongs_to_its_exchange() -> None:
    class Request:
        obs_exchange = started(observer())

    with caught("shop", formatter=JsonFormatter(settings=Settings())) as handler:
        logging.getLogger("shop").warning("Not Found", extra={"request": Request()})
        logging.getLogger("shop").warning("Not Found", extra={"request": object()})
    first, second = map(strict_json, handler.lines)
    assert (first["request_id"], second["request_id"]) == (Request.obs_exchange.request_id, None)


@pytest.mark.parametrize("key", IDS)
def test_id_that_an_extra_brings_is_not_lost(key: str) -> None:
    found = line(**with_extra(key))
    assert "added" in (found[key], found.get(f"field_{key}"))


def test_ids_that_extras_bring_do_not_cost_the_message() -> None:
    found = line(request_id="added", span_id=uuid.UUID(int=1))
    assert found["message"] == "paid"
    assert (
        line(request_id=Raising(), span_id=Raising(), trace_id=object(), correlation_id=cycle())["message"]
        == "paid"
    )


@pytest.mark.parametrize(
    "name", ["name", "msg", "args", "levelname", "message", "asctime", "exc_info", "request_id", "level"]
)
def test_bound_field_with_a_name_of_the_records_is_not_lost_and_changes_no_record(name: str) -> None:
    with started(observer()) as exchange:
        bind(**{name: "bound"})
        found = line("paid %s", "now")
    assert (found["message"], found["logger"], found["level"]) == ("paid now", "shop", "INFO")
    assert found["request_id"] == exchange.request_id
    assert found[f"field_{name}"] == "bound"


def test_extra_that_cannot_be_looked_at_does_not_cost_the_message() -> None:
    assert line(request=LocalProxy())["message"] == "paid"


def test_exchange_that_somebody_has_written_into_costs_its_ids_and_not_the_message() -> None:
    with started(observer()) as exchange:
        exchange.ids = 5  # type: ignore[assignment]
        found = line()
    assert (found["message"], found["request_id"], found["correlation_id"]) == ("paid", None, None)
