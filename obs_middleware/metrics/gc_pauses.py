"""How long the garbage collector has stopped all threads of this process, by generation.

Python calls us before and after each collection, in whatever thread begins it, and that thread may hold any lock. So
nothing is locked here. Collections never overlap: Python begins none while one is under way.
"""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from prometheus_client.core import HistogramMetricFamily

from obs_middleware import process
from obs_middleware.metrics.cumulative import add_histogram

_BOUNDS = (0.001, 0.01, 0.1)


class GcPauses:
    """Measure collections, from the first `begin` on."""

    def __init__(self) -> None:
        self._begin_anew()
        process.on_fork(in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        generations = range(len(gc.get_stats()))
        self._counts = [[0] * (len(_BOUNDS) + 1) for _ in generations]
        self._sums = [0.0 for _ in generations]
        self._started = perf_counter()

    def begin(self) -> None:
        """Have Python call us, once."""
        if self._note not in gc.callbacks:
            gc.callbacks.append(self._note)

    def families(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram; a generation that was never collected has no series."""
        family = HistogramMetricFamily(
            "cpython_gc_duration_seconds",
            "How long collections have stopped all threads.",
            labels=("cpython_gc_generation",),
        )
        for generation, counts in enumerate(self._counts):
            if any(counts):
                add_histogram(family, (str(generation),), _BOUNDS, counts, self._sums[generation])
        yield family

    def _note(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._started = perf_counter()
            return
        seconds, generation = perf_counter() - self._started, info["generation"]
        self._counts[generation][bisect_left(_BOUNDS, seconds)] += 1
        self._sums[generation] += seconds


gc_pauses = GcPauses()
