"""prometheus-client's families as OpenTelemetry's metrics, which the stock exporter encodes.

A summary becomes a histogram of one bucket, because the SDK has no summaries, and so its sum and count keep their
names. https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

_UNITS = {
    "seconds": "s",
    "bytes": "By",
    "celsius": "Cel",
    "meters": "m",
    "volts": "V",
    "amperes": "A",
    "ratio": "1",
}
_CUMULATIVE = AggregationTemporality.CUMULATIVE
_TOO_MANY = 2**64
_Labels = tuple[tuple[str, str], ...]


def metrics_data(families: Iterable[Any], resource: Resource, *, started: float, now: float) -> MetricsData:
    """Return families as what the stock exporters take.

    Args:
        started: seconds since 1970, since when numbers are counted that do not say it.
        now: when they were read.
    """
    times = _Times(started, now)
    metrics = [metric for family in families for metric in _metrics(family, times)]
    scope = ScopeMetrics(InstrumentationScope("obs_middleware"), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


class _Times:
    """When numbers were read, and since when they are counted, in nanoseconds since 1970."""

    def __init__(self, started: float, now: float) -> None:
        self._started = round(started * 1e9)
        self.now = round(now * 1e9)
        self._created: dict[_Labels, int] = {}

    def note(self, family: Any) -> None:
        """Note since when the series of a family are counted."""
        created = (sample for sample in family.samples if sample.name == f"{family.name}_created")
        self._created = {
            _key(sample.labels): round(sample.value * 1e9)
            for sample in created
            if 0 <= sample.value * 1e9 <= self.now  # a collector of the user's may say anything, NaN too
        }

    def begin(self, labels: Mapping[str, str]) -> int:
        return self._created.get(_key(labels), self._started)


def _metrics(family: Any, times: _Times) -> Iterator[Metric]:
    times.note(family)
    samples: dict[str, list[Any]] = {}  # by name
    for sample in family.samples:
        samples.setdefault(sample.name.removeprefix(family.name), []).append(sample)
    samples.pop("_created", None)
    if family.type in ("histogram", "summary"):
        histogram = _histogram_points(family, times)
        if histogram:
            yield _metric(family, family.name, Histogram(histogram, _CUMULATIVE))
        samples = {"_quantile": samples[""]} if "" in samples else {}
    is_sum = family.type == "counter"
    for suffix, found in samples.items():
        name = family.name if is_sum else family.name + suffix
        points = [_point(sample, times, is_sum=is_sum) for sample in found]
        yield _metric(family, name, Sum(points, _CUMULATIVE, True) if is_sum else Gauge(points))


def _metric(family: Any, name: str, data: Any) -> Metric:
    return Metric(name, family.documentation, _UNITS.get(family.unit, family.unit), data)


def _point(sample: Any, times: _Times, *, is_sum: bool) -> NumberDataPoint:
    begin = times.begin(sample.labels) if is_sum else 0
    return NumberDataPoint(dict(sample.labels), begin, times.now, float(sample.value))


def _histogram_points(family: Any, times: _Times) -> list[HistogramDataPoint]:
    buckets: dict[_Labels, list[tuple[str, float]]] = {}
    sums: dict[_Labels, float] = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        if sample.name.endswith("_count") and family.type == "summary":
            buckets[_key(labels)] = [("inf", sample.value)]
        elif sample.name.endswith("_bucket"):
            buckets.setdefault(_key(labels), []).append((sample.labels["le"], sample.value))
        elif sample.name.endswith("_sum"):
            sums[_key(labels)] = sample.value
    points: list[HistogramDataPoint] = []
    for key, found in buckets.items():
        with suppress(ValueError, OverflowError):  # one that OTLP has no numbers for costs itself alone
            points.append(_histogram_point(dict(key), found, sums.get(key, 0.0), times))
    return points


def _histogram_point(
    labels: dict[str, str], buckets: list[tuple[str, float]], total: float, times: _Times
) -> HistogramDataPoint:
    """Return a point; OpenTelemetry counts each bucket by itself, and Prometheus adds the ones before.

    Args:
        buckets: bounds as texts, and counts that were added up.

    Raises:
        ValueError, OverflowError: a bound is no number, or a count is none of OTLP's: whole, positive, of 64 bits.
    """
    counted = {float(bound): round(count) for bound, count in buckets}
    bounds = sorted(bound for bound in counted if bound != math.inf)
    cumulative = [0, *(counted[bound] for bound in bounds)]
    cumulative.append(counted.get(math.inf, cumulative[-1]))
    if cumulative != sorted(cumulative) or cumulative[-1] >= _TOO_MANY or not all(map(math.isfinite, bounds)):
        raise ValueError(f"no histogram of OTLP: {buckets}")
    counts = [after - before for before, after in pairwise(cumulative)]
    none: Any = None  # the least and the greatest value, which nobody has kept
    return HistogramDataPoint(
        labels, times.begin(labels), times.now, cumulative[-1], total, counts, bounds, none, none
    )


def _key(labels: Mapping[str, str]) -> _Labels:
    return tuple(sorted(labels.items()))
