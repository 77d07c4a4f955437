"""What a log line says of the request it was written in: IDs and bound fields, put on the record."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace

from obs_middleware.exchange import Exchange, current_exchange
from obs_middleware.logs.fields import IDS, REDACTED_VALUES, STAMP, STANDARD_ATTRIBUTES


def stamp(record: logging.LogRecord, exchange: Exchange | None = None, **fields: Any) -> None:
    """Put IDs, fields and an exchange's bound fields on the record, once.

    A bound field whose name a record or one of our fields has already, such as `name`, becomes `field_name`.

    Args:
        exchange: the current one unless given.
        fields: further fields; they keep their names.
    """
    attributes = vars(record)
    if STAMP in attributes:
        return
    attributes[STAMP] = True
    added_by_app = {name: attributes.pop(name) for name in IDS if name in attributes}
    source = exchange or current_exchange() or _of_request(attributes) or _of_traceback(record)
    attributes.update(dict.fromkeys(IDS), **fields)
    if source is not None:
        attributes.update(request_id=source.request_id, correlation_id=source.correlation_id)
        attributes.update(trace_id=source.trace_id or None, span_id=source.span_id or None)
        added_by_app.update(source.fields)
    span = None if exchange is not None else trace.get_current_span().get_span_context()
    if span is not None and span.is_valid:  # a child span of the request, or one with no request around it
        attributes.update(trace_id=f"{span.trace_id:032x}", span_id=f"{span.span_id:016x}")
    for name, value in added_by_app.items():
        is_taken = name in attributes or name in STANDARD_ATTRIBUTES
        attributes[f"field_{name}" if is_taken else name] = value


def mark_stamped(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Put fields on a record, IDs among them, to which no context has anything to add: its exchange is over."""
    vars(record).update(fields, **{STAMP: True})


def mark_redacted(record: logging.LogRecord, values: dict[str, Any]) -> None:
    """Note values that hold no secret any more and are JSON, as long as they stay on the record."""
    vars(record)[REDACTED_VALUES] = values


def redacted_values(record: logging.LogRecord) -> dict[str, Any]:
    """Return the values that `mark_redacted` has noted."""
    values = vars(record).get(REDACTED_VALUES)
    return values if isinstance(values, dict) else {}


def _of_request(attributes: Mapping[str, Any]) -> Exchange | None:
    """Return the exchange of a record's `request`, which Django's own lines carry when they are written outside us."""
    try:
        exchange = getattr(attributes.get("request"), "obs_exchange", None)
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
