"""A dashboard: rows of panels, with what all dashboards have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard as Builder
from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.builders.dashboard import Row as RowBuilder
from grafana_foundation_sdk.models.dashboard import Dashboard, DashboardCursorSync

from monitoring.dashboards.links import dashboards_link, runbooks_link
from monitoring.dashboards.variables import datasource, runbooks

TAG = "obs-middleware"


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading; they fill lines of 24 columns."""

    title: str
    panels: Sequence[Any]


def row(title: str, *panels: Any) -> Row:
    return Row(title, panels)


def dashboard(
    uid: str,
    title: str,
    description: str,
    *rows: Row,
    tag: str,
    variables: Sequence[Any],
    time_range: str = "now-1h",
    refresh: str = "30s",
    links: Sequence[DashboardLink] = (),
) -> Dashboard:
    """Make a dashboard; panels are placed from left to right, and numbered."""
    builder = (
        Builder(title)
        .uid(uid)
        .description(description)
        .tags(sorted({TAG, tag}))
        .timezone("browser")
        .time(time_range, "now")
        .refresh(refresh)
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .variables([datasource(), *variables, runbooks()])
        .links([dashboards_link(TAG), runbooks_link(), *links])
    )
    for one in rows:
        builder.with_row(RowBuilder(one.title))
        for panel in one.panels:
            builder.with_panel(panel)
    return _numbered(builder.build())


def _numbered(made: Dashboard) -> Dashboard:
    """Number the panels, because Grafana would do so at each load, and a link to a panel has its number."""
    for number, panel in enumerate(made.panels or (), start=1):
        panel.id_val = number
    return made
