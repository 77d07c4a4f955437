"""One line each for structlog and loguru: the request's IDs on what they write, and no secrets in it.

structlog.configure(processors=[…, StructlogProcessor(), structlog.processors.JSONRenderer()])
loguru.logger.configure(patcher=LoguruPatcher())
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from obs_middleware.logs.context import context_fields
from obs_middleware.logs.json_value import JsonValues
from obs_middleware.logs.structlog_event import exc_info_of
from obs_middleware.redaction import Redactor
from obs_middleware.settings import Settings

_OF_STRUCTLOG = ("_record", "_from_structlog", "stack_info")


class StructlogProcessor:
    """Add IDs and bound fields to a structlog event, and hide its secrets; the last one before the renderer.

    Args:
        settings: `Settings.load()` unless given.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._redactor = _redactor(settings)

    def __call__(self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> dict[str, Any]:
        """Return the event as values of JSON."""
        values = JsonValues(self._redactor)
        error = exc_info_of(event_dict.get("exc_info"))
        event: dict[str, Any] = {}
        for name, value in event_dict.items():
            if name in _OF_STRUCTLOG:
                event[name] = value
            elif name != "exc_info":
                event[name] = values.value(value, key=name)
        if error is not None and error[1] is not None:
            event["exception"] = self._redactor.error(error[1])[2]
        for name, value in context_fields().items():
            event.setdefault(name, values.value(value, key=name))
        return event


class LoguruPatcher:
    """Add IDs and bound fields to a loguru record's `extra`, and hide the secrets of its message, extra and exception.

    Args:
        settings: `Settings.load()` unless given.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._redactor = _redactor(settings)

    def __call__(self, record: Any) -> None:
        """Change the record; its exception becomes a part of the message, because loguru shows variables with it."""
        values = JsonValues(self._redactor)
        text = values.text(str(record["message"]))
        error = record["exception"]
        if error is not None and error.value is not None:
            text = f"{text}\n{self._redactor.error(error.value)[2]}".rstrip()
            record["exception"] = None
        record["message"] = text
        extra: dict[str, Any] = record["extra"]
        for name, value in extra.items():
            extra[name] = values.value(value, key=str(name))
        for name, value in context_fields().items():
            extra.setdefault(name, values.value(value, key=name))


def _redactor(settings: Settings | None) -> Redactor:
    return Redactor.of(settings or Settings.load())
