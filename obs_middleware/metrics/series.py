"""The counts behind the HTTP histograms, kept in plain lists, and how they are shown.

An exchange is observed in all four histograms by one look-up and plain additions, where prometheus-client keeps an
object with a lock of its own for every bucket.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.samples import Exemplar

from obs_middleware.metrics.text import HistogramText, as_in_go

LABELS = ("http_request_method", "http_route", "http_response_status_code", "error_type")

Example = tuple[str, float, float]  # digits of the trace and the span ID, value, seconds since 1970


class Tally:
    """One label set's observations in one histogram: how many in each bucket, not added up, and their sum."""

    __slots__ = ("counts", "exemplars", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0
        self.exemplars: dict[int, Example] | None = None

    def example(self, bucket: int, ids: str, value: float, seconds: float) -> None:
        """Keep a bucket's exemplar: of a trace and a span, whose digits these are, at so many seconds since 1970."""
        if self.exemplars is None:
            self.exemplars = {}
        self.exemplars[bucket] = ids, value, seconds

    def shown_exemplars(self) -> list[Exemplar | None] | None:
        """Return the exemplar of each bucket; None where there is none at all."""
        known = self.exemplars
        if known is None:
            return None
        return [_shown(known[bucket]) if bucket in known else None for bucket in range(len(self.counts))]


class Series:
    """One label set in the four histograms."""

    __slots__ = ("duration", "first_byte", "labels", "request_size", "response_size", "text")

    def __init__(self, labels: tuple[str, ...], *, time_buckets: int, size_buckets: int) -> None:
        self.labels = labels
        self.text = ""  # the labels on the page, once it was made
        self.duration = Tally(time_buckets)
        self.first_byte = Tally(time_buckets)
        self.request_size = Tally(size_buckets)
        self.response_size = Tally(size_buckets)

    def tallies(self) -> tuple[Tally, Tally, Tally, Tally]:
        """Return all four, in the order of the page."""
        return self.duration, self.first_byte, self.request_size, self.response_size


class Histogram:
    """One histogram's name and bounds, and what it shows of its tallies; one that has counted nothing is left out."""

    def __init__(self, name: str, about: str, bounds: Iterable[float]) -> None:
        self._name = name
        self._about = about
        bounds = tuple(map(float, bounds))
        self._marks = [*map(as_in_go, bounds), "+Inf"]
        self._text = HistogramText(name, about, LABELS, bounds)
        self.head = self._text.head

    def family(self, tallies: Iterable[tuple[Series, Tally]]) -> HistogramMetricFamily:
        """Return the family, as prometheus-client has them."""
        family = HistogramMetricFamily(self._name, self._about, labels=LABELS)
        for series, tally in tallies:
            counts, total = list(tally.counts), tally.sum
            if any(counts):
                exemplars = tally.shown_exemplars() or [None] * len(counts)
                buckets: list[Any] = list(zip(self._marks, accumulate(counts), exemplars, strict=True))
                family.add_metric(series.labels, buckets, total)
        return family

    def lines(self, series: Series, tally: Tally, *, is_openmetrics: bool) -> str:
        """Return one series' part of the page."""
        counts, total = list(tally.counts), tally.sum
        if not any(counts):
            return ""
        series.text = series.text or self._text.labels(series.labels)
        exemplars = tally.shown_exemplars() if is_openmetrics else None
        return self._text.child(series.text, map(float, counts), total, exemplars)


def _shown(exemplar: Example) -> Exemplar:
    ids, value, seconds = exemplar
    return Exemplar({"trace_id": ids[:32], "span_id": ids[32:]}, value, seconds)
