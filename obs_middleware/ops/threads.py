"""Threads that call functions; where none is to be had, the caller's own thread does it.

They are daemons: a page that waits for a collector of the user's, which may never return, keeps no process from ending.
Those of `concurrent.futures` are waited for at the end of the interpreter.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any
from weakref import finalize

from obs_middleware import process

_Call = Callable[[], None]


class Threads(Executor):
    """A pool of threads, for containers at their limit and for interpreters that have no threads (Pyodide).

    Args:
        count: of threads at most.
        name: what their names begin with.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Begin with no thread, as in a forked child."""
        self._pid = process.pid()
        self._pool = _Pool()
        finalize(self, self._pool.end).atexit = False

    def submit(self, function: Callable[..., Any], /, *args: Any, **keywords: Any) -> Future[Any]:
        """Call a function in a thread; here where none can be started, and where the interpreter ends."""
        if self._pid != process.pid():
            self._begin_anew()
        done = Future[Any]()

        def call() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(function(*args, **keywords))
            except BaseException as error:
                done.set_exception(error)

        if not self._pool.take(call, self._count, self._name):
            call()
        return done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads."""
        self._pool.end()
        if wait:
            for thread in self._pool.threads:
                thread.join()


class _Pool:
    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self._waiting: deque[_Call | None] = deque()
        self._bell = threading.Semaphore(0)  # as many as wait
        self._idle = threading.Semaphore(0)

    def take(self, call: _Call, count: int, name: str) -> bool:
        """Call a function in an idle thread, in a new one, or after what others do; False where none can be started."""
        if not self._idle.acquire(blocking=False) and len(self.threads) < count:
            thread = threading.Thread(target=self._work, name=f"{name}_{len(self.threads)}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self.threads.append(thread)
        self._put(call)
        return True

    def end(self) -> None:
        """Let each thread end after what it does."""
        for _ in self.threads:
            self._put(None)

    def _put(self, call: _Call | None) -> None:
        self._waiting.append(call)
        self._bell.release()

    def _work(self) -> None:
        while True:
            self._bell.acquire()
            call = self._waiting.popleft()
            if call is None:
                return
            call()
            del call  # its result may be a page of megabytes
            if not self._waiting:
                self._idle.release()
