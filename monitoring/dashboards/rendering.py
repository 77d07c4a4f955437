"""Which dashboards there are, where the file of each stands, and how it is written."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards import (
    api_health,
    audotics,
    economic_activity,
    execution_performance,
    http_overview,
    jobs_queues,
    network_overview,
    runtime,
    service_detail,
    slo,
    system_health,
    tenancy_overview,
    utilityfog,
    webhooks_health,
    widget_performance,
)

ROOT = Path(__file__).parents[2]
FOR_EVERYBODY = (
    ROOT / "obs_middleware" / "cli" / "dashboards"
)  # `python -m obs_middleware dashboards` copies them
OF_THE_SYSTEMS = ROOT / "monitoring" / "grafana" / "dashboards"

DASHBOARDS: dict[Path, Dashboard] = {
    FOR_EVERYBODY / "http-overview.json": http_overview.DASHBOARD,
    FOR_EVERYBODY / "service-detail.json": service_detail.DASHBOARD,
    FOR_EVERYBODY / "slo.json": slo.DASHBOARD,
    FOR_EVERYBODY / "runtime.json": runtime.DASHBOARD,
    OF_THE_SYSTEMS / "network-overview.json": network_overview.DASHBOARD,
    OF_THE_SYSTEMS / "execution-performance.json": execution_performance.DASHBOARD,
    OF_THE_SYSTEMS / "economic-activity.json": economic_activity.DASHBOARD,
    OF_THE_SYSTEMS / "system-health.json": system_health.DASHBOARD,
    OF_THE_SYSTEMS / "webhooks-health.json": webhooks_health.DASHBOARD,
    OF_THE_SYSTEMS / "widget-performance.json": widget_performance.DASHBOARD,
    OF_THE_SYSTEMS / "api-health.json": api_health.DASHBOARD,
    OF_THE_SYSTEMS / "jobs-queues.json": jobs_queues.DASHBOARD,
    OF_THE_SYSTEMS / "tenancy-overview.json": tenancy_overview.DASHBOARD,
    OF_THE_SYSTEMS / "audotics.json": audotics.DASHBOARD,
    OF_THE_SYSTEMS / "utilityfog.json": utilityfog.DASHBOARD,
}


def rendered(dashboard: Dashboard) -> str:
    """Write a dashboard as the JSON that Grafana imports and provisions.

    It is read once by the SDK's classes, which fill in defaults: what they read, they then write unchanged.
    """
    register_default_plugins()  # else the options of panels and queries are not read
    filled = Dashboard.from_json(json.loads(json.dumps(dashboard, cls=JSONEncoder)))
    return json.dumps(filled, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def stale() -> list[Path]:
    """Name the files that are not what the code renders, and those that no code renders."""
    folders = {path.parent for path in DASHBOARDS}
    strange = [path for folder in folders for path in folder.glob("*.json") if path not in DASHBOARDS]
    return strange + [
        path
        for path, dashboard in DASHBOARDS.items()
        if not path.exists() or path.read_text(encoding="utf-8") != rendered(dashboard)
    ]


def write() -> list[Path]:
    """Write all files that are not fresh, and remove those that no code renders; name them."""
    changed = stale()
    for path in changed:
        if path in DASHBOARDS:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rendered(DASHBOARDS[path]), encoding="utf-8")
        else:
            path.unlink()
    return changed
