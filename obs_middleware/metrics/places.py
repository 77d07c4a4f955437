"""Which cell each value of prometheus-client's metrics has; a series that comes again gets the cells that it had.

prometheus-client makes the values of a series one by one. They get their cells together, when all are there, so that
others learn of a whole series or of none.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import count
from threading import Lock, RLock
from typing import Any, NamedTuple
from weakref import WeakSet

from obs_middleware.workers.cells import ABSENT, DATED, Cells
from obs_middleware.workers.names import Key, Labels, Slot


class Placed:
    """A number of this process, and its cell where others read it.

    Args:
        is_gauge: it keeps its number in a forked child.
        is_dated: a second cell tells when it was set.
    """

    __slots__ = ("__weakref__", "_at", "_cells", "_lock", "_series", "_value", "is_dated", "is_gauge")

    def __init__(self, *, is_gauge: bool, is_dated: bool) -> None:
        self._value = 0.0
        self._lock = Lock()
        self._cells: Any = None
        self._at = 0
        self._series: Any = None
        self.is_gauge = is_gauge
        self.is_dated = is_dated

    @property
    def has_cell(self) -> bool:
        """Tell whether others can read it."""
        return self._cells is not None

    def put(self, cells: Any, at: int) -> None:
        """Write the number to a cell, and there from now on."""
        with self._lock:
            cells[at] = self._value
            self._cells, self._at = cells, at

    def begin_anew(self) -> None:
        """Begin with no cell, in a child whose parent goes on with it; a gauge keeps what it was set to."""
        self._lock = Lock()
        self._cells = None
        if not self.is_gauge:
            self._value = 0.0

    def __del__(self) -> None:
        if self._cells is not None:  # removed by remove() or clear()
            places.remove(self)


class _Family(NamedTuple):
    """A metric of this process: its number in the file of names, and what each series of it has."""

    number: int
    slots: tuple[Slot, ...]


class _Series:
    """A series of this process: cells one after the other.

    Attributes:
        left: how many of its values have not been removed.
    """

    __slots__ = ("first", "labels", "left", "number")

    def __init__(self, number: int, labels: Labels, first: int, left: int) -> None:
        self.number, self.labels, self.first, self.left = number, labels, first, left


class Places:
    """Which cell each value of this process has."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._lock = RLock()
        self._cells: Cells | None = None
        self._report: Any = None
        self._numbers = count()
        self._families: dict[Key, _Family] = {}
        # Series of which more values are to come.
        self._open: dict[tuple[Key, Labels], dict[Slot, Placed]] = {}
        # First cells of series that are gone, by the family's number and the labels.
        self._removed: dict[tuple[int, Labels], int] = {}
        # By cell, until they are written: not in the middle of an app's work.
        self.exemplars: dict[int, Any] = {}
        self._values: WeakSet[Placed] = WeakSet()

    @property
    def names(self) -> set[str]:
        """Return the names of all metrics that have cells, whichever registry they are in."""
        return {key.name for key in list(self._families)}

    def open(self, cells: Cells, report: Any) -> None:
        """Give all values that are made from now on a cell.

        Args:
            report: is told of a value that has got none.
        """
        self._cells, self._report = cells, report

    def close(self) -> None:
        """Give no more cells, and take none away: the end of a process removes no series."""
        with self._lock:
            for value in list(self._values):
                value._cells = None
            self._cells = None

    def begin_anew(self) -> None:
        """Forget all cells, in a child of a process that goes on with them."""
        kept = list(self._values)
        for value in kept:
            value.begin_anew()
        self._reset()

    def add(self, value: Placed, key: Key, documentation: str, labels: Labels, slot: Slot) -> None:
        """Take a value in; with the last one of its series, all get their cells, if cells are to be had."""
        try:
            with self._lock:
                self._values.add(value)
                if self._cells is not None:
                    found = self._open.setdefault((key, labels), {})
                    if slot in found:  # of another metric with this name
                        found.clear()
                    found[slot] = value
                    if _is_whole(key, found, slot):
                        del self._open[key, labels]
                        self._place(self._cells, key, documentation, labels, found)
        except OSError as error:  # full: the numbers stay this process's own, until there is room
            self._report("workers", error)  # without the lock, because it counts

    def _place(
        self, cells: Cells, key: Key, documentation: str, labels: Labels, found: dict[Slot, Placed]
    ) -> None:
        family = self._families.get(key) or self._declared(cells, key, documentation, tuple(found))
        if family.slots != tuple(found):
            return  # another metric of this name, with other buckets
        width = 2 if key.mode in DATED else 1
        first = self._removed.pop((family.number, labels), None)
        if first is None:
            first = cells.reserve(len(found) * width)
            cells.note(family.number, first, *labels)
        series = _Series(family.number, labels, first, len(found))
        for place, value in enumerate(found.values()):
            value._series = series
            value.put(cells.doubles, first + place * width)

    def _declared(self, cells: Cells, key: Key, documentation: str, slots: tuple[Slot, ...]) -> _Family:
        number = next(self._numbers)
        cells.note("f", number, key.name, key.type, documentation, key.label_names, key.mode)
        for slot in slots:
            cells.note("s", number, *slot)
        family = self._families[key] = _Family(number, slots)
        return family

    def remove(self, value: Placed) -> None:
        """Mark the cell of a value that is gone; the next series of its labels gets the cells of all again."""
        value._cells[value._at] = ABSENT
        series = value._series
        series.left -= 1
        if not series.left:
            self._removed[series.number, series.labels] = series.first

    def write_exemplars(self) -> None:
        """Write the exemplars that have come since, where others read them."""
        cells, waiting = self._cells, self.exemplars
        for _ in range(len(waiting)):
            try:
                cell, exemplar = waiting.popitem()
            except KeyError:  # another thread writes them too
                return
            if cells is None:
                continue
            try:
                cells.keep_exemplar(cell, exemplar.labels, exemplar.value, exemplar.timestamp)
            except (OSError, ValueError, TypeError) as error:  # full, or labels that can't be written
                self._report("workers", error)


def _is_whole(key: Key, found: Collection[Slot], last: Slot) -> bool:
    """Tell whether a series has all its values, of which the last one has just come."""
    if key.type == "histogram":
        return last[1] == "+Inf"
    return len(found) == (2 if key.type == "summary" else 1)


places = Places()
