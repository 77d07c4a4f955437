"""What the checks of one Observer run in: an event loop, and what a framework keeps for each thread."""

from __future__ import annotations

from collections.abc import Callable

from obs_middleware.health.event_loops import Await, close_own_loop, run_in_own_loop


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


def _nothing() -> None:
    pass
