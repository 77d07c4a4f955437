"""RequestRecord: what is left of a finished exchange."""

from __future__ import annotations

from typing import Any

import msgspec

from obs_middleware._speedups import share_layout
from obs_middleware.details import Details


@share_layout
class RequestRecord(msgspec.Struct, frozen=True, gc=False):
    """What is left of a finished exchange: texts and numbers alone, so that nothing of the request is held.

    Attributes:
        active_key: method and scheme under which the request was counted as active, such as `GET https`.
        method: a known method or `_OTHER`.
        path: as the client has sent it, with its secrets.
        route: the template, or None where no route was matched.
        status: of the response that was sent, or None.
        outcome: the value of an Outcome.
        error_type: by the rules of `error.type`; empty where there was no error.
        duration, time_to_first_byte: seconds.
        ids: 32 hexadecimal digits of the trace ID and 16 of the span ID, or none.
        ended: seconds since 1970.
        is_logged: its access line is written already, or none is wanted.
    """

    active_key: str | None
    method: str
    path: str
    route: str | None
    status: int | None
    outcome: str
    error_type: str
    duration: float
    time_to_first_byte: float | None
    request_bytes: int
    response_bytes: int
    request_id: str
    correlation_id: str
    ids: str
    is_sampled: bool
    client: str | None
    user_agent: str | None
    ended: float
    is_logged: bool = False


class DetailedRecord(RequestRecord, frozen=True, gc=False):
    """The record of an exchange that has Details or bound fields.

    It is a class of its own, so that the others stay as small and as fast as they are: C takes those alone.

    Attributes:
        labels: of the metrics, sorted by name.
        tenant: as the request names it; None where it names none, or nobody asks.
        db_queries, db_seconds: what the database was asked for; None where it was not asked.
        bound: names and values of the fields that the app has bound, as JSON without secrets.
    """

    labels: tuple[tuple[str, str], ...] = ()
    tenant: str | None = None
    db_queries: int | None = None
    db_seconds: float | None = None
    bound: tuple[tuple[str, Any], ...] = ()


def detailed(
    record: RequestRecord,
    details: Details,
    *,
    labels: tuple[tuple[str, str], ...],
    bound: tuple[tuple[str, Any], ...],
) -> DetailedRecord:
    """Return a record with what is known besides.

    Args:
        labels, bound: as DetailedRecord has them.
    """
    has_asked = details.db_queries > 0
    database = (details.db_queries, details.db_seconds) if has_asked else (None, None)
    values: tuple[Any, ...] = *msgspec.structs.astuple(record), labels, details.tenant, *database, bound
    return DetailedRecord(*values)
