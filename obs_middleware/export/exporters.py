"""Exporters run periodically, each by itself: one that fails or hangs holds up no other, and nobody's request.

The background thread says when. A thread of its own does each export, because a gateway may take its time.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from obs_middleware import process
from obs_middleware.deadline import STOP_SECONDS, deadline
from obs_middleware.export import checks
from obs_middleware.export.collecting import Collecting, Once
from obs_middleware.export.files import check_files_differ
from obs_middleware.export.job import Job, JobEnd
from obs_middleware.export.schedule import Scheduled, Together
from obs_middleware.queue import later

if TYPE_CHECKING:
    from obs_middleware.export.collected import Exporter, Source
    from obs_middleware.settings import Settings

_JOB_TRIES = 3
_PUSH_SECONDS = 60.0  # that a push or a job waits for its exports at most
_logger = logging.getLogger("obs")


class Exporters:
    """What a user has of exporters: `observer.exporters`.

    Args:
        source: where the metrics come from.
        labels: returns whose metrics these are.
        events_count: returns how many events were recorded.
        count_failure: is called with the name of an exporter that has failed.
        describe: returns an exception as a text without secrets.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        *,
        labels: Callable[[], dict[str, str]],
        events_count: Callable[[], int],
        count_failure: Callable[[str], None],
        describe: Callable[[BaseException], str],
    ) -> None:
        self._collecting = Collecting(source, settings, labels=labels, events_count=events_count)
        self._count_failure = count_failure
        self._describe = describe
        self._scheduled: list[Scheduled] = []
        self._run: object | None = None  # from a start to its stop
        _all.add(self)

    @property
    def is_started(self) -> bool:
        """Tell whether exports run periodically; False without an exporter."""
        return self._run is not None and bool(self._scheduled)

    def add(self, *exporters: Exporter) -> None:
        """Add exporters; they run from the start of the app on, at once if it has started.

        Raises:
            ConfigError: one is no exporter, or has no interval, or writes the file of another one.
        """
        for exporter in exporters:
            checks.exporter(exporter)
        check_files_differ([*(one.exporter for one in self._scheduled), *exporters])
        added = [
            Scheduled(exporter, count_failure=self._count_failure, describe=self._describe)
            for exporter in exporters
        ]
        self._scheduled += added
        if self._run is not None:
            self._begin(added)

    def start(self) -> None:
        """Run periodically from now on; an app that is served starts them itself, a worker of Celery does not."""
        if self._run is None:
            self._run = object()
            self._begin(self._scheduled)

    def push(self) -> bool:
        """Export now; tell whether all exporters have gone well. Without an exporter none has, and the log says so."""
        if not self._scheduled:
            _logger.warning("push: nothing is exported, because no exporter was added: exporters.add(…)")
            return False
        return self._export(tries=1)

    def job(self, name: str) -> Job:
        """Export at the end of a block, a batch job, also when it fails; sync and async.

        with observer.exporters.job("nightly"): ...

        The export has the job's duration and when it last went well and last failed.

        Raises:
            ConfigError: the name is no text, or empty.
        """
        return Job(checks.text("the name of a job", name, example="nightly"), self._export_job)

    def stop(self) -> Callable[[], object]:
        """Begin the last export, if they run; return what waits for its end."""
        if self._run is None:
            return lambda: None
        self._run = None
        return self._begin_export(tries=1, is_running=False).wait

    def _begin(self, scheduled: Iterable[Scheduled]) -> None:
        for one in scheduled:
            deadline.hold_thread()
            later(0.0, partial(self._start_thread, one, self._run))

    def _start_thread(self, one: Scheduled, run: object) -> None:
        if run is not self._run:
            return
        try:
            threading.Thread(
                target=self._export_again, args=(one, run), name="obs-export", daemon=True
            ).start()
        except RuntimeError:  # no thread is to be had
            later(one.exporter.interval_seconds, partial(self._start_thread, one, run))

    def _export_again(self, one: Scheduled, run: object) -> None:
        try:
            one.export(lambda: self._collecting.collect() if run is self._run else None)
        finally:  # whatever a filter of the log raises, the next export comes
            if run is self._run:
                later(one.seconds_to_next(), partial(self._start_thread, one, run))

    def _export_job(self, end: JobEnd) -> None:
        self._collecting.jobs.add(end)
        if not self._scheduled:
            _logger.warning("job %s: nobody learns of it, because no exporter was added", end.name)
        try:
            self._export(tries=_JOB_TRIES, job=end.name)
        except Exception as error:
            _logger.warning("job %s could not be exported: %s", end.name, self._describe(error))

    def _export(self, *, tries: int, job: str | None = None) -> bool:
        # A batch ends with its job, an app that is served goes on.
        export = self._begin_export(tries=tries, is_running=job is None or self.is_started, job=job)
        if not export.wait(_PUSH_SECONDS):
            _logger.warning("exports have not ended after %g s, and nobody waits for them", _PUSH_SECONDS)
        return export.has_gone_well

    def _begin_export(self, *, tries: int, is_running: bool, job: str | None = None) -> Together:
        collect = Once(partial(self._collecting.collect, is_running=is_running, job=job))
        return Together([partial(one.export_often, collect, tries) for one in self._scheduled])

    def _begin_anew(self) -> None:
        """Leave a forked child stopped: it exports when it serves."""
        self._run = None
        for one in self._scheduled:
            one.begin_anew()


def _stop_all() -> None:
    """Export once more before the process ends, unless that was tried in vain when the app was closed."""
    for exporters in list(_all):
        if exporters.is_started:
            deadline.within(0.0 if deadline.was_missed else STOP_SECONDS, lambda one=exporters: one.stop()())  # type: ignore[misc]


def _begin_all_anew() -> None:
    for exporters in list(_all):
        exporters._begin_anew()


_all: weakref.WeakSet[Exporters] = weakref.WeakSet()
process.on_fork(in_child=_begin_all_anew)
process.on_exit(_stop_all)
