"""prometheus-client's values where several processes are one service: each is also written to a cell.

A class for `prometheus_client.values.ValueClass`, as prometheus-client has one for files of its own. A process that is
alone keeps prometheus-client's, and pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import values

from obs_middleware.metrics.places import Placed, places
from obs_middleware.workers.cells import DATED
from obs_middleware.workers.names import Key


class CellValue(Placed):
    """What prometheus-client's metrics keep a number in."""

    _multiprocess = False

    __slots__ = ("_exemplar",)

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
        super().__init__(is_gauge=typ == "gauge", is_dated=multiprocess_mode in DATED)
        self._exemplar: Any = None
        names, own, le = tuple(labelnames), tuple(labelvalues), None
        if typ == "histogram" and name.endswith("_bucket"):
            names, own, le = names[:-1], own[:-1], own[-1]
        key = Key(metric_name, typ, names, multiprocess_mode)
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


def is_replaceable() -> bool:
    """Tell whether values are prometheus-client's own: whoever wants its files, or has a class of his own, keeps it."""
    return values.ValueClass in (values.MutexValue, CellValue)
