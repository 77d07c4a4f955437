"""Our handler on the root logger, and whether it is all that would see a record."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from types import FunctionType
from typing import TYPE_CHECKING, Any, TextIO

from obs_middleware import process
from obs_middleware.logs.file_descriptor import LineFile
from obs_middleware.losses import lose
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
    """Write each record as one line, after the access lines that waited before it.

    Args:
        stream: `sys.stdout` unless given, as it is at each line: test runners and others replace it.
        standard: the name in `sys` of that stream.
    """

    def __init__(self, stream: TextIO | None = None, *, standard: str = "stdout") -> None:
        self._given = stream
        self._standard = standard
        self._file: LineFile | None = None
        self._is_writing = False
        logging.Handler.__init__(self)  # StreamHandler's would keep the stream of today

    @property
    def stream(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return where lines go now; None where no stream is open."""
        if self._given is not None:
            return self._given
        names = self._standard, f"__{self._standard}__"
        # What is written to a stream may be logged again: those lines go where Python's own stream goes.
        for name in names[1:] if self._is_writing else names:
            stream = getattr(sys, name, None)
            if stream is not None and not getattr(stream, "closed", False):
                return stream
        return None

    @stream.setter
    def stream(self, stream: TextIO) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._given = stream

    def handle(self, record: logging.LogRecord) -> Any:
        """Write the record after the access lines that wait, which are written first because a flush needs our lock."""
        flush(timeout_seconds=0)
        return super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line."""
        try:
            self._put(f"{self.format(record)}\n".encode())
        except Exception:
            lose("log_lines")
            self.handleError(record)

    def flush(self) -> None:
        """Do nothing: each line is out when it is written."""

    def write(self, blocks: Iterable[bytes]) -> None:
        """Write blocks of whole lines in UTF-8, each of at most ATOMIC bytes or a single line."""
        self.acquire()
        try:
            for block in blocks:
                try:
                    self._put(block)
                except Exception:
                    lose("log_lines", block.count(b"\n"))
                    raise
        finally:
            self.release()

    def _put(self, text: bytes) -> None:
        stream = self.stream
        if stream is None:
            return
        file = self._file
        if file is None or file.stream is not stream:
            file = self._file = LineFile(stream)
        self._is_writing = True
        try:
            file.write(text)
        finally:
            self._is_writing = False


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
