"""Install our handler where the root logger has none; where the user has configured logging, that stays.

The servers' loggers use our handler where they have the stock ones, so that their lines come in the same format.
uvicorn's access line is not written, because ours replaces it.
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

_OUR_LOGGERS = ("obs", "obs.access")
_HANDLER = "obs"
_SERVERS = ("uvicorn", "gunicorn.error")
_SERVER_ACCESS = "uvicorn.access"


def set_up(settings: Settings, environment: str) -> None:
    """Install the handler on the root logger; called again with another environment, format by that."""
    for name in _OUR_LOGGERS:
        logging.getLogger(name).disabled = False  # by a dictConfig that came after our import
    root = logging.getLogger()
    our_handler = next((handler for handler in root.handlers if handler.name == _HANDLER), None)
    if our_handler is not None:
        our_handler.setFormatter(_formatter(settings, environment))
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
        return PrettyFormatter(settings=settings, has_colour=is_terminal)
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
