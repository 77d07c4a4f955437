"""A metric of prometheus-client on one page: its families' heads, its series, and those that are not as expected."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import metrics
from prometheus_client.metrics_core import Metric

from obs_middleware.metrics.exposition.formats import Format

_LATE = 50  # texts that are joined at a time


class UnusualError(Exception):
    """A series is not as we know them."""


def uses_created() -> bool:
    """Tell whether series have a sample for the time of their creation."""
    return bool(getattr(metrics, "_use_created", True))


class ClientMetric(ABC):
    """One metric on one page."""

    has_created = True

    def __init__(self, metric: Any, page_format: Format) -> None:
        self._metric = metric
        self._page_format = page_format
        self._class: Any = type(metric)
        self._has_created = self.has_created and uses_created()
        self._is_created_late = self._has_created and not page_format.is_openmetrics
        self._head = page_format.text(metric.describe()[0])
        created = Metric(f"{metric._name}_created", metric._documentation, "gauge")
        self._late_head = page_format.text(created) if self._is_created_late else ""

    def blocks(self) -> Iterator[str]:
        """Yield the text; the times of creation come late in Prometheus text."""
        yield self._head
        late: list[str] = []
        for text, created in self._texts():
            yield text
            if created:
                late.append(created)
        if late:
            yield self._late_head
            yield from ("".join(late[start : start + _LATE]) for start in range(0, len(late), _LATE))

    @abstractmethod
    def _texts(self) -> Iterator[tuple[str, str]]:
        """Yield the text of one or some series, the times of creation apart if they come late."""

    def _children(self) -> Mapping[Sequence[str], Any]:
        if not self._metric._labelnames:
            return {(): self._metric}
        with self._metric._lock:
            children: Mapping[Sequence[str], Any] = self._metric._metrics.copy()
        return children

    def _unusual(self, labels: Sequence[str], child: Any) -> tuple[str, str]:
        """Return a series as prometheus-client collects and writes it."""
        name = self._metric._name
        family = self._metric.describe()[0]
        own = dict(zip(self._metric._labelnames, labels, strict=True))
        for sample in child._samples():
            family.samples.append(sample._replace(name=name + sample.name, labels=own | sample.labels))
        text = self._page_format.text(family).removeprefix(self._head)
        if not self._is_created_late:
            return text, ""
        first, _, late = text.partition(self._late_head)
        return first, late
