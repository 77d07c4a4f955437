"""The access line: one for each exchange, whatever became of it.

`GET /items/7 200`, with method, path, route, status, outcome, duration_ms, ttfb_ms, request_bytes, response_bytes,
client, user_agent and error_type as fields of their own.

Where nobody but our own handler would see it the line waits in the ledger, and is encoded and written with others;
everybody else's handlers, filters and record factories get a record of the logger `obs.access` at once, as always.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from obs_middleware.exchange import Outcome
from obs_middleware.logs.context import mark_plain, stamp
from obs_middleware.logs.formatter import ACCESS_FIELDS, AccessLine, JsonFormatter
from obs_middleware.logs.handler import LineHandler, sole_handler
from obs_middleware.redaction import one_line

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange
    from obs_middleware.ledger import Entry
    from obs_middleware.redaction import Redactor

_logger = logging.getLogger("obs.access")
PATH_CHARACTERS = 2048
_AGENT_CHARACTERS = 256
_REMEMBERED = 512  # callers


class AccessLog:
    """Write the line of each exchange at INFO, a failed one's at ERROR."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        # Address and user agent, as they are told and as they are shown.
        self._callers: dict[tuple[str | None, str | None], tuple[str | None, str | None]] = {}
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
            self._write(due, handler)
        elif due and _logger.isEnabledFor(logging.INFO):  # logging was configured anew in between
            for entry in due:
                self._hand_on(entry, logging.INFO, None)

    def _write(self, due: list[Entry], handler: LineHandler) -> None:
        formatter: Any = handler.formatter
        level, every_line, clock = logging.getLevelName(logging.INFO), formatter.every_line, formatter.clock
        try:
            text = formatter.access_lines(
                [self._line(entry, clock(entry.ended), level, *every_line) for entry in due]
            )
        except Exception:  # a value that is no text
            if len(due) > 1:
                for entry in due:
                    self._write([entry], handler)
            else:
                self._hand_on(due[0], logging.INFO, None)  # the long way has an answer to everything
        else:
            handler.write(text)

    def _hand_on(self, entry: Entry, level: int, exchange: Exchange | None) -> None:
        """Hand the line to everybody who listens, as a record."""
        line = self._line(entry)
        fields = {name: getattr(line, name) for name in ACCESS_FIELDS}
        record = _logger.makeRecord(_logger.name, level, "", 0, line.message, (), None)
        record.created = entry.ended
        mark_plain(record, fields)
        if exchange is None:
            vars(record).update(fields)
        else:
            stamp(record, exchange, **fields)
        _logger.handle(record)

    def _line(
        self,
        entry: Entry,
        clock: str = "",
        level: str = "",
        service: Any = None,
        environment: Any = None,
        version: Any = None,
        hostname: Any = None,
    ) -> AccessLine:
        """Return what is told of an exchange, without secrets."""
        method, status, ids, error = entry.method, entry.status, entry.ids, entry.error_type
        first_byte, route, who = entry.time_to_first_byte, entry.route, (entry.client, entry.user_agent)
        client, agent = self._callers.get(who) or self._caller(*who)
        path = self._redactor.line(entry.path, limit=PATH_CHARACTERS)
        return AccessLine(
            clock,
            level,
            "obs.access",
            f"{method} {path} {'-' if status is None else status}",
            service,
            environment,
            version,
            hostname,
            entry.request_id,
            entry.correlation_id,
            ids[:32] or None,
            ids[32:] or None,
            method,
            path,
            route and self._redactor.known(route),
            status,
            entry.outcome,
            (entry.duration * 1e6 + 0.5) // 1 / 1e3,  # rounded to microseconds
            None if first_byte is None else (first_byte * 1e6 + 0.5) // 1 / 1e3,
            entry.request_bytes,
            entry.response_bytes,
            client,
            agent,
            self._redactor.known(error) if error else None,
        )

    def _caller(self, client: Any, agent: str | None) -> tuple[str | None, str | None]:
        """Return a client's address, of which a server may tell anything, and its user agent as they are shown."""
        known = self._redactor.known
        shown = (
            known(str(client)) if client else None,
            one_line(known(agent[:_AGENT_CHARACTERS])) if agent else None,
        )
        if len(agent or "") <= _AGENT_CHARACTERS and isinstance(client, str):
            if len(self._callers) >= _REMEMBERED:
                self._callers.clear()  # those that come again are soon back
            self._callers[client, agent] = shown
        return shown
