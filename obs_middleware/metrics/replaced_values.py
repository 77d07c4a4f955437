"""Metrics that are there already when a process joins a service get values in cells, with the numbers that they had.

Threads may count meanwhile. What one counts in a value that it held before is added a little later.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, Summary, values
from prometheus_client.metrics import MetricWrapperBase

from obs_middleware.fork_lock import ForkLock
from obs_middleware.metrics.own_counter import OwnCounter
from obs_middleware.metrics.values import CellValue
from obs_middleware.queue import later

LATE_SECONDS = 1.0  # after which no thread holds a value any more that was replaced

IN_CELLS = (Counter, Gauge, Summary, Histogram)


def install(collectors: Iterable[Any]) -> None:
    """Have values made of this class, and replace those that metrics have and that have no cell."""
    values.ValueClass = OwnCounter.kind = CellValue
    with _replacing:
        for collector in collectors:
            if isinstance(collector, OwnCounter):
                collector.move(_is_without_cell)
            elif isinstance(collector, IN_CELLS):
                for child in children_of(collector):
                    _replace(child)
    if _moved:
        later(LATE_SECONDS, add_late)


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
_replacing = ForkLock()


def add_late() -> None:
    """Add what threads have counted in values that they still held when these were replaced."""
    with suppress(IndexError):
        while True:
            _moved.pop().add_late()


def _is_without_cell(value: Any) -> bool:
    return not isinstance(value, CellValue) or not value.has_cell
