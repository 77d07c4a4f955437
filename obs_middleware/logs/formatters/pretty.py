"""A record as a line for people: time, level, logger, message, extras, and the request it belongs to."""

from __future__ import annotations

import logging
import re
from typing import Any

import msgspec

from obs_middleware.logs.formatters.json import JsonFormatter, escape
from obs_middleware.settings import Settings

_control = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # a client must not write to the terminal
_LINE_BYTES = 2**20  # a terminal splits no lines
_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


class PrettyFormatter(logging.Formatter):
    """Write a record for people: time, level, logger, message, extras, and the request it belongs to.

    Args:
        settings: `Settings.load()` unless given.
        has_colour: write the escapes of a terminal's colours.
    """

    def __init__(self, *, settings: Settings | None = None, has_colour: bool = False) -> None:
        super().__init__()
        settings = msgspec.structs.replace(
            settings or Settings.load(), log_rename_fields=(), log_caller="never", log_line_bytes=_LINE_BYTES
        )
        self._json = JsonFormatter(settings=settings)
        self._has_colour = has_colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the stack of an exception below it."""
        fields: dict[str, Any] = msgspec.json.decode(self._json.format(record))
        timestamp, level, name, message = (
            fields.pop(key) for key in ("timestamp", "level", "logger", "message")
        )
        for key in ("service", "environment", "version", "hostname", "correlation_id", "span_id"):
            fields.pop(key, None)
        stack = ""
        if isinstance(fields.get("exception"), dict) and (record.exc_info or record.exc_text):
            stack = str(fields.pop("exception").get("stack", ""))
        rest = " ".join(f"{key}={value}" for key, value in fields.items() if value is not None)
        name, message, rest, stack = (_control.sub(escape, text) for text in (name, message, rest, stack))
        if self._has_colour:
            level, rest = f"\033[{_COLOURS.get(level, '0')}m{level:<8}\033[0m", f"\033[2m{rest}\033[0m"
        line = f"{timestamp[11:23]} {level:<8} {name}  {message}  {rest}".replace("\n", "\n    ").rstrip()
        return f"{line}\n{stack.rstrip()}" if stack else line
