"""A lock that a forked child finds free, though a thread of its parent held it at the fork.

That thread is not in the child, so that nobody there would ever give the lock back.
"""

from __future__ import annotations

from contextlib import suppress
from threading import RLock
from weakref import WeakSet

from obs_middleware import process


class ForkLock:
    """A lock for `with`. The thread that holds it may take it again, as a signal handler or a finalizer does."""

    def __init__(self) -> None:
        self.renew()
        _all.add(self)

    def renew(self) -> None:
        """Make the lock free, in a forked child."""
        self._lock = RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        with suppress(RuntimeError):  # the block has forked, and this is the child, whose lock is free
            self._lock.release()


def _renew_all() -> None:
    for lock in list(_all):
        lock.renew()


_all: WeakSet[ForkLock] = WeakSet()
process.on_fork(in_child=_renew_all)
