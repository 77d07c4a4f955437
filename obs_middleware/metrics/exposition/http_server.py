"""The HTTP server's instruments on a page: prometheus-client's families, and the text of our own page.

Imported when somebody looks: a process that is never scraped has no use for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.samples import Exemplar

from obs_middleware.metrics.exposition.text import HistogramText, SeriesText, as_in_go
from obs_middleware.metrics.semconv import ACTIVE_LABELS, LABELS, active_requests, histograms
from obs_middleware.metrics.table import HISTOGRAMS, HistogramTable, ResultLabels


class HttpServerFamilies:
    """The instruments of one registry, read anew for every page; the text of the labels is kept.

    Args:
        seconds: the bounds of the two histograms that measure time.
        active: returns the labels and the numbers of active requests.
    """

    def __init__(
        self,
        table: HistogramTable,
        seconds: tuple[float, ...],
        active: Callable[[], Iterable[tuple[list[str], int]]],
    ) -> None:
        self._table = table
        self._seconds = seconds
        self._active = active
        labels: dict[int, str] = {}
        self._histograms = [
            _Histogram(family, [*map(float, bounds)], place=place, first=table.firsts[place], labels=labels)
            for place, (family, bounds) in enumerate(histograms(seconds))
        ]
        gauge = active_requests()
        self._gauge = SeriesText(gauge.name, gauge.documentation, "gauge", ACTIVE_LABELS)

    def families(self) -> Iterator[Metric]:
        """Yield the families, as every collector of prometheus-client does."""
        for (family, _), histogram in zip(histograms(self._seconds), self._histograms, strict=True):
            yield histogram.filled(family, self._table)
        gauge = active_requests()
        for labels, number in self._active():
            gauge.add_metric(labels, number)
        yield gauge

    def blocks(self, is_openmetrics: bool) -> Iterator[str]:
        """Yield the same as the text of the page, a series at a time."""
        for histogram in self._histograms:
            yield histogram.head(is_openmetrics)
            for row in range(len(self._table)):
                yield histogram.lines(self._table, row, is_openmetrics=is_openmetrics)
        yield self._gauge.head(is_openmetrics)
        for labels, number in self._active():
            yield self._gauge.child(self._gauge.labels(labels), float(number))


class _Histogram:
    """One histogram, and what it shows of a row; one that has counted nothing is left out.

    Args:
        family: without samples.
        place: which of the four it is.
        first: where its buckets begin in a row.
        labels: the text of the labels of each row, shared by all four.
    """

    def __init__(
        self,
        family: HistogramMetricFamily,
        bounds: Sequence[float],
        *,
        place: int,
        first: int,
        labels: dict[int, str],
    ) -> None:
        self._place = place
        self._cells = range(first, first + len(bounds) + 1)
        self._context_headers = [*map(as_in_go, bounds), "+Inf"]
        self._text = HistogramText(family.name, family.documentation, LABELS, bounds)
        self._labels = labels
        self.head = self._text.head

    def filled(self, family: HistogramMetricFamily, table: HistogramTable) -> HistogramMetricFamily:
        """Return the family with its samples."""
        for row in range(len(table)):
            counts, total = self._counted(table, row)
            if any(counts):
                exemplars = self._exemplars(table, row) or [None] * len(counts)
                buckets: list[Any] = list(
                    zip(self._context_headers, accumulate(counts), exemplars, strict=True)
                )
                family.add_metric(_labels(table.results[row], table.routes[row]), buckets, total)
        return family

    def lines(self, table: HistogramTable, row: int, *, is_openmetrics: bool) -> str:
        """Return one row's part of the page."""
        counts, total = self._counted(table, row)
        if not any(counts):
            return ""
        labels = self._labels.get(row)
        if labels is None:
            labels = self._text.labels(_labels(table.results[row], table.routes[row]))
            self._labels[row] = labels
        exemplars = self._exemplars(table, row) if is_openmetrics else None
        return self._text.child(labels, map(float, counts), total, exemplars)

    def _counted(self, table: HistogramTable, row: int) -> tuple[Sequence[float], float]:
        begin = row * table.cells
        counts = table.counts[begin + self._cells.start : begin + self._cells.stop]
        return counts, table.sums[row * HISTOGRAMS + self._place]

    def _exemplars(self, table: HistogramTable, row: int) -> list[Exemplar | None] | None:
        """Return the exemplar of each bucket; None where there is none at all."""
        kept = table.exemplars(row)
        if kept is None:
            return None
        return [_exemplar(*one) if one else None for one in kept.of(self._cells)]


def _exemplar(trace_id: str, span_id: str, value: float, seconds: float) -> Exemplar:
    return Exemplar({"trace_id": trace_id, "span_id": span_id}, value, seconds)


def _labels(result: ResultLabels, route: str) -> tuple[str, ...]:
    """Return the values of the labels."""
    method, status, error = result
    labels = method, str(route), "" if status is None else str(status), error  # an app may set any route
    return tuple(label if label.isascii() else _encodable(label) for label in labels)


def _encodable(label: str) -> str:
    """Make a label fit for UTF-8: lone surrogates become escapes."""
    return label.encode("utf-8", "backslashreplace").decode("utf-8")
