"""When an access line is written: one for each exchange, whatever became of it.

Where only our own handler would see it, the line waits as a RequestRecord in the queue, and is written together with
others. Otherwise everybody's handlers, filters and record factories get a LogRecord of the logger `obs.access` at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from obs_middleware._speedups import share_layout
from obs_middleware.exchange import Outcome
from obs_middleware.logs.access_line import LOGGER, AccessLine, log_record
from obs_middleware.logs.context import name_beside
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.logs.json_value import JsonValues
from obs_middleware.logs.outputs import ATOMIC, LineHandler, sole_handler

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange
    from obs_middleware.record import RequestRecord
    from obs_middleware.redaction import Redactor


@share_layout
class AccessLog:
    """Write the line of each exchange.

    Its level is INFO, and for a failed one ERROR. With an `Exception` it is WARNING, because whoever answers for it
    (the framework, the server) logs it as the error, with its stack; the same error is not told twice. What is no
    `Exception`, such as SystemExit and gevent's Timeout, nobody else logs.

    Args:
        look_again: is called where our handler is not the only one, or the line is not wanted at its level.
    """

    __slots__ = ("_line", "_look_again", "_redactor", "may_wait")

    def __init__(self, redactor: Redactor, look_again: Callable[[], object] = bool) -> None:
        self._redactor = redactor
        self._look_again = look_again
        self._line: AccessLine | None = None
        self.may_wait = False  # as logging was configured when it was last looked at, a batch ago at most

    def log(self, record: RequestRecord, exchange: Exchange) -> bool:
        """Write the line of an exchange; return False where it can wait, because nobody would see the difference."""
        self._look()
        level = logging.INFO
        if record.outcome == Outcome.ERROR:
            level = logging.WARNING if isinstance(exchange.error, Exception) else logging.ERROR
        if level == logging.INFO and self.may_wait:
            return False
        if LOGGER.isEnabledFor(level):
            LOGGER.handle(log_record(record, self._redactor, level, exchange))
        return True

    def bound(self, fields: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
        """Return bound fields as a record keeps them: JSON without secrets, which holds nothing of the app's."""
        if not fields:
            return ()
        values = JsonValues(self._redactor)
        try:
            named = [(str(name), value) for name, value in fields.items()]
            return tuple((name, values.value(value, key=name_beside(name, ()))) for name, value in named)
        except Exception:  # somebody has written into the exchange
            return ()

    def write(self, records: Iterator[RequestRecord]) -> None:
        """Write the lines that wait, many in one block; a sink."""
        handler = self._look()
        if handler is not None:
            handler.write(_blocks(self._line_for(handler.formatter), records))
            return
        is_wanted = LOGGER.isEnabledFor(logging.INFO)  # logging was configured anew in between
        for record in records:
            if is_wanted and not record.is_logged:
                LOGGER.handle(log_record(record, self._redactor, logging.INFO, None))

    def _look(self) -> LineHandler | None:
        """Look how logging is configured now, and return our handler where lines may wait for it."""
        handler = sole_handler(LOGGER, logging.INFO) if LOGGER.isEnabledFor(logging.INFO) else None
        if handler is None:
            self._look_again()
        formatter = None if handler is None else handler.formatter
        self.may_wait = type(formatter) is JsonFormatter and not formatter.has_options
        return handler if self.may_wait else None

    def _line_for(self, formatter: Any) -> AccessLine:
        line, level = self._line, logging.getLevelName(logging.INFO)
        if line is None or line.formatter is not formatter or line.level != level:
            line = self._line = AccessLine(formatter, self._redactor, level)
        return line


def _blocks(line: AccessLine, records: Iterator[RequestRecord]) -> Iterator[bytes]:
    """Yield lines, as many at a time as a pipe takes as one."""
    lines: list[bytes] = []
    size, most = 0, min(ATOMIC, line.formatter.line_bytes)
    write = line.line
    for record in records:
        if record.is_logged:
            continue
        text = write(record)
        length = len(text)
        if size + length > most:
            if length > line.formatter.line_bytes:
                text = line.short_line(record)
                length = len(text)
            if lines:
                yield b"".join(lines)
                lines.clear()
                size = 0
        lines.append(text)
        size += length
    if lines:
        yield b"".join(lines)
