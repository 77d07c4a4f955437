"""Which cell each value of prometheus-client's metrics has; a series that comes again gets the cells that it had."""

from __future__ import annotations

from threading import Lock, RLock
from typing import Any
from weakref import WeakSet

from obs_middleware.workers.cells import ABSENT, Cells


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


class _Family:
    """A metric of this process."""

    def __init__(self, number: int, kind: str) -> None:
        self.number = number
        self.type = kind
        self.slots: list[tuple[str, str | None]] = []
        self.open: dict[tuple[str, ...], _Series] = {}  # whose values are being made

    @property
    def is_complete(self) -> bool:
        """Tell whether its first series has all its values, which says what each series has."""
        if self.type == "histogram":
            return bool(self.slots) and self.slots[-1][1] == "+Inf"
        return len(self.slots) == (2 if self.type == "summary" else 1)


class _Series:
    """A series of this process: cells one after the other."""

    __slots__ = ("family", "first", "labels", "values", "width")

    def __init__(self, family: _Family, labels: tuple[str, ...], first: int, width: int) -> None:
        self.family, self.labels, self.first, self.width = family, labels, first, width
        self.values: list[Placed] = []  # while more are to come


class Places:
    """Which cell each value of this process has."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._lock = RLock()
        self._cells: Cells | None = None
        self._report: Any = None
        self._families: dict[Any, _Family] = {}
        self._removed: dict[tuple[int, tuple[str, ...]], int] = {}  # cells by family and labels
        self.exemplars: dict[
            int, Any
        ] = {}  # by cell, until they are written: not in the middle of an app's work
        self._values: WeakSet[Placed] = WeakSet()

    @property
    def names(self) -> set[str]:
        """Return the names of all metrics that have cells, whichever registry they are in."""
        return {key[0] for key in list(self._families)}

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

    def add(
        self,
        value: Placed,
        key: tuple[str, str, tuple[str, ...], str],
        documentation: str,
        labels: tuple[str, ...],
        slot: tuple[str, str | None],
    ) -> None:
        """Give a value a cell, if cells are to be had."""
        try:
            with self._lock:
                cells = self._cells
                if cells is None:
                    self._values.add(value)
                    return
                family = self._families.get(key) or self._new_family(cells, key, documentation)
                series = self._series_of(cells, family, labels, slot, stride=2 if value.is_dated else 1)
                if series is not None:
                    self._put(cells, series, value, slot)
        except OSError as error:  # full: the number stays this process's own
            self._report("workers", error)  # without the lock, because it counts

    def _new_family(
        self, cells: Cells, key: tuple[str, str, tuple[str, ...], str], documentation: str
    ) -> _Family:
        name, kind, names, mode = key
        family = _Family(len(self._families), kind)
        cells.note("f", family.number, name, kind, documentation, names, mode)
        self._families[key] = family
        return family

    def _series_of(
        self,
        cells: Cells,
        family: _Family,
        labels: tuple[str, ...],
        slot: tuple[str, str | None],
        *,
        stride: int,
    ) -> _Series | None:
        series = family.open.get(labels)
        if series is None or (family.slots and slot == family.slots[0]):
            if family.slots and slot != family.slots[0]:
                return None  # another metric of the same name with other buckets
            width = max(len(family.slots), 1) * stride
            first = self._removed.pop((family.number, labels), None)
            if first is None:
                first = cells.reserve(width)
            series = family.open[labels] = _Series(family, labels, first or 0, width)
            cells.note(family.number, series.first, *labels)
        return series

    def _put(self, cells: Cells, series: _Series, value: Placed, slot: tuple[str, str | None]) -> None:
        family, stride = series.family, 2 if value.is_dated else 1
        if slot not in family.slots:
            if family.is_complete:
                return  # other buckets
            family.slots.append(slot)
            cells.note("s", family.number, *slot)
        place = family.slots.index(slot)
        while place * stride >= series.width:
            self._widen(cells, series, stride)
        series.values.append(value)
        value._series = series
        value.put(cells.doubles, series.first + place * stride)
        self._values.add(value)
        if family.is_complete and place == len(family.slots) - 1:
            family.open.pop(series.labels, None)
            series.values.clear()

    def _widen(self, cells: Cells, series: _Series, stride: int) -> None:
        """Make room for one more value of the first series of a metric, which says how many there are."""
        if cells.reserve(stride, after=series.first + series.width) is None:  # another metric was faster
            series.first = cells.reserve(2 * series.width) or 0
            cells.note(series.family.number, series.first, *series.labels)
            for place, value in enumerate(series.values):
                value.put(cells.doubles, series.first + place * stride)
            series.width *= 2
        else:
            series.width += stride

    def remove(self, value: Placed) -> None:
        """Mark the cell of a value that is gone; a series of the same labels gets it again."""
        value._cells[value._at] = ABSENT
        series = value._series
        if value._at == series.first:
            self._removed[series.family.number, series.labels] = series.first

    def write_exemplars(self) -> None:
        """Write the exemplars that have come since, where others read them."""
        cells, waiting = self._cells, self.exemplars
        for _ in range(len(waiting)):
            cell, exemplar = waiting.popitem()
            if cells is None:
                continue
            try:
                cells.keep_exemplar(cell, exemplar.labels, exemplar.value, exemplar.timestamp)
            except (OSError, ValueError, TypeError) as error:  # full, or labels that can't be written
                self._report("workers", error)


places = Places()
