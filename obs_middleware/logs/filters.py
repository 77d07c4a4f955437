"""Filters for a handler that the user has made: the request's context on each record, and no secrets in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from obs_middleware.logs.context import stamp
from obs_middleware.logs.fields import extras
from obs_middleware.logs.json_value import JsonValues, message_of
from obs_middleware.redaction import Redactor
from obs_middleware.settings import Settings


class ContextFilter(logging.Filter):
    """Put request_id, correlation_id, trace_id, span_id and bound fields on records.

    With a QueueHandler, add it to that handler, because the listener's thread is in no request.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Stamp the record and keep it."""
        stamp(record)
        return True


class RedactingFilter(logging.Filter):
    """Hide secrets in a record's message, extras and exception.

    The record itself is changed, so that no later handler sees the secrets either; its exception becomes text.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        settings = settings or Settings.load()
        self._redactor = Redactor.of(settings)

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record and keep it."""
        values = JsonValues(self._redactor)
        if isinstance(record.msg, dict):
            record.msg = values.value(record.msg)
        else:
            record.msg, record.args = values.text(message_of(record)), ()
        for name, value in extras(record).items():
            is_shown = isinstance(value, (str, bytes, bytearray, Mapping, list, tuple, set, frozenset))
            if is_shown or self._redactor.hides(name, value) or self._holds_secret(value):
                setattr(record, name, values.value(value, key=name))
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            record.exc_text, record.exc_info = self._redactor.error(record.exc_info[1])[2], None
        return True

    def _holds_secret(self, value: object) -> bool:
        """Tell whether an object shows a secret when it becomes text."""
        try:
            shown = str(value)
            return self._redactor.text(shown) != shown
        except Exception:
            return False
