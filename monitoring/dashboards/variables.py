"""The variables that stand above a dashboard: the data source, which jobs and instances, which routes or stores."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import (
    ConstantVariable,
    CustomVariable,
    DatasourceVariable,
    QueryVariable,
)
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from monitoring.dashboards.frame import PROMETHEUS
from monitoring.dashboards.promql import Scope

RUNBOOKS = "http://localhost:9099/runbooks"
JOB = 'job=~"$job"'
INSTANCE = 'instance=~"$instance"'
SCOPE = Scope((JOB, INSTANCE))


def datasource(name: str = "datasource", kind: str = "prometheus", label: str = "Data source") -> Any:
    return DatasourceVariable(name).label(label).type(kind).description(f"The {kind} to ask.")


def runbooks() -> Any:
    """Say where docs/runbooks is served; users put their own place here."""
    return ConstantVariable("runbooks").label("Runbooks").value(RUNBOOKS)


def job(metric: str, *, single: bool = False) -> Any:
    """Offer the jobs that have a metric."""
    return values("job", "Job", "The job in Prometheus' configuration.", metric, single=single)


def instance(metric: str) -> Any:
    return values("instance", "Instance", "One scraped process, host and port.", f"{metric}{{{JOB}}}")


def values(
    label: str, title: str, description: str, series: str, *, name: str = "", single: bool = False
) -> Any:
    """Offer the values of a label; all of them together unless `single`."""
    variable = (
        QueryVariable(name or label)
        .label(title)
        .description(description)
        .datasource(PROMETHEUS)
        .query(f"label_values({series}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
    if single:
        return variable
    everything = VariableOption(selected=True, text="All", value="$__all")
    return variable.multi(True).include_all(True).all_value(".*").current(everything)


def choice(name: str, title: str, description: str, *texts: str) -> Any:
    """Offer fixed values; the first one is chosen."""
    chosen = VariableOption(selected=True, text=texts[0], value=texts[0])
    return CustomVariable(name).label(title).description(description).values(",".join(texts)).current(chosen)
