"""Whole lines to a stream: one write for each, and in one piece also where several processes share the pipe.

A pipe takes up to PIPE_BUF bytes (4096 on Linux) as one. A longer write is done in parts, and what another process
writes meanwhile may come between them. So where the output is a pipe or a socket, each write holds the lock of that
pipe (`fcntl.lockf`): it belongs to the process, and it is gone when the process is.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import time
from importlib import import_module
from typing import Any

fcntl: Any = None if sys.platform == "win32" else import_module("fcntl")

_PATIENCE_SECONDS = 5.0  # with whoever holds the lock, or does not read
_PAUSE_SECONDS = 0.0005


class LineFile:
    """Write bytes to a text stream, by its file descriptor where it has one that nothing else stands before."""

    __slots__ = ("_descriptor", "_is_shared", "stream")

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self._descriptor = _descriptor_of(stream)
        self._is_shared = self._descriptor is not None and fcntl is not None and _is_pipe(self._descriptor)

    def write(self, text: bytes) -> None:
        """Write whole lines in UTF-8."""
        stream, descriptor = self.stream, self._descriptor
        if descriptor is None:
            if type(stream) is io.TextIOWrapper:
                stream.flush()
                stream.buffer.write(text)
            else:  # one that may do more with text than write it
                stream.write(text.decode())
            flush = getattr(stream, "flush", None)  # print() does without one
            if flush is not None:
                flush()
            return
        stream.flush()  # what was printed before comes before
        is_locked = self._is_shared and _lock(descriptor)
        try:
            _write(descriptor, text)
        finally:
            if is_locked:
                fcntl.lockf(descriptor, fcntl.LOCK_UN)


def _descriptor_of(stream: Any) -> int | None:
    if type(stream) is not io.TextIOWrapper or sys.platform == "win32":
        return None
    buffer: Any = stream.buffer
    raw = buffer.raw if type(buffer) is io.BufferedWriter else buffer
    return raw.fileno() if type(raw) is io.FileIO else None


def _is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _lock(descriptor: int) -> bool:
    """Return whether the lock is ours; a line that comes in parts is better than none."""
    deadline = 0.0
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except (BlockingIOError, PermissionError):
            now = time.monotonic()
            deadline = deadline or now + _PATIENCE_SECONDS
            if now > deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        except OSError:  # a system whose pipes have no locks
            return False


def _write(descriptor: int, text: bytes) -> None:
    rest = memoryview(text)
    while rest:  # again where a signal came, or where the pipe is full and does not block
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            if not select.select([], [descriptor], [], _PATIENCE_SECONDS)[1]:
                raise
