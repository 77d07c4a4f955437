"""The access line: one for each exchange, whatever became of it.

`GET /items/7 200`, with method, path, route, status, outcome, duration_ms, ttfb_ms, request_bytes, response_bytes,
client, user_agent and error_type as fields of their own.

Where nobody but our own handler would see it the line waits in the ledger, and is encoded and written with others;
everybody else's handlers, filters and record factories get a record of the logger `obs.access` at once, as always.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from obs_middleware._speedups import share_layout
from obs_middleware.exchange import Outcome
from obs_middleware.logs.context import mark_plain, mark_stamped, stamp
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.logs.outputs import ATOMIC, LineHandler, sole_handler
from obs_middleware.redaction import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obs_middleware.exchange import Exchange
    from obs_middleware.record import RequestRecord
    from obs_middleware.redaction import Redactor

_logger = logging.getLogger("obs.access")
_encode = msgspec.json.Encoder().encode
_AGENT_CHARACTERS = 256
_REMEMBERED = 256  # of each part; clients may fill them
_REMEMBERED_CHARACTERS = 256  # of a path
_K = TypeVar("_K")
_V = TypeVar("_V")


@share_layout
class AccessLog:
    """Write the line of each exchange at INFO, a failed one's at ERROR."""

    __slots__ = ("_callers", "_kinds", "_paths", "_redactor", "_routes", "may_wait")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        # Parts of lines as they are written, since most come again (a fifth fewer instructions for a line).
        # What depends on the route alone is apart: a few kinds are all that an app has.
        self._kinds: dict[tuple[str, int | None, str, str], tuple[str, str, str, str]] = {}
        self._routes: dict[str | None, str] = {}
        self._callers: dict[tuple[str | None, str | None], str] = {}
        self._paths: dict[str, str] = {}
        self.may_wait = False  # as logging was configured when it was last looked at, a batch ago at most

    def log(self, record: RequestRecord, exchange: Exchange) -> bool:
        """Write the line of an exchange; False, and nothing done, when it may wait and nobody would know the difference."""
        self.look()
        level = logging.ERROR if record.outcome == Outcome.ERROR else logging.INFO
        if level == logging.INFO and not exchange.fields and self.may_wait:
            return False
        if _logger.isEnabledFor(level):
            self._hand_on(record, level, exchange)
        return True

    def look(self) -> LineHandler | None:
        """Look how logging is configured now, and return our handler where lines may wait for it."""
        handler = sole_handler(_logger, logging.INFO) if _logger.isEnabledFor(logging.INFO) else None
        self.may_wait = handler is not None and type(handler.formatter) is JsonFormatter
        return handler if self.may_wait else None

    def write(self, records: Iterator[RequestRecord]) -> None:
        """Write the lines that wait, many in one piece; a sink."""
        handler = self.look()
        if handler is not None:
            handler.write(self._pieces(records, handler.formatter))
            return
        is_wanted = _logger.isEnabledFor(logging.INFO)  # logging was configured anew in between
        for record in records:
            if is_wanted and not record.is_logged:
                self._hand_on(record, logging.INFO, None)

    def _hand_on(self, record: RequestRecord, level: int, exchange: Exchange | None) -> None:
        """Hand the line to everybody who listens, as a record."""
        _logger.handle(self._record(record, level, exchange))

    def _record(self, record: RequestRecord, level: int, exchange: Exchange | None) -> logging.LogRecord:
        """Return the line as a record; its fields are those of `_line`."""
        ids, status, first_byte = record.ids, record.status, record.time_to_first_byte
        path = self._redactor.path(record.path)
        fields: dict[str, Any] = {
            "request_id": record.request_id,
            "correlation_id": record.correlation_id,
            "trace_id": ids[:32] or None,
            "span_id": ids[32:] or None,
            "method": record.method,
            "path": path,
            "route": self._shown(record.route),
            "status": status,
            "outcome": record.outcome,
            "duration_ms": round(record.duration * 1e3, 3),
            "ttfb_ms": None if first_byte is None else round(first_byte * 1e3, 3),
            "request_bytes": record.request_bytes,
            "response_bytes": record.response_bytes,
            "client": self._shown(record.client),
            "user_agent": self._agent(record.user_agent),
            "error_type": self._shown(record.error_type),
        }
        message = f"{record.method} {path} {'-' if status is None else status}"
        line = _logger.makeRecord(_logger.name, level, "", 0, message, (), None)
        line.created = record.ended
        mark_plain(line, fields)
        if exchange is None:
            mark_stamped(line, fields)
        else:
            stamp(line, exchange, **fields)
        return line

    def _pieces(self, records: Iterator[RequestRecord], formatter: Any) -> Iterator[bytes]:
        """Yield the lines as the formatter would write their records, as many at a time as a pipe takes in one piece."""
        level = f'","level":{_json(logging.getLevelName(logging.INFO))},"logger":"obs.access","message":"'
        static = f'",{formatter.static_text},"request_id":"'
        lines: list[bytes] = []
        size = 0
        for record in records:
            if record.is_logged:
                continue
            line = self._line(record, formatter, level, static)
            if size + len(line) > ATOMIC and lines:
                yield b"".join(lines)
                lines.clear()
                size = 0
            lines.append(line)
            size += len(line)
        if lines:
            yield b"".join(lines)

    def _line(self, record: RequestRecord, formatter: Any, level: str, static: str) -> bytes:
        try:
            kind = record.method, record.status, record.outcome, record.error_type
            method, status, told, error = self._kinds.get(kind) or self._kind(*kind)
            route = self._routes.get(record.route) or self._route(record.route)
            who = record.client, record.user_agent
            caller = self._callers.get(who) or self._caller(*who)
            path = self._paths.get(record.path) or self._path(record.path)
            ids, first_byte = record.ids, record.time_to_first_byte
            trace = f'"{ids[:32]}","span_id":"{ids[32:]}"' if ids else 'null,"span_id":null'
            began = "null" if first_byte is None else f"{first_byte * 1e3:.3f}"
            line: bytes = formatter.finished(
                f'{{"timestamp":"{formatter.clock(record.ended)}{level}{method} {path} {status}{static}'
                f'{record.request_id}","correlation_id":"{record.correlation_id}","trace_id":{trace},"method":"{method}'
                f'","path":"{path}","route":{route}{told}{record.duration * 1e3:.3f},"ttfb_ms":{began},'
                f'"request_bytes":{record.request_bytes},"response_bytes":{record.response_bytes}{caller}{error}'
            )
        except Exception:  # what is no text, say; the long way has an answer to everything
            line = formatter.finished(formatter.format(self._record(record, logging.INFO, None)))
        return line

    def _kind(
        self, method: str, status: int | None, outcome: str, error_type: str
    ) -> tuple[str, str, str, str]:
        """Return the parts that all lines of a kind share: method, status, what follows the route, error."""
        parts = (
            _inner(method),
            "-" if status is None else str(status),
            f',"status":{_json(status)},"outcome":{_json(outcome)},"duration_ms":',
            f',"error_type":{_json(self._shown(error_type))}}}',
        )
        _remember(self._kinds, (method, status, outcome, error_type), parts)
        return parts

    def _route(self, route: str | None) -> str:
        """Return a route as a line has it."""
        part = _json(self._shown(route))
        _remember(self._routes, route, part)
        return part

    def _caller(self, client: Any, agent: str | None) -> str:
        """Return the part of a line that tells who calls."""
        part = f',"client":{_json(self._shown(client))},"user_agent":{_json(self._agent(agent))}'
        if len(agent or "") <= _AGENT_CHARACTERS and isinstance(client, str):
            _remember(self._callers, (client, agent), part)
        return part

    def _path(self, path: str) -> str:
        """Return a path as a line has it, between quotes."""
        part = _inner(self._redactor.path(path))
        if part == path:
            part = path  # most are: one text for both
        if len(path) <= _REMEMBERED_CHARACTERS:
            _remember(self._paths, path, part)
        return part

    def _shown(self, text: Any) -> str | None:
        """Return a text without secrets, whatever a server tells as an address."""
        return self._redactor.known(str(text)) if text else None

    def _agent(self, agent: str | None) -> str | None:
        return one_line(self._redactor.known(agent[:_AGENT_CHARACTERS])) if agent else None


def _json(value: Any) -> str:
    return _encode(value).decode()


def _inner(text: str) -> str:
    """Return a text as JSON has it between its quotes."""
    return _json(text)[1:-1]


def _remember(known: dict[_K, _V], key: _K, value: _V) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()  # those that come again are soon back
    known[key] = value
