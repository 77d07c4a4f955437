"""The thread that a check keeps from run to run, so that a connection which belongs to a thread is opened once."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from weakref import finalize

from obs_middleware import process

Job = Callable[[], None]


class CheckThread:
    """A daemon thread that begins with the first job, and ends with its owner or with `end()`.

    Args:
        name: of the thread.
        at_end: is called in the thread when it ends.
    """

    def __init__(self, name: str, at_end: Callable[[], object]) -> None:
        self._name = name
        self._at_end = at_end
        self._jobs: _Jobs | None = None
        self._end_with_owner: finalize[[None], CheckThread] | None = None

    def run(self, job: Job) -> None:
        """Run a job in the thread.

        Raises:
            RuntimeError: no thread is to be had.
        """
        if self._jobs is None:
            jobs = _Jobs()
            threading.Thread(target=_work, args=(jobs, self._at_end), name=self._name, daemon=True).start()
            self._end_with_owner = finalize(self, jobs.put, None)
            self._end_with_owner.atexit = False
            self._jobs = jobs
        self._jobs.put(job)

    def end(self) -> None:
        """End the thread after the job that runs; the next job gets a new one."""
        if self._jobs is not None:
            self._jobs.put(None)
        if self._end_with_owner is not None:
            self._end_with_owner.detach()  # it would stay as long as its owner
        self._jobs = self._end_with_owner = None


class _Jobs:
    """What waits for the thread; no `queue.SimpleQueue`, which would stop all greenlets where gevent patches late."""

    def __init__(self) -> None:
        self._waiting: deque[Job | None] = deque()
        self._bell = threading.Event()

    def put(self, job: Job | None) -> None:
        self._waiting.append(job)
        self._bell.set()

    def get(self) -> Job | None:
        while not self._waiting:
            self._bell.wait()
            self._bell.clear()
        return self._waiting.popleft()


def _work(jobs: _Jobs, at_end: Callable[[], object]) -> None:
    pid = process.pid()
    while (job := jobs.get()) is not None:
        job()
        if (
            pid != process.pid()
        ):  # the child of a fork by the job: nothing else runs there, and it would wait for ever
            os._exit(1)
        del job  # its check may go meanwhile
    with suppress(Exception):
        at_end()
