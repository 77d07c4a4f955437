"""A record as one JSON line: it can't raise, can't lose a line, can't write invalid JSON.

`{"timestamp":"2026-01-31T12:00:00.123Z","level":"INFO","logger":"shop","message":"paid","service":"checkout",…,
"request_id":"0190…","correlation_id":"0190…","trace_id":"4bf9…","span_id":"00f0…","order":42}`

With options of python-json-logger the line has the fields, the names and the order that they ask for.
"""

from __future__ import annotations

import json
import logging
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from pythonjsonlogger.json import JsonFormatter as PythonJsonFormatter

from obs_middleware.logs.context import redacted_values, stamp
from obs_middleware.logs.fields import IDS, STANDARD_ATTRIBUTES, extras
from obs_middleware.logs.formatters.redacted_record import RedactedRecord
from obs_middleware.logs.json_value import JsonValues, message_of
from obs_middleware.logs.line_limit import shortened
from obs_middleware.logs.structlog_event import is_wrapped, unwrapped
from obs_middleware.logs.timestamps import Timestamps
from obs_middleware.redaction import Redactor
from obs_middleware.settings import Settings

_encode = msgspec.json.Encoder().encode
_non_ascii = re.compile(r"[^\x00-\x7f]+")
_CALLER_LEVELS = {"never": sys.maxsize, "warnings": logging.WARNING, "always": 0}
_RESCUED_CHARACTERS = 512
_FIRST = ("timestamp", "level", "logger", "message")
# What a subclass may override to change the line, as python-json-logger documents it.
_HOOKS = ("parse", "add_fields", "process_log_record", "serialize_log_record", "jsonify_log_record")


class JsonFormatter(PythonJsonFormatter):
    """Write a record as one line of JSON, with the request's context and without secrets.

    Args:
        fmt, datefmt, style, validate, options: python-json-logger's. As soon as one of them is given, the line has the
            fields of python-json-logger, then our IDs and our static fields.
        settings: `Settings.load()` unless given, so that a logging config can name the class alone.
        environment: `settings.environment` unless given.
        is_ascii: write other characters as escapes, for an output that is not UTF-8.
    """

    def __init__(
        self,
        fmt: str | Sequence[str] | None = None,
        datefmt: str | None = None,
        style: str = "%",
        validate: bool = True,
        *,
        settings: Settings | None = None,
        environment: str | None = None,
        is_ascii: bool = False,
        **options: Any,
    ) -> None:
        fmt = fmt or None  # `format=` in a file for fileConfig
        super().__init__(fmt, datefmt, style, validate, **options)
        settings = settings or Settings.load()
        self._is_ascii = is_ascii
        self._timestamps = Timestamps()
        self._redactor = Redactor.of(settings)
        static = {
            "service": settings.service_name,
            "environment": environment or settings.environment or "production",
            "version": settings.service_version,
            "hostname": platform.node(),
        }
        self._static = {name: self._redactor.text(value) for name, value in static.items() if value}
        self.line_bytes = settings.log_line_bytes - 1  # without the line feed
        self._caller_level = _CALLER_LEVELS[settings.log_caller]
        self._names = dict(pair.split("=", 1) for pair in settings.log_rename_fields)
        self._new_names = frozenset(self._names.values())
        self._has_hooks = any(
            getattr(type(self), name) is not getattr(JsonFormatter, name) for name in _HOOKS
        )
        self.has_options = bool(fmt is not None or datefmt is not None or options or self._has_hooks)
        if self.has_options:
            self._default = _default_of(self)
            self.json_ensure_ascii = self.json_ensure_ascii or is_ascii
            self.static_fields = self._redacted_fields(self.static_fields)
            self.defaults = self._redacted_fields(self.defaults)
        # For access lines: the static fields as they are written, and the timestamp.
        self.static_text = self.json(self._renamed(self._static))[1:-1]
        self.timestamp_text = self._timestamps.text

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its line feed."""
        try:
            if is_wrapped(record):
                record = unwrapped(record)
            if not self.has_options:
                fields = self._fields(record)
                line = self.json(fields)
                return (
                    line if len(line) * 4 <= self.line_bytes else self._within_limit(line, fields, self.json)
                )
            stamp(record)
            values = JsonValues(self._redactor, default=self._default)
            return super().format(RedactedRecord(record, values))
        except Exception as error:
            return self.prefix + self.json(self._rescue(record, error))

    def json(self, value: Any) -> str:
        """Return a value that is JSON already in the way that lines have it."""
        text = _encode(value).decode()
        return _non_ascii.sub(escape, text) if self._is_ascii else text

    def name(self, field: str) -> str:
        """Return a field's name, between its quotes, as lines have it."""
        return self.json(self._names.get(field, field))

    def name_of_added(self, name: str) -> str:
        """Return the name that a field of the app's has in a line, beside what every line has."""
        name = self._redactor.text(name)
        if name in _FIRST or name in self._static or name in self._new_names:
            name = f"field_{name}"
        return self._names.get(name, name)

    def _renamed(self, fields: dict[str, Any]) -> dict[str, Any]:
        return (
            {self._names.get(name, name): value for name, value in fields.items()} if self._names else fields
        )

    def _within_limit(self, line: str, fields: dict[str, Any], dumps: Callable[[Any], str]) -> str:
        """Return the line where it is short enough, or else one of fields that are cut."""
        limit = self.line_bytes
        for _ in range(3):  # an encoder of the user's may write more than we do
            excess = len(line.encode()) - self.line_bytes
            if excess <= 0:
                return line
            line = dumps(shortened(fields, limit, lambda value: len(self.json(value).encode())))
            limit -= max(len(line.encode()) - self.line_bytes, 0)
        return self.json(shortened(fields, self.line_bytes, lambda value: len(self.json(value).encode())))

    # Our own fields

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        stamp(record)
        values = JsonValues(self._redactor)
        fields: dict[str, Any] = {
            "timestamp": self._timestamps.text(record.created),
            "level": values.text(str(record.levelname)),
            "logger": values.text(str(record.name)),
            "message": values.text(message_of(record)),
            **self._static,
        }
        added = extras(record)
        fields.update((name, added.pop(name, None)) for name in IDS)
        if isinstance(record.msg, dict):
            added = {**values.value(record.msg), **added}
            added.pop("message", None)
        last = self._last_fields(record, values)
        redacted = redacted_values(record)
        for key, value in added.items():
            if value is not None and redacted.get(key) is value:  # an access line takes a fifth of the time
                fields[key] = value
                continue
            name = values.text(key)
            is_taken = name in fields or name in last or name in self._new_names
            fields[f"field_{name}" if is_taken else name] = values.value(value, key=name)
        return self._renamed(fields | last)

    def _last_fields(self, record: logging.LogRecord, values: JsonValues) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        error: Any = record.exc_info
        error = error[1] if isinstance(error, tuple) else error
        if isinstance(error, BaseException):  # by itself in a record that was made by hand
            kind, message, stack = self._redactor.error(error)
            fields["exception"] = {"type": kind, "message": message, "stack": stack}
        elif record.exc_text:
            fields["exception"] = {"stack": values.text(record.exc_text)}
        if record.stack_info:
            fields["stack_info"] = values.text(str(record.stack_info))
        if record.pathname and isinstance(record.levelno, int) and record.levelno >= self._caller_level:
            # https://opentelemetry.io/docs/specs/semconv/registry/attributes/code/
            fields["code.file.path"] = values.text(record.pathname)
            fields["code.line.number"] = record.lineno
            fields["code.function.name"] = values.text(str(record.funcName))
        return fields

    def _rescue(self, record: logging.LogRecord, error: Exception) -> dict[str, Any]:
        """Return what can be said of a record that fails in a way nobody thought of."""
        name = record.name if isinstance(record.name, str) else type(record.name).__name__
        return self._renamed(
            {
                "timestamp": self._timestamps.text(time.time()),
                "level": logging.getLevelName(record.levelno),
                "logger": str(name).encode("ascii", "backslashreplace").decode()[:256],
                "message": f"{self._message(record)}a record that can't be formatted: {type(error).__name__}",
                **self._static,
            }
        )

    def _message(self, record: logging.LogRecord) -> str:
        """Return the message of a record of which something else is odd, as its time."""
        try:
            return f"{self._redactor.text(message_of(record), limit=_RESCUED_CHARACTERS)}; "
        except Exception:
            return ""

    # python-json-logger's fields

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Add the fields that were asked for, the extras with our IDs among them, and our static fields."""
        super().add_fields(log_data, record, message_dict)
        for name, value in log_data.items():
            if value is record.exc_info and value is not None:  # asked for by name
                log_data[name] = JsonValues(self._redactor, default=self._default).value(value)
        for field, value in self._static.items():
            name = self.rename_fields.get(field, field)
            if log_data.get(name) is None:
                log_data[name] = value

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Return the fields as JSON, by the encoder that was asked for unless it fails."""
        if self._has_hooks:
            log_data = self._redacted_fields(log_data)
        dumps = super().jsonify_log_record
        try:
            line = dumps(log_data)
            if len(line) * 4 <= self.line_bytes:
                return line
            return self._within_limit(line, self._redacted_fields(log_data), dumps)
        except Exception:
            fields = self._redacted_fields(log_data)
            return self._within_limit(self.json(fields), fields, self.json)

    def formatException(self, ei: Any) -> str | list[str]:  # type: ignore[override] # noqa: N802
        """Return an exception's stack without secrets."""
        error = ei[1] if isinstance(ei, tuple) else None
        if error is None:
            return super().formatException(ei)
        stack = self._redactor.error(error)[2].removesuffix("\n")
        return stack.splitlines() if self.exc_info_as_array else stack

    def _redacted_fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        values = JsonValues(self._redactor, default=self._default)
        return {
            values.text(str(name)): values.value(value, key="" if name in STANDARD_ATTRIBUTES else str(name))
            for name, value in fields.items()
        }


def _default_of(formatter: PythonJsonFormatter) -> Callable[[Any], Any] | None:
    """Return what makes JSON of other values: json_default, or else the encoder's default."""
    if formatter.json_default is not None or formatter.json_encoder is None:
        return formatter.json_default
    try:
        return getattr(formatter.json_encoder(), "default", None)
    except Exception:  # it is no class like json.JSONEncoder, and may still do its work
        return None


def escape(match: re.Match[str]) -> str:
    """Return characters as JSON's escapes."""
    return json.dumps(match[0])[1:-1]
