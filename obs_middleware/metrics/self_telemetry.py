"""Metrics of the metrics: collections and how long they take, how many metrics and series there are, what was lost.

What a collection has found is counted while it goes through, and stands at its end. So it is right on each page, the
first one included, and whichever worker makes it. Runs and times are metrics of prometheus-client: of all workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from prometheus_client import CollectorRegistry, Counter, Summary
from prometheus_client.core import GaugeMetricFamily, UnknownMetricFamily
from prometheus_client.registry import Collector

from obs_middleware.fork_lock import ForkLock
from obs_middleware.losses import on_loss
from obs_middleware.metrics.own_counter import OwnCounter

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from obs_middleware.errors import Report
    from obs_middleware.metrics.exposition.formats import Format
    from obs_middleware.metrics.exposition.protobuf import Names

_EOF = "# EOF\n"
_METRICS, _SERIES = "telemetry_metrics_count", "telemetry_series"


class SelfTelemetry(Collector):
    """Count the collections of one registry.

    Args:
        report: is told of a name that the app has taken.
    """

    def __init__(self, registry: CollectorRegistry, report: Report) -> None:
        self._registry = ref(registry)
        self._report = report
        self._lock = ForkLock()
        self._made: tuple[Counter, Summary] | None = None
        self._is_refused = False  # because the app has taken a name

    @classmethod
    def observe(cls, registry: CollectorRegistry, report: Report) -> None:
        """Count the collections of a registry from now on."""
        with _making:
            if registry in _of_registry:
                return
            try:
                registry.register(made := cls(registry, report))
                registry.register(_dropped)
            except ValueError as error:
                report("self_telemetry", error)
                return
            _of_registry[registry] = made

    def collect(self) -> Iterator[Metric]:
        """Yield nothing: what a collection finds is known at its end."""
        yield from ()

    def describe(self) -> Iterator[Metric]:
        """Yield the names that the registry keeps for us."""
        yield from _found(0, 0)

    def begin(self) -> Collection:
        """Count a collection that begins."""
        with self._lock:  # two pages may be the first ones
            if self._made is None and not self._is_refused:
                self._made = self._counters()
                self._is_refused = self._made is None
        return Collection(self._made)

    def _counters(self) -> tuple[Counter, Summary] | None:
        """Return what counts, made at the first collection, which few of many processes ever do."""
        registry = self._registry()
        try:
            return (
                Counter("telemetry_collection_runs", "Collections that have begun.", registry=registry),
                Summary(
                    "telemetry_collection_duration_seconds",
                    "How long a collection takes, with the pauses that it makes for others.",
                    registry=registry,
                ),
            )
        except ValueError as error:
            self._report("self_telemetry", error)
            return None


class Collection:
    """One collection: what it has found, and how long it has taken."""

    def __init__(self, counters: tuple[Counter, Summary] | None) -> None:
        self._counters = counters
        self._began = perf_counter()
        if counters is not None:
            counters[0].inc()

    def families(self, found: Iterable[Metric]) -> Iterator[Metric]:
        """Yield the families that were found, and how many."""
        metrics = series = 0
        for family in found:
            metrics += 1
            series += len(family.samples)
            yield family
        yield from self._end(metrics, series)

    def blocks(self, found: Iterable[str], page_format: Format) -> Iterator[str]:
        """Yield the same as text; a block ends with a line."""
        metrics = series = 0
        for block in found:
            if block == _EOF:
                continue
            lines = f"\n{block}"
            metrics += lines.count("\n# TYPE ")
            series += block.count("\n") - lines.count("\n#")
            yield block
        yield page_format.text(*self._end(metrics, series))
        if page_format.is_openmetrics:
            yield _EOF

    def messages(self, found: Iterable[bytes], names: Names) -> Iterator[bytes]:
        """Yield the same as messages of protobuf, in which a histogram is one series."""
        from obs_middleware.metrics.exposition import protobuf

        metrics = 0
        for message in found:
            metrics += bool(message)
            yield message
        for family in self._end(metrics, names.series):
            yield from protobuf.messages(family, names)

    def _end(self, metrics: int, series: int) -> list[Metric]:
        if self._counters is not None:
            self._counters[1].observe(perf_counter() - self._began)
        return _found(metrics, series)


def _found(metrics: int, series: int) -> list[Metric]:
    """Return how many were found, these two among them.

    The first one is no gauge, because Prometheus' linter reserves `_count` for histograms and summaries.
    """
    return [
        UnknownMetricFamily(_METRICS, "Metrics that this collection has found.", value=metrics + 2),
        GaugeMetricFamily(_SERIES, "Series that this collection has found.", value=series + 2),
    ]


def collection_of(registry: CollectorRegistry) -> Collection | None:
    """Return the collection of a registry that begins; None where no Observer shows it."""
    found = _of_registry.get(registry) if isinstance(registry, CollectorRegistry) else None
    return None if found is None else found.begin()


_of_registry: WeakKeyDictionary[CollectorRegistry, SelfTelemetry] = WeakKeyDictionary()
_making = Lock()
# One for all registries, because what is lost belongs to none of them.
_dropped = OwnCounter("obs_dropped", "Log lines and spans that were lost.", "signal")
on_loss(_dropped.inc)
