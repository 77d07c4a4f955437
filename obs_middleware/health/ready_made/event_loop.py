"""How long the event loop that serves the app lets others wait."""

from __future__ import annotations

import time
from collections.abc import Awaitable

from obs_middleware.health.ready_check import SYSTEM, ReadyCheck, graded
from obs_middleware.health.result import Result


def event_loop_lag(*, warn_above_seconds: float = 0.2, fail_above_seconds: float | None = None) -> ReadyCheck:
    """Check how long it takes until the app's event loop does what it is asked for.

    A loop that is blocked past the check's `timeout_seconds` fails.

    Args:
        warn_above_seconds: more than this degrades readiness.
        fail_above_seconds: more than this fails; without it the check's time limit alone does.
    """
    return _EventLoopLag(warn_above_seconds, fail_above_seconds)


class _EventLoopLag(ReadyCheck):
    component_type = SYSTEM

    def __init__(self, warn_above: float, fail_above: float | None) -> None:
        self._warn_above, self._fail_above = warn_above, fail_above

    def __call__(self) -> Awaitable[Result]:
        return self._measured(time.monotonic())  # in the check's thread; what follows runs in the loop

    async def _measured(self, asked: float) -> Result:
        lag = time.monotonic() - asked
        output = f"the event loop has answered after {lag:.3f} s"
        fails = self._fail_above is not None and lag > self._fail_above
        return graded(round(lag * 1000, 3), "ms", output, warns=lag > self._warn_above, fails=fails)
