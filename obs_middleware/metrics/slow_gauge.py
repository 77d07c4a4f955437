"""A gauge whose values take long to read, such as a query's answer: no page waits for it longer than a moment.

It is read in a thread of its own, when a page is made and the values have grown old. A page shows the values of before
where they are not there in time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from weakref import WeakSet

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from obs_middleware import process
from obs_middleware.errors import Report

_FRESH_SECONDS, _PATIENCE_SECONDS = 60.0, 0.5


class SlowGauge(Collector):
    """Show a gauge.

    Args:
        read: returns the values by the label's.
        report: is told of a failure of `read`.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        label: str,
        read: Callable[[], Mapping[str, float]],
        report: Report,
    ) -> None:
        self._name, self._documentation, self._label = name, documentation, label
        self._read, self._report = read, report
        self._values: Mapping[str, float] = {}
        self._begin_anew()
        _all.add(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        self._refresh()
        family = self._family()
        for value, number in sorted(self._values.items()):
            family.add_metric((value,), number)
        yield family

    def describe(self) -> Iterator[Metric]:
        """Yield the name that the registry keeps for us."""
        yield self._family()

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._done: threading.Event | None = None  # of the thread that reads
        self._due = 0.0

    def _refresh(self) -> None:
        with self._lock:
            done = self._done
            if done is None and monotonic() >= self._due:
                done = self._done = threading.Event()
                try:
                    threading.Thread(target=self._run, args=(done,), name="obs-gauge", daemon=True).start()
                except RuntimeError:  # no thread is to be had
                    done = self._done = None
        if done is not None:
            done.wait(_PATIENCE_SECONDS)

    def _run(self, done: threading.Event) -> None:
        try:
            self._values = dict(self._read())
        except Exception as error:
            self._report("collector", error)
        finally:
            self._due, self._done = monotonic() + _FRESH_SECONDS, None
            done.set()

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._documentation, labels=(self._label,))


def _after_fork() -> None:
    for gauge in list(_all):
        gauge._begin_anew()


_all: WeakSet[SlowGauge] = WeakSet()
process.on_fork(in_child=_after_fork)
