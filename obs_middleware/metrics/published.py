"""What a process publishes beside its cells: what only it can tell, such as the samples of a custom collector."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec
from prometheus_client import Gauge, Info, PlatformCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar

from obs_middleware.metrics.collection import AppMetrics
from obs_middleware.metrics.exposition.foreign import families_of
from obs_middleware.metrics.exposition.registry import collectors_of, failure
from obs_middleware.metrics.fast_path import FastPaths
from obs_middleware.metrics.own_counter import OwnCounter
from obs_middleware.metrics.replaced_values import IN_CELLS, children_of
from obs_middleware.metrics.semconv import ACTIVE
from obs_middleware.metrics.slow_gauge import SlowGauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from obs_middleware.errors import Report
    from obs_middleware.metrics.table_storage import SharedInstruments

# How the samples of several workers become one: each with the label `worker`, one for all, those of whoever is asked
# (all have the same, but each learns its environment when it serves), the lowest, added up.
PER_WORKER, SAME, OWN, LOWEST, SUM = "worker", "same", "own", "lowest", "sum"


def document(registry: CollectorRegistry, instruments: SharedInstruments, report: Report) -> dict[str, Any]:
    """Return the names of all metrics that are in cells, and the families of everything else."""
    names: list[tuple[str, str, str, str]] = []
    families: list[Any] = []
    for collector in collectors_of(registry) or [registry]:
        try:
            if collector is instruments:
                families += _packed(_active(instruments), SUM)
            elif isinstance(collector, (*IN_CELLS, OwnCounter)):
                (family,) = collector.describe()
                names.append((family.name, family.type, family.documentation, family.unit))
                _ask_functions(collector)
            else:
                for family in families_of(collector):
                    if isinstance(collector, Info):
                        _leave_out_unset(family, collector)
                    packed = [*_packed(family, _mode(collector))]
                    if _can_be_sent(packed, report):
                        families += packed
        except (Exception, SystemExit) as error:
            report("collector", failure(error))
    return {"names": names, "families": families}


def _leave_out_unset(family: Metric, info: Info) -> None:
    """Leave out what nobody has set in this worker yet, because another one has."""
    own = len(info._labelnames)
    family.samples = [sample for sample in family.samples if len(sample.labels) > own]


def _can_be_sent(packed: list[Any], report: Report) -> bool:
    """Tell whether others can read a family; one that is no JSON costs itself, and not all of a worker."""
    try:
        msgspec.json.encode(packed)
    except (TypeError, ValueError) as error:
        report("workers", error)
        return False
    return True


def unpacked(packed: list[Any]) -> tuple[Metric, str]:
    """Return a family that another process has published, and how it is put together."""
    name, kind, documentation, unit, mode, samples = packed
    family = Metric(name, documentation, kind, unit)
    for sample, labels, value, timestamp, exemplar in samples:
        given = None if exemplar is None else Exemplar(exemplar[0], float(exemplar[1]), exemplar[2])
        family.add_sample(sample, labels, float(value), timestamp, given)
    return family, mode


def _packed(family: Metric, mode: str) -> Iterator[list[Any]]:
    samples = [
        [
            sample.name,
            sample.labels,
            _number(sample.value),
            None if sample.timestamp is None else float(sample.timestamp),
            _exemplar(sample.exemplar),
        ]
        for sample in family.samples
    ]
    yield [family.name, family.type, family.documentation, family.unit, mode, samples]


def _number(value: Any) -> float | str:
    return float(value) if isfinite(value) else str(float(value))  # JSON has no infinity


def _exemplar(exemplar: Any) -> Any:
    if exemplar is None:
        return None
    timestamp = None if exemplar.timestamp is None else float(exemplar.timestamp)
    return [exemplar.labels, _number(exemplar.value), timestamp]


def _active(instruments: SharedInstruments) -> Metric:
    gauge = Metric(ACTIVE.name, ACTIVE.about, "gauge")
    for labels, number in instruments.active_now():
        gauge.add_sample(gauge.name, dict(zip(ACTIVE.label_names, labels, strict=True)), number)
    return gauge


def _mode(collector: Any) -> str:
    if isinstance(collector, AppMetrics):
        return OWN
    if isinstance(collector, FastPaths):
        return LOWEST
    return SAME if isinstance(collector, (Info, PlatformCollector, SlowGauge)) else PER_WORKER


def _ask_functions(collector: Any) -> None:
    """Write what the functions of gauges return to their cells."""
    if isinstance(collector, Gauge):
        for child in children_of(collector):
            samples = child._child_samples
            if getattr(samples, "__func__", None) is not type(child)._child_samples:  # set_function()
                child._value.set(float(samples()[0].value))
