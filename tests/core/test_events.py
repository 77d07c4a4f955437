"""An event of the app is counted, kept, logged and put on the span, without its secrets."""

from __future__ import annotations

import logging
import math
import threading
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from obs_middleware import Observer
from tests.core.metrics.scraping import page
from tests.core.support import Output, caught, internal_errors, observer, request, started


def counted(own: Observer, name: str) -> float | None:
    return own.registry.get_sample_value("telemetry_events_total", {"event": name})


def test_an_event_is_counted_kept_and_logged(output: Output) -> None:
    own = observer()
    own.events.record("node_joined", 3, labels={"zone": "a"}, metadata={"node": {"id": 7}})
    own.events.record("node_left")
    first, second = own.events.recent()
    assert (first.name, first.value, first.labels, first.metadata) == (
        "node_joined",
        3,
        {"zone": "a"},
        {"node": {"id": 7}},
    )
    assert (second.name, second.value, second.labels, second.metadata) == ("node_left", None, {}, {})
    assert first.timestamp <= second.timestamp
    assert (counted(own, "node_joined"), counted(own, "node_left"), own.events.count) == (1, 1, 2)
    line, short = output.lines()
    assert (line["message"], line["logger"], line["level"]) == ("node_joined", "obs.events", "INFO")
    assert (line["event_value"], line["event_labels"], line["event_metadata"]) == (
        3,
        {"zone": "a"},
        {"node": {"id": 7}},
    )
    assert not [name for name in short if name.startswith("event_")]


def test_an_event_in_a_request_is_on_its_line_and_its_span(output: Output) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    own = observer(tracer_provider=provider, trace_sample_ratio=1)
    exchange = started(own, request())
    with exchange:
        own.events.record("paid", 9.5, labels={"plan": "free"}, metadata={"items": [1, 2], "none": None})
    exchange.finish()
    (span,) = exporter.get_finished_spans()
    (event,) = span.events
    assert event.name == "paid"
    assert dict(event.attributes or {}) == {"value": 9.5, "plan": "free", "items": "[1,2]"}
    assert output.lines()[0]["request_id"] == exchange.request_id


def test_no_secret_of_an_event_leaves(output: Output) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    own = observer(tracer_provider=provider, trace_sample_ratio=1)
    exchange = started(own, request())
    with exchange:
        own.events.record(
            "login", labels={"api_key": "k-93848"}, metadata={"who": {"email": "ann@example.com"}, "n": 1}
        )
    exchange.finish()
    seen = [
        repr(own.events.recent()),
        output.bytes.getvalue().decode(),
        exporter.get_finished_spans()[0].to_json(),
    ]
    for text in seen:
        assert "login" in text
        assert "k-93848" not in text
        assert "ann@example.com" not in text


def test_only_the_last_events_are_kept() -> None:
    own = observer(events_kept=3)
    for number in range(5):
        own.events.record("tick", number)
    assert [event.value for event in own.events.recent()] == [2, 3, 4]
    assert [event.value for event in own.events.recent(2)] == [3, 4]
    assert own.events.recent(0) == []
    assert own.events.count == 5
    none = observer(events_kept=0)
    none.events.record("tick")
    assert (none.events.recent(), counted(none, "tick")) == ([], 1)


def test_what_is_kept_does_not_change_with_what_was_given() -> None:
    own, metadata = observer(), {"node": [1]}
    own.events.record("joined", metadata=metadata)
    metadata["node"].append(2)
    assert own.events.recent()[0].metadata == {"node": [1]}


class Lazy(dict[str, Any]):
    """A mapping that asks somebody for what is in it."""

    def __len__(self) -> int:
        raise ConnectionError("the database is away")

    __iter__ = items = __len__  # type: ignore[assignment]


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize(
    "given",
    [
        {"metadata": {"self": Hostile()}},
        {"labels": 7},
        {"labels": Lazy()},
        {"metadata": {1: 2, None: 3}},
        {"value": math.nan},
        {"value": "many"},
        {"metadata": {"deep": [[[[[[[[[[[[1]]]]]]]]]]]]}},
    ],
)
def test_an_odd_event_never_raises(given: Any, output: Output) -> None:
    own = observer()
    own.events.record("odd", **given)
    own.events.record(Hostile())  # type: ignore[arg-type]
    own.events.record("even")
    assert own.events.recent()[-1].name == "even"
    assert internal_errors(own, "events") >= 1


def test_names_without_end_are_counted_as_other() -> None:
    own = observer(events_kept=1)
    with caught("obs.events"):
        for number in range(600):
            own.events.record(f"event-{number}")
        own.events.record("event-3")
    assert counted(own, "other") == 100
    assert counted(own, "event-3") == 2


def test_no_counter_is_on_the_page_of_an_app_without_events() -> None:
    own = observer()
    assert "telemetry_events" not in own.metrics.snapshot()


def test_threads_record_at_once() -> None:
    own = observer()
    with caught("obs.events"):

        def record() -> None:
            for _ in range(100):
                own.events.record("tick")

        threads = [threading.Thread(target=record) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (own.events.count, counted(own, "tick")) == (400, 400)


def test_an_event_is_told_though_the_app_has_taken_the_counters_name(output: Output) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    own = observer(tracer_provider=provider, trace_sample_ratio=1)
    own.metrics.counter("telemetry_events", "Ours.").inc()
    exchange = started(own, request())
    with exchange:
        own.events.record("paid", 9.5)
        own.events.record("paid", 9.5)
    exchange.finish()
    assert [event.name for event in exporter.get_finished_spans()[0].events] == ["paid", "paid"]
    assert [line for line in output.messages() if line == "paid"] == ["paid", "paid"]
    assert own.events.count == len(own.events.recent()) == 2
    assert internal_errors(own, "events") == 1


def test_an_event_is_on_the_span_and_counted_though_it_can_not_be_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    own = observer(tracer_provider=provider, trace_sample_ratio=1)
    monkeypatch.setattr(logging.getLogger("obs.events"), "handle", fails)
    exchange = started(own, request())
    with exchange, caught("obs"):
        own.events.record("paid")
    exchange.finish()
    assert [event.name for event in exporter.get_finished_spans()[0].events] == ["paid"]
    assert (counted(own, "paid"), internal_errors(own, "events")) == (1, 1)


def test_secret_in_an_events_name_is_hidden_everywhere(output: Output) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    own = observer(tracer_provider=provider, trace_sample_ratio=1)
    exchange = started(own, request())
    with exchange:
        own.events.record("login password=hunter2")
    exchange.finish()
    for text in (
        repr(own.events.recent()),
        output.bytes.getvalue().decode(),
        exporter.get_finished_spans()[0].to_json(),
        page(own),
    ):
        assert "login password=" in text
        assert "hunter2" not in text


def test_event_names_past_the_cap_are_counted_as_overflow() -> None:
    own = observer(events_kept=1)
    with caught("obs.events"):
        for number in range(503):
            own.events.record(f"event-{number}")
    overflow = own.registry.get_sample_value("obs_series_overflow_total", {"metric": "telemetry_events"})
    assert (counted(own, "other"), overflow) == (3, 3)
