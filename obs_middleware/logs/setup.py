"""Install our handler where nobody has configured logging; where the user has, that stays, and one line says so.

When it is looked at again, because an access line finds logging changed:
- loggers of ours that somebody has disabled are enabled, as `disable_existing_loggers` is meant for no access line;
- our handler comes back if a tool has put its own in its place;
- the access line's level is INFO where nobody has set one, whatever the root's level is.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from obs_middleware.logs import found, servers
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.logs.formatters.pretty import PrettyFormatter
from obs_middleware.logs.outputs import LineHandler
from obs_middleware.logs.sentry import agree_with_sentry

if TYPE_CHECKING:
    from obs_middleware.settings import Settings

_OUR_LOGGERS = ("obs", "obs.access")
_ACCESS = "obs.access"
_logger = logging.getLogger("obs")


class LogSetup:
    """What one Observer does about logging.

    Args:
        settings: the Observer's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._environment: str | None = None  # known once set up
        self._seen: tuple[list[logging.Handler], int] | None = None  # the root's handlers and level
        self._has_named_doubles = False  # loggers whose lines are printed twice, in a line

    def set_up(self, environment: str) -> None:
        """Install the handler on the root logger; called again with another environment, format by that."""
        if self._environment is None:
            agree_with_sentry(self._settings)
        self._environment = environment
        for handler in filter(found.is_ours, logging.root.handlers):
            handler.setFormatter(self._formatter(environment))
        self._look()

    def look_again(self) -> None:
        """See to it that access lines come out, where logging may have been configured anew; a few comparisons."""
        root = logging.root
        if self._environment is None:
            return
        for name in _OUR_LOGGERS:
            logging.getLogger(name).disabled = False
        if self._seen is None or self._seen[0] != root.handlers or self._seen[1] != root.level:
            self._look()

    def _look(self) -> None:
        root, mode = logging.root, self._settings.log_setup
        for name in _OUR_LOGGERS:
            logging.getLogger(name).disabled = False  # by a dictConfig that came after our import
        users = found.of_the_user(root)
        if mode == "force":
            users = [handler for handler in users if found.is_test_runners(handler)]
        if mode != "false" and not users and _standard() is not None:
            self._install(root, takes_all=mode == "force")
        else:
            _let_access_lines_through()
        self._seen = list(root.handlers), root.level
        if mode == "true" and users and not all(map(_needs_no_word, users)):
            _logger.warning(_WHAT_STAYS, found.names(users), _of_servers())
        elif mode == "true" and not users and not self._has_named_doubles:
            names = found.printed_twice()
            self._has_named_doubles = bool(names)
            if names:
                _logger.warning(_WHAT_IS_TWICE, ", ".join(names))

    def _install(self, root: logging.Logger, *, takes_all: bool) -> None:
        is_there = any(map(found.is_ours, root.handlers))
        for handler in list(root.handlers):
            if not (
                found.is_ours(handler) or found.is_exporter(handler) or found.is_test_runners(handler)
            ) and (not found.writes_elsewhere(handler) or found.is_stock(handler, root.level)):
                root.removeHandler(handler)
        if is_there:
            return
        handler = LineHandler(standard=_standard() or "stdout")
        handler.name = found.OUR_HANDLER
        handler.setFormatter(self._formatter(self._environment or "production"))
        root.addHandler(handler)
        root.setLevel(self._settings.log_level)
        servers.adopt(drops_access=self._settings.access_log, takes_all=takes_all)
        if takes_all:
            _take_consoles()

    def _formatter(self, environment: str) -> logging.Formatter:
        settings, stream = self._settings, getattr(sys, _standard() or "stdout", None)
        is_terminal = _is_terminal(stream)
        is_pretty = settings.log_format == "pretty" or (
            settings.log_format == "auto" and is_terminal and environment == "development"
        )
        if is_pretty:
            return PrettyFormatter(settings=settings, has_colour=is_terminal)
        encoding = getattr(stream, "encoding", None) or ""
        is_ascii = encoding.lower().replace("-", "") != "utf8"
        return JsonFormatter(settings=settings, environment=environment, is_ascii=is_ascii)


_WHAT_STAYS = (
    "obs-middleware: logging is configured already (root logger: %s), so it stays, and lines are not our JSON.%s"
    " For JSON without secrets name the formatter obs_middleware.logs.JsonFormatter in your configuration (see"
    " docs/logging.md), or let us replace it by log_setup='force' (OBS_LOG_SETUP=force). If all is as it is meant,"
    " log_setup=False (OBS_LOG_SETUP=false) leaves this line out."
)

_WHAT_IS_TWICE = (
    "obs-middleware: handlers of your own on %s print lines that come as our JSON too, and nothing hides the secrets"
    " in theirs. Take those handlers away, set propagate=False (see docs/logging.md), or let us replace them by"
    " log_setup='force' (OBS_LOG_SETUP=force)."
)


def _of_servers() -> str:
    names = servers.with_own_lines()
    if not names:
        return ""
    return f" Access lines of {' and '.join(names)} go on beside ours, and nothing hides the secrets in them."


def _standard() -> str | None:
    """Return the name of the stream for lines: a CGI script's standard output is its response."""
    name = "stderr" if "GATEWAY_INTERFACE" in os.environ else "stdout"
    return name if getattr(sys, name) is not None else None


def _is_terminal(stream: object) -> bool:
    try:
        return bool(getattr(stream, "isatty", bool)())
    except ValueError:  # it is closed
        return False


def _needs_no_word(handler: logging.Handler) -> bool:
    return found.is_test_runners(handler) or found.is_ready(handler)


def _let_access_lines_through() -> None:
    """Set the access line's level where none is set, as the root's WARNING is meant for what libraries say."""
    access = logging.getLogger(_ACCESS)
    if access.level == logging.NOTSET and _logger.level == logging.NOTSET:
        access.setLevel(logging.INFO)


def _take_consoles() -> None:
    """Take the handlers that write to a console from every other logger, whose lines then come to ours."""
    for logger in list(logging.root.manager.loggerDict.values()):
        if not isinstance(logger, logging.Logger) or logger.name in servers.ACCESS:
            continue
        for handler in list(logger.handlers):
            if type(handler) is logging.StreamHandler:
                logger.removeHandler(handler)
                logger.propagate = True
