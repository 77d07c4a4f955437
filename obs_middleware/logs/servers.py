"""The loggers of servers and frameworks that have handlers of their own: their lines come in our format.

Their access lines are not written, because ours replace them.
"""

from __future__ import annotations

import logging
import re
import sys

from obs_middleware.logs.found import is_litestars

_STOCK_FORMATTERS = ("uvicorn.logging", "django.utils.log")
_SERVERS = ("uvicorn", "gunicorn.error", "werkzeug", "hypercorn.error", "_granian", "django.server")
ACCESS = ("uvicorn.access", "granian.access", "hypercorn.access", "gunicorn.access")
_terminal_codes = re.compile(r"\x1b\[[0-9;]*m")


class ServerFilter(logging.Filter):
    """Drop the access lines of a logger that writes others too, and take terminal codes out of the others."""

    def __init__(self, *, drops_access: bool) -> None:
        super().__init__()
        self._drops_access = drops_access

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record unless it is an access line."""
        if self._drops_access and _is_access(record):
            return False
        if isinstance(record.msg, str) and "\x1b" in record.msg:
            record.msg = _terminal_codes.sub("", record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(
                _terminal_codes.sub("", value) if isinstance(value, str) else value for value in record.args
            )
        return True


def adopt(*, drops_access: bool, takes_all: bool) -> None:
    """Let the servers' lines come to the root logger.

    Args:
        drops_access: their access lines are not wanted, because ours are written.
        takes_all: also where the user has configured them.
    """
    for name in _SERVERS:
        logger = logging.getLogger(name)
        if _is_stock(logger) or (takes_all and logger.handlers):
            logger.handlers.clear()
            logger.propagate = True
    for name in ("werkzeug", "django.server"):
        logger = logging.getLogger(name)
        for found in [one for one in logger.filters if isinstance(one, ServerFilter)]:
            logger.removeFilter(found)
        logger.addFilter(ServerFilter(drops_access=drops_access))
    for name in ACCESS if drops_access else ():
        logger = logging.getLogger(name)
        is_stock = _is_stock(logger) and not any(map(_is_file, logger.handlers))
        if is_stock or (takes_all and logger.handlers):
            logger.handlers.clear()
            logger.propagate = False
    _drop_flasks_handler()
    _take_litestars_logger()


def with_own_lines() -> list[str]:
    """Return the names of the access loggers that write lines of their own."""
    return [name for name in (*ACCESS, "werkzeug", "django.server") if logging.getLogger(name).handlers]


def _drop_flasks_handler() -> None:
    """Take the handler away that Flask gives its app's logger as long as no other handler is there."""
    default = getattr(sys.modules.get("flask.logging"), "default_handler", None)
    for logger in list(logging.root.manager.loggerDict.values()) if default is not None else ():
        if isinstance(logger, logging.Logger) and default in logger.handlers:
            logger.removeHandler(default)


def _take_litestars_logger() -> None:
    """Let the lines of Litestar's own logger come to the root logger, if they go where it sends them by default."""
    logger = logging.getLogger("litestar")
    if logger.handlers and all(is_litestars(handler, logging.INFO) for handler in logger.handlers):
        logger.handlers.clear()
        logger.propagate = True


def _is_access(record: logging.LogRecord) -> bool:
    if record.name == "werkzeug":
        return isinstance(record.msg, str) and record.msg.endswith('"%s" %s %s')
    return hasattr(record, "status_code") and hasattr(record, "server_time")


def _is_file(handler: logging.Handler) -> bool:
    """Tell whether a handler writes to a file, which somebody has asked for by its name (`--access-logfile`)."""
    return isinstance(handler, logging.FileHandler)


def _is_stock(logger: logging.Logger) -> bool:
    return bool(logger.handlers) and all(map(_is_of_a_server, logger.handlers))


def _is_of_a_server(handler: logging.Handler) -> bool:
    return (
        type(handler.formatter).__module__ in _STOCK_FORMATTERS
        or type(handler).__module__ == "werkzeug._internal"
        or getattr(handler, "_gunicorn", False)
    )
