"""The metrics of this process where it is one of several: when it joins them, and what it publishes.

A process joins when the first records are flushed or the first page is asked for, because by then the server has
forked its workers. One that is alone finds that out once and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from math import inf
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet, ref

from obs_middleware import process
from obs_middleware.metrics.own_counter import OwnCounter
from obs_middleware.metrics.places import places
from obs_middleware.metrics.series_bound import OTHER, SeriesBound
from obs_middleware.metrics.table_storage import OVERFLOW_ROW, TableStorage, table_name
from obs_middleware.queue import between_flushes, flush, later
from obs_middleware.workers import locks, membership

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from obs_middleware.errors import Report
    from obs_middleware.metrics.table_storage import SharedInstruments
    from obs_middleware.workers.archive import Cap
    from obs_middleware.workers.cells import Cells
    from obs_middleware.workers.service import Service


_ALONE, _FOUND = "off", "auto"  # values of the setting; any other is the name of a group
_RETRY_SECONDS = 1.0  # between two tries to join
_MOST_OF_OURS = 1000  # values that a counter of ours keeps of workers that have ended
_NO_ROOM_SECONDS = 10.0  # after which there may be room for numbers that have found none
_PUBLISHED_SECONDS = 1.0  # between two publications where nobody can ask for one
_logger = logging.getLogger("obs")


class _Starting(Protocol):
    """What notes requests that start."""

    def start_anew(self) -> None: ...


class WorkerMetrics:
    """Whether this process shares its metrics, and with whom.

    Attributes:
        is_due: whether there is something to do at the next flush.
    """

    def __init__(self) -> None:
        self.is_due = True
        self._is_decided = False  # or being decided, by whoever has the lock
        self._is_done = False
        self._next_try = 0.0
        self._next_publication = 0.0
        self._no_room_at = self._shared_at = -inf  # when that was told last; when all were shared last
        self._next_sharing = 0.0
        self.service: Service | None = None
        self._workers = _ALONE
        self._root: str | None = None
        self._report: Report = _no_report
        self._lock = RLock()
        self._shared: list[tuple[ref[CollectorRegistry], ref[SharedInstruments]]] = []
        self._service_name = ""
        self._has_observer = False
        self._is_forked = False
        self._metrics: WeakSet[_Starting] = WeakSet()
        process.on_fork(in_child=self._begin_anew)
        process.on_exit(self._close)

    def add(self, registry: CollectorRegistry, instruments: SharedInstruments) -> int:
        """Take in a registry; return its number, which is the same in all workers, because they make the same."""
        number = len(self._shared)
        self._shared.append((ref(registry), ref(instruments)))
        if self.service is not None:
            try:
                self._move(self.service.cells, number, registry, instruments)
            except OSError as error:  # full: this registry stays the process's own, until there is room
                self._report_full("workers", error)
        return number

    @property
    def registries(self) -> Iterator[tuple[int, CollectorRegistry, SharedInstruments]]:
        """Yield the registries that are still used, with their numbers and instruments."""
        for number, (registry, instruments) in enumerate(list(self._shared)):
            live = registry(), instruments()
            if live[0] is not None and live[1] is not None:
                yield number, live[0], live[1]

    def look_at_first_request(self, metrics: _Starting) -> None:
        """Have a process decide before it counts its first request, also in each forked child."""
        self._metrics.add(metrics)
        metrics.start_anew()

    def look(self) -> None:
        """Decide, unless that is done; wait for another thread that does so."""
        if not self._is_done:
            between_flushes(self.look_in_flush)

    def look_in_flush(self) -> None:
        """Decide, unless that is done, and publish from time to time where no thread answers others."""
        if not self._is_done and monotonic() >= self._next_try:
            self._decide()
        if self._is_done and self.is_due and monotonic() >= self._next_publication:
            self._next_publication = monotonic() + _PUBLISHED_SECONDS
            self._publish()

    def folder(self) -> Path | None:
        """Return the directory that the workers of the service share; None where this process is alone."""
        self.look()
        return None if self.service is None else self.service.folder

    def configure(self, *, workers: str, directory: str | None, service_name: str, report: Report) -> None:
        """Take the settings of the process's first Observer."""
        if not self._has_observer:
            self._has_observer = True
            self._workers, self._root, self._report = workers, directory, report
            self._service_name = service_name

    def _decide(self) -> None:
        """Find out who belongs to this process, once, and join them; for whoever holds the flush lock."""
        with self._lock:
            if self._is_decided:
                return
            self._is_decided, self.is_due = True, False
            try:
                if self._workers != _ALONE and locks.is_supported:
                    self._join()
            except TimeoutError as error:  # a member has the lock for long: what is counted joins later
                self._is_decided, self.is_due = False, True
                self._next_try = monotonic() + _RETRY_SECONDS
                later(_RETRY_SECONDS, self.look)
                self._report("workers", error)
                return
            except Exception as error:
                self.service, self.is_due = None, False
                _logger.warning(
                    "obs-middleware: the metrics are those of this process alone, because the directory that its "
                    "workers share can't be used: %s. Set OBS_METRICS_DIRECTORY to one that is writable and has room",
                    error,
                )
            self._is_done = True

    def _join(self) -> None:
        supervisor = membership.supervisor() if self._workers == _FOUND else None
        if supervisor is None and self._workers == _FOUND:
            return
        from obs_middleware.metrics.values import is_replaceable
        from obs_middleware.workers import service  # memory that a process needs which is not alone

        if not is_replaceable():  # prometheus-client's own mode, as the user wants it
            return
        directory = service.directory_of(
            supervisor, group=self._workers, service_name=self._service_name, root=self._root
        )
        self.is_due = process.stands_still_between_requests()
        joined: service.Service | None = None
        try:
            joined = service.Service(
                directory,
                publish=self.publish,
                answers=not self.is_due,
                inherited=self._write_inherited if self._is_forked else None,
                caps=self._caps,
            )
            if self._is_forked:
                self._forget_inherited()
            self._write_all(joined.cells)
        except BaseException:
            places.close()
            for _, _, instruments in self.registries:
                if instruments.table.is_stored:
                    instruments.table.leave_storage()
            if joined is not None:
                joined.abandon()
            raise
        self.service = joined
        self._share_late()

    def _share_late(self) -> None:
        """Have the values moved too that threads were making while all were moved."""
        from obs_middleware.metrics.replaced_values import LATE_SECONDS

        later(LATE_SECONDS, partial(between_flushes, self._share_missing))

    def _share_missing(self) -> None:
        """Share what is not, because it was being made, or there was no room; for whoever holds the flush lock."""
        if self.service is not None:
            began = monotonic()
            try:
                for number, registry, instruments in self.registries:
                    self._move(self.service.cells, number, registry, instruments)
                self._shared_at = began
            except OSError as error:
                self._report_full("workers", error)

    def _report_full(self, component: str, error: Exception) -> None:
        if isinstance(error, OSError):
            self._no_room_at = monotonic()
        self._report(component, error)

    @property
    def _has_no_room(self) -> bool:
        """Tell whether numbers have found no room since all were shared, or of a series that was in the making then."""
        from obs_middleware.metrics.replaced_values import LATE_SECONDS

        return self._no_room_at > self._shared_at - LATE_SECONDS

    def _caps(self) -> dict[str, Cap]:
        """Return the bounds of the metrics that have one."""
        from obs_middleware.workers.archive import Cap

        caps: dict[str, Cap] = {}
        for number, registry, instruments in self.registries:
            caps[table_name(number, instruments)] = Cap(instruments.max_rows, OVERFLOW_ROW)
            for collector in _collectors_of(registry):
                if isinstance(getattr(collector, "bound", None), SeriesBound):
                    (family,) = collector.describe()
                    caps[family.name] = Cap(*collector.bound.cap)
                elif isinstance(collector, OwnCounter):
                    (family,) = collector.describe()
                    caps[family.name] = Cap(_MOST_OF_OURS, (OTHER,))
        return caps

    def _write_inherited(self, cells: Cells) -> None:
        """Write to the cells of the parent, which are closed after that."""
        try:
            self._write_all(cells)
        finally:
            places.close()

    def _write_all(self, cells: Cells) -> None:
        """Write all numbers to cells, and there from now on."""
        places.open(cells, self._report_full)
        for number, registry, instruments in self.registries:
            instruments.internal_errors.inc("workers", 0.0)  # while there is room to tell that there is none
            self._move(cells, number, registry, instruments)

    def _forget_inherited(self) -> None:
        """Begin with nothing counted, because what the parent had counted is counted once."""
        from obs_middleware.metrics.replaced_values import install

        places.begin_anew()
        for _, registry, instruments in self.registries:
            install(_collectors_of(registry))
            instruments.table.begin_anew()
        places.begin_anew()

    def _move(
        self, cells: Cells, number: int, registry: CollectorRegistry, instruments: SharedInstruments
    ) -> None:
        from obs_middleware.metrics.replaced_values import install

        install(_collectors_of(registry))
        if not instruments.table.is_stored:
            storage = TableStorage(cells, table_name(number, instruments), self._report_full)
            instruments.table.move(storage)

    def of(self, registry: Any) -> tuple[Service, CollectorRegistry, SharedInstruments] | None:
        """Return what a registry is shared by; None where this process is alone."""
        process.notice_fork()
        flush()
        self.look()
        for _, known, instruments in self.registries if self.service is not None else ():
            if known is registry and self.service is not None:
                return self.service, known, instruments
        return None

    def report(self, error: Exception) -> None:
        """Count and log that numbers of other processes could not be had."""
        self._report("workers", error)

    def publish(self) -> None:
        """Bring up to date what this process has for the others."""
        flush()
        self._publish()

    def _publish(self) -> None:
        from obs_middleware.metrics.published import document

        def documents() -> dict[str, Any]:
            made: dict[str, Any] = {
                str(number): document(registry, instruments, self._report)
                for number, registry, instruments in self.registries
            }
            known = {name for one in made.values() for name, *_ in one["names"]}
            made["elsewhere"] = sorted(places.names - known)  # in registries that nobody observes
            return made

        if self.service is not None:
            if self._has_no_room and monotonic() >= self._next_sharing:
                self._next_sharing = monotonic() + _NO_ROOM_SECONDS
                between_flushes(self._share_missing)
            places.write_exemplars()
            try:
                self.service.write(documents)
            except (OSError, TypeError, ValueError) as error:
                # The directory is full, or a label is no text that can be sent: what was published before stays.
                self._report("workers", error)

    def _begin_anew(self) -> None:
        """Be nobody's member in a forked child, until it serves; its parent goes on with what it has."""
        self._lock = RLock()
        self._is_decided, self._is_done, self.is_due = False, False, True
        joined, self.service = self.service, None
        self._is_forked = joined is None
        for metrics in self._metrics:
            metrics.start_anew()
        if joined is not None:
            joined.leave()
            places.begin_anew()
            for _, _, instruments in self.registries:
                instruments.table.begin_anew()

    def _close(self) -> None:
        """Let what was counted stay, whatever the end of the process takes apart."""
        if self.service is not None:
            places.close()


def _collectors_of(registry: CollectorRegistry) -> list[Any]:
    from obs_middleware.metrics.exposition.registry import collectors_of

    return collectors_of(registry) or []


def _no_report(component: str, error: Exception) -> None:
    pass


worker_metrics = WorkerMetrics()
