"""What there is to know of prometheus-client's classes: the lines of a series, and where its numbers are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from operator import attrgetter
from typing import Any, NamedTuple

from prometheus_client import Counter, Gauge, Histogram, Summary, values

from obs_middleware.metrics.text import Line, bucket_lines, number


class UnusualError(Exception):
    """A series is not as we know them."""


class Kind(NamedTuple):
    """One class."""

    lines: Callable[[Any], list[Line]]
    read: Callable[[Any], list[Any]]  # a child's values, in the order of its lines
    exemplars: Callable[[Any], list[Any]]  # a child's exemplars, of the first of its lines
    fill: Callable[[Any], None]  # a specimen
    has_created: bool = True


_value, _exemplar = attrgetter("_value"), attrgetter("_exemplar")


def _read(*cells: Any) -> list[Any]:
    numbers = []
    for cell in cells:
        if cell.__class__ is not values.MutexValue:
            raise UnusualError
        numbers.append(number(cell._value))
    return numbers


def _read_histogram(child: Any) -> list[Any]:
    (total,) = _read(child._sum)
    counts: list[Any] = [*accumulate(map(_value, child._buckets))]
    count = counts[-1]
    if count.__class__ is not float or not count < 1e6:
        spelled = {
            count: number(count) for count in set(counts)
        }  # added up, many are the same: 60 → 35 ms for 43 000 samples
        counts = [spelled[count] for count in counts]
        count = counts[-1]
    return [*counts, count, total] if child._upper_bounds[0] >= 0 else [*counts, count]


def _histogram_lines(metric: Any) -> list[Line]:
    bounds = metric._upper_bounds
    return [*bucket_lines(bounds), ("_count", ""), *([("_sum", "")] if bounds[0] >= 0 else [])]


_EXEMPLAR = {"trace_id": "a", "b": '"'}
KINDS: dict[type[Any], Kind] = {
    Counter: Kind(
        lines=lambda _: [("_total", "")],
        read=lambda child: _read(child._value),
        exemplars=lambda child: [child._value._exemplar],
        fill=lambda child: child.inc(2.5, _EXEMPLAR),
    ),
    Gauge: Kind(
        lines=lambda _: [("", "")],
        read=lambda child: _read(child._value),
        exemplars=lambda _: [],
        fill=lambda child: child.set(-2.5),
        has_created=False,
    ),
    Summary: Kind(
        lines=lambda _: [("_count", ""), ("_sum", "")],
        read=lambda child: _read(child._count, child._sum),
        exemplars=lambda _: [],
        fill=lambda child: child.observe(2.5),
    ),
    Histogram: Kind(
        lines=_histogram_lines,
        read=_read_histogram,
        exemplars=lambda child: [*map(_exemplar, child._buckets)],
        fill=lambda child: child.observe(2.5, _EXEMPLAR),
    ),
}
