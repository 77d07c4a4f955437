"""What a log line knows of the request it was written in: IDs and bound fields, stamped on the record."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace

from obs_middleware.exchange import Exchange, current_exchange
from obs_middleware.logs.plain import Plain, message_of
from obs_middleware.redaction import Redactor
from obs_middleware.settings import Settings

IDS = ("request_id", "correlation_id", "trace_id", "span_id")

_STAMP = "_obs_stamp"
_PLAIN = "_obs_plain"
_PLAIN_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",  # uvicorn's copy of the message for terminals
    _STAMP,
    _PLAIN,
}


def stamp(record: logging.LogRecord, exchange: Exchange | None = None, **own: Any) -> None:
    """Put IDs, own fields and bound fields of an exchange, the current one unless given, on the record; once.

    A field whose name a record or one of ours has already, such as `name`, becomes `field_name`.
    """
    known = vars(record)
    if _STAMP in known:
        return
    known[_STAMP] = True
    theirs = {name: known.pop(name) for name in IDS if name in known}
    here = exchange or current_exchange() or _of_request(known) or _of_traceback(record)
    known.update(dict.fromkeys(IDS), **own)
    if here is not None:
        known.update(request_id=here.request_id, correlation_id=here.correlation_id)
        known.update(trace_id=here.trace_id or None, span_id=here.span_id or None)
        theirs.update(here.fields)
    span = None if exchange is not None else trace.get_current_span().get_span_context()
    if span is not None and span.is_valid:  # a child span of the request, or one with no request around it
        known.update(trace_id=f"{span.trace_id:032x}", span_id=f"{span.span_id:016x}")
    for name, value in theirs.items():
        known[f"field_{name}" if name in known or name in _PLAIN_RECORD else name] = value


def mark_stamped(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Put fields on a record, IDs among them, to which no context has anything to add: its exchange is over."""
    vars(record).update(fields, **{_STAMP: True})


def mark_plain(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Note values that need no look any more, as long as they stay what they are."""
    vars(record)[_PLAIN] = fields


def plain_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the values that `mark_plain` has noted."""
    noted = vars(record).get(_PLAIN)
    return noted if isinstance(noted, dict) else {}


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
    """Hide secrets in a record's message, extras and exception; for a handler of the user's own.

    The record itself is changed, so that no later handler sees the secrets either; its exception becomes text.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        settings = settings or Settings.load()
        self._redactor = Redactor(pii=settings.redact_pii, keys=settings.redact_keys)

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record and keep it."""
        plain = Plain(self._redactor)
        if isinstance(record.msg, dict):
            record.msg = plain.value(record.msg)
        else:
            record.msg, record.args = plain.text(message_of(record)), ()
        for name, value in extras(record).items():
            is_text = isinstance(value, (str, bytes, bytearray, Mapping, list, tuple, set, frozenset))
            if is_text or self._redactor.is_secret_key(name):
                setattr(record, name, plain.value(value, key=name))
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            record.exc_text, record.exc_info = self._redactor.error(record.exc_info[1])[2], None
        return True


def _of_request(known: Mapping[str, Any]) -> Exchange | None:
    """Return the exchange of a record's `request`, which Django's own lines carry when they are written outside us."""
    try:
        exchange = getattr(known.get("request"), "obs_exchange", None)
    except Exception:  # a proxy of no object
        return None
    return exchange if isinstance(exchange, Exchange) else None


def _of_traceback(record: logging.LogRecord) -> Exchange | None:
    """Return the exchange that an exception has passed through; servers log it when the request is over."""
    trace = record.exc_info[2] if isinstance(record.exc_info, tuple) else None
    while trace is not None:
        frame = trace.tb_frame
        if str(frame.f_globals.get("__name__")).startswith("obs_"):  # one of our adapters
            exchange = frame.f_locals.get("exchange")
            if isinstance(exchange, Exchange):
                return exchange
        trace = trace.tb_next
    return None
