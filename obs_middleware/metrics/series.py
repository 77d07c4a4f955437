"""The counts behind the HTTP histograms, kept in plain lists, and how they are shown.

An exchange is observed in all four histograms by one look-up and plain additions, where prometheus-client keeps an
object with a lock of its own for every bucket.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.samples import Exemplar

from obs_middleware.metrics.text import HistogramText, as_in_go

if TYPE_CHECKING:
    from obs_middleware.ledger import Entry

LABELS = ("http_request_method", "http_route", "http_response_status_code", "error_type")

Example = tuple[str, float, float]  # digits of the trace and the span ID, value, seconds since 1970


class Series:
    """One label set in the four histograms: how many in each bucket, not added up, and the sums.

    Both are plain lists for all four, one after the other: few objects to reach, and to keep.
    """

    __slots__ = ("counts", "exemplars", "labels", "sums", "text")

    def __init__(self, labels: tuple[str, ...], cells: int) -> None:
        self.labels = labels
        self.text = ""  # the labels on the page, once it was made
        self.counts = [0] * cells
        self.sums = [0.0] * 4
        self.exemplars: dict[int, Example] | None = None  # by their place in `counts`

    def example(self, cell: int, entry: Entry, value: float) -> None:
        """Keep a value as its bucket's exemplar."""
        if self.exemplars is None:
            self.exemplars = {}
        self.exemplars[cell] = entry.ids, value, entry.ended


class Histogram:
    """One histogram's name and bounds, and what it shows of the series; one that has counted nothing is left out.

    Args:
        index: which of a series' sums is its own.
        first: where its buckets begin in a series' counts.
    """

    def __init__(self, name: str, about: str, bounds: Iterable[float], *, index: int, first: int) -> None:
        self._name = name
        self._about = about
        bounds = tuple(map(float, bounds))
        self._index = index
        self._cells = range(first, first + len(bounds) + 1)
        self._marks = [*map(as_in_go, bounds), "+Inf"]
        self._text = HistogramText(name, about, LABELS, bounds)
        self.head = self._text.head

    def family(self, series: Iterable[Series]) -> HistogramMetricFamily:
        """Return the family, as prometheus-client has them."""
        family = HistogramMetricFamily(self._name, self._about, labels=LABELS)
        for one in series:
            counts, total = self._counted(one), one.sums[self._index]
            if any(counts):
                exemplars = self._exemplars(one) or [None] * len(counts)
                buckets: list[Any] = list(zip(self._marks, accumulate(counts), exemplars, strict=True))
                family.add_metric(one.labels, buckets, total)
        return family

    def lines(self, one: Series, *, is_openmetrics: bool) -> str:
        """Return one series' part of the page."""
        counts, total = self._counted(one), one.sums[self._index]
        if not any(counts):
            return ""
        one.text = one.text or self._text.labels(one.labels)
        exemplars = self._exemplars(one) if is_openmetrics else None
        return self._text.child(one.text, map(float, counts), total, exemplars)

    def _counted(self, one: Series) -> list[int]:
        return one.counts[self._cells.start : self._cells.stop]

    def _exemplars(self, one: Series) -> list[Exemplar | None] | None:
        """Return the exemplar of each bucket; None where there is none at all."""
        known = one.exemplars
        if known is None:
            return None
        return [_shown(known[cell]) if cell in known else None for cell in self._cells]


def _shown(exemplar: Example) -> Exemplar:
    ids, value, seconds = exemplar
    return Exemplar({"trace_id": ids[:32], "span_id": ids[32:]}, value, seconds)
