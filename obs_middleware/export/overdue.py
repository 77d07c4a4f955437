"""Overdue: notice an export that does not end, while it is under way, in the thread that runs in the background."""

from __future__ import annotations

import time
from collections.abc import Callable

from obs_middleware.queue import later

_LIMIT_SECONDS = 30.0


class Overdue:
    """Watch the exports of one exporter, of which one is under way at a time.

    Args:
        notice: is called with the seconds that an export has taken so far, once for each that takes too long.

    Attributes:
        is_noticed: the present export, or else the last one, takes or took too long.
    """

    def __init__(self, notice: Callable[[float], object]) -> None:
        self._notice = notice
        self._began: float | None = None
        self._has_timer = False  # one at a time, however often exports are made
        self._interval_seconds = 0.0
        self.is_noticed = False

    def begin(self, interval_seconds: float) -> None:
        """Watch an export that begins now: longer than 30 s, or than its interval, is too long."""
        self._interval_seconds = interval_seconds
        self.is_noticed = False
        self._began = time.monotonic()
        if not self._has_timer:
            self._look_after(self._limit_seconds)

    def end(self) -> float:
        """Note that it has ended; return how long it took, in seconds."""
        began, self._began = self._began, None
        return 0.0 if began is None else time.monotonic() - began

    @property
    def _limit_seconds(self) -> float:
        return max(self._interval_seconds, _LIMIT_SECONDS)

    def _look_after(self, seconds: float) -> None:
        self._has_timer = True
        later(seconds, self._look)

    def _look(self) -> None:
        self._has_timer = False
        began = self._began
        if began is None or self.is_noticed:
            return
        seconds = time.monotonic() - began
        if seconds < self._limit_seconds:
            self._look_after(self._limit_seconds - seconds)
        else:
            self.is_noticed = True
            self._notice(seconds)
