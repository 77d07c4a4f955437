"""Registered checks: each runs in a thread of its own, one run at a time, and the answer never waits for a hung one.

Rules:
- a check fails by raising, or by an answer that says so (`verdict.py`); critical ones make the service fail, the others
  degrade it to warn;
- a result is good for `cache_seconds`; past that the next question starts a run and waits for it a little;
- a run that takes longer than `timeout_seconds` has failed, and no further one starts while it hangs;
- a check keeps its thread, and what belongs to it: connections, an event loop. A check that has failed gets a new one.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Event, Lock
from typing import Any

import msgspec

from obs_middleware import process
from obs_middleware.errors import ConfigError
from obs_middleware.health.check_thread import CheckThread
from obs_middleware.health.event_loops import Await, close_own_loop, run_in_own_loop, running_asyncio_loop
from obs_middleware.health.verdict import failure_of

Function = Callable[[], Any] | Callable[[], Awaitable[Any]]

PASS, WARN, FAIL = "pass", "warn", "fail"


class Result(msgspec.Struct, frozen=True):
    """What a run of a check has found; `at` is seconds since 1970, `seconds` how long it took."""

    at: float
    seconds: float
    error: BaseException | None


class Surroundings:
    """What the checks of one Observer run in; an adapter sets it.

    Attributes:
        run_async: runs an awaitable from the thread of a check.
        around_run: is called in that thread, before each run and after it.
        at_thread_end: is called in that thread when it ends.
    """

    def __init__(self) -> None:
        self.run_async: Await = run_in_own_loop
        self.around_run: Callable[[], object] = _nothing
        self.at_thread_end: Callable[[], object] = _nothing

    def end_thread(self) -> None:
        """Close what a thread of a check has kept."""
        try:
            close_own_loop()
        finally:
            self.at_thread_end()


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
        surroundings: Surroundings,
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
        self._surroundings = surroundings
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Begin with no run under way, as in a forked child, which has none of its parent's threads."""
        self._pid = process.pid()
        self._lock = Lock()
        self._thread = CheckThread(f"obs-check-{self.name}", self._surroundings.end_thread)
        self._result: Result | None = None
        self._fresh_until = 0.0
        self._started: float | None = None  # of the run under way, on the monotonic clock
        self._done = Event()
        self._task: Any = None  # of the event loop, where no thread is to be had; nobody waits for it there

    def begin(self) -> None:
        """Start a run unless one is under way or the last result is fresh."""
        if self._pid != process.pid():
            self._begin_anew()
        with self._lock:
            if self._started is not None or time.monotonic() < self._fresh_until:
                return
            self._started = time.monotonic()
            self._done.clear()
        try:
            self._thread.run(self._run)
        except RuntimeError as no_thread:
            self._run_here(no_thread)

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

    def _run_here(self, no_thread: RuntimeError) -> None:
        """Run where no thread is to be had: here, and an async check as a task of the loop that runs here."""
        loop = running_asyncio_loop()
        if loop is None:
            self._run()
        elif inspect.iscoroutinefunction(self._function):
            self._task = loop.create_task(self._run_in_loop())
        else:

            def refuse(answer: Awaitable[Any], _: float) -> None:
                if inspect.iscoroutine(answer):
                    answer.close()
                raise no_thread  # the loop would wait for itself

            self._run(refuse)

    async def _run_in_loop(self) -> None:
        import asyncio

        async def failure() -> BaseException | None:
            try:
                return failure_of(await self._function())
            except Exception as error:
                return error
            except (SystemExit, KeyboardInterrupt) as error:  # would end the loop
                return error

        began = time.monotonic()
        try:
            error = await asyncio.wait_for(failure(), self._timeout)
        except asyncio.TimeoutError:
            error = self._late()
        self._task = None
        self._end(error, time.monotonic() - began, cache_seconds=self._cache)

    def _run(self, run_async: Await | None = None) -> None:
        around_run = self._surroundings.around_run
        with suppress(Exception):
            around_run()
        began = time.monotonic()
        error = self._failure(run_async or self._surroundings.run_async)
        seconds = time.monotonic() - began
        if seconds > self._timeout and (error is None or isinstance(error, TimeoutError)):
            error = self._late()
        with suppress(Exception):
            around_run()
        if error is not None:
            self._thread.end()
        self._end(error, seconds, cache_seconds=self._cache)

    def _failure(self, run_async: Await) -> BaseException | None:
        try:
            answer = self._function()
            while inspect.isawaitable(answer):
                answer = run_async(answer, self._timeout)
            return failure_of(answer)
        except BaseException as error:
            return error

    def _end(self, error: BaseException | None, seconds: float, *, cache_seconds: float) -> None:
        with self._lock:
            self._result = Result(time.time(), seconds, error)
            self._fresh_until = time.monotonic() + cache_seconds
            self._started = None
            self._done.set()

    def _late(self) -> TimeoutError:
        return TimeoutError(f"no answer after {self._timeout:g} s")


def _nothing() -> None:
    pass


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and value >= 0
