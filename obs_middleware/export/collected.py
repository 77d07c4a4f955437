"""What an exporter is, and what it gets: all metrics of one moment."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from prometheus_client.metrics_core import Metric

from obs_middleware.export.job import DOCUMENTATION

if TYPE_CHECKING:
    from obs_middleware.settings import Settings


class Exporter(Protocol):
    """Whatever brings metrics somewhere; a class of the user's own may do.

    Attributes:
        name: in `obs_export_failures_total` and in log lines; without it, the name of its class.
        interval_seconds: between two exports.
    """

    name: str
    interval_seconds: float

    def export(self, collected: Collected) -> object:
        """Bring the metrics there, sync or async; raise where that fails, and it is tried again."""
        ...


class Source(Protocol):
    """Where metrics come from: `observer.metrics`."""

    def families(self) -> list[Metric]:
        """Return all metrics of now."""
        ...

    def text_of(self, families: Iterable[Metric]) -> bytes:
        """Return families as Prometheus text."""
        ...

    def values_of(self, families: Iterable[Metric]) -> dict[str, dict[str, Any]]:
        """Return families as plain values."""
        ...

    def own_families(self) -> list[Metric] | None:
        """Return the metrics of this process alone; None where it is no worker among others."""
        ...


class Collected(msgspec.Struct, frozen=True):
    """All metrics of one moment.

    Attributes:
        families: as prometheus-client has them, of all workers of the service.
        timestamp: seconds since 1970.
        labels: whose metrics these are: `service`, `version`, `environment`, `instance`.
        events_count: how many events were recorded.
        is_running: False in the last export before the end, and at the end of a batch job that is no part of an app.
        job: the name of the batch job at whose end this is, if it is one.
        settings: of the Observer.
        of_jobs: what jobs of this process have said, by the name of the job; `families` has it too.
    """

    families: list[Metric]
    timestamp: float
    labels: dict[str, str]
    events_count: int
    is_running: bool
    job: str | None
    settings: Settings
    of_jobs: list[Metric]
    _source: Source
    _own_families: Callable[[], list[Metric] | None]

    def own_families(self) -> list[Metric]:
        """Return the metrics of this process alone, for a receiver that adds up those of all processes itself."""
        own = self._own_families()
        return self.families if own is None else [*own, *self.of_jobs]

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return the metrics as plain values, as `observer.metrics.snapshot()` does."""
        return self._source.values_of(self.families)

    def text(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        leave_out: tuple[str, ...] = (),
        only_job: str | None = None,
    ) -> bytes:
        """Return the metrics as Prometheus text without timestamps, which neither of its gateways takes.

        Args:
            labels: stand on each series that has no such label of its own.
            leave_out: names of families that are not wanted.
            only_job: what other jobs than this one have said is not wanted.
        """
        kept = [family for family in self.families if family.name not in leave_out]
        if only_job is not None:
            others = (family for family in kept if family.name not in DOCUMENTATION)
            kept = [*others, *_of_job(self.of_jobs, only_job)]
        return self._source.text_of(_relabelled(family, labels or {}) for family in kept)


def _of_job(families: Iterable[Metric], job: str) -> Iterator[Metric]:
    """Yield families with the samples of one job; one without any is left out."""
    for family in families:
        changed = copy.copy(family)
        changed.samples = [sample for sample in family.samples if sample.labels["job_name"] == job]
        if changed.samples:
            yield changed


def _relabelled(family: Metric, labels: Mapping[str, str]) -> Metric:
    changed = copy.copy(family)
    changed.samples = [
        sample._replace(labels={**labels, **sample.labels}, timestamp=None) for sample in family.samples
    ]
    return changed
