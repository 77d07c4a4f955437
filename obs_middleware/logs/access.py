"""The access line: one for each exchange, whatever became of it.

`GET /items/7 200`, with method, path, route, status, outcome, duration_ms, ttfb_ms, request_bytes, response_bytes,
client, user_agent and error_type as fields of their own.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from obs_middleware.exchange import Outcome
from obs_middleware.logs.context import stamp
from obs_middleware.redaction import one_line

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange

_logger = logging.getLogger("obs.access")
_USER_AGENT_CHARACTERS = 256


def write(exchange: Exchange) -> None:
    """Write the exchange's line at INFO, a failed one's at ERROR."""
    level = logging.ERROR if exchange.outcome is Outcome.ERROR else logging.INFO
    if not _logger.isEnabledFor(level):
        return
    info = exchange.info
    path = exchange.path
    status = exchange.status
    message = f"{exchange.method} {path} {'-' if status is None else status}"
    record = _logger.makeRecord(_logger.name, level, "", 0, message, (), None)
    first_byte = exchange.time_to_first_byte
    user_agent = info.header("user-agent")
    stamp(
        record,
        exchange,
        method=exchange.method,
        path=path,
        route=exchange.route,
        status=status,
        outcome=exchange.outcome.value if exchange.outcome else None,
        duration_ms=round(exchange.duration * 1000, 3),
        ttfb_ms=None if first_byte is None else round(first_byte * 1000, 3),
        request_bytes=exchange.request_bytes,
        response_bytes=exchange.response_bytes,
        client=info.peer[0] if info.peer else None,
        user_agent=one_line(user_agent[:_USER_AGENT_CHARACTERS]) if user_agent else None,
        error_type=exchange.error_type or None,
    )
    _logger.handle(record)
