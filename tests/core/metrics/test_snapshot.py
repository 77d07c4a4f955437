"""Snapshot: families with samples, labels, values and exemplars, as a registry has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from obs_middleware.metrics.exposition.formats import TEXT
from obs_middleware.metrics.snapshot import Snapshot
from tests.core.support import observer, serve


class Broken(Collector):
    def collect(self) -> Iterator[Metric]:
        raise ValueError("no database")


def test_a_snapshot_has_families_with_samples_labels_values_and_exemplars() -> None:
    registry = CollectorRegistry()
    orders = Counter("orders", "Orders taken.", ("status",), registry=registry)
    orders.labels("paid").inc(2, {"trace_id": "a"})
    (family,) = Snapshot.of(registry)
    sample = next(sample for sample in family.samples if sample.name == "orders_total")
    assert (family.name, family.type, family.documentation) == ("orders", "counter", "Orders taken.")
    assert (sample.labels, sample.value) == ({"status": "paid"}, 2.0)
    assert sample.exemplar is not None
    assert sample.exemplar.labels == {"trace_id": "a"}
    assert Snapshot.of(registry).value("orders_total", {"status": "paid"}) == 2.0
    assert Snapshot.of(registry).value("orders_total", {"status": "open"}) is None


def test_a_snapshot_has_requests_that_have_just_ended() -> None:
    own = observer(access_log=False)
    serve(own, route="/items/{item_id}")
    assert Snapshot.of(own.registry).value(
        "http_server_request_duration_seconds_count",
        {
            "http_request_method": "GET",
            "http_route": "/items/{item_id}",
            "http_response_status_code": "200",
            "error_type": "",
        },
    )


def test_a_collector_that_yields_no_family_costs_itself_alone() -> None:
    class Odd(Collector):
        def collect(self) -> Any:
            yield None

        def describe(self) -> Any:
            return []

    registry = CollectorRegistry()
    registry.register(Odd())
    Counter("orders", "Orders taken.", registry=registry).inc()
    told: list[str] = []
    names = [family.name for family in Snapshot.of(registry, lambda _, error: told.append(str(error)))]
    assert names == ["orders"]
    assert "must yield families such as GaugeMetricFamily, got None" in told[0]


def test_a_collector_that_raises_costs_its_own_families() -> None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Broken())
    Counter("orders", "Orders taken.", registry=registry).inc()
    told: list[str] = []
    names = [family.name for family in Snapshot.of(registry, lambda component, error: told.append(component))]
    assert (names, told) == (["orders"], ["collector"])
    assert "orders_total 1.0\n" in "".join(Snapshot.of(registry, lambda *_: None).blocks(TEXT))
    with pytest.raises(ValueError, match="no database"):
        list(Snapshot.of(registry))
