"""The metrics page as an endpoint: a collector that fails costs itself alone, and the page never counts itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import Counter, Gauge
from prometheus_client.core import (
    GaugeMetricFamily,
    Metric,
)

from tests.core.metrics.exposition.comparing import OPEN
from tests.core.metrics.scraping import active, counts, page
from tests.core.support import internal_errors, observer


class Broken:
    """A collector of the user's that fails in the middle."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("fine", "About.", value=1)
        raise RuntimeError("no connection")


class Awkward:
    """A collector whose family is none."""

    def collect(self) -> Iterator[object]:
        yield GaugeMetricFamily("fine", "About.", value=1)
        yield None


@pytest.mark.parametrize("accept", ["", OPEN])
@pytest.mark.parametrize("collector", [Broken(), Awkward()], ids=["raises", "yields nothing"])
def test_collector_that_fails_costs_its_own_families_and_is_counted(collector: Any, accept: str) -> None:
    own = observer()
    Counter("before", "About.", registry=own.registry).inc()
    own.registry.register(collector)
    Counter("after", "About.", registry=own.registry).inc()
    text = page(own, accept)
    for name in ("before_total 1.0", "after_total 1.0", "fine 1.0", "# TYPE obs_fast_path gauge"):
        assert name in text
    assert text.endswith("# EOF\n") is bool(accept)
    own.registry.unregister(collector)
    assert internal_errors(own, "collector") == 1


def test_gauge_whose_function_fails_costs_itself() -> None:
    own = observer()
    Gauge("mine", "About.", registry=own.registry).set_function(lambda: 1 / 0)
    Gauge("yours", "About.", registry=own.registry).set(2)
    assert "yours 2.0" in page(own)
    assert internal_errors(own, "collector") == 1


def test_page_shows_what_else_the_registry_holds_and_never_counts_itself() -> None:
    own = observer(access_log=False)
    Counter("orders", "Orders taken.", registry=own.registry).inc(3)
    for _ in range(3):
        text = page(own)
    assert "orders_total 3.0" in text
    assert counts(own) == {}
    assert active(own) is None
