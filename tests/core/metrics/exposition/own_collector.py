"""A collector that keeps and writes its numbers as those of ours do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.samples import Exemplar

from obs_middleware.metrics.exposition.text import HistogramText, SeriesText

BOUNDS = (0.1, 1.0, 2_500_000.0)


EXEMPLAR = ({"trace_id": "ab", "span_id": "cd"}, 0.05, 1_700_000_000.25)


class Own:
    """As a collector of ours keeps its numbers."""

    __module__ = "obs_middleware.metrics.own"

    def __init__(self, series: dict[tuple[str, ...], tuple[list[int], float]]) -> None:
        self.series = series
        self.duration = HistogramText("duration_seconds", 'About "it".', ("z", "a"), BOUNDS)
        self.active = SeriesText("active", "About.", "gauge", ())
        self.errors = SeriesText("errors", "About.", "counter", ("component",))

    def blocks(self, is_openmetrics: bool) -> Iterator[str]:
        yield self.duration.head(is_openmetrics)
        for labels, (counts, total) in self.series.items():
            exemplars = [EXEMPLAR, None, None, None] if is_openmetrics else None
            yield self.duration.child(self.duration.labels(labels), counts, total, exemplars)
        yield self.active.head(is_openmetrics) + self.active.child("", 3)
        yield self.errors.head(is_openmetrics) + self.errors.child(self.errors.labels(("x",)), 2e6)

    def collect(self) -> Iterator[Metric]:
        duration = HistogramMetricFamily("duration_seconds", 'About "it".', labels=("z", "a"))
        for labels, (counts, total) in self.series.items():
            added = [float(sum(counts[: place + 1])) for place in range(len(counts))]
            exemplars = [Exemplar(*EXEMPLAR), None, None, None]
            buckets: Any = list(zip(("0.1", "1.0", "2.5e+06", "+Inf"), added, exemplars, strict=True))
            duration.add_metric(labels, buckets, total)
        yield duration
        yield GaugeMetricFamily("active", "About.", value=3)
        errors = CounterMetricFamily("errors", "About.", labels=["component"])
        errors.add_metric(["x"], 2e6)
        yield errors
