"""The HTTP server's instruments on a page: prometheus-client's families, and the text of our own page.

Imported when somebody looks: a process that is never scraped has no use for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import inf
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar

from obs_middleware.encodable import encodable
from obs_middleware.metrics.exposition.text import (
    HistogramText,
    Labels,
    SeriesText,
    SummaryText,
    as_in_go,
    heads,
)
from obs_middleware.metrics.instrument import (
    DURATION,
    FIRST_BYTE,
    ActiveGauge,
    Instrument,
    Row,
    route_and_labels,
)
from obs_middleware.metrics.plan import Plan
from obs_middleware.metrics.table import HISTOGRAMS, HistogramTable, ResultLabels

if TYPE_CHECKING:
    from obs_middleware.metrics.exposition.protobuf import Names

_SOME_ROWS = 256  # that are assigned to series before the page may pause
_REMEMBERED_ROWS = 10_000

Active = Callable[[], Iterable[tuple[list[str], int]]]  # method and scheme, and number of the active requests


class HttpServerFamilies:
    """The instruments of one registry, read anew for every page; the text of the labels is kept.

    Args:
        active: returns the active requests.
    """

    def __init__(self, table: HistogramTable, plan: Plan, active: Active) -> None:
        rows = _Rows(table)
        self._shown: list[_Reading | _Gauge] = [_Reading(one, plan, table, rows) for one in plan.instruments]
        self._shown += [_Gauge(gauge, active) for gauge in plan.gauges]

    def families(self) -> Iterator[Metric]:
        """Yield the families, as every collector of prometheus-client does."""
        for shown in self._shown:
            yield shown.family()

    def blocks(self, is_openmetrics: bool) -> Iterator[str]:
        """Yield the same as the text of the page, a series at a time."""
        for shown in self._shown:
            yield from shown.blocks(is_openmetrics)

    def messages(self, names: Names) -> Iterator[bytes]:
        """Yield the same as messages of protobuf, with native histograms beside classic ones."""
        for shown in self._shown:
            yield from shown.messages(names)


class _Rows:
    """What the requests of each row have in common, made once for all instruments that are about to read it."""

    def __init__(self, table: HistogramTable) -> None:
        self._table = table
        self._latest: dict[int, Row] = {}

    def __call__(self, number: int) -> Row:
        row = self._latest.get(number)
        if row is None:
            if len(self._latest) >= _REMEMBERED_ROWS:
                self._latest.clear()
            row = self._latest[number] = row_of(self._table.results[number], self._table.routes[number])
        return row


class _Series:
    """The rows of the table that one series of an instrument sums.

    Attributes:
        shape: how its buckets are made of the table's.
    """

    __slots__ = ("labels", "rows", "shape", "text")

    def __init__(self, labels: dict[str, str], text: str, shape: _Shape) -> None:
        self.labels, self.text, self.shape = labels, text, shape
        self.rows: list[int] = []


class _Shape:
    """The buckets of an instrument as runs of the table's buckets.

    Args:
        bounds: of the instrument, all of them among the table's.
        stored: of the table.
    """

    def __init__(self, instrument: Instrument, bounds: Sequence[float], stored: Sequence[float]) -> None:
        ends = [*(bisect_right(stored, bound) for bound in bounds), len(stored) + 1]
        self.bounds = bounds
        self.runs = [*zip((0, *ends), ends, strict=False)]
        self.is_whole = len(ends) == len(stored) + 1
        self.names = [*map(as_in_go, bounds), "+Inf"]
        self.text = HistogramText(instrument.name, instrument.about, instrument.label_names, bounds)

    def counts(self, stored: Sequence[int]) -> Sequence[int]:
        """Return the counts of the instrument's buckets."""
        return stored if self.is_whole else [sum(stored[begin:end]) for begin, end in self.runs]


class _Reading:
    """What one instrument shows of the table; a series that has counted nothing is left out."""

    def __init__(self, instrument: Instrument, plan: Plan, table: HistogramTable, rows: _Rows) -> None:
        self._instrument, self._table = instrument, table
        self._rows = rows
        self._names = instrument.label_names
        self._values = [value for _, value in instrument.labels]
        self._has_own_labels = instrument.has_own_labels
        self._bounds = instrument.bounds
        self._route_bounds = plan.route_bounds if instrument.has_route_bounds else {}
        is_time = instrument.measure in (DURATION, FIRST_BYTE)
        self._stored, self._native = (plan.seconds, plan.native) if is_time else (plan.sizes, None)
        self._first, self._size = table.firsts[instrument.measure], len(self._stored) + 1
        self._series: dict[tuple[object, ...], _Series] = {}
        self._read = 0  # rows that are assigned to series
        self._lock = Lock()
        self._shapes: dict[tuple[float, ...], _Shape] = {}
        self._label_texts: dict[tuple[str, ...], Labels] = {}
        self._heads = heads(instrument.name, instrument.about, instrument.kind)
        names = instrument.name, instrument.about
        self._counter = SeriesText(*names, "counter", self._names)
        self._summary = SummaryText(*names, self._names)

    def blocks(self, is_openmetrics: bool) -> Iterator[str]:
        """Yield the text of the family."""
        yield self._heads[is_openmetrics]
        while self._read_some():
            yield ""  # the page may pause
        for series in self._all_series():
            counts, total = self._summed(series)
            if any(counts):
                yield self._lines(series, counts, total, is_openmetrics=is_openmetrics)

    def _lines(self, series: _Series, counts: Sequence[int], total: float, *, is_openmetrics: bool) -> str:
        kind = self._instrument.kind
        if kind == "histogram":
            exemplars = self._exemplars(series) if is_openmetrics else None
            shape = series.shape
            return shape.text.child(series.text, map(float, shape.counts(counts)), total, exemplars)
        count = float(sum(counts))
        if kind == "counter":
            return self._counter.child(series.text, count)
        return self._summary.child(series.text, count, total)

    def family(self) -> Metric:
        """Return the family with its samples."""
        instrument = self._instrument
        name, family = instrument.name, Metric(instrument.name, instrument.about, instrument.kind)
        for series in self._all_series():
            counts, total = self._summed(series)
            if not any(counts):
                continue
            count = float(sum(counts))
            if instrument.kind == "histogram":
                self._add_buckets(family, series, counts)
            if instrument.kind == "counter":
                family.add_sample(f"{name}_total", series.labels, count)
            else:
                family.add_sample(f"{name}_count", series.labels, count)
                family.add_sample(f"{name}_sum", series.labels, total)
        return family

    def messages(self, names: Names) -> Iterator[bytes]:
        """Yield the family as a message of protobuf."""
        from obs_middleware.metrics.exposition.protobuf import histograms, messages

        if self._instrument.kind != "histogram":
            return messages(self.family(), names)
        instrument = self._instrument
        family = Metric(instrument.name, instrument.about, instrument.kind)
        return histograms(family, names, self._histograms())

    def _histograms(self) -> Iterator[tuple[Mapping[str, str], bytes]]:
        from obs_middleware.metrics.exposition.protobuf import histogram

        for series in self._all_series():
            counts, total = self._summed(series)
            if any(counts):
                shape = series.shape
                exemplars = self._exemplars(series) or [None] * len(shape.names)
                numbers = [*accumulate(shape.counts(counts))]
                native = None if self._native is None else self._native.read(counts)
                buckets = zip((*shape.bounds, inf), numbers, exemplars, strict=True)
                yield series.labels, histogram(buckets, numbers[-1], total, native)

    def _add_buckets(self, family: Metric, series: _Series, counts: Sequence[int]) -> None:
        shape = series.shape
        numbers = accumulate(map(float, shape.counts(counts)))
        exemplars = self._exemplars(series) or [None] * len(shape.names)
        for bound, number, exemplar in zip(shape.names, numbers, exemplars, strict=True):
            family.add_sample(
                f"{family.name}_bucket", {**series.labels, "le": bound}, number, exemplar=exemplar
            )

    def _summed(self, series: _Series) -> tuple[Sequence[int], float]:
        """Return how many were counted in each of the table's buckets, and the sum behind them."""
        counted = [self._of_row(row) for row in series.rows]
        if len(counted) == 1:
            return counted[0]
        counts, totals = zip(*counted, strict=True)
        return [*map(sum, zip(*counts, strict=True))], sum(totals)

    def _of_row(self, row: int) -> tuple[Sequence[int], float]:
        table = self._table
        begin = row * table.cells + self._first
        return table.counts[begin : begin + self._size], table.sums[
            row * HISTOGRAMS + self._instrument.measure
        ]

    def _all_series(self) -> list[_Series]:
        """Return the series in the order of their first rows, those of new rows among them."""
        while self._read_some():
            pass
        return [*self._series.values()]

    def _read_some(self) -> bool:
        """Assign some of the new rows to series; tell whether there are more."""
        with self._lock:
            end = min(self._read + _SOME_ROWS, len(self._table))
            for number in range(self._read, end):
                self._add(number)
            self._read = end
            return end < len(self._table)

    def _add(self, number: int) -> None:
        row, counts = self._rows(number), self._instrument.counts
        if counts is not None and not counts(row):
            return
        values = tuple([value(row) for value in self._values])
        own = row.labels if self._has_own_labels else ()
        bounds = self._route_bounds.get(row.route, self._bounds) if self._route_bounds else self._bounds
        key = values, own, bounds
        series = self._series.get(key)
        if series is None:
            labels = dict(zip(self._names, map(encodable, values), strict=True))
            if own:
                added = {
                    f"exported_{name}" if name in labels else name: encodable(value) for name, value in own
                }
                labels = {**added, **labels}
            series = self._series[key] = _Series(labels, self._label_text(labels), self._shape(bounds))
        series.rows.append(number)

    def _label_text(self, labels: Mapping[str, str]) -> str:
        names = tuple(labels)
        if not names:
            return ""
        texts = self._label_texts.get(names)
        if texts is None:
            texts = self._label_texts[names] = Labels(names)
        return texts([*labels.values()])

    def _shape(self, bounds: tuple[float, ...]) -> _Shape:
        shape = self._shapes.get(bounds)
        if shape is None:
            shape = self._shapes[bounds] = _Shape(self._instrument, bounds, self._stored)
        return shape

    def _exemplars(self, series: _Series) -> list[Exemplar | None] | None:
        """Return the exemplar of each bucket, the latest of its rows; None where there is none at all."""
        kept = [found for row in series.rows if (found := self._table.exemplars(row)) is not None]
        if not kept:
            return None
        first = self._first
        cells = range(first, first + self._size)
        stored = [
            max(filter(None, ones), key=_age, default=None)
            for ones in zip(*(one.of(cells) for one in kept), strict=True)
        ]
        latest = [
            max(filter(None, stored[begin:end]), key=_age, default=None) for begin, end in series.shape.runs
        ]
        return [_exemplar(*one) if one else None for one in latest]


class _Gauge:
    """The active requests under one name."""

    def __init__(self, gauge: ActiveGauge, active: Active) -> None:
        self._gauge, self._active = gauge, active
        self._text = SeriesText(gauge.name, gauge.about, "gauge", gauge.label_names)

    def blocks(self, is_openmetrics: bool) -> Iterator[str]:
        """Yield the text of the family."""
        yield self._text.head(is_openmetrics)
        for labels, number in self._summed().items():
            yield self._text.child(self._text.labels(labels) if labels else "", float(number))

    def family(self) -> Metric:
        """Return the family with its samples."""
        family = Metric(self._gauge.name, self._gauge.about, "gauge")
        for labels, number in self._summed().items():
            family.add_sample(family.name, dict(zip(self._gauge.label_names, labels, strict=True)), number)
        return family

    def messages(self, names: Names) -> Iterator[bytes]:
        """Yield the family as a message of protobuf."""
        from obs_middleware.metrics.exposition.protobuf import messages

        return messages(self.family(), names)

    def _summed(self) -> dict[tuple[str, ...], int]:
        sums: dict[tuple[str, ...], int] = {}
        for (method, scheme), number in self._active():
            labels = self._gauge.values(method, scheme)
            sums[labels] = sums.get(labels, 0) + number
        return sums


def row_of(result: ResultLabels, route: object) -> Row:
    """Return what the requests of a row have in common, as texts; an app may set any route."""
    method, status, error_type = result
    template, labels = route_and_labels(str(route))
    return Row(method, template, "" if status is None else str(status), error_type, labels)


def _age(one: tuple[str, str, float, float]) -> float:
    return one[3]


def _exemplar(trace_id: str, span_id: str, value: float, seconds: float) -> Exemplar:
    return Exemplar({"trace_id": trace_id, "span_id": span_id}, value, seconds)
