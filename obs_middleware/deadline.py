"""Work at the end of an app or a process, which must not take longer than it may: a collector may never answer.

The work is done in a daemon thread, which a process leaves behind. From Python 3.12 on no thread can be started while
the interpreter ends, so that one is held ready for then.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from obs_middleware import process

STOP_SECONDS = 5.0

_Job = Callable[[], object]


class Deadline:
    """Call functions that may hang.

    Attributes:
        was_missed: the function that was called last had not ended in time.
    """

    def __init__(self) -> None:
        self.was_missed = False
        self._spare: _SpareThread | None = None
        process.on_fork(in_child=self._hold_anew)

    def within(self, seconds: float, function: _Job) -> bool:
        """Call a function, and wait for it so long; tell whether it has ended, or has raised."""
        done = threading.Event()

        def run() -> None:
            try:
                function()
            finally:
                done.set()

        self._start(run)
        self.was_missed = not done.wait(seconds)
        return not self.was_missed

    def hold_thread(self) -> None:
        """Hold a thread ready for the end of the interpreter, where none can be started any more."""
        if self._spare is None and sys.version_info >= (3, 12):
            self._hold_anew(is_wanted=True)

    def _hold_anew(self, *, is_wanted: bool = False) -> None:
        """Start the thread, in a forked child where its parent had one."""
        if self._spare is None and not is_wanted:
            return
        with suppress(RuntimeError):
            self._spare = _SpareThread()

    def _start(self, run: _Job) -> None:
        try:
            threading.Thread(target=run, name="obs-stop", daemon=True).start()
        except RuntimeError:
            spare, self._spare = self._spare, None
            if spare is None:
                run()
            else:
                spare.run(run)


class _SpareThread:
    """A thread that waits for one job.

    Raises:
        RuntimeError: no thread is to be had.
    """

    def __init__(self) -> None:
        self._jobs: list[_Job] = []
        self._bell = threading.Event()
        threading.Thread(target=self._work, name="obs-exit", daemon=True).start()

    def run(self, job: _Job) -> None:
        """Run a job."""
        self._jobs.append(job)
        self._bell.set()

    def _work(self) -> None:
        self._bell.wait()
        self._jobs[0]()


deadline = Deadline()
