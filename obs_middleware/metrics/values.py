"""prometheus-client's values where several processes are one service: each is also written to a cell.

A class for `prometheus_client.values.ValueClass`, as prometheus-client has one for files of its own. A process that is
alone keeps prometheus-client's, and pays nothing. Metrics that are there already when a process joins a service get
their values again, of this class, with the numbers that they had.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from threading import Lock, RLock
from typing import Any
from weakref import WeakSet

from prometheus_client import Counter, Gauge, Histogram, Summary, values
from prometheus_client.metrics import MetricWrapperBase

from obs_middleware.metrics.own_counter import OwnCounter
from obs_middleware.queue import later
from obs_middleware.workers.cells import ABSENT, DATED, Cells

_LATE_SECONDS = 1.0  # after which no thread holds a value any more that was replaced

IN_CELLS = (Counter, Gauge, Summary, Histogram)


class CellValue:
    """A number of this process, and its cell where others read it."""

    _multiprocess = False

    __slots__ = (
        "__weakref__",
        "_at",
        "_cells",
        "_exemplar",
        "_lock",
        "_series",
        "_value",
        "is_dated",
        "is_gauge",
    )

    def __init__(
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Iterable[str],
        labelvalues: Iterable[str],
        help_text: str,
        multiprocess_mode: str = "",
        **_: Any,
    ) -> None:
        self._value = 0.0
        self._exemplar: Any = None
        self._lock = Lock()
        self._cells: Any = None
        self._at = 0
        self._series: Any = None
        self.is_gauge = typ == "gauge"
        self.is_dated = multiprocess_mode in DATED
        names, own, le = tuple(labelnames), tuple(labelvalues), None
        if typ == "histogram" and name.endswith("_bucket"):
            names, own, le = names[:-1], own[:-1], own[-1]
        key = metric_name, typ, names, multiprocess_mode
        places.add(self, key, help_text, own, (name[len(metric_name) :], le))

    def inc(self, amount: float) -> None:
        """Add to the number."""
        with self._lock:
            self._value += amount
            if self._cells is not None:
                self._cells[self._at] = self._value

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the number."""
        with self._lock:
            self._value = value
            if self._cells is not None:
                self._cells[self._at] = value
                if self.is_dated:
                    self._cells[self._at + 1] = timestamp or 0.0

    def set_exemplar(self, exemplar: Any) -> None:
        """Keep an exemplar."""
        with self._lock:
            self._exemplar = exemplar
        if self._cells is not None:
            places.exemplars[self._at] = exemplar

    def get(self) -> float:
        """Return the number that this process has."""
        with self._lock:
            return self._value

    def get_exemplar(self) -> Any:
        """Return the exemplar that this process has."""
        with self._lock:
            return self._exemplar

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
        self.values: list[CellValue] = []  # while more are to come


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
        self._values: WeakSet[CellValue] = WeakSet()

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
        value: CellValue,
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

    def _put(self, cells: Cells, series: _Series, value: CellValue, slot: tuple[str, str | None]) -> None:
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

    def remove(self, value: CellValue) -> None:
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


def is_replaceable() -> bool:
    """Tell whether values are prometheus-client's own: whoever wants its files, or has a class of his own, keeps it."""
    return values.ValueClass in (values.MutexValue, CellValue)


def install(collectors: Iterable[Any]) -> None:
    """Have values made of this class, and replace those that metrics have."""
    values.ValueClass = OwnCounter.kind = CellValue
    for collector in collectors:
        if isinstance(collector, OwnCounter):
            collector.move(_is_without_cell)
        elif isinstance(collector, IN_CELLS):
            for child in children_of(collector):
                _replace(child)
    if _moved:
        later(_LATE_SECONDS, add_late)


def children_of(metric: MetricWrapperBase) -> list[Any]:
    """Return the metrics that have the numbers of one: itself, or one for each label set."""
    return list(metric._metrics.copy().values()) if metric._labelnames else [metric]


def _replace(child: Any) -> None:
    """Give a metric new values with the numbers of the old ones; made aside, because others count meanwhile.

    One whose values have their cells is left alone: new ones would take these cells' place, and be gone at once. It was
    made while this process joins, or is in another registry too.
    """
    before = _values_of(child)
    if not any(map(_is_without_cell, chain(*before.values()))):
        return
    aside = copy.copy(child)
    created = vars(child).get("_created")
    aside._metric_init()
    for name, new in _values_of(aside).items():
        moved = [_Moved(*pair) for pair in zip(before[name], new, strict=True)]
        setattr(child, name, vars(aside)[name])
        for one in moved:
            one.add_late()
        _moved.extend(moved)
    if created is not None:
        child._created = created


def _values_of(child: Any) -> dict[str, list[Any]]:
    """Return the values of a metric by the attribute that has one, or a list of them."""
    parts = {name: part if isinstance(part, list) else [part] for name, part in vars(child).items()}
    kinds = values.MutexValue, CellValue
    return {name: part for name, part in parts.items() if part and isinstance(part[0], kinds)}


class _Moved:
    """A value, the one that has taken its place, and how much of the first is in the second."""

    def __init__(self, old: Any, new: CellValue) -> None:
        self.old, self.new = old, new
        self.copied: float = old.get()
        # Nobody knows when it was set; what never was must not look like the most recent one.
        new.set(self.copied, time.time() if self.copied else 0.0)
        exemplar = old.get_exemplar()
        if exemplar is not None:
            new.set_exemplar(exemplar)

    def add_late(self) -> None:
        """Add what other threads have counted in the old value since."""
        late = self.old.get() - self.copied
        if late < 0 or late > 0:  # and is a number
            self.copied += late
            self.new.inc(late)


_moved: list[_Moved] = []


def add_late() -> None:
    """Add what threads have counted in values that they still held when these were replaced."""
    with suppress(IndexError):
        while True:
            _moved.pop().add_late()


def _is_without_cell(value: Any) -> bool:
    return isinstance(value, values.MutexValue) or (isinstance(value, CellValue) and not value.has_cell)
