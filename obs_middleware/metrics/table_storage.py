"""Keeps a table of counts in cells, where other processes read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableSequence
from typing import TYPE_CHECKING, Any, Protocol

from obs_middleware.metrics.table import HISTOGRAMS
from obs_middleware.workers.cells import TABLE

if TYPE_CHECKING:
    from obs_middleware.errors import Report
    from obs_middleware.metrics.own_counter import OwnCounter
    from obs_middleware.metrics.plan import Plan
    from obs_middleware.metrics.table import HistogramTable, ResultLabels
    from obs_middleware.record import RequestRecord
    from obs_middleware.workers.cells import Cells

OVERFLOW_ROW = "_OTHER", "", "overflow", "overflow"  # method, status, error type, route
ROW_CELLS = 1 << 20  # an exemplar's place in a table: the row times this, and its cell there


class SharedInstruments(Protocol):
    """The instruments of a registry that several processes share."""

    internal_errors: OwnCounter
    number: int
    max_rows: int
    plan: Plan
    table: HistogramTable

    def new_table(self) -> HistogramTable:
        """Return a table for these instruments, with no rows."""
        ...

    def active_now(self) -> Iterator[tuple[list[str], int]]:
        """Yield method and scheme, and how many requests of them are being served."""
        ...


class TableStorage:
    """Keeps a table in the cells of a service."""

    def __init__(self, cells: Cells, name: str, report: Report) -> None:
        self._cells = cells
        self._name = name
        self._report = report
        self._line: tuple[Any, ...] = ()

    def rows(self, count: int, cells: int) -> tuple[MutableSequence[int], MutableSequence[float]]:
        counts_at = self._cells.reserve(count * cells)
        sums_at = self._cells.reserve(count * HISTOGRAMS)
        self._line = "t", self._name, counts_at, sums_at, cells, HISTOGRAMS
        counts = self._cells.view(counts_at, count * cells, "Q")
        return counts, self._cells.view(sums_at, count * HISTOGRAMS, "d")  # type: ignore[return-value]

    def use(self) -> None:
        self._cells.note(*self._line)

    def note(self, row: int, result: ResultLabels, route: str) -> None:
        method, status, error_type = result
        self._cells.note("r", self._name, row, method, status, error_type, str(route))

    def keep_exemplars(self, row: int, record: RequestRecord, cells: Mapping[int, float]) -> None:
        labels = {"trace_id": record.ids[:32], "span_id": record.ids[32:]}
        for cell, value in cells.items():
            self._cells.keep_exemplar(TABLE + row * ROW_CELLS + cell, labels, value, record.ended)

    def is_full(self, error: OSError) -> None:
        self._report("workers", error)


def table_name(number: int, instruments: SharedInstruments) -> str:
    """Return the name of a registry's table, which also says what its cells are."""
    return f"{number} {instruments.plan.cells}"
