"""The threads in which async apps run sync functions: asyncio's own pool, and those that anyio's limiter admits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from obs_middleware.metrics.event_loops import EventLoops

_LABEL = "thread_pool_name"


class _Use(NamedTuple):
    active: float
    most: float
    waiting: float


def families(loops: EventLoops) -> Iterator[GaugeMetricFamily]:
    """Yield how far the pools of the loops that run are used; nothing where there is no pool."""
    used: dict[str, list[_Use]] = {}
    for loop, watched in loops.running():
        for name, read, pool in (
            ("asyncio", _of_executor, getattr(loop, "_default_executor", None)),  # uvloop hides its own
            ("anyio", _of_limiter, watched.limiter),
        ):
            if pool is not None:
                with suppress(Exception):  # an executor of another class, another release
                    use = read(pool)
                    used.setdefault(name, []).append(use)
    if not used:
        return
    for number, (name, documentation) in enumerate(
        (
            ("python_thread_pool_active_threads", "Threads that run a function."),
            ("python_thread_pool_max_threads", "Threads that there may be."),
            ("python_thread_pool_waiting_tasks", "Functions that wait for a thread."),
        )
    ):
        family = GaugeMetricFamily(name, documentation, labels=(_LABEL,))
        for pool_name, uses in used.items():
            family.add_metric((pool_name,), sum(use[number] for use in uses))
        yield family


def _of_executor(executor: Any) -> _Use:
    idle = executor._idle_semaphore._value
    return _Use(len(executor._threads) - idle, executor._max_workers, executor._work_queue.qsize())


def _of_limiter(limiter: Any) -> _Use:
    return _Use(limiter.borrowed_tokens, limiter.total_tokens, limiter.statistics().tasks_waiting)
