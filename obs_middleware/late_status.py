"""Exchanges that have failed, whose status a layer around us is about to decide; they end some time after that.

Under WSGI nobody tells us what that layer sends. So the exchange waits for a flush, and the server is asked then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter

from obs_middleware import process
from obs_middleware.exchange import Exchange
from obs_middleware.queue import flush, flush_later
from obs_middleware.record import RequestRecord

_DELAY_SECONDS = 0.03  # that the layer has at least
StatusOf = Callable[[], "int | None"]


class LateStatuses:
    """The exchanges of one Gateway that wait for their status.

    Args:
        discard: is called with the record of an exchange that ends in another process.
    """

    def __init__(self, discard: Callable[[RequestRecord], None]) -> None:
        self._discard = discard
        self._waiting: deque[tuple[Exchange, StatusOf, float]] = deque()
        process.on_exit(self.finish_all)

    def add(self, exchange: Exchange, status_of: StatusOf) -> None:
        """Finish an exchange later, with the status that is known then."""
        self._waiting.append((exchange, status_of, perf_counter()))
        if not flush_later(self):
            self.finish_all()

    def hand_over(self) -> None:
        """Finish those that have waited long enough."""
        self._finish(min_age=_DELAY_SECONDS)

    def finish_all(self) -> None:
        """Finish all, because the app stops."""
        if self._waiting:
            self._finish(min_age=0)
            flush()

    @property
    def has_waiting(self) -> bool:
        """Tell whether exchanges wait."""
        return bool(self._waiting)

    def clear(self) -> None:
        """Forget those that the parent of a forked process finishes."""
        while self._waiting:
            self._discard(self._waiting.popleft()[0].record())

    def _finish(self, *, min_age: float) -> None:
        # No lock: an exchange that ends may flush, and come here again.
        for _ in range(len(self._waiting)):
            try:
                exchange, status_of, failed = self._waiting.popleft()
            except IndexError:
                return
            if perf_counter() - failed < min_age:
                self._waiting.append((exchange, status_of, failed))
                continue
            try:
                exchange.status = status_of() or exchange.status
            except Exception as error:
                exchange.report("late_status", error)
            exchange.started += perf_counter() - failed  # its duration ends where it has failed
            exchange.finish(is_complete=False)
