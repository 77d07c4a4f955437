"""Threads that call functions; where none is to be had, the caller's own thread does it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from obs_middleware import process


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
        self._pool = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)

    def submit(self, function: Callable[..., Any], /, *args: Any, **keywords: Any) -> Future[Any]:
        """Call a function in a thread; here where none can be started, and where the interpreter ends."""
        if self._pid != process.pid():
            self._begin_anew()
        pool = self._pool
        try:
            return pool.submit(function, *args, **keywords)
        except RuntimeError:
            # The pool has kept the call, for a thread that it may never have; those that it has end with their work.
            self._begin_anew()
            pool.shutdown(wait=False)
        done = Future[Any]()
        try:
            done.set_result(function(*args, **keywords))
        except BaseException as error:
            done.set_exception(error)
        return done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)
