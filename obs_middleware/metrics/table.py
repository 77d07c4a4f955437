"""The counts behind the HTTP histograms, in one table with a row for each label set.

A request is measured in all four histograms by one look-up and a few additions. prometheus-client keeps an object with
a lock of its own for every bucket. `exposition/http_server.py` writes it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from itertools import accumulate
from struct import Struct
from typing import TYPE_CHECKING, Protocol

from obs_middleware._speedups import share_layout

if TYPE_CHECKING:
    from obs_middleware.record import RequestRecord

HISTOGRAMS = 4

ResultLabels = tuple[
    str, "int | str | None", str
]  # method, status, error type: what many routes have in common

_SMALLEST = 32  # rows of half a storage

_exemplar = Struct("<24sdd")  # the trace and the span ID, value, seconds since 1970


class Storage(Protocol):
    """Where a table lives that other processes read."""

    def rows(self, count: int, cells: int) -> tuple[MutableSequence[int], MutableSequence[float]]:
        """Return room for so many rows of so many counts each, and for their sums; both are 0."""
        ...

    def use(self) -> None:
        """Note that what `rows` has returned last is the table from now on."""
        ...

    def note(self, row: int, result: ResultLabels, route: str) -> None:
        """Note the labels of a row."""
        ...

    def keep_exemplars(self, row: int, record: RequestRecord, cells: Mapping[int, float]) -> None:
        """Keep values as the exemplars of their buckets."""
        ...

    def is_full(self, error: OSError) -> None:
        """Note that there is no more room."""
        ...


@share_layout
class HistogramTable:
    """How many in each bucket, not added up, and the sums behind them.

    Both are arrays, so that a label set takes no object of its own.

    Args:
        sizes: how many buckets each histogram has.
        exemplar_cells: for each bucket, in whose place its exemplar is kept, if not in its own.
    """

    __slots__ = (
        "_capacity",
        "_exemplar_cells",
        "_exemplars",
        "_storage",
        "cells",
        "counts",
        "firsts",
        "results",
        "routes",
        "row_of",
        "sums",
    )

    def __init__(self, sizes: Iterable[int], exemplar_cells: Sequence[int] = ()) -> None:
        *firsts, self.cells = accumulate(sizes, initial=0)  # of a row
        self.firsts = tuple(firsts)  # where each histogram's begin there
        self.counts: MutableSequence[int] = array("I")
        self.sums: MutableSequence[float] = array("d")
        self.row_of: dict[ResultLabels, dict[str, int]] = {}  # the row by result and route
        self.results: list[ResultLabels] = []  # of each row
        self.routes: list[str] = []
        self._exemplars: dict[int, Exemplars] = {}
        self._exemplar_cells = exemplar_cells
        self._storage: Storage | None = None
        self._capacity = 0  # rows that the storage has room for

    def __len__(self) -> int:
        return len(self.routes)

    def add_counted(
        self, result: ResultLabels, route: str, counts: Iterable[int], sums: Iterable[float]
    ) -> int:
        """Return the row of labels that have none yet, with what was counted elsewhere."""
        row = self.add(result, route)
        if row == 0:
            self.widen()
        self.counts[row * self.cells :] = array("Q", counts)
        self.sums[row * HISTOGRAMS :] = array("d", sums)
        return row

    def add(self, result: ResultLabels, route: str) -> int:
        """Return the row of labels that have none yet; for the thread that flushes."""
        row, by_route = len(self.routes), self.row_of.setdefault(result, {})
        result = next(
            (self.results[other] for other in by_route.values()), result
        )  # one tuple for all its rows
        if self._storage is not None:
            self._add_to(self._storage, row, result, route)
        if self._storage is None:
            self.counts.extend([0] * self.cells)
            self.sums.extend([0.0] * HISTOGRAMS)
        self.results.append(result)
        self.routes.append(route)  # last but for who looks it up: a page may be made meanwhile
        by_route[route] = row
        return row

    @property
    def is_stored(self) -> bool:
        """Tell whether all is in a storage."""
        return self._storage is not None

    def move(self, storage: Storage) -> None:
        """Keep all in a storage from now on; for the thread that flushes."""
        self._capacity = max(_SMALLEST, len(self))
        try:
            self._grow(storage)
            for row, (result, route) in enumerate(zip(self.results, self.routes, strict=True)):
                storage.note(row, result, route)
        except OSError:
            self.leave_storage()
            raise
        self._storage = storage

    def begin_anew(self) -> None:
        """Begin with nothing in memory of its own, in a child of a process that goes on with the storage."""
        rows = len(self)
        self._storage, self._exemplars = None, {}
        self.counts, self.sums = (
            array("I", [0] * (rows * self.cells)),
            array("d", [0.0] * (rows * HISTOGRAMS)),
        )

    def _add_to(self, storage: Storage, row: int, result: ResultLabels, route: str) -> None:
        try:
            if row == self._capacity:
                self._grow(storage)
            storage.note(row, result, route)
        except OSError as error:  # full: what is new is of this process alone
            storage.is_full(error)
            self.leave_storage()

    def leave_storage(self) -> None:
        """Keep all in memory of its own again."""
        rows = len(self)
        self.counts = array("Q", self.counts[: rows * self.cells])
        self.sums = array("d", self.sums[: rows * HISTOGRAMS])
        self._storage = None

    def _grow(self, storage: Storage) -> None:
        """Move to a room of twice the size; those who read meanwhile find the old one as it was."""
        capacity = 2 * self._capacity
        counts, sums = storage.rows(capacity, self.cells)
        counts[: len(self.counts)] = array("Q", self.counts)
        sums[: len(self.sums)] = array("d", self.sums)
        self.counts, self.sums, self._capacity = counts, sums, capacity
        storage.use()

    def widen(self) -> MutableSequence[int]:
        """Return the counts, from now on with more room for each."""
        self.counts = array("Q", self.counts)
        return self.counts

    def keep_exemplars(self, row: int, record: RequestRecord, cells: Mapping[int, float]) -> None:
        """Keep values as the exemplars of their buckets."""
        if self._exemplar_cells:
            cells = {self._exemplar_cells[cell]: value for cell, value in cells.items()}
        exemplars = self._exemplars.get(row)
        if exemplars is None:
            exemplars = self._exemplars[row] = Exemplars()
        exemplars.keep(record, cells)
        if self._storage is not None:
            self._storage.keep_exemplars(row, record, cells)

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
