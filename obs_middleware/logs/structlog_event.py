"""What structlog's `ProcessorFormatter.wrap_for_formatter` puts on a record: an event in place of the message."""

from __future__ import annotations

import copy
import logging
import sys
from typing import Any

from obs_middleware.logs.fields import STANDARD_ATTRIBUTES

_BOOKKEEPING = ("_logger", "_name", "_record", "_from_structlog")
_SAID_BY_THE_RECORD = (
    "event",
    "level",
    "logger",
    "timestamp",
    "exc_info",
    "stack_info",
    "exception",
    "stack",
)


def is_wrapped(record: logging.LogRecord) -> bool:
    """Tell whether structlog has wrapped its event for a formatter of its own."""
    return "_logger" in vars(record) and isinstance(record.msg, dict) and "event" in record.msg


def unwrapped(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record of the event, as `logging` would have made it."""
    event: dict[str, Any] = record.msg  # type: ignore[assignment] # typed as str
    plain = copy.copy(record)
    attributes = vars(plain)
    for name in _BOOKKEEPING:
        attributes.pop(name, None)
    plain.msg, plain.args = str(event["event"]), ()
    plain.exc_info = exc_info_of(event.get("exc_info")) or plain.exc_info
    if "exception" in event:  # by the processor format_exc_info
        plain.exc_text = str(event["exception"])
    if isinstance(event.get("stack"), str):  # by the processor StackInfoRenderer
        plain.stack_info = event["stack"]
    for name, value in event.items():
        if name in STANDARD_ATTRIBUTES and name not in _SAID_BY_THE_RECORD:
            attributes[f"field_{name}"] = value
        elif name not in (*_SAID_BY_THE_RECORD, *_BOOKKEEPING):
            attributes[str(name)] = value
    return plain


def exc_info_of(value: object) -> Any:
    """Return what a caller of structlog gives as `exc_info` in the way that `logging` has it."""
    if isinstance(value, BaseException):
        return type(value), value, value.__traceback__
    if isinstance(value, tuple):
        return value
    return sys.exc_info() if value else None
