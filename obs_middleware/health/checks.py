"""Registered checks: each runs in a thread of its own, one run at a time, and the answer never waits for a hung one.

Rules:
- a check fails by raising or by returning False; critical ones make the service fail, the others degrade it to warn;
- a result is good for `cache_seconds`; past that the next question starts a run and waits for it a little;
- a run that takes longer than `timeout_seconds` has failed, and no further one starts while it hangs.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from threading import Event, Lock, Thread
from typing import Any

import msgspec

from obs_middleware.errors import ConfigError

Function = Callable[[], Any] | Callable[[], Awaitable[Any]]
Await = Callable[[Coroutine[Any, Any, Any], float], Any]  # run a coroutine from a thread, for so many seconds

PASS, WARN, FAIL = "pass", "warn", "fail"


class CheckFailed(Exception):
    """A check has returned False."""


class Result(msgspec.Struct, frozen=True):
    """What a run of a check has found; `at` is seconds since 1970, `seconds` how long it took."""

    at: float
    seconds: float
    error: BaseException | None


class Check:
    """One registered check and its last result.

    Raises:
        ConfigError: the function can't be called, or a number is not as it must be.
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
        if not (_is_number(timeout_seconds) and timeout_seconds > 0 and _is_number(cache_seconds)):
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
        self._task: Any = (
            None  # of the event loop, where no thread is to be had; nobody may wait for it there
        )

    def begin(self, run_async: Await) -> None:
        """Start a run unless one is under way or the last result is fresh."""
        with self._lock:
            if self._started is not None or time.monotonic() < self._fresh_until:
                return
            self._started = time.monotonic()
            self._done.clear()
        try:
            Thread(target=self._run, args=(run_async,), name=f"obs-check-{self.name}", daemon=True).start()
        except RuntimeError as no_thread:
            self._run_here(run_async, no_thread)

    def result(self, *, wait_until: float) -> Result | None:
        """Return the newest result, waiting for a run under way until then (monotonic clock); None if there is none."""
        if self._started is not None and self._task is None:
            self._done.wait(max(0.0, wait_until - time.monotonic()))
        with self._lock:
            running = 0.0 if self._started is None else time.monotonic() - self._started
            return Result(time.time(), running, self._late()) if running > self._timeout else self._result

    def status(self, result: Result | None) -> str:
        """Return pass, warn or fail; a check that has not answered yet has not passed."""
        if result is not None and result.error is None:
            return PASS
        return FAIL if self.is_critical else WARN

    def _run(self, run_async: Await) -> None:
        began = time.monotonic()
        error: BaseException | None = None
        try:
            answer = self._function()
            if inspect.isawaitable(answer):
                answer = run_async(answer if inspect.iscoroutine(answer) else _awaited(answer), self._timeout)
            if answer is False:
                error = CheckFailed("returned False")
        except BaseException as caught:
            error = caught
        seconds = time.monotonic() - began
        if error is None and seconds > self._timeout:
            error = self._late()
        self._end(error, seconds, cache_seconds=self._cache)

    def _run_here(self, run_async: Await, no_thread: RuntimeError) -> None:
        """Run where no thread is to be had: here, and an async check as a task of the loop that runs here."""
        loop = _running_loop()
        if loop is None:
            self._run(run_async)
        elif inspect.iscoroutinefunction(self._function):
            self._task = loop.create_task(self._run_in_loop())
        else:

            def refuse(coroutine: Coroutine[Any, Any, Any], _: float) -> None:
                coroutine.close()
                raise no_thread  # the loop would wait for itself

            self._run(refuse)

    async def _run_in_loop(self) -> None:
        import asyncio

        began = time.monotonic()
        try:
            error = await asyncio.wait_for(self._failure(), self._timeout)
        except asyncio.TimeoutError:
            error = self._late()
        self._task = None
        self._end(error, time.monotonic() - began, cache_seconds=self._cache)

    async def _failure(self) -> BaseException | None:
        """Return what an async check has raised: an exception that exits would end the loop."""
        try:
            return CheckFailed("returned False") if await self._function() is False else None
        except BaseException as error:
            if type(error).__name__ == "CancelledError":
                raise
            return error

    def _end(self, error: BaseException | None, seconds: float, *, cache_seconds: float) -> None:
        with self._lock:
            self._result = Result(time.time(), seconds, error)
            self._fresh_until = time.monotonic() + cache_seconds
            self._started = None
            self._done.set()

    def _late(self) -> TimeoutError:
        return TimeoutError(f"no answer after {self._timeout:g} s")


def run_in_new_loop(coroutine: Coroutine[Any, Any, Any], seconds: float) -> Any:
    """Run a coroutine where no event loop serves the app (WSGI)."""
    import asyncio  # what it costs, only those pay who have async checks

    return asyncio.run(asyncio.wait_for(coroutine, seconds))


def run_in(loop: Any) -> Await:
    """Return a function that runs a coroutine from a thread in the app's own event loop, where its connections are."""
    import asyncio

    def run(coroutine: Coroutine[Any, Any, Any], seconds: float) -> Any:
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise
        try:
            return future.result(seconds)
        finally:
            future.cancel()  # where it is late; a loop that has stopped never ends it

    return run


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _running_loop() -> Any:
    """Return the asyncio loop that runs in this thread, if one does; it is not imported for the question."""
    asyncio = sys.modules.get("asyncio")
    try:
        return None if asyncio is None else asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and value >= 0
