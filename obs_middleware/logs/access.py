"""The access line: one for each exchange, whatever became of it.

`GET /items/7 200`, with method, path, route, status, outcome, duration_ms, ttfb_ms, request_bytes, response_bytes,
client, user_agent and error_type as fields of their own.

Where nobody but our own handler would see it, the line is written straight away (a LogRecord takes 2.5 µs more);
everybody else's handlers, filters and record factories get a record of the logger `obs.access`, as always.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from obs_middleware.exchange import Outcome
from obs_middleware.logs.context import stamp
from obs_middleware.logs.formatter import ACCESS_FIELDS, JsonFormatter
from obs_middleware.logs.handler import sole_handler
from obs_middleware.redaction import one_line

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange
    from obs_middleware.redaction import Redactor

_logger = logging.getLogger("obs.access")
_USER_AGENT_CHARACTERS = 256


class AccessLog:
    """Write the line of each exchange at INFO, a failed one's at ERROR."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def write(self, exchange: Exchange) -> None:
        """Write the exchange's line."""
        level = logging.ERROR if exchange.outcome is Outcome.ERROR else logging.INFO
        if not _logger.isEnabledFor(level):
            return
        status = exchange.status
        message = f"{exchange.method} {exchange.path} {'-' if status is None else status}"
        values = self._values(exchange)
        handler = None if exchange.fields else sole_handler(_logger, level)
        formatter = None if handler is None else handler.formatter
        if handler is not None and isinstance(formatter, JsonFormatter):
            handler.write(formatter.access_line(time.time(), level, message, values))
            return
        record = _logger.makeRecord(_logger.name, level, "", 0, message, (), None)
        stamp(record, exchange, **dict(zip(ACCESS_FIELDS, values, strict=True)))
        _logger.handle(record)

    def _values(self, exchange: Exchange) -> tuple[str | int | float | None, ...]:
        """Return the values of ACCESS_FIELDS, without secrets."""
        info, known = exchange.info, self._redactor.known
        request_id, correlation_id = exchange.request_id, exchange.correlation_id
        if exchange.are_ids_given:
            request_id, correlation_id = self._redactor.text(request_id), self._redactor.text(correlation_id)
        first_byte = exchange.time_to_first_byte
        user_agent = info.header("user-agent")
        return (
            request_id,
            correlation_id,
            exchange.trace_id or None,
            exchange.span_id or None,
            exchange.method,
            exchange.path,
            known(exchange.route) if exchange.route else exchange.route,
            exchange.status,
            exchange.outcome.value if exchange.outcome else None,
            round(exchange.duration * 1e6) / 1e3,
            None if first_byte is None else round(first_byte * 1e6) / 1e3,
            exchange.request_bytes,
            exchange.response_bytes,
            known(info.peer[0]) if info.peer else None,
            one_line(known(user_agent[:_USER_AGENT_CHARACTERS])) if user_agent else None,
            known(exchange.error_type) if exchange.error_type else None,
        )
