"""Panels of health that several dashboards have: which component was in which state, and how its checks went."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models.dashboard import Threshold, ValueMap, ValueMappingResult

from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import state_timeline, time_series
from monitoring.dashboards.promql import Scope
from monitoring.dashboards.thresholds import above

STATES = ValueMap(
    {
        "0": ValueMappingResult(text="unknown", color="gray", index=0),
        "1": ValueMappingResult(text="healthy", color="green", index=1),
        "2": ValueMappingResult(text="degraded", color="orange", index=2),
        "3": ValueMappingResult(text="unhealthy", color="red", index=3),
    }
)
COLOURS = (Threshold(None, "gray"), Threshold(1, "green"), Threshold(2, "orange"), Threshold(3, "red"))


def components(scope: Scope, *, width: int = 24) -> Any:
    return state_timeline(
        "Health of components",
        "The state of each component, as its checks have found it; the worst of all instances. "
        "One that is degraded is not critical: the service goes on without it.",
        Query(f"max by (job, component) ({scope.series('health_status')})", "{{job}} {{component}}"),
        states=STATES,
        thresholds=COLOURS,
        width=width,
        runbook="HealthComponentDown",
    )


def checks(scope: Scope, *, width: int = 12) -> Any:
    return time_series(
        "Results of checks",
        "Health checks per second by component and result. `fail` and `warn` are checks that did not pass.",
        Query(
            scope.rate("health_checks_total", by="job, component, status"), "{{job}} {{component}} {{status}}"
        ),
        unit="ops",
        stacked=True,
        width=width,
    )


def check_durations(scope: Scope, *, width: int = 12) -> Any:
    return time_series(
        "Duration of checks, p95",
        "How long the checks of a component take. Probes do not wait for them: checks run in the background.",
        Query(
            scope.quantile(0.95, "health_check_duration_seconds", by="job, component"),
            "{{job}} {{component}}",
        ),
        unit="s",
        thresholds=above(0.5, 2),
        width=width,
    )
