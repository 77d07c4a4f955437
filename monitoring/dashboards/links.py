"""Where a dashboard leads to: runbooks, other dashboards, the traces and the logs of the same service and time."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardLinkType


def runbook_link(page: str) -> DashboardLink:
    """Link to a page of docs/runbooks; the variable `runbooks` says where they are served."""
    return _link(f"Runbook: {page}", f"${{runbooks}}/{page}.md").tooltip("What it means and what to do")


def runbooks_link() -> DashboardLink:
    return _link("Runbooks", "${runbooks}/README.md").icon("doc").tooltip("What each alert means, what to do")


def dashboards_link(tag: str) -> DashboardLink:
    """Link to all dashboards with a tag, with the same variables and the same time."""
    return (
        DashboardLink(tag)
        .type(DashboardLinkType.DASHBOARDS)
        .tags([tag])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )


def explore_link(title: str, datasource: str, query: dict[str, Any]) -> DashboardLink:
    """Link to Explore: a query of another data source, in the time range of the dashboard."""
    pane = {
        "datasource": datasource,
        "queries": [{"refId": "A", "datasource": {"uid": datasource}, **query}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    return _link(
        title, f"/explore?schemaVersion=1&panes={_quoted(json.dumps({'now': pane}, separators=(',', ':')))}"
    )


def _link(title: str, url: str) -> DashboardLink:
    return DashboardLink(title).type(DashboardLinkType.LINK).url(url).target_blank(True)


def _quoted(text: str) -> str:
    """Quote for a URL all but the variables, which Grafana replaces before it follows the link."""
    return "".join(
        part if part.startswith("${") else quote(part) for part in re.split(r"(\$\{\w+\})", text) if part
    )
