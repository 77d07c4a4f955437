"""What a log line knows of the request it was written in: IDs and bound fields, stamped on the record."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace

from obs_middleware.exchange import Exchange, current_exchange

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
