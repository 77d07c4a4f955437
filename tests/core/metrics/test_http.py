"""The metrics: their series, their bounds, their registry, and the page."""

from __future__ import annotations

import gc
import threading
import uuid
import weakref
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from obs_middleware import ConfigError
from obs_middleware.queue import flush
from tests.core.metrics.scraping import DURATION, HISTOGRAMS, LABELS, active, counts, page
from tests.core.support import observer, request, serve, started


def test_every_exchange_is_one_measurement_of_each_histogram() -> None:
    own = observer(access_log=False)
    exchange = started(own)
    exchange.route, exchange.status, exchange.request_bytes, exchange.response_bytes = (
        "/items/{i}",
        200,
        10,
        2000,
    )
    exchange.first_byte()
    exchange.finish()
    labels = dict(zip(LABELS, ("GET", "/items/{i}", "200", ""), strict=True))
    by_route = {name: labels[name] for name in LABELS[:2]}
    for name, value in zip(
        HISTOGRAMS, (exchange.duration, exchange.time_to_first_byte, 10, 2000), strict=True
    ):
        shown = labels if name == DURATION else by_route
        assert own.registry.get_sample_value(f"{name}_count", shown) == 1
        assert own.registry.get_sample_value(f"{name}_sum", shown) == value
    for bound in ("0.005", "0.025", "0.1", "0.25", "0.5", "1.0", "2.5", "10.0", "+Inf"):
        assert own.registry.get_sample_value(f"{DURATION}_bucket", labels | {"le": bound}) is not None


def test_labels_tell_method_route_status_and_error() -> None:
    own = observer(access_log=False)
    serve(own, route="/a")
    serve(own, request("POST"), route=None, status=404)
    serve(own, request("BREW"), route="/a", status=500, error=ValueError())
    serve(own, status=None, is_client_gone=True, is_complete=False)
    assert set(counts(own)) == {
        ("GET", "/a", "200", ""),
        ("POST", "", "404", ""),
        ("_OTHER", "/a", "500", "ValueError"),
        ("GET", "", "", "client_disconnect"),
    }


def test_response_that_never_began_has_no_time_to_first_byte() -> None:
    own = observer(access_log=False)
    serve(own, status=None, is_cancelled=True)
    assert len(counts(own)) == 1
    assert counts(own, HISTOGRAMS[1]) in ({}, {("GET", "", "", "cancelled"): 0.0})


def test_known_methods_are_those_of_the_standard_in_exact_case() -> None:
    own = observer(access_log=False)
    known = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "QUERY"]
    for method in (*known, "get", "PROPFIND", "", "x" * 100_000):
        serve(own, request(method))
    assert {labels[0] for labels in counts(own)} == {*known, "_OTHER"}


def test_known_methods_can_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET,PROPFIND")
    own = observer(access_log=False)
    for method in ("GET", "PROPFIND", "POST"):
        serve(own, request(method))
    assert {labels[0] for labels in counts(own)} == {"GET", "PROPFIND", "_OTHER"}


def test_active_requests_go_up_and_come_down() -> None:
    own = observer(access_log=False)
    first, second = started(own), started(own)
    assert active(own) == 2
    first.finish()
    first.finish()
    assert active(own) == 1
    second.finish()
    assert active(own) == 0


def test_accepted_websocket_is_active_and_no_request_of_the_histograms() -> None:
    own = observer(access_log=False)
    exchange = started(own, request(scheme="ws"))
    assert active(own, scheme="ws") == 1
    exchange.status = 101
    exchange.finish()
    assert active(own, scheme="ws") == 0
    assert counts(own) == {}
    serve(own, request(scheme="ws"), status=403)
    assert counts(own) == {("GET", "", "403", ""): 1}


def test_ten_thousand_methods_paths_and_schemes_make_a_handful_of_series() -> None:
    own = observer(access_log=False, tracing_enabled=False)
    for number in range(10_000):
        serve(own, request(f"M{number}", f"/{number}", scheme=f"s{number}"), status=404)
    assert counts(own) == {("_OTHER", "", "404", ""): 10_000}
    assert active(own, "_OTHER", "_OTHER") == 0
    assert len(page(own).splitlines()) < 150


def test_past_the_cap_one_overflow_set_takes_every_further_measurement_and_they_are_counted() -> None:
    own = observer(access_log=False, metrics_max_series=10)
    for number in range(25):
        serve(own, route=f"/{number}")
    serve(own, route="/3")
    found = counts(own)
    assert len(found) == 11
    assert found["_OTHER", "overflow", "", "overflow"] == 15
    assert found["GET", "/3", "200", ""] == 2
    assert sum(found.values()) == 26
    assert own.registry.get_sample_value("obs_series_overflow_total", {"metric": "http_server"}) == 15


def test_cap_holds_for_the_registry_however_many_observers_share_it() -> None:
    registry = CollectorRegistry()
    for app in range(3):
        own = observer(registry=registry, access_log=False, metrics_max_series=10)
        for number in range(10):
            serve(own, route=f"/{app}/{number}")
    assert len(counts(own)) <= 11


def test_two_observers_share_the_instruments_of_one_registry() -> None:
    registry = CollectorRegistry()
    for _ in range(2):
        serve(observer(registry=registry, access_log=False), route="/a")
    assert counts(observer(registry=registry)) == {("GET", "/a", "200", ""): 2}


def test_other_buckets_on_a_shared_registry_are_told_at_once() -> None:
    registry = CollectorRegistry()
    observer(registry=registry, metrics_buckets=(0.1, 1))
    observer(registry=registry, metrics_buckets=(0.1, 1))
    with pytest.raises(
        ConfigError, match=r"metrics_buckets must be \(0\.1, 1\.0\).*registry=CollectorRegistry\(\)"
    ):
        observer(registry=registry, metrics_buckets=(0.1, 2))


@pytest.mark.parametrize(
    "name", [*HISTOGRAMS, "http_server_active_requests", "obs_internal_errors", "obs_series_overflow"]
)
def test_name_that_another_library_has_taken_is_told_and_can_be_given_back(name: str) -> None:
    registry = CollectorRegistry()
    foreign = (
        Counter(name, "foreign", registry=registry)
        if name.startswith("obs_")
        else Gauge(name, "foreign", registry=registry)
    )
    with pytest.raises(ConfigError, match=f"{name}.*registry=CollectorRegistry"):
        observer(registry=registry)
    registry.unregister(foreign)
    serve(observer(registry=registry, access_log=False))


@pytest.mark.usefixtures("flusher")
def test_registry_of_an_app_that_is_gone_is_not_kept() -> None:
    registry = CollectorRegistry()
    serve(observer(registry=registry, access_log=False))
    gone = weakref.ref(registry)
    del registry
    flush()
    gc.collect()
    assert gone() is None


def test_a_finalizer_that_ends_an_exchange_while_others_are_counted_in_waits_for_nobody() -> None:
    own = observer(access_log=False)
    open_ones = [started(own), started(own)]
    instruments = own.gateway._metrics.instruments

    class Interrupted(dict[str, list[int]]):
        def get(self, *arguments: Any) -> Any:
            if open_ones:  # as the collector may come at any call
                open_ones.pop().finish()
                flush()
            return super().get(*arguments)

    instruments.active = Interrupted(instruments.active)
    counting = threading.Thread(target=instruments.count_in, daemon=True)
    counting.start()
    counting.join(60)
    assert not counting.is_alive()
    flush()
    assert [(cell[0] - cell[1]) for cell in instruments.active.values()] == [0]


@pytest.mark.parametrize("route", [7, b"x", True, uuid.UUID(int=1)])
def test_route_that_is_no_text_leaves_the_page_as_it_is(route: Any) -> None:
    own = observer()
    serve(own, route=route)
    reply = own.gateway.reply(request(path="/metrics"), "/metrics")
    assert reply.status == 200
    assert f'http_route="{route}"'.encode() in reply.body
