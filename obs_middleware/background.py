"""The one thread of ours in a process: it works when it is woken or a job is due, and sleeps otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from time import monotonic

from obs_middleware import process
from obs_middleware._speedups import share_layout

_LONGEST_SECONDS = 3600.0  # of one sleep: systems have clocks that can't count up to any number


@share_layout
class Worker:
    """A thread that begins with the first `wake()`; a forked child gets one of its own.

    Args:
        job: returns whether anything was done; the thread sleeps when nothing was, until somebody wakes it.
        has_work: tells whether something has come in since.
    """

    __slots__ = ("_bell", "_has_work", "_job", "_numbers", "_starting", "_thread", "_timers", "is_asleep")

    def __init__(self, job: Callable[[], bool], has_work: Callable[[], bool]) -> None:
        self._job = job
        self._has_work = has_work
        self._numbers = count()
        self._reset()
        process.on_fork(in_child=self._reset)

    def _reset(self) -> None:
        self.is_asleep = True
        self._bell = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._timers: list[tuple[float, int, Callable[[], object]]] = []  # a heap, the next one first

    def wake(self) -> bool:
        """Wake the thread, the first time start it; return False when no thread is to be had."""
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="obs-background", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return False
                self._thread = thread
            self.is_asleep = False
        self._bell.set()
        return True

    def later(self, seconds: float, job: Callable[[], object]) -> bool:
        """Have a job called once, so many seconds from now; return False when no thread is to be had.

        It must not take long, because it keeps the thread from its work. A forked child forgets it.
        """
        with self._starting:
            heappush(self._timers, (monotonic() + seconds, next(self._numbers), job))
        return self.wake()

    def _work(self) -> None:
        while True:
            while self._job():
                self.run_due()
            self._bell.clear()
            self.is_asleep = True
            if not self._has_work():  # nothing has come in between
                rest = self.run_due()
                self._bell.wait(None if rest is None else min(rest, _LONGEST_SECONDS))
            self.is_asleep = False

    def run_due(self) -> float | None:
        """Call the jobs that are due; return the seconds until the next one is."""
        while True:
            with self._starting:
                if not self._timers:
                    return None
                rest = self._timers[0][0] - monotonic()
                if rest > 0:
                    return rest
                job = heappop(self._timers)[2]
            with suppress(Exception):
                job()
