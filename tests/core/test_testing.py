"""What a block leaves is captured, whole and once, and the process is then as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from obs_middleware import ConfigError, Observer, bind
from obs_middleware.testing import captured
from tests.core.support import Output, observer, python, request, serve, started

DURATIONS = "http_server_request_duration_seconds_count"


@pytest.fixture
def own() -> Iterator[Observer]:
    made = observer(tracer_provider=TracerProvider(), log_setup=False)
    made.gateway.set_up()
    yield made
    made.close()


def test_request_leaves_its_record_its_line_its_span_and_its_count(own: Observer) -> None:
    with captured(own) as seen:
        serve(own, route="/items/{id}", response_bytes=5)
    (record,), (line,), (span,) = seen.records, seen.lines, seen.spans
    assert (record.route, record.status, record.outcome, record.response_bytes) == (
        "/items/{id}",
        200,
        "ok",
        5,
    )
    assert (line["logger"], line["route"], line["request_id"]) == (
        "obs.access",
        "/items/{id}",
        record.request_id,
    )
    assert span.name == "GET /items/{id}"
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == line["trace_id"]
    assert seen.increase(DURATIONS, http_route="/items/{id}", http_response_status_code="200") == 1


def test_lines_of_the_app_have_ids_and_bound_fields_and_no_secrets(own: Observer) -> None:
    with captured(own) as seen:
        exchange = started(own)
        with exchange:
            bind(order=7)
            logging.getLogger("shop").info("paid", extra={"email": "ann@example.com"})
        exchange.finish()
    paid, access = seen.lines
    assert (paid["message"], paid["order"], paid["email"]) == ("paid", 7, "REDACTED")
    assert paid["request_id"] == access["request_id"] == exchange.request_id


def test_block_can_look_at_what_it_has_left_so_far(own: Observer) -> None:
    with captured(own) as seen:
        serve(own)
        assert (len(seen.records), len(seen.lines), len(seen.spans)) == (1, 1, 1)
        serve(own)
        assert (len(seen.records), len(seen.lines), len(seen.spans)) == (2, 2, 2)


def test_nothing_from_before_or_after_the_block_is_captured(own: Observer) -> None:
    serve(own, request(path="/before"))
    with captured(own) as seen:
        serve(own, request(path="/inside"))
    serve(own, request(path="/after"))
    assert [record.path for record in seen.records] == ["/inside"]
    assert [line["path"] for line in seen.lines] == ["/inside"]
    assert len(seen.spans) == 1


def test_block_inside_a_block_captures_its_own(own: Observer) -> None:
    with captured(own) as outer:
        serve(own, request(path="/outer"))
        with captured(own) as inner:
            serve(own, request(path="/inner"))
    for seen, paths in ((outer, ["/outer", "/inner"]), (inner, ["/inner"])):
        assert [record.path for record in seen.records] == paths
        assert [line["path"] for line in seen.lines] == paths
        assert len(seen.spans) == len(paths)


def test_metrics_are_summed_over_the_series_that_have_the_labels(own: Observer) -> None:
    orders = own.metrics.counter("orders", "Orders.", ["plan", "shop"])
    orders.labels("free", "a").inc(10)
    with captured(own) as seen:
        orders.labels("free", "a").inc()
        orders.labels("free", "b").inc(2)
        orders.labels("paid", "b").inc(4)
    assert seen.increase("orders_total") == 7
    assert seen.increase("orders_total", plan="free") == 3
    assert seen.value("orders_total", plan="free") == 13
    assert seen.increase("orders_total", plan="none") == seen.increase("no_such_metric") == 0


def test_access_line_is_captured_once_and_still_written_where_our_handler_writes_it(output: Output) -> None:
    own = observer()
    own.gateway.set_up()
    serve(own, request(path="/before"))
    with captured(own) as seen:
        serve(own, request(path="/inside"))
    assert output.messages() == ["GET /before 200", "GET /inside 200"]
    assert [line["message"] for line in seen.lines] == ["GET /inside 200"]
    own.close()


def test_our_handler_is_installed_though_lines_are_captured() -> None:
    """Or an app that starts in the block would log in another way than without it."""
    code = """
import logging
from obs_middleware import Observer
from obs_middleware.testing import captured
own = Observer(service_name="shop", log_level="WARNING")
with captured(own):
    own.gateway.set_up()
logging.getLogger("shop").warning("late")
"""
    assert '"message":"late"' in python(code)


def test_root_logger_is_as_it_was(own: Observer) -> None:
    handlers, level = list(logging.root.handlers), logging.root.level
    with pytest.raises(ZeroDivisionError), captured(own):
        _ = 1 / 0
    assert (logging.root.handlers, logging.root.level) == (handlers, level)


def test_provider_gets_one_processor_however_often_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = TracerProvider()
    own = observer(tracer_provider=provider, log_setup=False)
    added: list[Any] = []
    monkeypatch.setattr(provider, "add_span_processor", added.append)
    for _ in range(3):
        with captured(own):
            pass
    assert len(added) == 1


def test_app_without_a_provider_gets_one_so_that_its_own_spans_are_seen() -> None:
    code = """
from opentelemetry import trace
from obs_middleware import Observer, RequestInfo
from obs_middleware.testing import captured
own = Observer(log_setup=False)
for _ in range(2):
    with captured(own) as seen:
        exchange = own.gateway.start(RequestInfo("GET", "/", "", "http", {}.get))
        with exchange, trace.get_tracer("shop").start_as_current_span("charge"):
            pass
        exchange.finish()
    charge, server = seen.spans
    print(charge.name, server.name, charge.parent.span_id == server.get_span_context().span_id)
"""
    assert python(code) == "charge GET True\n" * 2


def test_without_tracing_there_are_no_spans_and_no_provider() -> None:
    code = """
from opentelemetry import trace
from obs_middleware import Observer
from obs_middleware.testing import captured
own = Observer(log_setup=False, tracing_enabled=False)
with captured(own) as seen:
    pass
print(seen.spans, type(trace.get_tracer_provider()).__name__)
"""
    assert python(code) == "[] ProxyTracerProvider\n"


def test_without_the_sdk_spans_say_what_to_install() -> None:
    code = """
import sys
sys.modules["opentelemetry.sdk.trace"] = None
from obs_middleware import ConfigError, Observer
from obs_middleware.testing import captured
with captured(Observer(log_setup=False)) as seen:
    pass
print(seen.records, seen.lines)
try:
    seen.spans
except ConfigError as error:
    print(error)
"""
    assert python(code) == (
        "[] []\ncaptured(…).spans needs OpenTelemetry's SDK: pip install 'obs-middleware[tracing]'\n"
    )


def test_what_is_no_observer_is_a_clear_error() -> None:
    app: Any = object()
    with pytest.raises(
        ConfigError, match=r"captured wants the app's Observer, got <object .*get_observer\(\)"
    ):
        captured(app).__enter__()


def test_importing_the_library_does_not_import_what_tests_need() -> None:
    assert python("import sys, obs_middleware; print('obs_middleware.testing' in sys.modules)") == "False\n"
