"""What is told when a check gets another status: a log line, an event, the listeners; and what runs are counted.

It is told in a thread of its own, because a listener, a log's reader or a disk may take their time, and neither a probe
nor the next run of a check is to wait for them.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from threading import RLock
from typing import Any, TypeVar

import msgspec

from obs_middleware import process
from obs_middleware.errors import ConfigError, Report, reported
from obs_middleware.health.check_thread import CheckThread
from obs_middleware.health.result import FAIL, PASS, WARN
from obs_middleware.health.surroundings import Surroundings

UNKNOWN = "unknown"
_NUMBERS = {UNKNOWN: 0, PASS: 1, WARN: 2, FAIL: 3}  # of the gauge
_LISTENER_SECONDS = 10.0
_logger = logging.getLogger("obs.health")


class Change(msgspec.Struct, frozen=True):
    """A check has another status.

    Attributes:
        component: the check's name.
        status: `pass`, `warn` or `fail`.
        previous: the status before; `unknown` before the first answer.
        output: why it is no pass, without secrets.
        at: seconds since 1970.
    """

    component: str
    status: str
    previous: str
    output: str
    at: float


Listener = Callable[[Change], object]
_L = TypeVar("_L", bound=Callable[[Change], object] | Callable[[Change], Awaitable[object]])


class HealthSignals(msgspec.Struct, frozen=True):
    """Where what checks find goes to; each is a function of another room.

    Attributes:
        describe: returns an exception as a text without secrets.
        redacted: returns values as values of JSON, without secrets.
        count_run: is called with the component, the status that a run has found, and its seconds.
        set_status: is called with the component and the number of its status.
        record_event: records an event, with its labels and its metadata.
        report: is told of a listener that has raised.
    """

    describe: Callable[[BaseException], str]
    redacted: Callable[[Mapping[str, Any]], dict[str, Any]]
    count_run: Callable[[str, str, float], None]
    set_status: Callable[[str, float], None]
    record_event: Callable[[str, Mapping[str, str], Mapping[str, str]], None]
    report: Report


class Changes:
    """Tell the changes of all checks of one Observer, in their order."""

    def __init__(self, signals: HealthSignals, surroundings: Surroundings) -> None:
        self.signals = signals
        self._surroundings = surroundings
        self._listeners: list[Listener] = []
        self.is_reporting = False  # not before anybody has asked, and not once the app has stopped
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Begin with nothing to tell, as in a forked child."""
        self._pid = process.pid()
        self._thread = CheckThread("obs-health", self._surroundings.end_thread)
        self._thread_lock = RLock()  # two threads would tell changes in another order
        self._untold: deque[Change] = deque()

    def listen(self, listener: _L) -> _L:
        """Call a function, sync or async, with each Change from now on.

        Raises:
            ConfigError: it can't be called.
        """
        if not callable(listener):
            raise ConfigError(f"on_change must have a function of a Change, got {listener!r}")
        self._listeners.append(listener)
        return listener

    def show(self, component: str, status: str) -> None:
        """Set the gauge; a name that is no text of Unicode would cost the whole page."""
        self.signals.set_status(_clean(component), _NUMBERS[status])

    def count_run(self, component: str, status: str, seconds: float) -> None:
        """Count a run that has ended, or is late."""
        self.signals.count_run(_clean(component), status, seconds)

    def add(self, change: Change) -> None:
        """Note a change; for who holds the lock of its check, so that changes keep their order."""
        if self._pid != process.pid():
            self._begin_anew()
        self.show(change.component, change.status)
        if self.is_reporting:
            self._untold.append(change)

    def tell(self) -> None:
        """Have what was noted told; here where no thread is to be had."""
        if self._untold:
            try:
                with self._thread_lock:
                    self._thread.run(self._tell_all)
            except RuntimeError:
                self._tell_all()

    def _tell_all(self) -> None:
        with suppress(IndexError):  # another thread was quicker
            while self._untold:
                self._tell(self._untold.popleft())

    def _tell(self, change: Change) -> None:
        guard = self._guard
        guard(_log, change)
        labels = {"component": change.component, "status": change.status, "previous": change.previous}
        output = {"output": change.output} if change.output else {}
        guard(self.signals.record_event, "health_changed", labels, output)
        for listener in tuple(self._listeners):
            guard(self._call, listener, change)

    def _call(self, listener: Listener, change: Change) -> None:
        answer = listener(change)
        while inspect.isawaitable(answer):
            answer = self._surroundings.run_async(answer, _LISTENER_SECONDS)

    def _guard(self, function: Callable[..., object], *args: Any) -> None:
        try:
            function(*args)
        except BaseException as error:  # it may call sys.exit, and the thread would tell no further change
            self.signals.report("health", reported(error, "a listener"))


def _log(change: Change) -> None:
    fields = {  # `status` is a number on access lines
        "component": change.component,
        "health_status": change.status,
        "health_previous": change.previous,
    }
    if change.status != PASS:
        word = "fails" if change.status == FAIL else "warns"
        _logger.warning(
            "health check %s %s: %s", change.component, word, change.output or "no reason", extra=fields
        )
    elif change.previous != UNKNOWN:
        _logger.info("health check %s passes again", change.component, extra=fields)


def _clean(component: str) -> str:
    return component.encode(errors="replace").decode()
