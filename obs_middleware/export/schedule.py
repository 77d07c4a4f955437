"""How one exporter goes: one export at a time, failures that are counted, and when the next try is.

After a failure the next try comes after a second, then after two, four, and so on to a minute, or to the interval if
that is longer.
"""

from __future__ import annotations

import inspect
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from obs_middleware.deadline import STOP_SECONDS
from obs_middleware.export.overdue import Overdue

if TYPE_CHECKING:
    from obs_middleware.export.collected import Collected, Exporter

_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 1.0, 60.0
_JITTER = 0.1
_logger = logging.getLogger("obs")


class Scheduled:
    """An exporter, and how it goes.

    Args:
        count_failure: is called with the name of the exporter.
        describe: returns an exception as a text without secrets.

    Attributes:
        failures: how many there were, one after the other.
    """

    def __init__(
        self,
        exporter: Exporter,
        *,
        count_failure: Callable[[str], None],
        describe: Callable[[BaseException], str],
    ) -> None:
        self.exporter = exporter
        self.name = str(getattr(exporter, "name", type(exporter).__name__))
        self.failures = 0
        self._count_failure = count_failure
        self._describe = describe
        self.begin_anew()

    def begin_anew(self) -> None:
        """Begin with no export under way, in a forked child."""
        self._exporting = threading.Lock()
        self._overdue = Overdue(self._note_overdue)

    def export(self, collect: Callable[[], Collected | None]) -> bool:
        """Export once; count and log a failure, and tell whether there was none.

        Args:
            collect: is called when no other export is under way; None where this one is not wanted any more.
        """
        exporting, overdue = self._exporting, self._overdue
        if not exporting.acquire(timeout=STOP_SECONDS):
            self._note_failure(TimeoutError("the export before it has not ended"))
            return False
        try:
            overdue.begin(self.exporter.interval_seconds)
            collected = collect()
            if collected is None:
                return True
            _finish(self.exporter.export(collected))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also CancelledError of an async exporter, or there is no next try
            self._note_failure(error, is_counted=overdue.is_noticed)
            return False
        finally:
            seconds, is_overdue = overdue.end(), overdue.is_noticed
            exporting.release()
            if is_overdue:
                _logger.info("export to %s has ended after %.0f s", self.name, seconds)
        if self.failures:
            _logger.info("export to %s works again after %d failures", self.name, self.failures)
        self.failures = 0
        return True

    def export_often(self, collect: Callable[[], Collected], tries: int) -> bool:
        """Export, so many times at most until it goes well; tell whether it has."""
        for left in reversed(range(tries)):
            if self.export(collect):
                return True
            if left:
                time.sleep(self.seconds_to_next())
        return False

    def seconds_to_next(self) -> float:
        """Return how long to wait until the next try."""
        interval = self.exporter.interval_seconds
        if not self.failures:
            return interval
        longest = max(interval, _LAST_RETRY_SECONDS)
        seconds = min(longest, _FIRST_RETRY_SECONDS * 2.0 ** min(self.failures - 1, 30))
        return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)

    def _note_failure(self, error: BaseException, *, is_counted: bool = False) -> None:
        self.failures = failures = self.failures + 1
        why = f"{self._describe(error)}{'' if is_counted else self._count()}"
        if failures & (failures - 1) == 0:  # the first one, the second, the fourth, the eighth
            _logger.warning("export to %s has failed (%d in a row): %s", self.name, failures, why)

    def _note_overdue(self, seconds: float) -> None:
        _logger.warning("export to %s has not ended after %.0f s%s", self.name, seconds, self._count())

    def _count(self) -> str:
        """Count a failure; return what the log says where that can't be done."""
        try:
            self._count_failure(self.name)
        except Exception as problem:  # the app has a metric of this name
            return f"; this is not counted: {self._describe(problem)}"
        return ""


class Together:
    """Call functions at the same time, where threads are to be had, else one after the other."""

    def __init__(self, functions: list[Callable[[], bool]]) -> None:
        self._results: list[bool] = []
        self._wanted = len(functions)
        self._threads: list[threading.Thread] = []
        for function in functions:
            thread = threading.Thread(target=self._call, args=(function,), name="obs-export", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._call(function)
            else:
                self._threads.append(thread)

    @property
    def has_gone_well(self) -> bool:
        """Tell whether all have ended, and have said that it went well."""
        return self._results.count(True) == self._wanted

    def wait(self, seconds: float = STOP_SECONDS) -> bool:
        """Wait until all have ended, so long at most; tell whether they have."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _call(self, function: Callable[[], bool]) -> None:
        with suppress(Exception):
            self._results.append(function())


def _finish(result: object) -> None:
    """Run what an async exporter has returned, in an event loop of its own."""
    if inspect.iscoroutine(result):
        import asyncio

        asyncio.run(result)
