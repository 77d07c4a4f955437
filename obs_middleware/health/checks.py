"""Registered checks: each runs in a thread of its own, one run at a time, and the answer never waits for a hung one.

Rules:
- a check fails by raising or by returning False; critical ones make the service fail, the others degrade it to warn;
- a result is good for `cache_seconds`; past that the next question starts a run and waits for it a little;
- a run that takes longer than `timeout_seconds` has failed, and no further one starts while it hangs.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from threading import Event, Lock, Thread
from typing import Any

import msgspec

from obs_middleware.settings import ConfigError

Function = Callable[[], Any] | Callable[[], Awaitable[Any]]
Await = Callable[[Coroutine[Any, Any, Any]], Any]  # run a coroutine from a thread and return its result

PASS, WARN, FAIL = "pass", "warn", "fail"


class Result(msgspec.Struct, frozen=True):
    """What a run of a check has found; `at` is seconds since 1970, `seconds` how long it took."""

    is_ok: bool
    at: float
    seconds: float
    error: BaseException | None = None


class Check:
    """One registered check and its last result.

    Raises:
        ConfigError: the function can't be called, or a number is not positive.
    """

    def __init__(
        self,
        name: str,
        function: Function,
        *,
        is_critical: bool,
        timeout_seconds: float,
        cache_seconds: float,
    ) -> None:
        if not callable(function):
            raise ConfigError(f"check {name!r} must be a function, got {function!r}")
        if not timeout_seconds > 0 or not cache_seconds >= 0:
            raise ConfigError(
                f"check {name!r} must have timeout_seconds above 0 and cache_seconds of 0 or more, "
                f"got {timeout_seconds!r} and {cache_seconds!r}"
            )
        self.name = name
        self.is_critical = is_critical
        self._function = function
        self._timeout = timeout_seconds
        self._cache = cache_seconds
        self._lock = Lock()
        self._result: Result | None = None
        self._fresh_until = 0.0
        self._started: float | None = None  # of the run under way, on the monotonic clock
        self._done = Event()

    def begin(self, run_async: Await) -> None:
        """Start a run unless one is under way or the last result is fresh."""
        with self._lock:
            if self._started is not None or time.monotonic() < self._fresh_until:
                return
            self._started = time.monotonic()
            self._done.clear()
        Thread(target=self._run, args=(run_async,), name=f"obs-check-{self.name}", daemon=True).start()

    def result(self, *, wait_until: float) -> Result | None:
        """Return the newest result, waiting for a run under way until then (monotonic clock); None if there is none."""
        if self._started is not None:
            self._done.wait(max(0.0, wait_until - time.monotonic()))
        with self._lock:
            running = None if self._started is None else time.monotonic() - self._started
            if running is not None and running >= self._timeout:
                return Result(
                    False, time.time(), running, TimeoutError(f"no answer after {self._timeout:g} s")
                )
            return self._result

    def status(self, result: Result | None) -> str:
        """Return pass, warn or fail; a check that has not answered yet has not passed."""
        if result is not None and result.is_ok:
            return PASS
        return FAIL if self.is_critical else WARN

    def _run(self, run_async: Await) -> None:
        began, error, is_ok = time.monotonic(), None, True
        try:
            answer = self._function()
            is_ok = (run_async(answer) if inspect.iscoroutine(answer) else answer) is not False
        except BaseException as caught:
            error, is_ok = caught, False
        with self._lock:
            self._result = Result(is_ok, time.time(), time.monotonic() - began, error)
            self._fresh_until = time.monotonic() + self._cache
            self._started = None
            self._done.set()


def run_in_new_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine where no event loop serves the app (WSGI)."""
    import asyncio  # what it costs, only those pay who have async checks

    return asyncio.run(coroutine)


def run_in(loop: Any) -> Await:
    """Return a function that runs a coroutine from a thread in the app's own event loop, where its connections are."""
    import asyncio

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise
        return future.result()

    return run
