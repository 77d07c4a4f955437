"""A counter of our own, of this process alone.

It is none of prometheus-client's, which live in files where there are many processes (`PROMETHEUS_MULTIPROC_DIR`), and
which a MultiProcessCollector of the user's would show a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class OwnCounter(Collector):
    """Count by the value of one label."""

    def __init__(self, name: str, documentation: str, label: str) -> None:
        self._name, self._documentation, self._label = name, documentation, label
        self._counts: dict[str, int] = {}
        self._lock = Lock()

    def inc(self, value: str) -> None:
        """Count one for a value of the label."""
        with self._lock:
            self._counts[value] = self._counts.get(value, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        family = self._family()
        with self._lock:
            counts = list(self._counts.items())
        for value, count in counts:
            family.add_metric((value,), count)
        yield family

    def describe(self) -> Iterator[Metric]:
        """Yield the name that the registry keeps for us."""
        yield self._family()

    def _family(self) -> CounterMetricFamily:
        return CounterMetricFamily(self._name, self._documentation, labels=(self._label,))
