"""`obs_fast_path{name}`: whether each fast way is taken, so that one that is off is seen."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from obs_middleware import _speedups


class FastPaths(Collector):
    """Tell it when a page is made."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauge, 1 or 0 for each way."""
        family = GaugeMetricFamily(
            "obs_fast_path",
            "Whether a fast way is taken; the same is done without it, slower.",
            labels=("name",),
        )
        for name, is_on in sorted(_speedups.paths().items()):
            family.add_metric((name,), float(is_on))
        yield family

    def describe(self) -> Iterator[Metric]:
        """Yield the name that the registry keeps for us."""
        yield GaugeMetricFamily("obs_fast_path", "")
