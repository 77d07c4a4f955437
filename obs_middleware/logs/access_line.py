"""One access line: `GET /items/7 200`, with the fields of `ACCESS_FIELDS`, as bytes or as a LogRecord."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from obs_middleware._speedups import fast, share_layout
from obs_middleware.logs.access_plan import Step, steps
from obs_middleware.logs.context import AccessMessage, add_fields, name_beside, stamp
from obs_middleware.logs.fields import (
    MESSAGE_FIELDS,
    Spelling,
    access_values,
    fields_of,
    message_text,
)
from obs_middleware.record import RequestRecord

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange
    from obs_middleware.logs.formatters.json import JsonFormatter
    from obs_middleware.record import DetailedRecord
    from obs_middleware.redaction import Redactor

LOGGER = logging.getLogger("obs.access")
_REMEMBERED_NAMES = 256  # of bound fields; an app may make them up


@share_layout
class AccessLine:
    """The plan by which a formatter's access lines are written.

    Attributes:
        plan: the steps of a line.
        closing: the text after the last value, with the line feed.
        timestamp: returns the text of a TIMESTAMP.
    """

    __slots__ = (
        "_expression",
        "_names",
        "_redactor",
        "_writers",
        "closing",
        "formatter",
        "level",
        "plan",
        "timestamp",
    )

    def __init__(self, formatter: JsonFormatter, redactor: Redactor, level: str) -> None:
        self.formatter = formatter
        self.level = level
        self.timestamp = formatter.timestamp_text
        self._redactor = redactor
        self.plan = tuple(steps(formatter, redactor, logger=LOGGER.name, level=level))
        self.closing = "}\n"
        self._writers: dict[tuple[bool, bool], Callable[[Any], str]] = {}  # by which Details are not known
        self._names: dict[tuple[bool, bool, str], str] = {}  # of bound fields, as lines have them
        self._expression = _expression(self.plan, self.closing, self.timestamp)

    @fast("access_line.c: access_line")
    def line(self, record: RequestRecord) -> bytes:
        """Return the line that the formatter would write of the record's LogRecord, with its line feed."""
        try:
            if type(record) is not RequestRecord:
                known: Any = record
                return f"{self._writer(known)(record)}{self._bound_text(known)}{self.closing}".encode()
            return self._expression(record).encode()
        except Exception:  # a value that is not of its type, because the app has set it
            return self.short_line(record)

    def _writer(self, record: DetailedRecord) -> Callable[[Any], str]:
        """Return what writes a record that has Details, as many of them as it has, without its end."""
        key = record.tenant is None, record.db_queries is None
        write = self._writers.get(key)
        if write is None:
            table, formatter = fields_of(record), self.formatter
            plan = tuple(steps(formatter, self._redactor, logger=LOGGER.name, level=self.level, table=table))
            write = self._writers[key] = _expression(plan, "", self.timestamp)
        return write

    def _bound_text(self, record: DetailedRecord) -> str:
        """Return a record's bound fields as they follow the others in its line."""
        if not record.bound:
            return ""
        known, fields = (record.tenant is None, record.db_queries is None), {}
        for name, value in record.bound:
            key = *known, name
            shown = self._names.get(key)
            if shown is None:
                if len(self._names) >= _REMEMBERED_NAMES:
                    self._names.clear()
                taken = {field.name for field in fields_of(record)}
                shown = self._names[key] = self.formatter.name_of_added(name_beside(name, taken))
            fields[shown] = value
        return f",{self.formatter.json(fields)[1:-1]}"

    def short_line(self, record: RequestRecord) -> bytes:
        """Return the line by the formatter, which cuts what is too long for a line."""
        line = log_record(record, self._redactor, logging.INFO, None)
        return f"{self.formatter.format(line)}\n".encode()


def log_record(
    record: RequestRecord, redactor: Redactor, level: int, exchange: Exchange | None
) -> logging.LogRecord:
    """Return the access line as a LogRecord, for everybody who listens.

    Args:
        exchange: where its bound fields are wanted.
    """
    values = access_values(record, redactor)
    text = " ".join(message_text(values[name]) for name in MESSAGE_FIELDS)
    message = AccessMessage(text, values)
    line = LOGGER.makeRecord(LOGGER.name, level, "", 0, message, (), None)
    line.created = record.ended
    if exchange is None:
        vars(line).update(values)  # IDs among them; no context has anything to add
        add_fields(vars(line), getattr(record, "bound", ()))
    else:
        stamp(line, exchange, **values)
    return line


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
