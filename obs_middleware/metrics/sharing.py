"""The metrics of this process where it is one of several: when it joins them, and what it publishes.

A process joins when the first records are flushed or the first page is asked for, because by then the server has
forked its workers. One that is alone finds that out once and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, MutableSequence
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import ref

from obs_middleware import process
from obs_middleware.queue import between_flushes, flush
from obs_middleware.workers import service
from obs_middleware.workers.cells import TABLE

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from obs_middleware.errors import Report
    from obs_middleware.metrics.exposition.shared import SharedRegistry
    from obs_middleware.metrics.http import Instruments
    from obs_middleware.metrics.table import ResultLabels
    from obs_middleware.record import RequestRecord
    from obs_middleware.workers.service import Service

ROW_CELLS = 1 << 20  # an exemplar's place in a table: the row times this, and its cell there

_logger = logging.getLogger("obs")


class Sharing:
    """Whether this process shares its metrics, and with whom.

    Attributes:
        is_decided: whether that is known of this process; a fork makes it unknown.
    """

    def __init__(self) -> None:
        self.is_decided = False
        self.service: Service | None = None
        self._workers = service.ALONE
        self._root: str | None = None
        self._report: Report = _no_report
        self._lock = Lock()
        self._shared: list[tuple[ref[CollectorRegistry], ref[Instruments]]] = []
        self._has_observer = False
        process.on_fork(in_child=self._begin_anew)
        process.on_exit(self._close)

    def add(self, registry: CollectorRegistry, instruments: Instruments) -> int:
        """Take in a registry; return its number, which is the same in all workers, because they make the same."""
        number = len(self._shared)
        self._shared.append((ref(registry), ref(instruments)))
        if self.service is not None:
            self._move(self.service, number, registry, instruments)
        return number

    @property
    def registries(self) -> Iterator[tuple[int, CollectorRegistry, Instruments]]:
        """Yield the registries that are still used, with their numbers and instruments."""
        for number, (registry, instruments) in enumerate(list(self._shared)):
            live = registry(), instruments()
            if live[0] is not None and live[1] is not None:
                yield number, live[0], live[1]

    def configure(self, *, workers: str, directory: str | None, report: Report) -> None:
        """Take the settings of the process's first Observer."""
        if not self._has_observer:
            self._has_observer = True
            self._workers, self._root, self._report = workers, directory, report

    def decide(self) -> None:
        """Find out who belongs to this process, once, and join them; for whoever holds the flush lock."""
        with self._lock:
            if self.is_decided:
                return
            self.is_decided = True
            if self._workers == service.ALONE:
                return
            try:
                self._join()
            except Exception as error:
                self.service = None
                _logger.warning(
                    "obs-middleware: the metrics are those of this process alone, because the directory that its "
                    "workers share can't be used: %s. Set OBS_METRICS_DIRECTORY to one that is writable and has room",
                    error,
                )

    def _join(self) -> None:
        from obs_middleware.metrics import values

        directory = service.find(self._workers, self._root) if values.is_replaceable() else None
        if directory is None:
            return
        joined = service.Service(
            directory, publish=self.publish, answers=not process.stands_still_between_requests()
        )
        self.service = joined
        values.places.open(joined.cells, self._report)
        for number, registry, instruments in self.registries:
            self._move(joined, number, registry, instruments)

    def _move(
        self, joined: Service, number: int, registry: CollectorRegistry, instruments: Instruments
    ) -> None:
        from obs_middleware.metrics import values

        values.install(_collectors_of(registry))
        instruments.table.move(_Storage(joined, table_name(number, instruments), self._report))

    def take(self, registry: Any) -> SharedRegistry | None:
        """Return what a registry has over all workers now; None where this process is alone."""
        process.notice_fork()
        flush()
        if not self.is_decided:
            between_flushes(self.decide)
        if self.service is not None:
            for _, known, instruments in self.registries:
                if known is registry:
                    from obs_middleware.metrics.exposition.shared import SharedRegistry

                    return SharedRegistry(self.service, known, instruments)
        return None

    def publish(self) -> None:
        """Bring up to date what this process has for the others."""
        from obs_middleware.metrics.published import document

        flush()
        if self.service is not None:
            documents = {
                str(number): document(registry, instruments, self._report)
                for number, registry, instruments in self.registries
            }
            self.service.write(documents)

    def _begin_anew(self) -> None:
        """Be nobody's member in a forked child, until it serves; its parent goes on with what it has."""
        self._lock = Lock()
        self.is_decided = False
        joined, self.service = self.service, None
        if joined is not None:
            from obs_middleware.metrics import values

            joined.leave()
            values.places.begin_anew()
            for _, _, instruments in self.registries:
                instruments.table.begin_anew()

    def _close(self) -> None:
        """Let what was counted stay, whatever the end of the process takes apart."""
        if self.service is not None:
            from obs_middleware.metrics import values

            values.places.close()


class _Storage:
    """Keeps a table in the cells of a service."""

    def __init__(self, joined: Service, name: str, report: Report) -> None:
        self._cells = joined.cells
        self._name = name
        self._report = report
        self._line: tuple[Any, ...] = ()

    def rows(self, count: int, cells: int) -> tuple[MutableSequence[int], MutableSequence[float]]:
        from obs_middleware.metrics.table import HISTOGRAMS

        counts_at = self._cells.reserve(count * cells) or 0
        sums_at = self._cells.reserve(count * HISTOGRAMS) or 0
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


def table_name(number: int, instruments: Instruments) -> str:
    """Return the name of a registry's table, which also says what its cells are."""
    return f"{number} {instruments.buckets}"


def _collectors_of(registry: CollectorRegistry) -> list[Any]:
    from obs_middleware.metrics.exposition.registry import collectors_of

    return collectors_of(registry) or []


def _no_report(component: str, error: Exception) -> None:
    pass


sharing = Sharing()
