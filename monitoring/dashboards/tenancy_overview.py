"""tokpulse, tenancy overview: what each store and organisation causes, who is throttled, and who suffers."""

from __future__ import annotations

from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import bar_gauge, stat, time_series
from monitoring.dashboards.promql import Scope, or_zero
from monitoring.dashboards.tables import Column, table
from monitoring.dashboards.thresholds import above, any_is_bad
from monitoring.dashboards.tokpulse_variables import SERVICE, STORE, STORES
from monitoring.dashboards.variables import values

EVENTS = "tokpulse_tenant_events_total"
THROTTLED = "tokpulse_tenant_throttling_total"
REQUESTS = "tokpulse_api_requests_total"
DURATION = "tokpulse_api_request_duration_seconds"
TENANTS = Scope((*STORES.matchers, 'orgId=~"$org"'))
ERRORS = above(0.001, 0.01)

NOW = row(
    "Now",
    stat(
        "Stores at work",
        "Stores that have caused something in the time range.",
        f"count ({TENANTS.increase(EVENTS, by='storeId')} > 0) or vector(0)",
        unit="short",
        width=6,
    ),
    stat("Events", "Events of all stores per second.", TENANTS.rate(EVENTS), unit="ops", width=6),
    stat(
        "Throttled",
        "Requests per second that were refused, because their store has used up its share.",
        or_zero(TENANTS.rate(THROTTLED)),
        unit="ops",
        thresholds=any_is_bad("orange"),
        width=6,
    ),
    stat(
        "Share of the busiest store",
        "How much of all events one store causes. High: a noisy neighbour.",
        f"max ({TENANTS.rate(EVENTS, by='storeId')})\n  / ({TENANTS.rate(EVENTS)} > 0)",
        unit="percentunit",
        thresholds=above(0.6, 0.8),
        width=6,
    ),
)

WHO = row(
    "Who causes what",
    time_series(
        "Events by store",
        "Events per second: which store keeps the service busy.",
        Query(TENANTS.rate(EVENTS, by="storeId"), "{{storeId}}"),
        unit="ops",
        stacked=True,
        width=8,
    ),
    time_series(
        "Events by type",
        "Events per second: webhooks, widgets and others.",
        Query(TENANTS.rate(EVENTS, by="eventType"), "{{eventType}}"),
        unit="ops",
        stacked=True,
        width=8,
    ),
    bar_gauge(
        "Events by organisation",
        "Events over the time range.",
        Query(TENANTS.increase(EVENTS, by="orgId"), "{{orgId}}"),
        unit="short",
        width=8,
    ),
)

LIMITS = row(
    "Who is throttled, and who suffers",
    time_series(
        "Throttled by store and reason",
        "Requests per second that were refused.",
        Query(or_zero(TENANTS.rate(THROTTLED, by="storeId, reason")), "{{storeId}} {{reason}}"),
        unit="ops",
        thresholds=any_is_bad("orange"),
        stacked=True,
    ),
    time_series(
        "Duration by store, p95",
        "If all stores get slow while one is busy, its limit is too high.",
        Query(STORES.quantile(0.95, DURATION, by="storeId"), "{{storeId}}"),
        unit="s",
        thresholds=above(0.25, 1),
        runbook="HighLatency",
    ),
    table(
        "Stores",
        "Each store with its events and its requests.",
        Column("Events", TENANTS.rate(EVENTS, by="storeId"), "ops"),
        Column("Requests", STORES.rate(REQUESTS, by="storeId"), "reqps"),
        Column("Errors", STORES.share(REQUESTS, 'code=~"5.."', by="storeId"), "percentunit", ERRORS),
        Column("p95", STORES.quantile(0.95, DURATION, by="storeId"), "s", above(0.25, 1)),
    ),
)

DASHBOARD = dashboard(
    "tokpulse-tenancy-overview",
    "tokpulse: tenancy overview",
    "Stores and organisations: what each causes, who is throttled, and whether the others suffer.",
    NOW,
    WHO,
    LIMITS,
    tag="tokpulse",
    variables=[
        *SERVICE,
        STORE,
        values("orgId", "Organisation", "Who owns stores.", STORES.series(EVENTS), name="org"),
    ],
)
