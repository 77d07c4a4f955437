"""Whose the handlers are that are found on a logger: the user's, a server's, a tool's, or an exporter's.

Only what the user has configured is a logging configuration. A server or a tool that calls `logging.basicConfig` has
no wish for the app's lines, and an exporter beside our handler takes nothing from it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any

from obs_middleware.logs.filters import RedactingFilter
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.logs.formatters.pretty import PrettyFormatter
from obs_middleware.logs.neighbours import StructlogProcessor
from obs_middleware.logs.outputs import LineHandler

OUR_HANDLER = "obs"

_TESTING = "obs_middleware.testing"  # whose handler keeps lines for a test
# The packages whose handlers send records away and print nothing.
_EXPORTERS = frozenset(
    (
        "airbrake",
        "applicationinsights",
        "azure",
        "bugsnag",
        "ddtrace",
        "elasticapm",
        "honeybadger",
        "logfire",
        "newrelic",
        "opencensus",
        "opentelemetry",
        "raygun4py",
        "rollbar",
        "scout_apm",
        "sentry_sdk",
    )
)
# Formats of handlers that servers and tools put on the root logger, by a module that is there only if they run. The
# level is the root's: one that the user has set is a configuration.
_STOCK_FORMATS = {
    "%(asctime)-15s %(levelname)-8s %(message)s": ("daphne.cli", None),
    logging.BASIC_FORMAT: ("waitress", logging.WARNING),
    "%(levelname)-5.5s [%(name)s] %(message)s": ("alembic", None),
}
# Litestar's, on the root logger and its own, as long as nobody gives it a `logging_config`.
_LITESTARS_FORMAT = "%(levelname)s - %(asctime)s - %(name)s - %(module)s - %(message)s"
_FILES_AND_SOCKETS = ("logging", "logging.handlers")


def is_ours(handler: logging.Handler) -> bool:
    """Tell whether it is the handler that we install."""
    return isinstance(handler, LineHandler) and handler.name == OUR_HANDLER


def is_exporter(handler: logging.Handler) -> bool:
    """Tell whether it sends records away, or does nothing, so that it may stay beside ours."""
    module = type(handler).__module__
    return (
        module.partition(".")[0] in _EXPORTERS or module == _TESTING or type(handler) is logging.NullHandler
    )


def is_stock(handler: logging.Handler, level: int) -> bool:
    """Tell whether a server, a tool or a framework by default has put it on the root logger, which has that level."""
    if is_litestars(handler, level):
        return True
    module, its_level = _STOCK_FORMATS.get(_format_of(handler), ("", None))
    is_console = type(handler) is logging.StreamHandler and not handler.filters
    return is_console and module in sys.modules and its_level in (None, level)


def is_litestars(handler: logging.Handler, level: int) -> bool:
    """Tell whether Litestar has put it on a logger of that level by default: a queue, with a listener that prints."""
    listener: Any = getattr(handler, "listener", None)
    if level != logging.INFO or not type(listener).__module__.startswith("litestar."):
        return False
    behind = getattr(listener, "handlers", ())
    formats = {_format_of(one) for one in (handler, *behind)} - {""}
    return formats == {_LITESTARS_FORMAT} and all(type(one) is logging.StreamHandler for one in behind)


def is_test_runners(handler: logging.Handler) -> bool:
    """Tell whether pytest looks at records with it."""
    return type(handler).__module__.partition(".")[0] == "_pytest"


def is_ready(handler: logging.Handler) -> bool:
    """Tell whether it is a user's that has our formatter, or our filter beside its own."""
    formatter = isinstance(handler.formatter, (JsonFormatter, PrettyFormatter))
    chain = getattr(handler.formatter, "foreign_pre_chain", None) or ()  # of structlog's ProcessorFormatter
    formatter = formatter or any(isinstance(one, StructlogProcessor) for one in chain)
    return formatter or any(isinstance(one, RedactingFilter) for one in handler.filters)


def of_the_user(root: logging.Logger) -> list[logging.Handler]:
    """Return the root logger's handlers that the user has configured, or a test runner."""
    return [
        handler
        for handler in root.handlers
        if not (is_ours(handler) or is_exporter(handler) or is_stock(handler, root.level))
    ]


def writes_elsewhere(handler: logging.Handler) -> bool:
    """Tell whether it certainly writes to no console: to a file, a socket, the system's log."""
    kind = type(handler)
    is_console = (
        type(handler) is logging.StreamHandler or "Queue" in kind.__name__ or "Memory" in kind.__name__
    )
    return isinstance(handler, logging.FileHandler) or (
        kind.__module__ in _FILES_AND_SOCKETS and not is_console
    )


def printed_twice() -> list[str]:
    """Return the names of the loggers whose lines a handler of the user's prints, and the root's handlers too.

    Django's own is not the user's: it prints in debug only.
    """
    loggers = sorted(logging.root.manager.loggerDict.items())
    return [
        name
        for name, logger in loggers
        if isinstance(logger, logging.Logger) and logger.propagate and any(map(_prints, logger.handlers))
    ]


def _prints(handler: logging.Handler) -> bool:
    is_djangos = any(type(one).__module__ == "django.utils.log" for one in handler.filters)
    return type(handler) is logging.StreamHandler and not is_djangos and not is_ready(handler)


def names(handlers: Iterable[logging.Handler]) -> str:
    """Return the handlers' classes for a sentence."""
    return ", ".join(sorted({type(handler).__qualname__ for handler in handlers}))


def _format_of(handler: logging.Handler) -> str:
    formatter = handler.formatter
    return str(getattr(formatter, "_fmt", "")) if type(formatter) is logging.Formatter else ""
