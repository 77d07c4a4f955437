"""What there is to know of prometheus-client's classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from prometheus_client import Counter, Gauge, Histogram, Summary

from obs_middleware.metrics.exposition.client_histogram import ClientHistogram
from obs_middleware.metrics.exposition.client_metric import ClientMetric
from obs_middleware.metrics.exposition.client_series import CounterSeries, GaugeSeries, SummarySeries


class Kind(NamedTuple):
    """How a class is written, and a way to give a specimen of it a value."""

    reader: type[ClientMetric]
    fill: Callable[[Any, float], None]


_EXEMPLAR = {"trace_id": "a", "b": '"'}
READERS: dict[type[Any], Kind] = {
    Counter: Kind(CounterSeries, lambda child, value: child.inc(value, _EXEMPLAR)),
    Gauge: Kind(GaugeSeries, lambda child, value: child.set(value)),
    Summary: Kind(SummarySeries, lambda child, value: child.observe(value)),
    Histogram: Kind(ClientHistogram, lambda child, value: child.observe(value, _EXEMPLAR)),
}
