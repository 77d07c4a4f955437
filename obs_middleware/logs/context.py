"""What a log line knows of the request it was written in: IDs and bound fields, stamped on the record."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from obs_middleware.exchange import Exchange, current_exchange
from obs_middleware.redaction import Redactor
from obs_middleware.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",  # uvicorn's copy of the message for terminals
}
IDS = ("request_id", "correlation_id", "trace_id", "span_id")


def stamp(record: logging.LogRecord, exchange: Exchange | None = None) -> None:
    """Put the IDs and the bound fields of an exchange, the current one unless given, on the record; once."""
    known = vars(record)
    if "request_id" in known and "span_id" in known:
        return
    here = exchange or current_exchange() or _of_request(known) or _of_traceback(record)
    known.update(dict.fromkeys(IDS))
    if here is not None:
        known.update(request_id=here.request_id, correlation_id=here.correlation_id)
        known.update(trace_id=here.trace_id or None, span_id=here.span_id or None)
        add_fields(record, here.fields)
    span = None if exchange is not None else trace.get_current_span().get_span_context()
    if span is not None and span.is_valid:  # a child span of the request, or one with no request around it
        known.update(trace_id=f"{span.trace_id:032x}", span_id=f"{span.span_id:016x}")


def _of_request(known: Mapping[str, Any]) -> Exchange | None:
    """Return the exchange of a record's `request`, which Django's own lines carry when they are written outside us."""
    exchange = getattr(known.get("request"), "exchange", None)
    return exchange if isinstance(exchange, Exchange) else None


def _of_traceback(record: logging.LogRecord) -> Exchange | None:
    """Return the exchange that an exception has passed through; servers log it when the request is over."""
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None:
        exchange = trace.tb_frame.f_locals.get("exchange")
        if isinstance(exchange, Exchange):
            return exchange
        trace = trace.tb_next
    return None


def add_fields(record: logging.LogRecord, fields: Mapping[str, Any]) -> None:
    """Add fields as attributes; one whose name a record has already, such as `name`, becomes `field_name`."""
    known = vars(record)
    for name, value in tuple(fields.items()):
        known[f"field_{name}" if name in known else name] = value


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """Return what is on the record besides what every record has."""
    return {name: value for name, value in vars(record).items() if name not in _PLAIN_RECORD}


class ContextFilter(logging.Filter):
    """Stamp request_id, correlation_id, trace_id, span_id and bound fields on records; for a handler of the user's own.

    On a QueueHandler it must sit on that handler: the listener's thread is in no request.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Stamp the record and keep it."""
        stamp(record)
        return True


class RedactingFilter(logging.Filter):
    """Hide secrets in a record's message, text extras and exception; for a handler of the user's own.

    The record itself is changed, so that no later handler sees the secrets either.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        settings = settings or Settings.load()
        self._redactor = Redactor(pii=settings.redact_pii, keys=settings.redact_keys)

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record and keep it."""
        redact = self._redactor
        try:
            record.msg, record.args = redact.text(record.getMessage()), ()
        except Exception:
            record.msg, record.args = redact.text(f"{record.msg} {record.args}"), ()
        for name, value in extras(record).items():
            if redact.is_secret_key(name):
                setattr(record, name, "REDACTED")
            elif isinstance(value, str):
                setattr(record, name, redact.text(value))
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = redact.error(record.exc_info[1])[2]
        return True
