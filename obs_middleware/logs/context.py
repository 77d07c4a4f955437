"""What a log line says of the request it was written in: IDs and bound fields, put on the record."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Mapping
from typing import Any

from opentelemetry import trace

from obs_middleware.exchange import Exchange, current_exchange
from obs_middleware.logs.fields import IDS, STANDARD_ATTRIBUTES

_ID_CHARACTERS = 128  # of what a caller may send


def stamp(record: logging.LogRecord, exchange: Exchange | None = None, **fields: Any) -> None:
    """Put IDs, fields and an exchange's bound fields on the record, unless it has all IDs.

    A bound field whose name a record or one of our fields has already, such as `name`, becomes `field_name`.

    Args:
        exchange: the current one unless given.
        fields: further fields; they keep their names.
    """
    attributes = vars(record)
    if "span_id" in attributes and all(_is_id(attributes.get(name, attributes)) for name in IDS):
        return  # also a copy of the record, and in another process
    added_by_app = {name: attributes.pop(name) for name in IDS if name in attributes}
    source = exchange or current_exchange() or _of_request(attributes) or _of_traceback(record)
    attributes.update(dict.fromkeys(IDS), **fields)
    if source is not None:
        try:
            attributes.update(
                request_id=source.request_id,
                correlation_id=source.correlation_id,
                trace_id=source.trace_id or None,
                span_id=source.span_id or None,
            )
            added_by_app.update(source.fields)
            if source.details is not None and source.details.tenant is not None:
                attributes.setdefault("tenant", source.details.tenant)
        except Exception:  # somebody has written into the exchange: the line is worth more than its IDs
            attributes.update(dict.fromkeys(IDS))
    if exchange is None:
        attributes.update(_span_ids())
    add_fields(attributes, added_by_app.items())


def add_fields(attributes: dict[str, Any], added_by_app: Iterable[tuple[str, Any]]) -> None:
    """Add the app's fields to a record's attributes; one whose name is taken becomes `field_name`."""
    for name, value in added_by_app:
        attributes[name_beside(name, attributes)] = value


def name_beside(name: str, taken: Container[str]) -> str:
    """Return the name under which the app's field stands beside others on a record."""
    return f"field_{name}" if name in taken or name in STANDARD_ATTRIBUTES else name


def context_fields() -> dict[str, Any]:
    """Return the IDs and the bound fields of the current request, for a library that has records of its own."""
    exchange = current_exchange()
    fields: dict[str, Any] = dict.fromkeys(IDS)
    added: dict[str, Any] = {}
    if exchange is not None:
        fields.update(request_id=exchange.request_id, correlation_id=exchange.correlation_id)
        fields.update(trace_id=exchange.trace_id or None, span_id=exchange.span_id or None)
        added = exchange.fields
        if exchange.details is not None and exchange.details.tenant is not None:
            fields["tenant"] = exchange.details.tenant
    fields.update(_span_ids())
    return {**added, **{name: value for name, value in fields.items() if value is not None}}


def _span_ids() -> dict[str, str]:
    """Return the IDs of the current span, a child of the request's or one with no request around it."""
    span = trace.get_current_span().get_span_context()
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"} if span.is_valid else {}


def _is_id(value: object) -> bool:
    return value is None or (type(value) is str and value.isascii() and len(value) <= _ID_CHARACTERS)


class AccessMessage(str):
    """The message of an access line, which knows the line's values: they are JSON already and hold no secret.

    It is no attribute of the record, because other formatters write all that they find there.
    """

    __slots__ = ("values",)
    values: dict[str, Any]

    def __new__(cls, text: str, values: dict[str, Any]) -> AccessMessage:
        message = super().__new__(cls, text)
        message.values = values
        return message

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)  # for whom it is sent to it is a text


def redacted_values(record: logging.LogRecord) -> dict[str, Any]:
    """Return the values that hold no secret any more, as long as they stay on the record."""
    return record.msg.values if isinstance(record.msg, AccessMessage) else {}


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
