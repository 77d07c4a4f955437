"""A batch job: what is exported at its end, and in each later export of the process, tells how it went.

That is how long it took, and when it last went well and last failed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

import msgspec
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

KEPT = 500  # jobs, the last ones that have ended
DURATION = "obs_job_duration_seconds"
SUCCESS, FAILURE = "obs_job_last_success_timestamp_seconds", "obs_job_last_failure_timestamp_seconds"
DOCUMENTATION = {
    DURATION: "How long the job took.",
    SUCCESS: "When the job last ended in success.",
    FAILURE: "When the job last ended in failure.",
}


class JobEnd(msgspec.Struct, frozen=True):
    """How a job has ended.

    Attributes:
        values: by the name of the family.
    """

    name: str
    values: dict[str, float]


class Job:
    """Export at the end of a block, however it ends; sync and async.

    Args:
        export: is called with how the job has ended.
    """

    def __init__(self, name: str, export: Callable[[JobEnd], None]) -> None:
        self._name = name
        self._export = export
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._export(self._end(error))

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        end = self._end(error)
        try:
            await asyncio.to_thread(self._export, end)
        except RuntimeError:  # no thread is to be had
            self._export(end)

    def _end(self, error: BaseException | None) -> JobEnd:
        has_gone_well = error is None or (isinstance(error, SystemExit) and not error.code)
        seconds = time.perf_counter() - self._began
        return JobEnd(self._name, {DURATION: seconds, SUCCESS if has_gone_well else FAILURE: time.time()})


class JobEnds:
    """What the jobs of this process have said, of each name the last of each value."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, float]] = {}  # by job, the one that has ended last at the end
        self._lock = threading.Lock()

    def add(self, end: JobEnd) -> None:
        """Keep how a job has ended, in place of what its earlier runs have said of the same."""
        with self._lock:
            self._values[end.name] = {**self._values.pop(end.name, {}), **end.values}
            if len(self._values) > KEPT:
                del self._values[next(iter(self._values))]

    def families(self) -> list[Metric]:
        """Return one family for each value, with a sample for each job."""
        with self._lock:
            jobs = [*self._values.items()]
        families: list[Metric] = []
        for name, documentation in DOCUMENTATION.items():
            family = GaugeMetricFamily(name, documentation, labels=("job_name",))
            for job, values in jobs:
                if name in values:
                    family.add_metric((job,), values[name])
            families += [family] if family.samples else []
        return families
