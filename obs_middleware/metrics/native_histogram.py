"""The exponential buckets of native histograms, as cells of a table that has classic buckets too.

A table counts by bounds, which are the union of the bounds below and of those that classic histograms have. A cell
belongs to one exponential bucket and to one classic bucket, so that both are sums of cells.

Up to 128 s, a bucket ends 4.4 % above its beginning, and that is how far a quantile can be off. What is shorter than
61 µs is in the zero bucket. Longer ones are counted by doublings up to 8192 s, each of which stands in the bucket in
its middle. https://prometheus.io/docs/specs/native_histograms/
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import compress
from math import ldexp
from typing import NamedTuple

SCHEMA = 4
_PER_DOUBLING = 1 << SCHEMA
_FINE = range(-14 * _PER_DOUBLING, 7 * _PER_DOUBLING + 1)  # the bucket of an index ends at 2 ** (index / 16)
_DOUBLINGS = range(8, 14)

ZERO = _FINE[0]  # the index that we give the zero bucket
ZERO_THRESHOLD = ldexp(1.0, ZERO // _PER_DOUBLING)
_HALF = _PER_DOUBLING // 2


def _bound(index: int) -> float:
    doublings, rest = divmod(index, _PER_DOUBLING)
    return ldexp(2 ** (rest / _PER_DOUBLING), doublings)


BOUNDS = (*map(_bound, _FINE), *(ldexp(1.0, power) for power in _DOUBLINGS))
_INDEXES = (*_FINE, *(power * _PER_DOUBLING - _HALF for power in (*_DOUBLINGS, _DOUBLINGS.stop)))


class Native(NamedTuple):
    """One native histogram.

    Attributes:
        spans: runs of buckets: how many are left out before, from index 0 at first, and how many there are.
        deltas: the count of each of these buckets, less that of the one before.
    """

    zero_count: int
    spans: list[list[int]]
    deltas: list[int]


class NativeBuckets:
    """Read native histograms from the counts of a table.

    Args:
        stored: the bounds of the table, BOUNDS among them.
    """

    def __init__(self, stored: Sequence[float]) -> None:
        self._indexes = [_INDEXES[bisect_left(BOUNDS, bound)] for bound in stored] + [_INDEXES[-1]]

    def read(self, counts: Sequence[int]) -> Native:
        """Return the histogram of what is in each of the table's buckets, not added up."""
        buckets: dict[int, int] = {}
        for index, count in compress(zip(self._indexes, counts, strict=True), counts):
            buckets[index] = buckets.get(index, 0) + count
        zero_count = buckets.pop(ZERO, 0)
        spans: list[list[int]] = []
        deltas = []
        end = before = 0
        for index, count in buckets.items():
            if spans and index == end:
                spans[-1][1] += 1
            else:
                spans.append([index - end, 1])
            deltas.append(count - before)
            end, before = index + 1, count
        return Native(zero_count, spans, deltas)


def classic_cells(stored: Sequence[float], classic: Sequence[float]) -> list[int]:
    """Return for each of a table's buckets the last one of the classic bucket that it belongs to.

    Args:
        stored: the bounds of the table, all of `classic` among them.
    """
    ends = [*(bisect_left(stored, bound) for bound in classic), len(stored)]
    return [ends[bisect_left(ends, cell)] for cell in range(len(stored) + 1)]
