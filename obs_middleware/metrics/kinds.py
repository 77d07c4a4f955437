"""What there is to know of prometheus-client's classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from prometheus_client import Counter, Gauge, Histogram, Summary

from obs_middleware.metrics.buckets import Buckets
from obs_middleware.metrics.rows import CounterRows, GaugeRows, SummaryRows
from obs_middleware.metrics.walk import Walk


class Kind(NamedTuple):
    """How a class is written, and a way to give a specimen of it a value."""

    walk: type[Walk]
    fill: Callable[[Any, float], None]


_EXEMPLAR = {"trace_id": "a", "b": '"'}
KINDS: dict[type[Any], Kind] = {
    Counter: Kind(CounterRows, lambda child, value: child.inc(value, _EXEMPLAR)),
    Gauge: Kind(GaugeRows, lambda child, value: child.set(value)),
    Summary: Kind(SummaryRows, lambda child, value: child.observe(value)),
    Histogram: Kind(Buckets, lambda child, value: child.observe(value, _EXEMPLAR)),
}
