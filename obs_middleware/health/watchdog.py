"""Whether the process is stuck: its event loop does not run, or under WSGI all requests under way stand still.

It looks four times in the time that is allowed, in the thread that flushes, and whenever liveness is asked. So no
request costs anything for it. The time between two looks counts for half of what is allowed at most. So a process that
was paused as a whole (SIGSTOP, the sleep of a laptop) is not stuck: a second look finds that it goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Any

from obs_middleware import process
from obs_middleware.queue import later

_LOOKS = 4  # in the time that is allowed
_logger = logging.getLogger("obs.health")


class Watchdog:
    """Watch one process, from `watch` on.

    Args:
        seconds: how long all may stand still.

    Attributes:
        progress: returns how many requests have begun, and how many have ended.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.progress: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._begin_anew()
        process.on_fork(in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        """Watch nothing yet, as in a forked child."""
        self._lock = Lock()
        self._loop: Any = None
        self._is_asked = False  # the loop, and has not answered yet
        self._progress: tuple[int, int] | None = None
        self._looked = monotonic()
        self._still_seconds = 0.0
        self._is_on = self._is_due = self._has_warned = False

    def watch(self, loop: Any) -> None:
        """Watch from now on.

        Args:
            loop: the event loop that serves the app and calls this, asyncio's or trio's token; None: watch requests.
        """
        if loop is not None:
            self._loop, self._is_asked = loop, False  # it runs, or it could not call
        self._is_on = True
        if not self._is_due:
            self._look_later()

    def stop(self) -> None:
        """Look no more, but where liveness is asked."""
        self._is_on = False

    def look(self) -> str:
        """Return why the process is stuck; empty where it is not."""
        with self._lock:
            now = monotonic()
            passed, self._looked = min(now - self._looked, self._seconds / 2), now
            if self._requests_go_on() if self._loop is None else self._loop_runs(self._loop):
                self._still_seconds = 0.0
            else:
                self._still_seconds += passed
            if self._still_seconds < self._seconds:
                return ""
        what = (
            "requests are under way, and none has begun or ended"
            if self._loop is None
            else "the event loop has not run"
        )
        return f"{what} for {self._seconds:g} s"

    def _requests_go_on(self) -> bool:
        before, self._progress = self._progress, self.progress()
        begun, ended = self._progress
        return begun <= ended or self._progress != before

    def _loop_runs(self, loop: Any) -> bool:
        """Tell whether the loop has done what it was asked at the look before, or has ended; ask it again."""
        was_asked, self._is_asked = self._is_asked, True
        try:
            if hasattr(loop, "run_sync_soon"):
                loop.run_sync_soon(self._answer, idempotent=True)
                return not was_asked
            if loop.is_running():
                if not was_asked:
                    loop.call_soon_threadsafe(self._answer)
                return not was_asked
        except RuntimeError:  # it has ended
            pass
        self._is_asked = False
        return True

    def _answer(self) -> None:
        self._is_asked = False

    def _look_later(self) -> None:
        self._is_due = True
        later(self._seconds / _LOOKS, self._look_and_tell)

    def _look_and_tell(self) -> None:
        self._is_due = False
        if not self._is_on:
            return
        self._look_later()
        why = self.look()
        if bool(why) is not self._has_warned:
            self._has_warned = bool(why)
            if why:
                _logger.warning("obs-middleware: liveness fails: %s", why)
            else:
                _logger.info("obs-middleware: liveness passes again")
