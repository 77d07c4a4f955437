"""A batch job: what is exported at its end tells how long it took, and when it last went well and last failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

Export = Callable[[str, list[Metric]], None]


class Job:
    """Export at the end of a block, however it ends; sync and async.

    Args:
        export: is called with the job's name and families.
    """

    def __init__(self, name: str, export: Export) -> None:
        self._name = name
        self._export = export
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._export(self._name, self._families(error))

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self._export, self._name, self._families(error))

    def _families(self, error: BaseException | None) -> list[Metric]:
        has_gone_well = error is None or (isinstance(error, SystemExit) and not error.code)
        seconds, now = time.perf_counter() - self._began, time.time()
        end = "success" if has_gone_well else "failure"
        return [
            self._gauge("obs_job_duration_seconds", "How long the job took.", seconds),
            self._gauge(f"obs_job_last_{end}_timestamp_seconds", f"When the job last ended in {end}.", now),
        ]

    def _gauge(self, name: str, documentation: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, documentation, labels=("job_name",))
        family.add_metric((self._name,), value)
        return family
