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
ABOUT_JOB = ("Job", "The job in Prometheus' configuration.")
ABOUT_INSTANCE = ("Instance", "One scraped process, host and port.")
SCOPE = Scope((JOB, INSTANCE))
_ALL = VariableOption(selected=True, text=["All"], value=["$__all"])


def datasource(name: str = "datasource", kind: str = "prometheus", label: str = "Data source") -> Any:
    return (
        DatasourceVariable(name)
        .label(label)
        .type(kind)
        .description(f"The data source of type {kind} to ask.")
    )


def runbooks() -> Any:
    """Say where docs/runbooks is served; users put their own place here."""
    return ConstantVariable("runbooks").label("Runbooks").value(RUNBOOKS)


def job(metric: str) -> Any:
    """Offer the jobs that have a metric. All of them are these and no others, so each is named in the queries."""
    return _several(_offer("job", *ABOUT_JOB, metric))


def one_job(metric: str) -> Any:
    return _offer("job", *ABOUT_JOB, metric)


def instance(metric: str) -> Any:
    return values("instance", *ABOUT_INSTANCE, f"{metric}{{{JOB}}}")


def values(label: str, title: str, description: str, series: str, *, name: str = "") -> Any:
    """Offer the values of a label, and all of them together, those without the label too."""
    return _several(_offer(label, title, description, series, name)).all_value(".*")


def value(label: str, title: str, description: str, series: str, *, name: str, first: str) -> Any:
    """Offer the values of a label, one at a time."""
    return _offer(label, title, description, series, name).current(_option(first, first))


def choice(name: str, title: str, description: str, *texts: str) -> Any:
    """Offer fixed values; the first one is chosen."""
    variable = CustomVariable(name).label(title).description(description).values(",".join(texts))
    return variable.current(_option(texts[0], texts[0]))


def _offer(label: str, title: str, description: str, series: str, name: str = "") -> Any:
    return (
        QueryVariable(name or label)
        .label(title)
        .description(description)
        .datasource(PROMETHEUS)
        .query(f"label_values({series}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _several(variable: Any) -> Any:
    return variable.multi(True).include_all(True).current(_ALL)


def _option(text: str, value: str) -> VariableOption:
    return VariableOption(selected=True, text=text, value=value)
