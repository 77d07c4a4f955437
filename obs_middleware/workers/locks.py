"""Locks of files: one that a process holds as long as it lives, and one around a change.

The first is POSIX's: the system ends it with the process, however it dies, and no child inherits it. It also ends when
its process closes the file in any way, so nobody opens his own. The second is flock(2), which also keeps two threads of
one process apart.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

fcntl: Any
try:
    fcntl = import_module("fcntl")
except ImportError:  # Windows
    fcntl = None
is_supported = fcntl is not None

_POLL_SECONDS = 0.001


def hold(path: Path) -> int:
    """Create a file and hold its lock until this process ends; return its descriptor, which must stay open."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def is_free(path: Path) -> bool:
    """Tell whether the process that has held a lock is gone; never to be asked of one's own."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def locked(path: Path, *, is_exclusive: bool, timeout_seconds: float) -> Iterator[None]:
    """Hold a lock, alone or with others who only read.

    Raises:
        TimeoutError: somebody has held it for too long.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH, timeout_seconds)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for a child that was forked meanwhile
    finally:
        os.close(descriptor)


def _take(descriptor: int, kind: int, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError("another process holds the lock of the metrics' directory") from None
        time.sleep(_POLL_SECONDS)
