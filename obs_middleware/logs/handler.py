"""Our handler on the root logger, and whether it is all that would see a record."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from obs_middleware.ledger import settle_all

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # no subscript before Python 3.11

_Logger = logging.Logger
# Error trackers put methods of their own in the place of these two; a logger is then theirs too.
_STOCK = _Logger.makeRecord.__code__.co_filename


class LineHandler(_StreamHandler):
    """Write each record as one line, after the access lines that waited before it."""

    def handle(self, record: logging.LogRecord) -> Any:
        """Write the record; before our lock is taken, which whoever settles needs."""
        settle_all(patience=0)
        return super().handle(record)

    def write(self, lines: Iterable[bytes]) -> None:
        """Write finished lines in UTF-8, all at once: other processes may share the output."""
        text = b"".join([line + b"\n" for line in lines])
        self.acquire()
        try:
            output = getattr(self.stream, "buffer", None)
            if output is None:  # a stream of text alone
                self.stream.write(text.decode())
            else:
                self.stream.flush()
                output.write(text)
            self.stream.flush()
        finally:
            self.release()


def sole_handler(logger: logging.Logger, level: int) -> LineHandler | None:
    """Return our handler when nobody else has a say in a record of the logger, a child of a child of the root.

    That is: no other handler, no filter, no record factory, and no method of `logging.Logger` replaced.
    """
    handlers, parent = logging.root.handlers, logger.parent
    if (
        len(handlers) != 1
        or type(handler := handlers[0]) is not LineHandler
        or handler.filters
        or handler.level > level
        or logger.filters
        or logger.handlers
        or not logger.propagate
        or parent is None
        or parent.handlers
        or not parent.propagate
        or parent.parent is not logging.root
        or logging.getLogRecordFactory() is not logging.LogRecord
        or _Logger.handle.__code__.co_filename != _STOCK
        or _Logger.callHandlers.__code__.co_filename != _STOCK
    ):
        return None
    return handler
