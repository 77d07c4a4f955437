"""The access line: one for each exchange, whatever became of it.

`GET /items/7 200`, with method, path, route, status, outcome, duration_ms, ttfb_ms, request_bytes, response_bytes,
client, user_agent and error_type as fields of their own.

Where nobody but our own handler would see it the line waits in the ledger, and is encoded and written with others;
everybody else's handlers, filters and record factories get a record of the logger `obs.access` at once, as always.
"""

from __future__ import annotations

import logging
from itertools import repeat
from typing import TYPE_CHECKING, Any

from obs_middleware.exchange import Outcome
from obs_middleware.logs.context import mark_plain, stamp
from obs_middleware.logs.formatter import ACCESS_FIELDS, JsonFormatter
from obs_middleware.logs.handler import LineHandler, sole_handler
from obs_middleware.redaction import one_line

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange
    from obs_middleware.ledger import Entry
    from obs_middleware.redaction import Redactor

_logger = logging.getLogger("obs.access")
_USER_AGENT_CHARACTERS = 256


class AccessLog:
    """Write the line of each exchange at INFO, a failed one's at ERROR."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self.may_wait = False  # as logging was configured when it was last looked at, a batch ago at most

    def note(self, entry: Entry, exchange: Exchange) -> None:
        """Write the line of an exchange, or leave it to `write` when nobody would know the difference."""
        self.look()
        level = logging.ERROR if entry.outcome == Outcome.ERROR else logging.INFO
        if level == logging.INFO and not exchange.fields and self.may_wait:
            entry.is_line_due = True
        elif _logger.isEnabledFor(level):
            self._hand_on(entry, level, exchange)

    def look(self) -> LineHandler | None:
        """Look how logging is configured now, and return our handler where lines may wait for it."""
        handler = sole_handler(_logger, logging.INFO) if _logger.isEnabledFor(logging.INFO) else None
        self.may_wait = handler is not None and type(handler.formatter) is JsonFormatter
        return handler if self.may_wait else None

    def write(self, entries: list[Entry]) -> None:
        """Write the lines that are due, many in one piece."""
        due = [entry for entry in entries if entry.is_line_due]
        for entry in due:
            entry.is_line_due = False
        handler = self.look()
        if due and handler is not None:
            handler.write(line for line in map(self._line, due, repeat(handler.formatter)) if line)
        elif due and _logger.isEnabledFor(logging.INFO):  # logging was configured anew in between
            for entry in due:
                self._hand_on(entry, logging.INFO, None)

    def _line(self, entry: Entry, formatter: Any) -> bytes:
        try:
            line: bytes = formatter.access_line(entry.ended, _message(entry), self._values(entry))
        except Exception:  # a value that is no text: the long way has an answer to everything
            self._hand_on(entry, logging.INFO, None)
            return b""
        return line

    def _hand_on(self, entry: Entry, level: int, exchange: Exchange | None) -> None:
        """Hand the line to everybody who listens, as a record."""
        fields = dict(zip(ACCESS_FIELDS, self._values(entry), strict=True))
        record = _logger.makeRecord(_logger.name, level, "", 0, _message(entry), (), None)
        record.created = entry.ended
        mark_plain(record, fields)
        if exchange is None:
            vars(record).update(fields)
        else:
            stamp(record, exchange, **fields)
        _logger.handle(record)

    def _values(self, entry: Entry) -> tuple[str | int | float | None, ...]:
        """Return the values of ACCESS_FIELDS, without secrets."""
        known = self._redactor.known
        first_byte = entry.time_to_first_byte
        return (
            entry.request_id,
            entry.correlation_id,
            entry.trace_id or None,
            entry.span_id or None,
            entry.method,
            entry.path,
            known(entry.route) if entry.route else entry.route,
            entry.status,
            entry.outcome,
            round(entry.duration * 1e6) / 1e3,
            None if first_byte is None else round(first_byte * 1e6) / 1e3,
            entry.request_bytes,
            entry.response_bytes,
            known(str(entry.client)) if entry.client else None,  # a server may tell anything
            one_line(known(entry.user_agent[:_USER_AGENT_CHARACTERS])) if entry.user_agent else None,
            known(entry.error_type) if entry.error_type else None,
        )


def _message(entry: Entry) -> str:
    return f"{entry.method} {entry.path} {'-' if entry.status is None else entry.status}"
