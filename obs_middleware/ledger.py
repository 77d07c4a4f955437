"""What finished exchanges leave to be measured and written, done for many of them at once.

One by one, in the middle of an app's work, a measurement takes twice the time, for it finds the processor's caches
cold, and every line a system call, which may wait for whoever reads the log. So entries wait, for 63 others or 50 ms.
Whoever looks is told the whole truth: the metrics page settles first, and so do `Observer.close` and the end of the
process.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec

from obs_middleware import native

Report = Callable[[str, Exception], None]  # the component's name and what has happened to it

_MOST = 64
_BOUND = 8192  # of entries that wait while nobody can record them
_WAIT_SECONDS = 0.05  # at most, for others
_PATIENCE = 1.0


@native.core.laid_out
class Entry(msgspec.Struct, gc=False):
    """What is kept of a finished exchange: texts and numbers alone, so that nothing of the request is held."""

    begun: str | None  # method and scheme by which it is counted in
    method: str
    path: str  # as the client sent it
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
    ids: str  # 32 digits of the trace ID and 16 of the span ID, or none
    is_sampled: bool
    client: str | None
    user_agent: str | None
    ended: float  # seconds since 1970
    is_line_due: bool = False
    is_measured: bool = False


@native.core.laid_out
class Ledger:
    """The entries of one Observer that are not yet recorded.

    Args:
        record: records a batch of them; interrupted, it is called again with the same.
        drop: forgets one that another process records.
        report: is told when one of them fails.
    """

    __slots__ = ("_drop", "_record", "_report", "_waiting")

    def __init__(
        self, record: Callable[[list[Entry]], None], drop: Callable[[Entry], None], report: Report
    ) -> None:
        self._record = record
        self._drop = drop
        self._report = report
        self._waiting: deque[Entry] = deque()

    @native.core.compiled
    def add(self, entry: Entry) -> None:
        """Take an entry in."""
        waiting = self._waiting
        waiting.append(entry)
        _busy.add(self)
        if len(waiting) >= _MOST:
            self._make_room()
        elif _clerk.is_asleep and not _clerk.wake():
            settle_all(patience=0)  # no thread can be had

    def drain(self) -> None:
        """Record what waits; for whoever has the turn."""
        batch: list[Entry] = []
        while self._waiting:
            batch.append(self._waiting.popleft())
        if not batch:
            return
        try:
            self._record(batch)
        except Exception as error:
            self._report("ledger", error)
        except BaseException:  # of a signal's handler
            self._waiting.extendleft(reversed(batch))
            _busy.add(self)
            raise

    def forget(self) -> None:
        """Drop what waits."""
        while self._waiting:
            self._drop(self._waiting.popleft())

    def _make_room(self) -> None:
        is_full = len(self._waiting) > _BOUND
        settle_all(patience=_PATIENCE if is_full else 0)  # who can't have the turn leaves it to who has it
        if is_full and len(self._waiting) > _BOUND:  # nobody reads the log, say
            self._drop(self._waiting.popleft())
            self._report("ledger", BufferError(f"{_BOUND} entries wait; the oldest is dropped"))


class _Turn:
    """One thread records at a time; what it calls meanwhile, a handler or a finalizer, does not wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self.settled = 0.0  # when it was last had to settle, by time.monotonic: what waits has come since

    def take(self, *, patience: float) -> bool:
        """Return whether the turn was had within so many seconds."""
        me = threading.get_ident()
        if self._owner == me or not self._lock.acquire(timeout=patience):
            return False
        self._owner = me
        return True

    def give(self) -> None:
        """Give the turn back, for whoever has taken it."""
        self._owner = 0
        self._lock.release()


@native.core.laid_out
class _Clerk:
    """The thread that settles what too few others follow."""

    __slots__ = ("__weakref__", "_bell", "_starting", "_thread", "is_asleep")

    def __init__(self) -> None:
        self.is_asleep = True
        self._bell = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> bool:
        """Ring the bell, the first time begin; False when there is no thread to be had."""
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="obs-ledger", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return False
                self._thread = thread
            self.is_asleep = False
        self._bell.set()
        return True

    def _work(self) -> None:
        while True:
            while self._settle():
                pass
            self._bell.clear()
            self.is_asleep = True
            if not _busy:  # nobody has come in between
                self._bell.wait()
            self.is_asleep = False

    def _settle(self) -> bool:
        """Settle when something may have waited long enough; tell whether anything waited."""
        rest = _WAIT_SECONDS
        while rest > 0:
            time.sleep(rest)
            rest = _turn.settled + _WAIT_SECONDS - time.monotonic()  # others may have settled since
        try:
            return settle_all()
        except Exception:
            return True


def settle_all(*, patience: float = _PATIENCE) -> bool:
    """Record what waits anywhere; when this returns it can be seen. Tell whether anything waited.

    Args:
        patience: seconds to wait for a thread that is at it; where the turn can't be had what waits is left to it.
    """
    turn = _turn
    if not turn.take(patience=patience):
        return True
    try:
        turn.settled = time.monotonic()
        ledgers = list(_busy)
        for ledger in ledgers:
            _busy.discard(ledger)  # before it is drained: what comes in meanwhile puts it back
            ledger.drain()
        return bool(ledgers)
    finally:
        turn.give()


def _before_fork() -> None:
    _forking.has_turn = _turn.take(patience=_PATIENCE)  # no child begins in the middle of a batch


def _after_fork() -> None:
    if _forking.has_turn:
        _turn.give()


def _begin_anew() -> None:
    """Leave a forked child nothing of its parent's: neither what waits, which the parent records, nor a thread."""
    global _clerk, _turn
    _clerk, _turn = _Clerk(), _Turn()
    for ledger in list(_busy):
        ledger.forget()
    _busy.clear()
    processes = sys.modules.get("multiprocessing.util")
    if processes is not None:  # its children end without exit handlers, and forget what was registered before
        processes.register_after_fork(_clerk, _settle_at_the_end)


def _settle_at_the_end(_: _Clerk) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, settle_all, exitpriority=100)


_busy: set[Ledger] = set()  # those in which something waits, held until it is recorded
_turn = _Turn()
native.core.learn(ledger=globals())
_forking = threading.local()
_clerk = _Clerk()
atexit.register(settle_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_begin_anew)
