"""The fields of a log line: what every line has, what the app has added, and what the access line says.

To add a field to the access line, add one line to `ACCESS_FIELDS`. If RequestRecord lacks the value, add it there, in
`Exchange.record` and in `native/record.c`, then call `make layout`. The line that waits and the record that other
handlers get follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

from obs_middleware.logs.json_value import JsonValues
from obs_middleware.record import RequestRecord
from obs_middleware.redaction import Redactor, one_line

IDS = ("request_id", "correlation_id", "trace_id", "span_id")

_USER_AGENT_CHARACTERS = 256


class Spelling(IntEnum):
    """How the access line writes a value of RequestRecord."""

    TEXT = 0  # a text that is safe as it is, between quotes of the plan
    INTEGER = 1
    MILLISECONDS = 2  # of seconds, or null
    TIMESTAMP = 3  # of seconds since 1970
    TRACE_ID = 4  # the first 32 digits of `ids`, or null
    SPAN_ID = 5  # the last 16 digits of `ids`, or null
    SPELLED = 6  # by a function, whose results are remembered


class AccessField(NamedTuple):
    """One field of the access line.

    Attributes:
        name: in the line.
        attribute: of RequestRecord.
        spelling: how the line that waits writes it.
        value: returns what a LogRecord gets, without secrets. It raises where the attribute is of another type.
        is_text: the value is never None, so that its quotes can stand in the plan.
    """

    name: str
    attribute: str
    spelling: Spelling
    value: Callable[[Redactor, Any], Any]
    is_text: bool = False


def _ascii(redactor: Redactor, text: str) -> str:
    if not text.isascii():
        raise ValueError
    return text


def _text(redactor: Redactor, text: str) -> str:
    return redactor.cached_text(text)


def _integer(redactor: Redactor, number: Any) -> int | None:
    if number is not None and type(number) is not int:
        raise TypeError
    return number


def _milliseconds(redactor: Redactor, seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)


def _trace_id(redactor: Redactor, ids: str) -> str | None:
    return ids[:32] or None


def _span_id(redactor: Redactor, ids: str) -> str | None:
    return ids[32:] or None


def _path(redactor: Redactor, path: str) -> str:
    return redactor.path(path)


def _redacted(redactor: Redactor, value: Any) -> str | None:
    """Return a text without secrets, also where a server gives an address that is none."""
    return redactor.cached_text(str(value)) if value else None


def _client(redactor: Redactor, address: Any) -> str | None:
    return redactor.address(str(address)) if address else None


def _user_agent(redactor: Redactor, agent: str | None) -> str | None:
    return one_line(redactor.cached_text(agent[:_USER_AGENT_CHARACTERS])) if agent else None


ACCESS_FIELDS = (
    AccessField("request_id", "request_id", Spelling.TEXT, _ascii, is_text=True),
    AccessField("correlation_id", "correlation_id", Spelling.TEXT, _ascii, is_text=True),
    AccessField("trace_id", "ids", Spelling.TRACE_ID, _trace_id),
    AccessField("span_id", "ids", Spelling.SPAN_ID, _span_id),
    AccessField("method", "method", Spelling.SPELLED, _text, is_text=True),
    AccessField("path", "path", Spelling.SPELLED, _path, is_text=True),
    AccessField("route", "route", Spelling.SPELLED, _redacted),
    AccessField("status", "status", Spelling.SPELLED, _integer),
    AccessField("outcome", "outcome", Spelling.SPELLED, _text),
    AccessField("duration_ms", "duration", Spelling.MILLISECONDS, _milliseconds),
    AccessField("ttfb_ms", "time_to_first_byte", Spelling.MILLISECONDS, _milliseconds),
    AccessField("request_bytes", "request_bytes", Spelling.INTEGER, _integer),
    AccessField("response_bytes", "response_bytes", Spelling.INTEGER, _integer),
    AccessField("client", "client", Spelling.SPELLED, _client),
    AccessField("user_agent", "user_agent", Spelling.SPELLED, _user_agent),
    AccessField("error_type", "error_type", Spelling.SPELLED, _redacted),
)
# Of a record that has Details, where they are known.
DETAIL_FIELDS = (
    AccessField("tenant", "tenant", Spelling.SPELLED, _redacted),
    AccessField("db_queries", "db_queries", Spelling.INTEGER, _integer),
    AccessField("db_ms", "db_seconds", Spelling.MILLISECONDS, _milliseconds),
)
MESSAGE_FIELDS = ("method", "path", "status")  # of the access line's message, with blanks between


def fields_of(record: RequestRecord) -> tuple[AccessField, ...]:
    """Return the fields that a record's line has."""
    if type(record) is RequestRecord:
        return ACCESS_FIELDS
    known = [field for field in DETAIL_FIELDS if getattr(record, field.attribute, None) is not None]
    return *ACCESS_FIELDS, *known


def access_values(record: RequestRecord, redactor: Redactor) -> dict[str, Any]:
    """Return the fields of an access line; a value that is not of its type is made JSON as an app's extra would be."""
    values: dict[str, Any] = {}
    for name, attribute, _, value_of, _ in fields_of(record):
        value = getattr(record, attribute)
        try:
            values[name] = value_of(redactor, value)
        except Exception:
            values[name] = JsonValues(redactor).value(value, key=name)
    return values


def message_text(value: Any) -> str:
    """Return a value as the access line's message has it."""
    return "-" if value is None else str(value)


# The attributes of every LogRecord, without those that a factory of the app's adds, and one that only a server reads.
STANDARD_ATTRIBUTES = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",  # uvicorn's copy of the message for terminals
}


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """Return what is on the record besides what every record has."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD_ATTRIBUTES}
