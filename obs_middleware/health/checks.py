"""Registered checks: each runs in a thread of its own, one run at a time, and the answer never waits for a hung one.

Rules:
- a check fails by raising, or by an answer that says so (`verdict.py`); critical ones make the service fail, the others
  degrade it to warn;
- once anybody has asked, it runs every `every_seconds` in the background, and a question gets what the last run found;
- a question waits for a run only where there is no result yet, or an old one, and for a moment only;
- a run that takes longer than `timeout_seconds` has failed, and no further one starts while it hangs; it fails once
  more for each `every_seconds` that it goes on hanging;
- a run that the end of the app's event loop cuts short has found nothing;
- a check keeps its thread, and what belongs to it: connections, an event loop. A check that has failed gets a new one.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from threading import Event, Lock
from typing import Any
from weakref import ref

import msgspec

from obs_middleware import process
from obs_middleware.health.changes import UNKNOWN, Change, Changes
from obs_middleware.health.check_thread import CheckThread
from obs_middleware.health.event_loops import Await, LoopEnded, running_asyncio_loop, was_cancelled
from obs_middleware.health.hysteresis import Hysteresis
from obs_middleware.health.ready_check import adopt
from obs_middleware.health.result import FAIL, PASS, STATUSES, WARN, Result
from obs_middleware.health.surroundings import Surroundings
from obs_middleware.health.verdict import CheckFailed, result_of
from obs_middleware.queue import later

Function = Callable[[], Any] | Callable[[], Awaitable[Any]]

_WAIT_SECONDS = 0.08  # that a question waits for a run, counted from the run's begin
_LEAST_PAUSE_SECONDS = 0.05  # between two looks of the background thread


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of a check; see `Health.add`."""

    critical: bool
    timeout_seconds: float
    every_seconds: float
    groups: tuple[str, ...]
    component_type: str
    failures_to_fail: int
    passes_to_heal: int


class Run(msgspec.Struct, frozen=True):
    """What a run has found; `at` is seconds since 1970, `seconds` how long it took, `output` is without secrets."""

    at: float
    seconds: float
    status: str
    output: str = ""
    value: Any = None
    unit: str = ""


class State(msgspec.Struct, frozen=True):
    """What is known of a check.

    Attributes:
        status: pass, warn or fail, as readiness takes it.
        run: the last run; None where there is no answer yet.
        output: why it is no pass.
    """

    status: str
    run: Run | None
    output: str


class Check:
    """One registered check, and what its runs have found."""

    def __init__(
        self, name: str, function: Function, options: Options, *, surroundings: Surroundings, changes: Changes
    ) -> None:
        self.name = name
        self.options = options
        self._function = function
        self._timeout = options.timeout_seconds
        self._every = options.every_seconds
        self._surroundings = surroundings
        self._changes = changes
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Begin with no run under way, as in a forked child, which has none of its parent's threads."""
        self._pid = process.pid()
        self._lock = Lock()
        end_thread = adopt(self._function, self._timeout, self._surroundings.end_thread)
        self._thread = CheckThread(f"obs-check-{self.name}", end_thread)
        self._hysteresis = Hysteresis(self.options.failures_to_fail, self.options.passes_to_heal)
        self._last: Run | None = None
        self._last_failure = ""
        self._fresh_until = 0.0
        self._started: float | None = None  # of the run under way, on the monotonic clock
        self._is_background = False  # nobody has asked for that run
        self._late = 0  # how often the run under way has failed, because it hangs
        self._done = Event()
        self._task: Any = None  # of the event loop, where no thread is to be had; nobody waits for it there
        self._refreshing: object | None = None  # in the background
        self._changes.show(self.name, UNKNOWN)

    def ask(self) -> None:
        """Start a run unless one is under way or the last result is fresh; go on in the background."""
        if self._pid != process.pid():
            self._begin_anew()
        self._look()
        self._begin()
        if self._refreshing is None and self._every > 0:
            self._refreshing = refreshing = object()
            self._refresh_later(refreshing)

    @property
    def will_wait(self) -> bool:
        """Tell whether a question has to wait for a run."""
        started = self._started
        return self._is_old() and (started is None or time.monotonic() < started + self._patience)

    def state(self) -> State:
        """Return what is known, after a moment where a run is under way and nothing else is known."""
        started = self._started
        if started is not None and self._task is None and self._is_old():
            self._done.wait(max(0.0, started + self._patience - time.monotonic()))
        self._look()
        with self._lock:
            last, status = self._last, self._status()
            if last is None:
                return State(FAIL if self.options.critical else WARN, None, "no answer yet")
            output = "" if status == PASS else last.output or self._last_failure
            if pending := self._hysteresis.pending:
                output = f"{pending}: {last.output}" if last.status == FAIL else f"{pending} after: {output}"
            return State(status, last, output)

    def stop(self) -> None:
        """Refresh no longer in the background."""
        self._refreshing = None

    @property
    def _patience(self) -> float:
        return min(_WAIT_SECONDS, self._timeout)

    def _is_old(self) -> bool:
        return self._last is None or time.monotonic() > self._fresh_until + self._every

    def _status(self) -> str:
        status = self._hysteresis.status or UNKNOWN
        return WARN if status == FAIL and not self.options.critical else status

    # In the background

    def _refresh_later(self, refreshing: object) -> None:
        started = self._started
        if started is None:
            due = self._fresh_until
        else:
            is_late = started + self._timeout + self._late * (self._every or self._timeout)
            due = min(is_late, time.monotonic() + self._every)  # it may be due again before it is late
        later(max(_LEAST_PAUSE_SECONDS, due - time.monotonic()), partial(_refresh, ref(self), refreshing))

    def _refresh(self, refreshing: object) -> None:
        if refreshing is not self._refreshing:
            return
        if self._surroundings.has_ended:  # the next question comes with another loop, or never
            self._refreshing = None
        else:
            self._look()
            self._begin(is_background=True)
            self._refresh_later(refreshing)

    # Runs

    def _begin(self, *, is_background: bool = False) -> None:
        with self._lock:
            if self._started is not None or time.monotonic() < self._fresh_until:
                return
            self._started, self._is_background = time.monotonic(), is_background
            self._done.clear()
        try:
            self._thread.run(self._run)
        except RuntimeError as no_thread:
            if is_background:  # whose thread has other work
                self._started = None
                self._fresh_until = time.monotonic() + self._every
            else:
                self._run_here(no_thread)

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

        async def answer() -> Any:
            try:
                return await self._function()
            except asyncio.CancelledError:  # it is late, or the loop ends
                raise
            except BaseException as error:  # it may call sys.exit, which would end the loop
                return error

        began = time.monotonic()
        try:
            found = await asyncio.wait_for(answer(), self._timeout)
        except asyncio.TimeoutError:
            found = TimeoutError()
        except asyncio.CancelledError as error:
            found = LoopEnded() if was_cancelled(asyncio.current_task()) else error
        self._task = None
        self._end(found, time.monotonic() - began)

    def _run(self, run_async: Await | None = None) -> None:
        around_run = self._surroundings.around_run
        with suppress(Exception):
            around_run()
        pid, began = process.pid(), time.monotonic()
        found = self._answer(run_async or self._surroundings.run_async)
        seconds = time.monotonic() - began
        if pid != process.pid():  # the child of a fork by the check, which was to end there
            return
        with suppress(Exception):
            around_run()
        self._end(found, seconds)

    def _answer(self, run_async: Await) -> Any:
        try:
            answer = self._function()
            while inspect.isawaitable(answer):
                answer = run_async(answer, self._timeout)
        except BaseException as error:
            return error
        return answer

    # What they find

    def _end(self, answer: Any, seconds: float) -> None:
        is_cut_short = isinstance(answer, LoopEnded) or (
            isinstance(answer, Exception) and self._is_background and self._surroundings.has_ended
        )
        run = self._found(answer, seconds)
        if run.status == FAIL:
            self._thread.end()
        with self._lock:
            is_new = not is_cut_short and not self._late  # one that is late is noted already
            if is_new:
                self._note(run)
            if not is_cut_short:
                self._fresh_until = time.monotonic() + self._every
            self._started, self._late = None, 0
            self._done.set()
        if is_new:
            self._changes.count_run(self.name, run.status, seconds)
        self._changes.tell()

    def _look(self) -> None:
        """Note that a run under way is late."""
        with self._lock:
            running = 0.0 if self._started is None else time.monotonic() - self._started
            if running <= self._timeout:
                return
            before = self._late
            self._late = 1 + int((running - self._timeout) / (self._every or self._timeout))
            if self._late == before:
                return
            self._note(self._too_late(running), count=self._late - before)
        if not before:
            self._changes.count_run(self.name, FAIL, running)
        self._changes.tell()

    def _note(self, run: Run, *, count: int = 1) -> None:
        """Take a run in; for who holds the lock."""
        before = self._status()
        self._last = run
        if run.output:
            self._last_failure = run.output
        self._hysteresis.add(run.status, count=count)
        status = self._status()
        if status != before:
            output = "" if status == PASS else run.output
            self._changes.add(Change(self.name, status, before, output, run.at))

    def _found(self, answer: Any, seconds: float) -> Run:
        found: Run | BaseException
        try:
            result = result_of(answer)
            found = self._run_of(result, seconds) if isinstance(result, Result) else result
        except BaseException as error:  # of an answer that can't be looked at
            found = error
        is_failure = isinstance(found, BaseException) or found.status == FAIL
        if seconds > self._timeout and (isinstance(found, TimeoutError) or not is_failure):
            return self._too_late(seconds)
        if isinstance(found, Run):
            return found
        described = self._changes.signals.describe(found)
        if isinstance(found, CheckFailed):  # the check's own words
            described = described.partition(": ")[2]
        return Run(time.time(), seconds, FAIL, described)

    def _run_of(self, result: Result, seconds: float) -> Run:
        redacted = self._changes.signals.redacted(
            {"output": result.output, "value": result.observed_value, "unit": result.observed_unit}
        )
        status = STATUSES[STATUSES.index(result.status)]  # it may be of a class of the user's
        return Run(time.time(), seconds, status, redacted["output"], redacted["value"], str(redacted["unit"]))

    def _too_late(self, seconds: float) -> Run:
        error = TimeoutError(f"no answer after {self._timeout:g} s")
        return Run(time.time(), seconds, FAIL, self._changes.signals.describe(error))


def _refresh(check: ref[Check], refreshing: object) -> None:
    """Refresh a check that is still there."""
    found = check()
    if found is not None:
        found._refresh(refreshing)
