"""What finished exchanges leave to be measured and written, done for many of them at once.

One by one, in the middle of an app's work, a measurement takes twice the time, for it finds the processor's caches
cold, and every line a system call, which may wait for whoever reads the log. So entries wait, for 31 others or 50 ms.
Whoever looks is told the whole truth: the metrics page settles first, and so do `Observer.close` and the end of the
process.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet

import msgspec

Report = Callable[[str, Exception], None]  # the component's name and what has happened to it

_MOST = 32
_BOUND = 8192  # of entries that wait while nobody can record them
_SECONDS = 0.05
_PATIENCE = 1.0
_QUIET_TURNS = 20  # of the thread with nothing to do, after which it sleeps until it is woken


class Entry(msgspec.Struct, gc=False):
    """What is kept of a finished exchange: texts and numbers alone, so that nothing of the request is held."""

    method: str
    scheme: str
    path: str
    route: str | None
    status: int | None
    outcome: str
    error_type: str
    duration: float
    time_to_first_byte: float | None
    request_bytes: int
    response_bytes: int
    request_id: str
    correlation_id: str
    trace_id: str
    span_id: str
    is_sampled: bool
    client: str | None
    user_agent: str | None
    ended: float  # seconds since 1970
    is_line_due: bool = False


class Ledger:
    """The entries of one Observer that are not yet recorded.

    Args:
        record: records a batch of them.
        report: is told when it fails.
    """

    def __init__(self, record: Callable[[list[Entry]], None], report: Report) -> None:
        self._record = record
        self._report = report
        self._waiting: deque[Entry] = deque()
        _all.add(self)

    def add(self, entry: Entry) -> None:
        """Take an entry in."""
        waiting = self._waiting
        waiting.append(entry)
        if len(waiting) >= _MOST:
            self._make_room()
        elif _clerk.is_asleep:
            _clerk.wake()

    def _make_room(self) -> None:
        is_full = len(self._waiting) > _BOUND
        self.settle(patience=_PATIENCE if is_full else 0)  # who can't have the turn leaves it to who has it
        if is_full and len(self._waiting) > _BOUND:  # nobody reads the log, say
            self._waiting.popleft()
            self._report("ledger", BufferError(f"{_BOUND} entries wait; the oldest is dropped"))

    def settle(self, *, patience: float = _PATIENCE) -> None:
        """Record what waits, one thread after the other: when this returns it is seen.

        Args:
            patience: seconds to wait for one that is at it; where it can't be had what waits stays for the next.
        """
        turn = _turn
        if not turn.acquire(timeout=patience):
            return
        batch: list[Entry] = []
        try:
            while self._waiting:
                batch.append(self._waiting.popleft())
            if batch:
                self._record(batch)
        except Exception as error:
            self._report("ledger", error)
        finally:
            turn.release()

    def has_waiting(self) -> bool:
        """Tell whether anything waits."""
        return bool(self._waiting)

    def forget(self) -> None:
        """Drop what waits."""
        self._waiting.clear()


class _Clerk:
    """The thread that settles what too few others follow."""

    def __init__(self) -> None:
        self.is_asleep = True
        self._bell = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Ring the bell; the first time, begin."""
        with self._starting:
            self.is_asleep = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="obs-ledger", daemon=True)
                self._thread.start()
        self._bell.set()

    def _work(self) -> None:
        quiet = 0
        while True:
            if quiet >= _QUIET_TURNS:
                quiet = 0
                self._bell.clear()
                self.is_asleep = True
                if not settle_all():  # nobody has come in between
                    self._bell.wait()
                self.is_asleep = False
            time.sleep(_SECONDS)
            quiet = 0 if settle_all() else quiet + 1


def settle_all(*, patience: float = _PATIENCE) -> bool:
    """Record what waits anywhere; tell whether anything did."""
    waiting = [ledger for ledger in list(_all) if ledger.has_waiting()]
    for ledger in waiting:
        ledger.settle(patience=patience)
    return bool(waiting)


def _before_fork() -> None:
    _turn.acquire(timeout=_PATIENCE)  # no child begins in the middle of a batch


def _after_fork() -> None:
    with suppress(RuntimeError):  # it could not be had
        _turn.release()


def _begin_anew() -> None:
    """Leave a forked child nothing of its parent's: neither what waits, which the parent records, nor a thread."""
    global _clerk, _turn
    _clerk, _turn = _Clerk(), threading.Lock()
    for ledger in list(_all):
        ledger.forget()


_all: WeakSet[Ledger] = WeakSet()
_turn = threading.Lock()
_clerk = _Clerk()
atexit.register(settle_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_begin_anew)
