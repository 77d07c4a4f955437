"""prometheus-client's histograms, a series at a time: one template takes all the values of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any

from prometheus_client import values

from obs_middleware.metrics.exposition.client_metric import ClientMetric, UnusualError
from obs_middleware.metrics.exposition.formats import Format
from obs_middleware.metrics.exposition.text import (
    AFTER,
    BEFORE,
    Labels,
    add_exemplars,
    bucket_lines,
    number,
    template,
)

_value, _exemplar = attrgetter("_value"), attrgetter("_exemplar")


class ClientHistogram(ClientMetric):
    """One histogram on one page."""

    def __init__(self, metric: Any, page_format: Format) -> None:
        super().__init__(metric, page_format)
        names, bounds = metric._labelnames, metric._upper_bounds
        before, after = [name for name in names if name < "le"], [name for name in names if name >= "le"]
        self._before, self._after = Labels(names, before.__contains__), Labels(names, after.__contains__)
        self._has_after = bool(after)
        self._has_sum = bounds[0] >= 0
        lines = [*bucket_lines(bounds), ("_count", "")]
        lines += [("_sum", "")] * self._has_sum + [("_created", "")] * self._has_created
        self._holes = len(lines) * (bool(before) + bool(after))
        self._template = template(metric._name, lines, has_before=bool(before), has_after=bool(after))

    def _texts(self) -> Iterator[tuple[str, str]]:
        for labels, child in self._children().items():
            try:
                text = self._text(labels, child)
            except Exception:  # whatever is not as expected
                yield self._unusual(labels, child)
            else:
                end = text.rindex("\n", 0, -1) + 1 if self._is_created_late else len(text)
                yield text[:end], text[end:]

    def _text(self, labels: Sequence[str], child: Any) -> str:
        if (
            child.__class__ is not self._class
            or child._child_samples.__func__ is not self._class._child_samples
        ):
            raise UnusualError
        numbers = self._numbers(child)
        exemplars = [*map(_exemplar, child._buckets)] if self._page_format.is_openmetrics else []
        if not any(exemplars):
            return self._labelled(self._template % tuple(numbers), labels)
        add_exemplars(numbers, exemplars)
        text = self._template % tuple(numbers)
        if text.count(BEFORE) + text.count(AFTER) != self._holes:  # some are an exemplar's own
            raise UnusualError
        return self._labelled(text, labels)

    def _numbers(self, child: Any) -> list[Any]:
        if child._sum.__class__ is not values.MutexValue:
            raise UnusualError
        total = number(child._sum._value)
        counts: list[Any] = [*accumulate(map(_value, child._buckets))]
        count = counts[-1]
        if count.__class__ is not float or not count < 1e6:
            spelled = {
                count: number(count) for count in set(counts)
            }  # many are the same, because they are added up
            counts = [spelled[count] for count in counts]
        counts.append(counts[-1])
        if self._has_sum:
            counts.append(total)
        if self._has_created:
            counts.append(number(child._created))
        return counts

    def _labelled(self, text: str, labels: Sequence[str]) -> str:
        before = self._before(labels)
        if not self._has_after:
            return text.replace(BEFORE, before)
        if AFTER in before:
            raise UnusualError
        return text.replace(BEFORE, before).replace(AFTER, self._after(labels))
