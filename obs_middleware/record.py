"""RequestRecord: what is left of a finished exchange."""

from __future__ import annotations

import msgspec

from obs_middleware._speedups import share_layout


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
