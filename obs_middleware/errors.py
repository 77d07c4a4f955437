"""Configuration errors, and failures of our own, which are counted, and logged at most once a minute."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

Report = Callable[[str, Exception], None]  # the component's name and what has happened to it

_QUIET_SECONDS = 60.0  # between two log lines of our own failures
_logger = logging.getLogger("obs")


class ConfigError(ValueError):
    """A setting, a check or an extra is not as it must be; the message names it, what is wanted and the cure."""


class Failures:
    """Count our own failures, and log one of them at most in a minute.

    Args:
        count: is called with the name of the component that has failed.
    """

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._quiet_until = 0.0

    def report(self, component: str, error: Exception) -> None:
        """Count a failure, and log it unless another was logged within the last minute."""
        self._count(component)
        now = monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + _QUIET_SECONDS
        with suppress(Exception):  # of the user's handlers
            _logger.error(
                "obs-middleware failed in %s; the request was not affected", component, exc_info=error
            )

    def guard(self, component: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function and return what it returns; report an exception, and return None then."""
        try:
            return function(*args)
        except Exception as error:
            self.report(component, error)
            return None
