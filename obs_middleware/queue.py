"""RecordQueue: the records of finished exchanges, which every sink gets many at a time.

In the middle of an app's work one record takes twice the time, because the processor's caches hold the app's data.
Also, every line is a system call that waits for whoever reads the log. So records wait, for 63 others or for 50 ms.
Nobody sees less for it: the metrics page flushes first, and so do `Observer.close` and the end of the process.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import repeat
from operator import length_hint
from typing import Any

from obs_middleware import process
from obs_middleware._speedups import fast, share, share_layout
from obs_middleware.background import Worker
from obs_middleware.errors import Report
from obs_middleware.flush_lock import FlushLock
from obs_middleware.record import RequestRecord

# The component's name, for our own failures, and what takes the records. A sink may raise for a record: it is asked
# again for those that follow.
Sink = tuple[str, Callable[[Iterator[RequestRecord]], None]]

_BATCH = 64
_CAPACITY = 8192  # records that wait while nobody can flush
_DELAY_SECONDS = 0.05  # that a record waits at most for others
_TIMEOUT_SECONDS = 1.0
share(BATCH=_BATCH)


@share_layout
class RecordQueue:
    """The records of one Observer that the sinks have not had yet.

    Args:
        sinks: each gets every record once, in the order of `add`.
        discard: is called with a record that no sink will get.
        report: is called with the failure of a sink.
    """

    __slots__ = ("_batch", "_discard", "_report", "_sinks", "_waiting", "flusher")

    def __init__(
        self, sinks: Sequence[Sink], discard: Callable[[RequestRecord], None], report: Report
    ) -> None:
        self._sinks = tuple(sinks)
        self._discard = discard
        self._report = report
        self._waiting: deque[RequestRecord] = deque()
        self._batch: _Batch | None = (
            None  # under way, or interrupted by an exception out of a signal's handler
        )
        self.flusher: Flusher | _AtOnce = _flusher

    def hold_nothing(self, flush_now: Callable[[], object]) -> None:
        """Have a function flush after each record, because the process may end before a thread of ours runs."""
        self.flusher = _AtOnce(flush_now)

    def hold_again(self) -> None:
        """Let records wait for others again."""
        self.flusher = _flusher

    def add_sink(self, sink: Sink) -> None:
        """Have another sink take the records of the next batches."""
        self._sinks = (*self._sinks, sink)

    def remove_sink(self, sink: Sink) -> None:
        """Have a sink take no more batches."""
        self._sinks = tuple(one for one in self._sinks if one is not sink)

    @fast("queue.c: queue_add")
    def add(self, record: RequestRecord) -> None:
        """Take a record in."""
        waiting, flusher = self._waiting, self.flusher
        waiting.append(record)
        flusher.queues.add(self)
        if len(waiting) >= _BATCH:
            self._make_room()
        elif flusher.worker.is_asleep:
            self._wake_worker()

    def _wake_worker(self) -> None:
        if not self.flusher.worker.wake():
            flush(timeout_seconds=0)  # no thread is to be had

    @property
    def waiting_count(self) -> int:
        """Return how many records wait."""
        return len(self._waiting)

    @property
    def has_waiting(self) -> bool:
        """Tell whether records wait."""
        return bool(self._waiting)

    def hand_over(self) -> None:
        """Hand what waits to the sinks; for the thread that holds the flush lock.

        An exception out of a signal's handler may come between any two instructions: the next call goes on there. A
        record that a sink has taken and not finished by then is lost to that sink.
        """
        if self._batch is not None:
            self._finish(self._batch)
        self._batch = batch = _Batch(self._sinks)
        self._finish(batch)

    def _finish(self, batch: _Batch) -> None:
        batch.fill(self._waiting)
        places = batch.places
        while places:
            self._hand_to(*places[0])
            places.popleft()
        self._batch = None

    def _hand_to(self, sink: Sink, records: Iterator[RequestRecord]) -> None:
        component, take = sink
        left = -1
        while left != length_hint(records):  # a record that fails costs itself, not those after it
            left = length_hint(records)
            try:
                take(records)
                return
            except Exception as error:
                self._report(component, error)

    def clear(self) -> None:
        """Discard what waits."""
        self._batch = None
        while self._waiting:
            self._discard(self._waiting.popleft())

    def _make_room(self) -> None:
        is_full = len(self._waiting) > _CAPACITY
        flush(timeout_seconds=_TIMEOUT_SECONDS if is_full else 0)
        if is_full and len(self._waiting) > _CAPACITY:  # nobody reads the log, say
            self._discard(self._waiting.popleft())
            self._report("queue", BufferError(f"{_CAPACITY} records wait; the oldest is dropped"))


class _AtOnce:
    """Stands for the Flusher of a queue in which nothing waits, and for its thread."""

    is_asleep = True

    def __init__(self, flush_now: Callable[[], object]) -> None:
        self.queues, self.worker = _flusher.queues, self
        self._flush_now = flush_now

    def wake(self) -> bool:
        self._flush_now()
        return True


class _Batch:
    """Records that are handed over together, and each sink's place among them."""

    __slots__ = ("_records", "places")

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._records: list[RequestRecord] = []
        self.places = deque((sink, iter(self._records)) for sink in sinks)

    def fill(self, waiting: deque[RequestRecord]) -> None:
        """Take all that waits, unless it was taken; in one call, which no signal's handler interrupts."""
        if not self._records:
            with suppress(IndexError):  # somebody has made room meanwhile
                self._records.extend(map(deque.popleft, repeat(waiting, len(waiting))))


@share_layout
class Flusher:
    """What all queues of a process share."""

    __slots__ = ("_forking", "flushed", "lock", "queues", "worker")

    def __init__(self) -> None:
        self.queues: set[RecordQueue] = set()  # those in which something waits, held until it is handed over
        self.worker = Worker(self._flush_when_due, lambda: bool(self.queues))
        self._forking = threading.local()
        self._reset()
        process.on_fork(before=self._hold, in_parent=self._release, in_child=self._begin_anew)
        process.on_exit(flush)

    def _reset(self) -> None:
        self.lock = FlushLock()
        self.flushed = 0.0  # when the last flush began, by time.monotonic: what waits has come since

    def _flush_when_due(self) -> bool:
        """Flush when something may have waited long enough; tell whether anything waited."""
        rest = _DELAY_SECONDS
        while rest > 0:
            time.sleep(rest)
            self.worker.run_due()  # others may flush all the time
            rest = self.flushed + _DELAY_SECONDS - time.monotonic()  # others may have flushed since
        try:
            return flush()
        except Exception:
            return True

    def _hold(self) -> None:
        """Let no child begin in the middle of a batch."""
        self._forking.has_lock = self.lock.take(None, timeout_seconds=_TIMEOUT_SECONDS)

    def _release(self) -> None:
        if self._forking.has_lock:
            self.lock.give()

    def _begin_anew(self) -> None:
        """Leave a forked child nothing of what waits, because the parent hands it over."""
        self._reset()
        for queue in list(self.queues):
            queue.clear()
        self.queues.clear()


def flush(*, timeout_seconds: float = _TIMEOUT_SECONDS) -> bool:
    """Hand all records that wait to their sinks; when this returns they can be seen. Tell whether any waited.

    Args:
        timeout_seconds: how long to wait for a flush that another thread has started. After that, the other thread
            hands our records over too.
    """
    flusher = _flusher
    lock = flusher.lock
    if not lock.take(sys._getframe(), timeout_seconds=timeout_seconds):
        return True
    try:
        flusher.flushed = time.monotonic()
        queues = list(flusher.queues)
        for queue in queues:
            queue.hand_over()
            flusher.queues.discard(queue)
            if queue.has_waiting:  # what has come in meanwhile
                flusher.queues.add(queue)
        return bool(queues)
    finally:
        lock.give()


def between_flushes(function: Callable[[], object]) -> None:
    """Call a function while no batch is under way; at once where the thread is in the middle of a flush itself."""
    lock = _flusher.lock
    has_lock = lock.take(sys._getframe(), timeout_seconds=_TIMEOUT_SECONDS)
    try:
        function()
    finally:
        if has_lock:
            lock.give()


def flush_later(queue: Any) -> bool:
    """Have what is like a RecordQueue handed over with the next flush; tell whether a thread is there to do it."""
    _flusher.queues.add(queue)
    return not _flusher.worker.is_asleep or _flusher.worker.wake()


def later(seconds: float, job: Callable[[], object]) -> bool:
    """Have a short job called by the thread that flushes; tell whether a thread is there to do it."""
    return _flusher.worker.later(seconds, job)


_flusher = Flusher()
