"""Lines, spans and metrics that wait are handed over when a process stops, and while it may end at any moment.

Each is given a second, because a collector may not answer and nobody may read the log.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from obs_middleware.deadline import STOP_SECONDS, Deadline
from obs_middleware.queue import RecordQueue, flush

if TYPE_CHECKING:
    from obs_middleware.export.exporters import Exporters
    from obs_middleware.metrics.http import HttpMetrics
    from obs_middleware.tracing.server_span import ServerSpans

_SECONDS = 1.0


class HandOver:
    """Hand over what waits of one Observer.

    Args:
        guard: calls a function with arguments, and reports what it raises.
    """

    def __init__(
        self,
        queue: RecordQueue,
        metrics: HttpMetrics,
        spans: ServerSpans,
        exporters: Exporters,
        guard: Callable[..., Any],
    ) -> None:
        self._queue = queue
        self._metrics = metrics
        self._spans = spans
        self._exporters = exporters
        self._guard = guard

    def at_the_end(self) -> None:
        """Hand over all, and wait for it; for who gives it its time."""
        flush()
        wait_for_exporters = self._exporters.stop()
        self._spans.flush(round(STOP_SECONDS * 1000))
        wait_for_exporters()

    def soon(self, is_export: bool) -> None:
        """Hand over what waits, metrics too if `is_export`, and go on if it takes long."""
        _sending.within(_SECONDS, partial(self._guard, "stop", self._send, is_export))

    def each(self) -> None:
        """Hand over each request when it ends, from now on, and with the last one under way the metrics."""
        self._queue.hold_nothing(self._hand_over_ended)

    def together(self) -> None:
        """Let requests wait for others again."""
        self._queue.hold_again()

    def has_requests(self) -> bool:
        """Tell whether any request is under way."""
        flush()  # those that have ended count until their records are handed over
        return any(number for _, number in self._metrics.instruments.active_now())

    def _hand_over_ended(self) -> None:
        """Write first, and then send; who does not take it costs one request its time, not each."""
        if not _writing.was_missed:
            _writing.within(_SECONDS, flush)
        if not _sending.was_missed:
            _sending.within(_SECONDS, partial(self._guard, "stop", self._send_ended))

    def _send_ended(self) -> None:
        self._send(is_export=not self.has_requests())

    def _send(self, is_export: bool) -> None:
        flush()
        self._spans.flush(round(_SECONDS * 1000))
        if is_export and self._exporters.is_started:
            self._exporters.push()


_writing, _sending = Deadline(), Deadline()  # of their own: whether they were missed says nothing of the end
