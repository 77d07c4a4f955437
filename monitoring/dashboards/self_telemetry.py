"""Panels of what the telemetry tells of itself: its series, its collections, and what it has lost."""

from __future__ import annotations

from monitoring.dashboards.dashboard import row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import bar_gauge, time_series
from monitoring.dashboards.promql import or_zero
from monitoring.dashboards.thresholds import above, any_is_bad, below
from monitoring.dashboards.variables import SCOPE

ROW = row(
    "Telemetry of the telemetry",
    time_series(
        "Series",
        "Series on the page of each instance: what it costs in Prometheus.",
        Query(f"max by (job, instance) ({SCOPE.series('telemetry_series')})", "{{job}} {{instance}}"),
        unit="short",
        thresholds=above(10_000, 50_000),
        width=8,
        runbook="CardinalityOverflow",
    ),
    time_series(
        "Duration of a collection, mean",
        "How long it takes to make a page, an export or a snapshot.",
        Query(
            SCOPE.mean("telemetry_collection_duration_seconds", by="job, instance"), "{{job}} {{instance}}"
        ),
        unit="s",
        thresholds=above(0.5, 1),
        width=8,
        runbook="CollectionSlow",
    ),
    time_series(
        "Collections",
        "Pages, exports and snapshots per second. None: nobody scrapes, and nothing is exported.",
        Query(SCOPE.rate("telemetry_collection_runs_total", by="job, instance"), "{{job}} {{instance}}"),
        unit="ops",
        width=8,
        runbook="CollectionStopped",
    ),
    time_series(
        "Exports that failed",
        "Failures per second by exporter. They are tried again, later and later.",
        Query(
            or_zero(SCOPE.rate("obs_export_failures_total", by="job, exporter")),
            "{{job}} {{exporter}}",
        ),
        unit="ops",
        thresholds=any_is_bad(),
        width=8,
        runbook="ExporterFailing",
    ),
    time_series(
        "Log lines and spans dropped",
        "What could not be written or sent, per second.",
        Query(or_zero(SCOPE.rate("obs_dropped_total", by="job, signal")), "{{job}} {{signal}}"),
        unit="ops",
        thresholds=any_is_bad(),
        width=8,
        runbook="TelemetryDropped",
    ),
    time_series(
        "Measurements in overflow series",
        "Measurements per second beyond the limit of a metric's series. They are counted, but not by their labels.",
        Query(or_zero(SCOPE.rate("obs_series_overflow_total", by="job, metric")), "{{job}} {{metric}}"),
        unit="ops",
        thresholds=any_is_bad("orange"),
        width=8,
        runbook="CardinalityOverflow",
    ),
    time_series(
        "Internal errors by component",
        "Failures inside obs-middleware per second. The log has their tracebacks, once a minute.",
        Query(or_zero(SCOPE.rate("obs_internal_errors_total", by="job, component")), "{{job}} {{component}}"),
        unit="ops",
        thresholds=any_is_bad(),
        runbook="InternalErrors",
    ),
    bar_gauge(
        "Fast paths",
        "1: taken everywhere. Less: some process of the job goes the slow way, which costs time and nothing else.",
        Query(f"avg by (job, name) ({SCOPE.series('obs_fast_path')})", "{{job}} {{name}}"),
        unit="percentunit",
        thresholds=below(1, 0.5),
        maximum=1,
        runbook="FastPathOff",
    ),
)
