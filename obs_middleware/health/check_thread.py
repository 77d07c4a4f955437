"""The thread that a check keeps from run to run, so that a connection which belongs to a thread is opened once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from weakref import finalize

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
        self._jobs: SimpleQueue[Job | None] | None = None

    def run(self, job: Job) -> None:
        """Run a job in the thread.

        Raises:
            RuntimeError: no thread is to be had.
        """
        if self._jobs is None:
            jobs: SimpleQueue[Job | None] = SimpleQueue()
            Thread(target=_work, args=(jobs, self._at_end), name=self._name, daemon=True).start()
            finalize(self, jobs.put, None).atexit = False
            self._jobs = jobs
        self._jobs.put(job)

    def end(self) -> None:
        """End the thread after the job that runs; the next job gets a new one."""
        if self._jobs is not None:
            self._jobs.put(None)
        self._jobs = None


def _work(jobs: SimpleQueue[Job | None], at_end: Callable[[], object]) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # its check may go meanwhile
    with suppress(Exception):
        at_end()
