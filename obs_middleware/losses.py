"""What this process has lost of its log lines and spans: lines that could not be written, spans that were not taken."""

from __future__ import annotations

from threading import RLock
from typing import Literal

from obs_middleware import process

Signal = Literal["log_lines", "spans"]


class Losses:
    """Count by signal."""

    def __init__(self) -> None:
        self._begin_anew()
        process.on_fork(in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._lock = RLock()  # a signal's handler may log
        self._counts: dict[Signal, int] = {}

    def add(self, signal: Signal, count: int = 1) -> None:
        """Count what was lost."""
        with self._lock:
            self._counts[signal] = self._counts.get(signal, 0) + count

    def counts(self) -> dict[Signal, int]:
        """Return how many of each signal were lost."""
        with self._lock:
            return dict(self._counts)


losses = Losses()
