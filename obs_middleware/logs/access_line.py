"""The access line: one for each exchange, whatever became of it.

`GET /items/7 200`, with the fields of `ACCESS_FIELDS`.

Where only our own handler would see it, the line waits as a RequestRecord in the queue, and is written together with
others. Otherwise everybody's handlers, filters and record factories get a LogRecord of the logger `obs.access` at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from obs_middleware._speedups import fast, share_layout
from obs_middleware.exchange import Outcome
from obs_middleware.logs.context import mark_redacted, mark_stamped, stamp
from obs_middleware.logs.fields import (
    ACCESS_FIELDS,
    MESSAGE_FIELDS,
    AccessField,
    Spelling,
    access_values,
    message_text,
)
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.logs.outputs import ATOMIC, LineHandler, sole_handler

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange
    from obs_middleware.record import RequestRecord
    from obs_middleware.redaction import Redactor

_logger = logging.getLogger("obs.access")
_REMEMBERED = 256  # texts of one field; clients may fill them
_REMEMBERED_CHARACTERS = 256  # of a value


@share_layout
class AccessLog:
    """Write the line of each exchange at INFO, a failed one's at ERROR."""

    __slots__ = ("_line", "_redactor", "may_wait")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._line: AccessLine | None = None
        self.may_wait = False  # as logging was configured when it was last looked at, a batch ago at most

    def log(self, record: RequestRecord, exchange: Exchange) -> bool:
        """Write the line of an exchange; return False where it can wait, because nobody would see the difference."""
        self._look()
        level = logging.ERROR if record.outcome == Outcome.ERROR else logging.INFO
        if level == logging.INFO and not exchange.fields and self.may_wait:
            return False
        if _logger.isEnabledFor(level):
            _logger.handle(log_record(record, self._redactor, level, exchange))
        return True

    def write(self, records: Iterator[RequestRecord]) -> None:
        """Write the lines that wait, many in one block; a sink."""
        handler = self._look()
        if handler is not None:
            handler.write(_blocks(self._line_for(handler.formatter), records))
            return
        is_wanted = _logger.isEnabledFor(logging.INFO)  # logging was configured anew in between
        for record in records:
            if is_wanted and not record.is_logged:
                _logger.handle(log_record(record, self._redactor, logging.INFO, None))

    def _look(self) -> LineHandler | None:
        """Look how logging is configured now, and return our handler where lines may wait for it."""
        handler = sole_handler(_logger, logging.INFO) if _logger.isEnabledFor(logging.INFO) else None
        self.may_wait = handler is not None and type(handler.formatter) is JsonFormatter
        return handler if self.may_wait else None

    def _line_for(self, formatter: Any) -> AccessLine:
        line, level = self._line, logging.getLevelName(logging.INFO)
        if line is None or line.formatter is not formatter or line.level != level:
            line = self._line = AccessLine(formatter, self._redactor, level)
        return line


@share_layout
class AccessLine:
    """The plan by which a formatter's access lines are written.

    Attributes:
        plan: (text before, attribute of RequestRecord, spelling, texts by value, function for a value without a text).
            The last two are None unless the spelling is SPELLED.
        closing: the text after the last value, with the line feed.
        timestamp: returns the text of a TIMESTAMP.
    """

    __slots__ = ("_expression", "_redactor", "closing", "formatter", "level", "plan", "timestamp")

    def __init__(self, formatter: JsonFormatter, redactor: Redactor, level: str) -> None:
        self.formatter = formatter
        self.level = level
        self.timestamp = formatter.timestamp_text
        self._redactor = redactor
        self.plan = tuple(_plan(formatter, redactor, level))
        self.closing = "}\n"
        self._expression = _expression(self.plan, self.closing, self.timestamp)

    @fast("access_line.c: access_line")
    def line(self, record: RequestRecord) -> bytes:
        """Return the line that the formatter would write of the record's LogRecord, with its line feed."""
        try:
            return self._expression(record).encode()
        except Exception:  # a value that is not of its type, because the app has set it
            line = log_record(record, self._redactor, logging.INFO, None)
            return f"{self.formatter.format(line)}\n".encode()


Step = tuple[str, str, int, "_Texts | None", Callable[[Any], str] | None]


class _Texts(dict[Any, str]):
    """The text of each value as a line has it, made when it is first asked for, because most come again."""

    __slots__ = ("_spell",)

    def __init__(self, spell: Callable[[Any], str]) -> None:
        self._spell = spell

    def __missing__(self, value: Any) -> str:
        text = self._spell(value)
        if type(value) is str:
            if len(value) > _REMEMBERED_CHARACTERS:
                return text
            text = value if text == value else text  # most are: one text for both
        elif value is not None and type(value) is not int:  # 1, 1.0 and True are one key
            return text
        if len(self) >= _REMEMBERED:
            self.clear()  # those that come again are soon back
        self[value] = text
        return text


def _plan(formatter: JsonFormatter, redactor: Redactor, level: str) -> Iterator[Step]:
    """Yield the steps of a line: timestamp, message, static fields, then each field of the table."""
    fields = {field.name: field for field in ACCESS_FIELDS}
    quoted: dict[str, _Texts] = {}  # texts that stand in the message and in a field of their own
    yield '{"timestamp":"', "ended", Spelling.TIMESTAMP.value, None, None
    before = f'","level":{formatter.json(level)},"logger":"{_logger.name}","message":"'
    for name in MESSAGE_FIELDS:
        texts = quoted[name] = _Texts(_quoted_speller(fields[name], formatter, redactor))
        yield before, fields[name].attribute, Spelling.SPELLED.value, texts, texts.__missing__
        before = " "
    before = f'",{formatter.static_text}'
    for name, attribute, spelling, _, is_text in ACCESS_FIELDS:
        before += f',"{name}":' + '"' * is_text
        if spelling is Spelling.SPELLED:
            speller = _quoted_speller if is_text else _speller
            is_in_message = is_text and name in quoted
            texts = quoted[name] if is_in_message else _Texts(speller(fields[name], formatter, redactor))
            yield before, attribute, spelling.value, texts, texts.__missing__
        else:
            yield before, attribute, spelling.value, None, None
        before = '"' * is_text


def _speller(field: AccessField, formatter: JsonFormatter, redactor: Redactor) -> Callable[[Any], str]:
    return lambda value: formatter.json(field.value(redactor, value))


def _quoted_speller(field: AccessField, formatter: JsonFormatter, redactor: Redactor) -> Callable[[Any], str]:
    """Return what spells a value as it stands between quotes."""
    return lambda value: formatter.json(message_text(field.value(redactor, value)))[1:-1]


# What Python makes of a step: f-strings take half the time of a loop over the plan.
# A value of another type, or a float that JSON does not have, raises an error: the formatter writes that record.
_EXPRESSIONS = {
    Spelling.TEXT: "{record.NAME}",
    Spelling.INTEGER: "{value if type(value := record.NAME) is int else 1 / 0}",
    Spelling.MILLISECONDS: """{'null' if (value := record.NAME) is None
        else f'{value * 1e3:.3f}' if -1e9 < value < 1e9 else 1 / 0}""",
    Spelling.TIMESTAMP: "{timestamp(record.NAME)}",
    Spelling.TRACE_ID: """{f'"{record.NAME[:32]}"' if record.NAME else 'null'}""",
    Spelling.SPAN_ID: """{f'"{record.NAME[32:]}"' if record.NAME else 'null'}""",
    Spelling.SPELLED: "{(text_NUMBER := texts_NUMBER[record.NAME])}",
}
_STEPS = 14  # of one f-string: Python joins more of them by a slower way


def _expression(
    plan: tuple[Step, ...], closing: str, timestamp: Callable[[float], str]
) -> Callable[[RequestRecord], str]:
    """Return a function that writes a record by the plan, made of literals and of the names in our own table."""
    names: dict[str, Any] = {"timestamp": timestamp}
    numbers: dict[int, int] = {}
    source = []
    for number, (before, attribute, spelling, texts, _) in enumerate(plan):
        source.append("+" if number and number % _STEPS == 0 else "")
        source.append(repr(before))
        if id(texts) in numbers:  # a text of the message comes again as a field
            source.append(f"f'{{text_{numbers[id(texts)]}}}'")
            continue
        expression = (
            _EXPRESSIONS[Spelling(spelling)].replace("NAME", attribute).replace("NUMBER", str(number))
        )
        source.append(f"f'''{expression}'''")
        if texts is not None:
            numbers[id(texts)], names[f"texts_{number}"] = number, texts
    function: Callable[[RequestRecord], str] = eval(  # noqa: S307
        f"lambda record: {' '.join(source)} {closing!r}", names
    )
    return function


def _blocks(line: AccessLine, records: Iterator[RequestRecord]) -> Iterator[bytes]:
    """Yield lines, as many at a time as a pipe takes in one piece."""
    lines: list[bytes] = []
    size = 0
    for record in records:
        if record.is_logged:
            continue
        text = line.line(record)
        if size + len(text) > ATOMIC and lines:
            yield b"".join(lines)
            lines.clear()
            size = 0
        lines.append(text)
        size += len(text)
    if lines:
        yield b"".join(lines)


def log_record(
    record: RequestRecord, redactor: Redactor, level: int, exchange: Exchange | None
) -> logging.LogRecord:
    """Return the access line as a LogRecord, for everybody who listens.

    Args:
        exchange: where its bound fields are wanted.
    """
    values = access_values(record, redactor)
    message = " ".join(message_text(values[name]) for name in MESSAGE_FIELDS)
    line = _logger.makeRecord(_logger.name, level, "", 0, message, (), None)
    line.created = record.ended
    mark_redacted(line, values)
    if exchange is None:
        mark_stamped(line, values)
    else:
        stamp(line, exchange, **values)
    return line
