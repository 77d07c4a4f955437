"""A copy of a record that holds no secret, for a formatter that writes a record's attributes as they are."""

from __future__ import annotations

import logging

from obs_middleware.logs.fields import STANDARD_ATTRIBUTES
from obs_middleware.logs.json_value import JsonValues, message_of
from obs_middleware.redaction import REDACTED


class RedactedRecord(logging.LogRecord):
    """A record with the attributes of another one, in its order, made JSON and without secrets.

    `exc_info` stays as it is: whoever formats it has to redact it.
    """

    __slots__ = ("_message",)

    def __init__(self, record: logging.LogRecord, values: JsonValues) -> None:
        message = message_of(record)
        self._message = values.text(message)
        attributes = self.__dict__
        for name, value in vars(record).items():
            if name == "exc_info":
                attributes[name] = value
            elif name in STANDARD_ATTRIBUTES:  # `name` is no person's
                attributes[name] = values.value(value)
            else:
                attributes[values.text(name)] = values.value(value, key=name)
        if self._message != message:
            attributes["args"] = REDACTED

    def getMessage(self) -> str:  # noqa: N802
        """Return the message without secrets."""
        return self._message
