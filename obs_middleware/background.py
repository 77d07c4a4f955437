"""The one thread of ours in a process: it runs a job some time after it was woken, and sleeps otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable

from obs_middleware import process
from obs_middleware._speedups import share_layout


@share_layout
class Worker:
    """A thread that begins with the first `wake()`; a forked child gets one of its own.

    Args:
        job: returns whether anything was done; the thread sleeps when nothing was, until somebody wakes it.
        has_work: tells whether something has come in since.
    """

    __slots__ = ("_bell", "_has_work", "_job", "_starting", "_thread", "is_asleep")

    def __init__(self, job: Callable[[], bool], has_work: Callable[[], bool]) -> None:
        self._job = job
        self._has_work = has_work
        self._reset()
        process.on_fork(in_child=self._reset)

    def _reset(self) -> None:
        self.is_asleep = True
        self._bell = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

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

    def _work(self) -> None:
        while True:
            while self._job():
                pass
            self._bell.clear()
            self.is_asleep = True
            if not self._has_work():  # nothing has come in between
                self._bell.wait()
            self.is_asleep = False
