"""Install our handler where the root logger has none; where the user has configured logging, theirs stays.

The servers' own loggers join when their handlers are the stock ones: their lines come out in the same format, and
uvicorn's access line, which ours replaces, stays silent.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.logs.formatters.pretty import PrettyFormatter
from obs_middleware.logs.outputs import LineHandler

if TYPE_CHECKING:
    from obs_middleware.settings import Settings

_OURS = ("obs", "obs.access")
_HANDLER = "obs"
_SERVERS = ("uvicorn", "gunicorn.error")
_SERVER_ACCESS = "uvicorn.access"


def set_up(settings: Settings, environment: str) -> None:
    """Install the handler on the root logger; told again of another environment, format as it wants."""
    for name in _OURS:
        logging.getLogger(name).disabled = False  # by a dictConfig that came after our import
    root = logging.getLogger()
    ours = next((handler for handler in root.handlers if handler.name == _HANDLER), None)
    if ours is not None:
        ours.setFormatter(_formatter(settings, environment))
    elif settings.log_setup and not root.handlers and sys.stdout is not None:
        _install(root, settings, environment)


def _install(root: logging.Logger, settings: Settings, environment: str) -> None:
    handler = LineHandler(sys.stdout)
    handler.name = _HANDLER
    handler.setFormatter(_formatter(settings, environment))
    root.addHandler(handler)
    root.setLevel(settings.log_level)
    for name in _SERVERS:
        _adopt(logging.getLogger(name))
    access = logging.getLogger(_SERVER_ACCESS)
    if settings.access_log and _is_stock(access):
        access.handlers.clear()
        access.propagate = False


def _formatter(settings: Settings, environment: str) -> logging.Formatter:
    is_terminal = bool(getattr(sys.stdout, "isatty", bool)())
    is_pretty = settings.log_format == "pretty" or (
        settings.log_format == "auto" and is_terminal and environment == "development"
    )
    if is_pretty:
        return PrettyFormatter(settings, has_colour=is_terminal)
    encoding = getattr(sys.stdout, "encoding", None) or ""
    is_ascii = encoding.lower().replace("-", "") != "utf8"
    return JsonFormatter(settings=settings, environment=environment, is_ascii=is_ascii)


def _adopt(logger: logging.Logger) -> None:
    if _is_stock(logger):
        logger.handlers.clear()
        logger.propagate = True


def _is_stock(logger: logging.Logger) -> bool:
    return bool(logger.handlers) and all(
        type(handler.formatter).__module__ == "uvicorn.logging" or getattr(handler, "_gunicorn", False)
        for handler in logger.handlers
    )
