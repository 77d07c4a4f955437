"""Collecting: read all metrics at one moment, for the exporters of one Observer.

No process is forked while its metrics are read: the child would find their locks taken, and for ever. Each Observer has
a lock of its own, so that a slow hook of one holds up no exporter of another.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from obs_middleware import process
from obs_middleware.export.collected import Collected
from obs_middleware.export.job import JobEnds

if TYPE_CHECKING:
    from obs_middleware.export.collected import Source
    from obs_middleware.settings import Settings

_Found = TypeVar("_Found")
_FORK_SECONDS = 1.0  # that a fork waits at most, for all Observers together


class Collecting:
    """Read the metrics of one Observer.

    Args:
        source: where the metrics come from.
        labels: returns whose metrics these are.
        events_count: returns how many events were recorded.

    Attributes:
        jobs: what each collection has of jobs.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        *,
        labels: Callable[[], dict[str, str]],
        events_count: Callable[[], int],
    ) -> None:
        self._source = source
        self._settings = settings
        self._labels = labels
        self._events_count = events_count
        self.begin_anew()
        _all.add(self)

    def begin_anew(self) -> None:
        """Begin with no collection under way, and without the parent's jobs, in a forked child."""
        self.lock = threading.RLock()
        self.jobs = JobEnds()

    def collect(self, *, is_running: bool = True, job: str | None = None) -> Collected:
        """Return all metrics of now."""
        found = self._read(self._source.families)
        of_jobs = self.jobs.families()
        return Collected(
            families=[*found, *of_jobs],
            timestamp=time.time(),
            labels=self._labels(),
            events_count=self._events_count(),
            is_running=is_running,
            job=job,
            settings=self._settings,
            of_jobs=of_jobs,
            _source=self._source,
            _own_families=partial(self._read, self._source.own_families),
        )

    def _read(self, read: Callable[[], _Found]) -> _Found:
        with self.lock:
            return read()


class Once:
    """Metrics that are read when the first exporter asks, in its thread, and are the same for those that follow.

    Args:
        collect: reads them; where it raises, the next exporter tries again.
    """

    def __init__(self, collect: Callable[[], Collected]) -> None:
        self._collect = collect
        self._collected: Collected | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Collected:
        """Return them."""
        with self._lock:
            if self._collected is None:
                self._collected = self._collect()
            return self._collected


def _hold_all() -> None:
    """Take all locks before a fork; one that is not to be had in time is left alone."""
    _forking.held = held = []
    end = time.monotonic() + _FORK_SECONDS
    for collecting in list(_all):
        lock = collecting.lock
        if lock.acquire(timeout=max(0.0, end - time.monotonic())):
            held.append(lock)


def _release_all() -> None:
    for lock in _forking.held:
        lock.release()
    _forking.held = []


def _begin_all_anew() -> None:
    for collecting in list(_all):
        collecting.begin_anew()


_all: weakref.WeakSet[Collecting] = weakref.WeakSet()
_forking = threading.local()
process.on_fork(before=_hold_all, in_parent=_release_all, in_child=_begin_all_anew)
