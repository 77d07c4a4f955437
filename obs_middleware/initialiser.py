"""What an app does before it has started, as a function that its user has registered."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

_LONGEST_SECONDS = 86_400.0
_WAITS, _RUNS, _DONE, _FAILED = "has not run yet", "still runs", "", "has failed"
_logger = logging.getLogger("obs")


class Initialiser:
    """A function that runs once before the app has started.

    Attributes:
        problem: why it keeps the app from that; empty where it has gone well.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.problem = _WAITS

    @property
    def waits(self) -> bool:
        """Tell whether it is still to be run."""
        return self.problem == _WAITS

    @property
    def is_done(self) -> bool:
        """Tell whether it has gone well."""
        return self.problem == _DONE

    @property
    def has_failed(self) -> bool:
        """Tell whether it has raised."""
        return self.problem.startswith(_FAILED)

    def begin_anew(self) -> None:
        """Have it run in a forked child, or at another start, unless it has gone well."""
        if not self.is_done:
            self.problem = _WAITS

    def run(self, run_async: Callable[..., Any], describe: Callable[[BaseException], str]) -> None:
        """Run it to its end, an async one by `run_async`; log what it raises."""
        self.problem = _RUNS
        try:
            answer = self._function()
            if isawaitable(answer):
                run_async(answer, _LONGEST_SECONDS)
        except BaseException as error:  # it may call sys.exit
            self.problem = f"{_FAILED}: {describe(error)}"
            _logger.error(
                "obs-middleware: the app does not start: initialiser %s %s", self.name, self.problem
            )
        else:
            self.problem = _DONE


def run_in_new_loop(awaitable: Awaitable[Any], _seconds: float) -> Any:
    """Run an awaitable where no event loop serves the app."""
    import asyncio  # what it costs, only those pay who have async initialisers

    async def run() -> Any:
        return await awaitable

    return asyncio.run(run())
