"""The metrics page as an endpoint: it fails with a 503, and never counts itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import Counter, Gauge
from prometheus_client.core import (
    GaugeMetricFamily,
    Metric,
)

from tests.core.metrics.exposition.comparing import OPEN
from tests.core.metrics.scraping import active, counts, page
from tests.core.support import internal_errors, observer, request


class Broken:
    """A collector of the user's that fails in the middle."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("fine", "About.", value=1)
        raise RuntimeError("no connection")


@pytest.mark.parametrize("accept", ["", OPEN])
def test_collector_that_fails_is_a_503_and_counted(accept: str) -> None:
    own, broken = observer(), Broken()
    own.registry.register(broken)
    info = request(path="/metrics", headers={"accept": accept})
    assert own.gateway.reply(info, "/metrics").status == 503
    own.registry.unregister(broken)
    assert internal_errors(own, "endpoints") == 1
    assert own.gateway.reply(info, "/metrics").status == 200


def test_gauge_whose_function_fails_is_a_503() -> None:
    own = observer()
    Gauge("mine", "About.", registry=own.registry).set_function(lambda: 1 / 0)
    assert own.gateway.reply(request(path="/metrics"), "/metrics").status == 503


def test_page_shows_what_else_the_registry_holds_and_never_counts_itself() -> None:
    own = observer(access_log=False)
    Counter("orders", "Orders taken.", registry=own.registry).inc(3)
    for _ in range(3):
        text = page(own)
    assert "orders_total 3.0" in text
    assert counts(own) == {}
    assert active(own) is None
