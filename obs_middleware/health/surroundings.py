"""What the checks of one Observer run in: an event loop, and what a framework keeps for each thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obs_middleware.health.event_loops import Await, close_own_loop, run_in_own_loop


class Surroundings:
    """What the checks of one Observer run in; an adapter sets it.

    Attributes:
        run_async: runs an awaitable from the thread of a check.
        around_run: is called in that thread, before each run and after it.
        at_thread_end: is called in that thread when it ends.
        loop: the event loop that serves the app, asyncio's or trio's token; None where none does.
    """

    def __init__(self) -> None:
        self.run_async: Await = run_in_own_loop
        self.around_run: Callable[[], object] = _nothing
        self.at_thread_end: Callable[[], object] = _nothing
        self.loop: Any = None

    @property
    def has_ended(self) -> bool:
        """Tell whether the event loop has ended that served the app."""
        if hasattr(self.loop, "run_sync_soon"):
            try:
                self.loop.run_sync_soon(_nothing, idempotent=True)
            except RuntimeError:  # trio.RunFinishedError
                return True
        is_running = getattr(self.loop, "is_running", None)
        return is_running is not None and not is_running()

    def end_thread(self) -> None:
        """Close what a thread of a check has kept."""
        try:
            close_own_loop()
        finally:
            self.at_thread_end()


def _nothing() -> None:
    pass
