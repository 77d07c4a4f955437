"""Histograms of our own, which are no metrics of prometheus-client: they are counted where no lock may be taken."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily


def add_histogram(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    bounds: Sequence[float],
    counts: Sequence[int],
    total: float,
) -> None:
    """Add a series to a histogram.

    Args:
        counts: of each bucket by itself, the last one without a bound.
    """
    names = [*map(str, bounds), "+Inf"]
    numbers = [float(number) for number in accumulate(list(counts))]  # a copy: others count meanwhile
    family.add_metric(list(labels), [*zip(names, numbers, strict=True)], total)
