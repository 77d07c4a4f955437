"""Whether the app starts, serves, drains or has stopped: the probes tell it, and listeners are called.

@observer.lifecycle.initialiser
async def load_model() -> None: ...

@observer.lifecycle.on_change
def note(before: str, now: str) -> None: ...
"""

from __future__ import annotations

import inspect
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from obs_middleware import process
from obs_middleware.errors import ConfigError, reported
from obs_middleware.initialiser import Initialiser, run_in_new_loop
from obs_middleware.sigterm import sigterm

if TYPE_CHECKING:
    from obs_middleware.errors import Report
    from obs_middleware.settings import Settings

STARTING, SERVING, DRAINING, STOPPED = "starting", "serving", "draining", "stopped"
_POD_DRAIN_SECONDS = 5.0  # in which Kubernetes has taken a pod out of its Services
_LISTENER_SECONDS = 1.0
_DRAINING_FILE = "draining"
_logger = logging.getLogger("obs")

Listener = Callable[[str, str], object]
_L = TypeVar("_L", bound=Listener)
_F = TypeVar("_F", bound=Callable[[], object])


class Lifecycle:
    """What a user has of the app's start and end: `observer.lifecycle`.

    Args:
        report: is told of a listener that fails.
        describe: returns an exception as a text without secrets.

    Attributes:
        is_draining: the app drains, or has stopped.
        drain_seconds: how long a SIGTERM waits.
        run_async: runs an awaitable from a thread, in the app's loop.
        stop: hands over what waits, for a process that ends by a signal alone.
        flush_now: hands over what waits, for a process that may end soon.
        flush_at_once: has each request handed over when it ends, for a process that may end right after it.
        is_busy: tells whether any request is under way.
        shared_folder: returns the directory that the workers of the service share, None where there is one process.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        report: Report | None = None,
        describe: Callable[[BaseException], str] = repr,
    ) -> None:
        given = None if settings is None else settings.drain_seconds
        in_pod = _POD_DRAIN_SECONDS if "KUBERNETES_SERVICE_HOST" in os.environ else 0.0
        self.drain_seconds = in_pod if given is None else given
        self._report = report
        self._describe = describe
        self.run_async: Callable[[Awaitable[Any], float], Any] = run_in_new_loop
        self.stop: Callable[[], object] = bool
        self.flush_now: Callable[[bool], object] = bool
        self.flush_at_once: Callable[[], object] = bool
        self.is_busy: Callable[[], bool] = bool
        self.shared_folder: Callable[[], Path | None] = _no_folder
        self._listeners: list[Listener] = []
        self._initialisers: list[Initialiser] = []
        self._running: threading.Thread | None = None
        self._last_noticed = STARTING
        self._notice_lock = threading.RLock()
        self._is_noticing = False
        self._initialising = threading.Lock()
        self._starts = 0
        self._began = time()
        self._is_serving = False
        self.starting()
        _all.add(self)
        if self.drain_seconds:
            sigterm.prepare()

    @property
    def state(self) -> str:
        """The state now: starting, serving, draining or stopped."""
        if self._has_stopped:
            return STOPPED
        if self.is_draining:
            return DRAINING
        return SERVING if self.is_started else STARTING

    @property
    def is_started(self) -> bool:
        """Tell whether the app has started, and every initialiser has gone well."""
        return self._has_started and all(one.is_done for one in self._initialisers)

    @property
    def initialisers(self) -> dict[str, str]:
        """What is wrong with each initialiser, by name; empty where it has gone well."""
        problems = dict[str, str]()
        for one in self._initialisers:  # several may have one name
            problems[one.name] = one.problem or problems.get(one.name, "")
        return problems

    @property
    def drain_ends_in(self) -> float:
        """How many seconds of the drain are left."""
        return max(0.0, self._drain_end - monotonic()) if self.is_draining else self.drain_seconds

    def on_change(self, listener: _L) -> _L:
        """Call a function with the state before and the state now, at each change; in whichever thread makes it.

        Raises:
            ConfigError: it is no function, or an async one.
        """
        if not callable(listener) or inspect.iscoroutinefunction(listener):
            raise ConfigError(
                f"lifecycle.on_change must have a function of two states that is not async, got {listener!r}"
            )
        self._listeners.append(listener)
        return listener

    def initialiser(self, function: _F) -> _F:
        """Run a function, sync or async, once the app serves; until it has gone well the app has not started.

        They run one after the other, in a thread; async ones in the app's loop. One that raises is logged, and the
        startup probe stays at 503.

        Raises:
            ConfigError: it is no function.
        """
        if not callable(function):
            raise ConfigError(f"an initialiser must be a function, got {function!r}")
        self._initialisers.append(Initialiser(function))
        if self._is_serving:
            self._initialise()
        return function

    def starting(self) -> None:
        """Note that the app starts, or starts again after it was stopped."""
        self._has_started = self._has_stopped = self.is_draining = False
        self._drain_end = 0.0
        self._began = time()
        self._starts += 1
        for one in self._initialisers:
            if one.has_failed:
                one.begin_anew()
        self._tell()

    def started(self, *, is_serving: bool = True) -> None:
        """Note that the app has started: for an app that no server calls, such as a consumer of a queue.

        Args:
            is_serving: False where the app is only made.
        """
        self._has_started = True
        if is_serving and not self.is_draining:
            if not self._is_serving or any(one.waits for one in self._initialisers):
                self._is_serving = True
                self._initialise()
            if self.drain_seconds:
                sigterm.hold_for(self)
        if self._last_noticed != self.state:
            self._tell()

    def drain(self) -> None:
        """Turn readiness to 503, while liveness stays 200: the service is about to stop, and drains until it does."""
        self.drain_until()
        self._tell()

    def drain_all(self) -> None:
        """Drain in each worker of the service, where they share a directory, because a request says so."""
        if not self.is_draining:
            _logger.info(
                "obs-middleware: a request begins the drain: readiness is 503 until the process ends"
            )
        self.drain()
        folder = self.shared_folder()
        if folder is not None:
            try:
                (folder / _DRAINING_FILE).touch()
            except OSError as error:  # this worker drains all the same
                self._note(error)

    def look(self) -> None:
        """Drain if another worker was asked to; for the answer of a probe."""
        if self.is_draining:
            return
        folder = self.shared_folder()
        if folder is None:
            return
        try:
            asked = (folder / _DRAINING_FILE).stat().st_mtime
        except OSError:
            return
        if asked >= self._began:
            self.drain()

    def stopped(self) -> None:
        """Note that the app has stopped."""
        self.drain_until()
        self._has_stopped = True
        self._tell()

    @property
    def serves(self) -> bool:
        """Tell whether requests are served in this process."""
        return self._is_serving and not self._has_stopped

    def drain_until(self) -> float:
        """Begin to drain and tell nobody, because a signal's handler may call it; return the end by time.monotonic."""
        if not self.is_draining:
            self._drain_end = monotonic() + self.drain_seconds
            self.is_draining = True
        return self._drain_end

    def tell(self) -> None:
        """Tell listeners and the log that a SIGTERM waits."""
        _logger.info("obs-middleware: SIGTERM: draining for %.3g s before it goes on", self.drain_ends_in)
        self._tell()

    def hand_over(self) -> None:
        """Write and send what waits."""
        self.stop()

    def has_requests(self) -> bool:
        """Tell whether any request is under way."""
        return self.is_busy()

    def flush(self, *, is_export: bool) -> None:
        """Write and send what waits, if somebody takes it at once."""
        self.flush_now(is_export)

    def flush_each(self) -> None:
        """Write and send each request when it ends, from now on."""
        self.flush_at_once()

    def _tell(self) -> None:
        lock = self._notice_lock  # a listener may fork, and the child gets another one
        if not lock.acquire(timeout=_LISTENER_SECONDS):  # a listener that hangs holds nobody up
            return
        try:
            # Also what listeners change, and others who wait no longer.
            while not self._is_noticing and (before := self._last_noticed) != (now := self.state):
                self._last_noticed, self._is_noticing = now, True
                try:
                    for listener in tuple(self._listeners):
                        self._call(listener, before, now)
                finally:
                    self._is_noticing = False
        finally:
            lock.release()

    def _call(self, listener: Listener, before: str, now: str) -> None:
        try:
            listener(before, now)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # it may call sys.exit
            self._note(error)

    def _note(self, error: BaseException) -> None:
        if self._report is not None:
            self._report("lifecycle", reported(error, "a listener"))

    def _initialise(self) -> None:
        with self._initialising:
            if self._running is not None or not any(one.waits for one in self._initialisers):
                return
            thread = threading.Thread(target=self._run_initialisers, name="obs-start", daemon=True)
            self._running = thread
        try:
            thread.start()
        except RuntimeError:  # no thread is to be had
            self._run_initialisers()

    def _run_initialisers(self) -> None:
        for one in self._initialisers:  # also those that are registered meanwhile
            if one.waits:
                starts = self._starts
                one.run(self.run_async, self._describe)
                if one.has_failed and starts != self._starts:  # the app has ended meanwhile, and starts again
                    one.begin_anew()
        self._running = None
        self._tell()

    def begin_anew(self) -> None:
        """Serve nobody yet, in a forked child, and run what its parent has not finished."""
        self._notice_lock, self._is_noticing = threading.RLock(), False
        self._initialising = threading.Lock()
        self._is_serving, self._running = False, None
        for one in self._initialisers:
            one.begin_anew()


def _no_folder() -> Path | None:
    return None


def _begin_all_anew() -> None:
    for one in list(_all):
        one.begin_anew()


_all: WeakSet[Lifecycle] = WeakSet()
process.on_fork(in_child=_begin_all_anew)
