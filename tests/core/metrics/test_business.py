"""Metrics of the app itself have prometheus-client's habits, and can be looked at."""

from __future__ import annotations

import json
from typing import Any

import prometheus_client

from tests.core.metrics.scraping import page, value
from tests.core.support import caught, internal_errors, observer, python


def test_what_is_declared_has_the_habits_of_prometheus_client() -> None:
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["plan"])
    depth = own.metrics.gauge("depth", "Depth.")
    sizes = own.metrics.histogram("sizes_bytes", "Sizes.", buckets=[1, 10])
    waits = own.metrics.summary("waits_seconds", "Waits.")
    orders.labels("free").inc()
    orders.labels(plan="free").inc(2)
    with depth.track_inprogress(), waits.time():
        sizes.observe(5)
        assert value(own, "depth") == 1
    own.metrics.info("build", "Build.").info({"commit": "abc"})
    own.metrics.enum("mode", "Mode.", states=["on", "off"]).state("off")
    assert value(own, "orders_total", plan="free") == 3
    assert value(own, "sizes_bytes_bucket", le="1.0") == 0
    assert value(own, "sizes_bytes_bucket", le="10.0") == 1
    assert value(own, "waits_seconds_count") == 1
    assert value(own, "build_info", commit="abc") == 1
    assert value(own, "mode", mode="off") == 1
    for metric, kind in ((orders, prometheus_client.Counter), (sizes, prometheus_client.Histogram)):
        assert isinstance(metric, kind)
    assert 'orders_total{plan="free"} 3.0' in page(own)


def test_snapshot_is_plain_values_that_json_can_write() -> None:
    own = observer()
    own.metrics.counter("orders", "Orders.", ["plan"]).labels("free").inc(4)
    orders = json.loads(json.dumps(own.metrics.snapshot()))["orders"]
    assert (orders["type"], orders["documentation"], orders["unit"]) == ("counter", "Orders.", "")
    assert {"name": "orders_total", "labels": {"plan": "free"}, "value": 4.0} in orders["samples"]


def test_a_collector_that_raises_does_not_cost_the_snapshot() -> None:
    class Broken:
        def describe(self) -> list[Any]:
            return []

        def collect(self) -> Any:
            raise RuntimeError

    own = observer()
    own.registry.register(Broken())
    own.metrics.counter("orders", "Orders.").inc()
    with caught("obs"):
        assert "orders" in own.metrics.snapshot()
    assert internal_errors(own, "collector") == 1


def test_values_live_where_prometheus_client_keeps_them_for_many_processes(tmp_path: Any) -> None:
    code = """
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from obs_middleware import Observer
observer = Observer()
observer.metrics.counter("orders", "Orders.", ["plan"]).labels("free").inc(3)
observer.metrics.gauge("depth", "Depth.", multiprocess_mode="livesum", function=lambda: 5)
observer.metrics.snapshot()
shared = CollectorRegistry()
MultiProcessCollector(shared)
print(generate_latest(shared).decode())
"""
    text = python(code, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
    assert 'orders_total{plan="free"} 3.0' in text
    assert "depth 5.0" in text
