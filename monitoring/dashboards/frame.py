"""What every panel has: title, description, unit, thresholds, links, and the queries that it asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.builders.dashboard import DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

from monitoring.dashboards.links import runbook_link
from monitoring.dashboards.thresholds import NEUTRAL

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True, slots=True)
class Query:
    """What a panel asks, and the name of each series that comes of it."""

    expression: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """What a panel says of itself; `runbook` is the page in docs/runbooks that says what to do."""

    title: str
    description: str
    unit: str
    thresholds: Sequence[Threshold] = NEUTRAL
    runbook: str = ""
    links: Sequence[DashboardLink] = ()


def described(panel: Any, about: About, *, width: int, height: int = 8) -> Any:
    return (
        panel.title(about.title)
        .description(about.description)
        .datasource(PROMETHEUS)
        .unit(about.unit)
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(about.thresholds)))
        .span(width)
        .height(height)
        .links([*about.links, *([runbook_link(about.runbook)] if about.runbook else [])])
    )


def asking(panel: Any, queries: Sequence[Query], *, instant: bool = False) -> Any:
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(target(letter, query, instant=instant))
    return panel


def target(letter: str, query: Query, *, instant: bool = False) -> Any:
    """Make what the SDK calls a target: one query of a panel."""
    made = prometheus.Dataquery().expr(query.expression).ref_id(letter).datasource(PROMETHEUS)
    made.legend_format(query.legend or "__auto")
    if query.exemplars:
        made.exemplar(True)
    return made.instant() if instant else made.range()
