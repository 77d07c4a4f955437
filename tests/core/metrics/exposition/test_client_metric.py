"""Series with and without their time of creation, and series that are not as we know them."""

from __future__ import annotations

import prometheus_client
import pytest
from prometheus_client import (
    CollectorRegistry,
    Counter,
)

from tests.core.metrics.exposition.comparing import ACCEPTS, ours, same
from tests.core.metrics.exposition.filling import counters
from tests.core.support import python


@pytest.mark.parametrize("accept", ACCEPTS)
def test_created_series_can_be_switched_off(accept: str, registry: CollectorRegistry) -> None:
    counters(registry)
    assert "_created" in ours(registry, accept)
    prometheus_client.disable_created_metrics()
    try:
        assert "_created" not in ours(registry, accept)
        same(registry)
    finally:
        prometheus_client.enable_created_metrics()
    same(registry)


def test_created_series_are_switched_off_by_the_environment() -> None:
    code = """
from prometheus_client import *
from prometheus_client.exposition import generate_latest
from obs_middleware.metrics.exposition.page import MetricsPage
Histogram("mine", "About.").observe(1)
page = MetricsPage(REGISTRY).render(accept="", accept_encoding="")[0].decode()
print("mine_sum 1.0" in page, "_created" in page)
"""
    assert python(code, env={"PROMETHEUS_DISABLE_CREATED_SERIES": "true"}) == "True False\n"
    assert python(code) == "True True\n"


def test_value_of_another_class_is_left_to_prometheus_client(registry: CollectorRegistry) -> None:
    class Cell:
        _value = 1.0

        def get(self) -> float:
            return 5.0

        def get_exemplar(self) -> None:
            return None

    counter = Counter("mine", "About.", ("a",), registry=registry)
    counter.labels("x").inc()
    counter.labels("y")._value = Cell()
    same(registry)
    assert 'mine_total{a="y"} 5.0' in ours(registry)


def test_series_that_has_no_time_of_creation_makes_no_family_for_it(registry: CollectorRegistry) -> None:
    counter = Counter("mine", "About.", ("a",), registry=registry)
    real = counter.labels("x")._child_samples
    counter.labels("x")._child_samples = lambda: [*real()][:1]  # type: ignore[method-assign]
    same(registry)
    assert "_created" not in ours(registry)
