"""The asyncio event loops that serve the app: how late they are, their tasks, and the limiter of anyio's threads.

A timer of the loop itself measures how much later than due it is called. It is due every 40 ms, so that what blocks the
loop for 300 ms is seen as more than 250 ms of lag, wherever between two calls it begins. Node.js' own measure is due
every 10 ms.

No loop is held here, and none runs longer for its timer. A loop that stands still between two runs, as in tests, is not
late: each run has hooks for asynchronous generators of its own, by which it is known.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from contextvars import Context
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet, ref

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

from obs_middleware import process
from obs_middleware.metrics.cumulative import add_histogram

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_BOUNDS = (0.01, 0.05, 0.25, 1.0)
_INTERVAL_SECONDS = 0.04
_WINDOW_SECONDS = 60.0  # the longest lag is that of this window and the one before
_SAME_CLOCK_SECONDS = 1.0  # how far a loop's clock may be from Python's


class EventLoops:
    """The loops of this process.

    Attributes:
        era: differs in a forked child.
    """

    def __init__(self) -> None:
        self._begin_anew()
        process.on_fork(in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self.era = object()
        self._lock = Lock()
        self._watched: WeakKeyDictionary[Any, WatchedLoop] = WeakKeyDictionary()
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._total = 0.0
        self._longest = self._longest_before = 0.0
        self._window_end = monotonic() + _WINDOW_SECONDS

    def watch(self, loop: Any, owner: object, *, measures_lag: bool) -> None:
        """Watch the loop that runs in this thread, until its owners are gone.

        Args:
            loop: of asyncio; another one, such as trio's token, is left alone, and so is one with a clock of its own,
                which goes faster than time.
            measures_lag: set a timer.
        """
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or not isinstance(loop, asyncio.AbstractEventLoop):
            return
        with self._lock:
            watched = self._watched.get(loop)
            if watched is None:
                watched = self._watched[loop] = WatchedLoop(self)
        watched.look_for_limiter()
        if measures_lag and abs(loop.time() - monotonic()) < _SAME_CLOCK_SECONDS:
            watched.owners.add(owner)
            watched.start(loop)

    def forget(self, owner: object) -> None:
        """Measure no more for an owner."""
        for _, watched in self._all():
            watched.owners.discard(owner)

    def running(self) -> Iterator[tuple[Any, WatchedLoop]]:
        """Yield the loops that run now."""
        return ((loop, watched) for loop, watched in self._all() if loop.is_running())

    def add(self, lag: float, now: float) -> None:
        """Note how late a timer was."""
        self._counts[bisect_left(_BOUNDS, lag)] += 1
        self._total += lag
        self._look_at_window(now)
        self._longest = max(self._longest, lag)

    def lag_families(self) -> Iterator[Metric]:
        """Yield how late the loops are; nothing where none was measured."""
        if not any(self._counts):
            return
        histogram = HistogramMetricFamily(
            "asyncio_event_loop_lag_seconds",
            "How much later than due a timer of the loop is called.",
        )
        add_histogram(histogram, (), _BOUNDS, self._counts, self._total)
        yield histogram
        now = monotonic()
        self._look_at_window(now)
        under_way = [watched.lag(now) for _, watched in self.running()]
        yield GaugeMetricFamily(
            "asyncio_event_loop_lag_max_seconds",
            "Longest lag of the last one or two minutes.",
            value=max(self._longest, self._longest_before, *under_way, 0.0),
        )

    def task_families(self) -> Iterator[Metric]:
        """Yield how many tasks there are; nothing where no loop runs."""
        loops = [loop for loop, _ in self.running()]
        if loops:
            asyncio = sys.modules["asyncio"]
            tasks = sum(len(asyncio.all_tasks(loop)) for loop in loops)
            yield GaugeMetricFamily("asyncio_tasks", "Tasks that have not ended.", value=tasks)

    def _all(self) -> list[tuple[Any, WatchedLoop]]:
        with self._lock:
            return list(self._watched.items())

    def _look_at_window(self, now: float) -> None:
        late = now - self._window_end
        if late >= 0:
            self._longest_before = self._longest if late < _WINDOW_SECONDS else 0.0
            self._longest, self._window_end = 0.0, now + _WINDOW_SECONDS


class WatchedLoop:
    """What is known of one loop.

    Attributes:
        owners: for whom its lag is measured.
        limiter: of the threads in which anyio runs functions, Starlette's sync views among them; None without anyio.
    """

    def __init__(self, loops: EventLoops) -> None:
        self.owners: WeakSet[Any] = WeakSet()
        self.limiter: Any = None
        self._loops = loops
        self._era = loops.era
        # A timer's own: that of a request would live as long as the loop.
        self._context = Context()
        self._due: float | None = None  # by time.monotonic; None while there is no timer
        self._run: Any = None

    def look_for_limiter(self) -> None:
        """Find anyio's limiter, which belongs to the loop that runs in this thread."""
        to_thread = sys.modules.get("anyio.to_thread")
        if self.limiter is None and to_thread is not None:
            with suppress(Exception):  # not in a task
                self.limiter = to_thread.current_default_thread_limiter()

    def start(self, loop: Any) -> None:
        """Set the timer, unless it is set."""
        if self._due is None:
            self._run = _mark_of_run()
            self._set(loop)

    def lag(self, now: float) -> float:
        """Return by how much the timer is late and not yet called."""
        due = self._due
        return 0.0 if due is None else now - due

    def _set(self, loop: Any) -> None:
        self._due = monotonic() + _INTERVAL_SECONDS
        loop.call_later(_INTERVAL_SECONDS, self._measure, context=self._context)

    def _measure(self) -> None:
        now, due, run = monotonic(), self._due, _mark_of_run()
        self._due = None
        if due is None or not self.owners or self._loops.era is not self._era:
            return
        if run() is self._run():
            self._loops.add(max(0.0, now - due), now)
        self._run = run
        self._set(sys.modules["asyncio"].get_running_loop())


def _mark_of_run() -> Any:
    """Return a weak reference to what a loop makes anew whenever it is run."""
    return ref(sys.get_asyncgen_hooks().firstiter or _mark_of_run)


event_loops = EventLoops()
