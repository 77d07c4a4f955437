"""Metrics of what happens besides requests: those that an adapter declares (queries, caches), and those of health.

They are metrics of prometheus-client. Each exists from its first value on, has a bounded number of label sets, and
never raises: a name that the app has taken costs that metric alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary, ref

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from obs_middleware.errors import Report
from obs_middleware.fork_lock import ForkLock
from obs_middleware.metrics.slow_gauge import SlowGauge

Add = Callable[..., None]  # a value, then the values of the labels
_LABEL_SETS = 500  # of one metric
_CHECK_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class AdapterMetrics:
    """Declare metrics of one registry; a second equal declaration is the first one.

    Args:
        report: is told of a failure.
    """

    def __init__(self, registry: CollectorRegistry, report: Report) -> None:
        self._registry = ref(registry)
        self._report = report
        with _declaring:
            self._declared = _of_registry.setdefault(registry, {})

    def counter(self, name: str, documentation: str, labels: Sequence[str]) -> Add:
        """Return what adds to a counter, whose name comes without `_total`."""

        def make(registry: CollectorRegistry) -> Counter:
            return Counter(name, documentation, labels, registry=registry)

        return self._add_to(name, make, "inc", len(labels))

    def histogram(self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float]) -> Add:
        """Return what measures in a histogram."""

        def make(registry: CollectorRegistry) -> Histogram:
            return Histogram(name, documentation, labels, registry=registry, buckets=bounds)

        return self._add_to(name, make, "observe", len(labels))

    def worst(self, name: str, documentation: str, label: str) -> Callable[[str, float], None]:
        """Return what sets a gauge, of which several processes show the highest value."""

        def make(registry: CollectorRegistry) -> Gauge:
            return Gauge(name, documentation, (label,), registry=registry, multiprocess_mode="livemax")

        add = self._add_to(name, make, "set", 1)
        return lambda value, number: add(number, value)

    def health(self) -> tuple[Callable[[str, float], None], Callable[[str, str, float], None]]:
        """Return what sets the status of a component, and what counts and times a run of its check."""
        status = self.worst(
            "health_status", "0 not known yet, 1 healthy, 2 degraded, 3 unhealthy.", "component"
        )
        runs = self.counter("health_checks", "Runs of health checks.", ("component", "status"))
        seconds = self.histogram(
            "health_check_duration_seconds", "How long they take.", ("component",), _CHECK_SECONDS
        )

        def count(component: str, found: str, took: float) -> None:
            runs(1, component, found)
            seconds(took, component)

        return status, count

    def gauge(
        self, name: str, documentation: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """Show a gauge whose values take long to read."""

        def make(registry: CollectorRegistry) -> SlowGauge:
            gauge = SlowGauge(name, documentation, label, read, self._report)
            registry.register(gauge)
            return gauge

        self._made(name, make)

    def _add_to(self, name: str, make: Callable[[CollectorRegistry], Any], method: str, labels: int) -> Add:
        children: dict[tuple[str, ...], Callable[[float], None]] = {}
        other = ("_OTHER",) * labels

        def add(value: float, *values: str) -> None:
            try:
                child = children.get(values)
                if child is None:
                    metric = self._made(name, make)
                    if metric is None:
                        return
                    kept = values if len(children) < _LABEL_SETS else other
                    child = getattr(metric.labels(*kept) if labels else metric, method)
                    if kept is values:
                        children[values] = child
                child(value)
            except Exception as error:
                self._report("adapter_metrics", error)

        return add

    def _made(self, name: str, make: Callable[[CollectorRegistry], Any]) -> Any:
        """Return the metric of a name, made now or before; None where it can't be made."""
        with _declaring:
            if name not in self._declared:
                registry, metric = self._registry(), None
                try:
                    metric = None if registry is None else make(registry)
                except ValueError as error:  # the app has taken the name
                    self._report("adapter_metrics", error)
                self._declared[name] = metric
        return self._declared[name]


_declaring = ForkLock()
_of_registry: WeakKeyDictionary[CollectorRegistry, dict[str, Any]] = WeakKeyDictionary()
