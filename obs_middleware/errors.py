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


class AppFailure(RuntimeError):
    """A function of the app's has failed, and not we: the log line's message is this one, the traceback its cause's."""


# Frameworks whose exceptions say which response is wanted; by name, because none is imported here.
_FRAMEWORKS = frozenset(
    {
        "blacksheep",
        "connexion",
        "django",
        "falcon",
        "fastapi",
        "litestar",
        "quart",
        "sanic",
        "starlette",
        "werkzeug",
    }
)
_STATUSES = ("status_code", "code", "status")
_ENDS = (StopIteration, StopAsyncIteration, GeneratorExit)


def own_status(error: BaseException) -> int | None:
    """Return the status of the response that an exception stands for; None where that is a 500 by whoever answers.

    0: it stands for none, because it ends an iteration or a connection that the app has taken over, or because it is a
    response itself, whose status nobody knows yet. Whatever is not None is not ours to answer.
    """
    if isinstance(error, _ENDS):
        return 0
    if not callable(error) and not any(
        kind.__module__.partition(".")[0] in _FRAMEWORKS for kind in type(error).__mro__
    ):
        return None
    for name in _STATUSES:
        status = getattr(error, name, None)
        if isinstance(status, str):  # "404 Not Found"
            status = int(status[:3]) if status[:3].isdecimal() else None
        if isinstance(status, int) and 100 <= status < 600:
            return int(status)
    return 0 if callable(error) or hasattr(error, "get_response") else None


def reported(error: BaseException, what: str) -> Exception:
    """Return what is reported of a function of the user's that has raised; no thread and no server ends for it."""
    return error if isinstance(error, Exception) else RuntimeError(f"{what} has left by {error!r}")


class Failures:
    """Count our own failures, and log one of them at most in a minute.

    Args:
        count: is called with the name of the component that has failed.
        shown: returns an exception's type, message and stack without secrets, for handlers that do not hide them.
    """

    def __init__(
        self, count: Callable[[str], None], shown: Callable[[BaseException], tuple[str, str, str]]
    ) -> None:
        self._count = count
        self._shown = shown
        self._quiet_until = 0.0

    def report(self, component: str, error: Exception) -> None:
        """Count a failure, and log it unless another was logged within the last minute."""
        self._count(component)
        now = monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + _QUIET_SECONDS
        with suppress(Exception):  # of the user's handlers
            if isinstance(error, AppFailure):
                self._log(self._shown(error)[1], error.__cause__)
            else:
                self._log(f"obs-middleware failed in {component}; the request was not affected", error)

    def _log(self, message: str, error: BaseException | None) -> None:
        if not _logger.isEnabledFor(logging.ERROR):
            return
        raised: Any = None if error is None else (type(error), error, error.__traceback__)
        record = _logger.makeRecord(_logger.name, logging.ERROR, __file__, 0, message, (), raised, "report")
        if error is not None:
            # What formatters of `logging` show in place of the exception.
            record.exc_text = self._shown(error)[2]
        _logger.handle(record)

    def guard(self, component: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function and return what it returns; report an exception, and return None then."""
        try:
            return function(*args)
        except Exception as error:
            self.report(component, error)
            return None
