"""The counts behind the HTTP histograms, in one table with a row for each label set.

A request is measured in all four histograms by one look-up and a few additions. prometheus-client keeps an object with
a lock of its own for every bucket. `exposition/http_server.py` writes it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, MutableSequence
from itertools import accumulate
from struct import Struct
from typing import TYPE_CHECKING

from obs_middleware._speedups import share_layout

if TYPE_CHECKING:
    from obs_middleware.record import RequestRecord

HISTOGRAMS = 4

ResultLabels = tuple[
    str, "int | str | None", str
]  # method, status, error type: what many routes have in common

_exemplar = Struct("<24sdd")  # the trace and the span ID, value, seconds since 1970


@share_layout
class HistogramTable:
    """How many in each bucket, not added up, and the sums behind them.

    Both are arrays, so that a label set takes no object of its own.

    Args:
        sizes: how many buckets each histogram has.
    """

    __slots__ = ("_exemplars", "cells", "counts", "firsts", "results", "routes", "row_of", "sums")

    def __init__(self, sizes: Iterable[int]) -> None:
        *firsts, self.cells = accumulate(sizes, initial=0)  # of a row
        self.firsts = tuple(firsts)  # where each histogram's begin there
        self.counts: MutableSequence[int] = array("I")
        self.sums: MutableSequence[float] = array("d")
        self.row_of: dict[ResultLabels, dict[str, int]] = {}  # the row by result and route
        self.results: list[ResultLabels] = []  # of each row
        self.routes: list[str] = []
        self._exemplars: dict[int, Exemplars] = {}

    def __len__(self) -> int:
        return len(self.routes)

    def add(self, result: ResultLabels, route: str) -> int:
        """Return the row of labels that have none yet; for the thread that flushes."""
        row, by_route = len(self.routes), self.row_of.setdefault(result, {})
        result = next(
            (self.results[other] for other in by_route.values()), result
        )  # one tuple for all its rows
        self.counts.extend([0] * self.cells)
        self.sums.extend([0.0] * HISTOGRAMS)
        self.results.append(result)
        self.routes.append(route)  # last but for who looks it up: a page may be made meanwhile
        by_route[route] = row
        return row

    def widen(self) -> MutableSequence[int]:
        """Return the counts, from now on with more room for each."""
        self.counts = array("Q", self.counts)
        return self.counts

    def keep_exemplars(self, row: int, record: RequestRecord, cells: Mapping[int, float]) -> None:
        """Keep values as the exemplars of their buckets."""
        exemplars = self._exemplars.get(row)
        if exemplars is None:
            exemplars = self._exemplars[row] = Exemplars()
        exemplars.keep(record, cells)

    def exemplars(self, row: int) -> Exemplars | None:
        """Return the exemplars of a row, if it has any."""
        return self._exemplars.get(row)


class Exemplars:
    """The exemplars of one row, 45 bytes each; a dictionary of tuples, texts and floats took four times as much."""

    __slots__ = ("_packed", "_places")

    def __init__(self) -> None:
        self._places = (
            ""  # the buckets that have one, a character for each, in the order in which they are packed
        )
        self._packed = bytearray()

    def keep(self, record: RequestRecord, cells: Mapping[int, float]) -> None:
        """Keep values as the exemplars of their buckets, in place of those before."""
        ids, packed = bytes.fromhex(record.ids), self._packed
        for cell, value in cells.items():
            place = self._places.find(chr(cell))
            if place >= 0:
                _exemplar.pack_into(packed, place * _exemplar.size, ids, value, record.ended)
            else:
                packed += _exemplar.pack(ids, value, record.ended)
                self._places += chr(cell)  # last: a page may be made meanwhile

    def of(self, cells: Iterable[int]) -> list[tuple[str, str, float, float] | None]:
        """Return trace ID, span ID, value and seconds since 1970 for each bucket; None where there is none."""
        return [self._one(self._places.find(chr(cell))) for cell in cells]

    def _one(self, place: int) -> tuple[str, str, float, float] | None:
        if place < 0:
            return None
        ids, value, seconds = _exemplar.unpack_from(self._packed, place * _exemplar.size)
        return ids[:16].hex(), ids[16:].hex(), value, seconds
