"""Our handler on the root logger, and whether it is all that would see a record."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable
from types import FunctionType
from typing import TYPE_CHECKING, Any, TextIO

from obs_middleware import process
from obs_middleware.queue import flush

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # no subscript before Python 3.11

ATOMIC = 4096  # bytes that a pipe takes as one, whoever else writes to it (POSIX, PIPE_BUF on Linux)
_Logger = logging.Logger
# Error trackers replace these methods by others; they see the logger's records then.
_REPLACEABLE_METHODS = ("makeRecord", "handle", "callHandlers")


class LineHandler(_StreamHandler):
    """Write each record as one line, after the access lines that waited before it."""

    def handle(self, record: logging.LogRecord) -> Any:
        """Write the record after the access lines that wait, which are written first because a flush needs our lock."""
        flush(timeout_seconds=0)
        return super().handle(record)

    def write(self, blocks: Iterable[bytes]) -> None:
        """Write blocks of whole lines in UTF-8, each of at most ATOMIC bytes or a single line."""
        self.acquire()
        try:
            for block in blocks:
                self._put(block)
        finally:
            self.release()

    def _put(self, text: bytes) -> None:
        stream = self.stream
        if type(stream) is io.TextIOWrapper:
            stream.buffer.write(text)
        else:  # one that may do more with text than write it
            stream.write(text.decode())
        stream.flush()


def sole_handler(logger: logging.Logger, level: int) -> LineHandler | None:
    """Return our handler when nobody else has a say in a record of the logger, a child of a child of the root.

    That is: no other handler, no filter, no record factory, no class of loggers and no method of `logging.Logger` but
    the stock ones.
    """
    handlers, parent = logging.root.handlers, logger.parent
    if (
        len(handlers) != 1
        or type(handler := handlers[0]) is not LineHandler
        or handler.filters
        or handler.level > level
        or type(logger) is not _Logger
        or logger.filters
        or logger.handlers
        or not logger.propagate
        or parent is None
        or parent.handlers
        or not parent.propagate
        or parent.parent is not logging.root
        or logging.getLogRecordFactory() is not logging.LogRecord
        or not all(map(_is_stock, _REPLACEABLE_METHODS))
    ):
        return None
    return handler


def _is_stock(method: str) -> bool:
    function = vars(_Logger)[method]
    return type(function) is FunctionType and function.__globals__ is logging.__dict__


def _renew_locks() -> None:
    """Do as `logging` does in a child: a thread of the parent may have written when it forked."""
    for handler in logging.root.handlers:
        handler.createLock()


process.on_fork(in_unseen_child=_renew_locks)
