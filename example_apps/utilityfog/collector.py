"""TelemetryCollector: where the parts of utilityfog register metrics and record events, over an Observer.

The library keeps its metrics and events safe for threads, so this needs no lock of its own.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from obs_middleware import Observer
from obs_middleware.export import Collected, Exporter

Snapshot = dict[str, Any]  # timestamp, metrics, events_count, running


class TelemetryCollector:
    """Register, record and collect.

    Args:
        interval_seconds: between two collections, which go on from the start of the app to its end.
    """

    name = "collector"  # it is an exporter to itself

    def __init__(self, observer: Observer, *, interval_seconds: float = 15.0) -> None:
        self.interval_seconds = interval_seconds
        self.latest: Snapshot = {}
        self._observer = observer
        self._hooks: list[Callable[[Snapshot], object]] = []
        observer.exporters.add(self)

    def register_counter(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Any:
        return self._observer.metrics.counter(name, documentation, labels)

    def register_gauge(self, name: str, documentation: str, read: Callable[[], float] | None = None) -> Any:
        """Register a gauge; `read` is asked for its value before each collection."""
        return self._observer.metrics.gauge(
            name, documentation, function=read, multiprocess_mode="livemostrecent"
        )

    def register_histogram(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Any:
        return self._observer.metrics.histogram(name, documentation, labels)

    def record_event(
        self,
        name: str,
        value: float | None = None,
        labels: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Count, keep and log an event, and put it on the current span."""
        self._observer.events.record(name, value, labels=labels, metadata=metadata)

    def add_hook(self, hook: Callable[[Snapshot], object]) -> None:
        """Have a function called with each collection of the interval."""
        self._hooks.append(hook)

    def add_exporter(self, exporter: Exporter) -> None:
        self._observer.exporters.add(exporter)

    def export_now(self) -> bool:
        """Export by all exporters; tell whether that went well."""
        return self._observer.exporters.push()

    def snapshot(self) -> Snapshot:
        """Collect now."""
        metrics, count = self._observer.metrics.snapshot(), self._observer.events.count
        is_running = self._observer.exporters.is_started
        return {"timestamp": time.time(), "metrics": metrics, "events_count": count, "running": is_running}

    def export(self, collected: Collected) -> None:
        """Keep what was collected, and tell the hooks; called once per interval."""
        counts = {"events_count": collected.events_count, "running": collected.is_running}
        self.latest = {"timestamp": collected.timestamp, "metrics": collected.snapshot(), **counts}
        for hook in self._hooks:
            hook(self.latest)
