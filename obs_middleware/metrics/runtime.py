"""Metrics of what runs the app: event loops, thread pools, the garbage collector, open files.

They are read when a page is made. None of them has a part in a request.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from obs_middleware.metrics import thread_pools
from obs_middleware.metrics.event_loops import event_loops
from obs_middleware.metrics.gc_pauses import gc_pauses

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from obs_middleware.errors import Report

_FILES = "/dev/fd"  # Linux and macOS
_OF_LOOPS = {"event_loop", "tasks", "thread_pools"}
_NAMES = {
    "event_loop": ("asyncio_event_loop_lag_seconds", "asyncio_event_loop_lag_max_seconds"),
    "tasks": ("asyncio_tasks",),
    "thread_pools": (
        "python_thread_pool_active_threads",
        "python_thread_pool_max_threads",
        "python_thread_pool_waiting_tasks",
    ),
    "gc": ("cpython_gc_duration_seconds",),
    "open_files": (),  # prometheus-client's own names, which the user may want for its ProcessCollector
}


class RuntimeMetrics:
    """What one Observer shows of what runs it.

    Args:
        wanted: values of the setting `runtime_metrics`.
        report: is told of a failure.
    """

    def __init__(self, registry: CollectorRegistry, wanted: Iterable[str], report: Report) -> None:
        self._wanted = {*wanted} - {"none"}
        with _making:
            if self._wanted and registry not in _observed:
                try:
                    registry.register(RuntimeCollector(registry, self._wanted))
                    _observed.add(registry)
                except ValueError as error:  # the app has taken a name
                    report("runtime_metrics", error)
        if "gc" in self._wanted:
            gc_pauses.begin()

    def watch(self, loop: Any) -> None:
        """Watch the event loop that runs in this thread."""
        if self._wanted & _OF_LOOPS:
            event_loops.watch(loop, self, measures_lag="event_loop" in self._wanted)

    def stop(self) -> None:
        """Let no timer of ours run any more."""
        event_loops.forget(self)


class RuntimeCollector(Collector):
    """Show it in one registry."""

    def __init__(self, registry: CollectorRegistry, wanted: Iterable[str]) -> None:
        self._registry = ref(registry)
        self._wanted = frozenset(wanted)
        self._sources: dict[str, Callable[[], Iterator[Metric]]] = {
            "event_loop": event_loops.lag_families,
            "tasks": event_loops.task_families,
            "thread_pools": lambda: thread_pools.families(event_loops),
            "gc": gc_pauses.families,
            "open_files": self._open_files,
        }

    def collect(self) -> Iterator[Metric]:
        """Yield the families; one that has nothing to say is not there."""
        for name, families in self._sources.items():
            if name in self._wanted:
                yield from families()

    def describe(self) -> Iterator[Metric]:
        """Yield the names that the registry keeps for us."""
        for wanted in self._wanted:
            for name in _NAMES[wanted]:
                yield GaugeMetricFamily(name, "")

    def _open_files(self) -> Iterator[Metric]:
        """Yield what prometheus-client's ProcessCollector has, in a registry that has none."""
        from obs_middleware.metrics.exposition.registry import collectors_of

        collectors = collectors_of(self._registry()) or []
        if os.path.isdir(_FILES) and not any(isinstance(one, ProcessCollector) for one in collectors):
            yield GaugeMetricFamily(
                "process_open_fds", "Number of open file descriptors.", value=len(os.listdir(_FILES))
            )


_observed: WeakSet[CollectorRegistry] = WeakSet()
_making = Lock()
