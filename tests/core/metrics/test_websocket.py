"""What is counted of websockets is bounded, and exists where there are any."""

from __future__ import annotations

import gc
import weakref

import pytest
from prometheus_client import CollectorRegistry, Gauge

from obs_middleware import Observer
from obs_middleware.metrics.websocket import OpenWebsocket, WebsocketMetrics
from obs_middleware.queue import flush
from tests.core.metrics.scraping import page
from tests.core.support import internal_errors, observer, request, started

PREFIX = "http_server_websocket"


def opened(own: Observer, route: str | None = "/chat") -> OpenWebsocket:
    exchange = started(own, request(scheme="ws"))
    websocket = own.gateway.websocket_opened(exchange, route)
    exchange.status = 101
    exchange.finish()
    assert websocket is not None
    return websocket


def value(own: Observer, name: str, **labels: str) -> float | None:
    return own.registry.get_sample_value(f"{PREFIX}_{name}", {"http_route": "/chat", **labels})


def test_process_without_websockets_has_none_of_their_metrics() -> None:
    own = observer(access_log=False)
    assert PREFIX not in page(own)
    opened(own)
    assert f"{PREFIX}_active_connections" in page(own)


def test_websocket_is_counted_in_and_out() -> None:
    own = observer(access_log=False)
    first, second = opened(own), opened(own)
    assert value(own, "active_connections") == 2
    first.received(3)
    first.sent(10)
    first.sent(5)
    first.closed(1000)
    assert value(own, "active_connections") == 1
    assert value(own, "connections_total", websocket_close_code="1000") == 1
    assert value(own, "messages_total", network_io_direction="transmit") == 2
    assert value(own, "message_bytes_total", network_io_direction="transmit") == 15
    assert value(own, "message_bytes_total", network_io_direction="receive") == 3
    second.closed(None)
    assert value(own, "connections_total", websocket_close_code="") == 1
    assert value(own, "connection_duration_seconds_count") == 2


def test_codes_and_routes_without_end_are_a_handful_of_series() -> None:
    own = observer(access_log=False)
    for number in range(2000):
        opened(own, f"/{number}").closed(3000 + number)
    lines = [line for line in page(own).splitlines() if line.startswith(f"{PREFIX}_connections_total")]
    codes = {line.partition('websocket_close_code="')[2].partition('"')[0] for line in lines}
    routes = {line.partition('http_route="')[2].partition('"')[0] for line in lines}
    assert (len(codes), len(routes)) == (21, 501)
    assert {"_OTHER", "3000"} <= codes
    opened(own).closed(1001)
    assert 'websocket_close_code="1001"' in page(own)


def test_nothing_is_counted_where_nobody_wants_to_know() -> None:
    own = observer(access_log=False, http_metrics="request_duration")
    assert own.gateway.websocket_opened(started(own, request(scheme="ws")), "/chat") is None
    assert PREFIX not in page(own)


def test_websocket_that_is_left_out_is_not_counted() -> None:
    own = observer(access_log=False, exclude_paths="/feed")
    by_path = started(own, request(path="/feed", scheme="ws"))
    by_view = started(own, request(scheme="ws"))
    by_view.leave_out()
    assert [own.gateway.websocket_opened(exchange, "/feed") for exchange in (by_path, by_view)] == [
        None,
        None,
    ]


def test_name_that_the_app_has_taken_costs_these_metrics_alone() -> None:
    own = observer(access_log=False)
    Gauge(f"{PREFIX}_active_connections", "The app's.", registry=own.registry)
    assert own.gateway.websocket_opened(started(own, request(scheme="ws")), "/chat") is None
    assert internal_errors(own, "websocket") == 1


@pytest.mark.usefixtures("flusher")
def test_registry_of_an_app_that_is_gone_is_not_kept() -> None:
    registry = CollectorRegistry()
    opened(observer(registry=registry, access_log=False)).closed(1000)
    gone = weakref.ref(registry)
    del registry
    flush()
    gc.collect()
    assert gone() is None


def test_websocket_that_is_opened_after_its_registry_has_gone_is_refused() -> None:
    metrics = WebsocketMetrics(CollectorRegistry())
    gc.collect()
    with pytest.raises(ReferenceError, match="the registry is gone"):
        metrics.opened("/chat")
