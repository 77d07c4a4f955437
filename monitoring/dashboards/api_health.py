"""tokpulse, API health: rate, errors and duration of its API by route and store."""

from __future__ import annotations

from monitoring.dashboards import health
from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import heatmap, stat, time_series
from monitoring.dashboards.promql import Scope
from monitoring.dashboards.tables import Column, table
from monitoring.dashboards.thresholds import above
from monitoring.dashboards.tokpulse_variables import SERVICE, STORE, STORES
from monitoring.dashboards.variables import SCOPE, values

REQUESTS = "tokpulse_api_requests_total"
DURATION = "tokpulse_api_request_duration_seconds"
ACTIVE = "tokpulse_api_active_connections"
FAILED = 'code=~"5.."'
REFUSED = 'code=~"4.."'
API = Scope((*STORES.matchers, 'route=~"$route"'))
ERRORS = above(0.001, 0.01)
SLOW = above(0.25, 1)

NOW = row(
    "Now",
    stat("Requests", "Requests per second that were answered.", API.rate(REQUESTS), unit="reqps"),
    stat(
        "Errors",
        "Share of the requests that ended with a code of 500 or more.",
        API.share(REQUESTS, FAILED),
        unit="percentunit",
        thresholds=ERRORS,
        runbook="HighErrorRatio",
    ),
    stat(
        "Refused",
        "Share of the requests that ended with a code from 400 to 499; 429 is a store that was throttled.",
        API.share(REQUESTS, REFUSED),
        unit="percentunit",
        thresholds=above(0.1, 0.3),
    ),
    stat(
        "Duration, median",
        "Half of the requests were answered within this time.",
        API.quantile(0.5, DURATION),
        unit="s",
        thresholds=SLOW,
    ),
    stat(
        "Duration, p99",
        "99 of 100 requests were answered within this time.",
        API.quantile(0.99, DURATION),
        unit="s",
        thresholds=SLOW,
        runbook="HighLatency",
    ),
    stat(
        "Connections",
        "Requests that are being answered now.",
        SCOPE.total(ACTIVE),
        unit="short",
        thresholds=above(50, 200),
    ),
)

ROUTES = row(
    "Routes",
    time_series(
        "Requests by route",
        "Requests per second by method and route.",
        Query(API.rate(REQUESTS, by="method, route"), "{{method}} {{route}}"),
        unit="reqps",
        stacked=True,
    ),
    time_series(
        "Error share by route",
        "Share of the requests that ended with a code of 500 or more. It is 0 while none has.",
        Query(API.share(REQUESTS, FAILED, by="method, route"), "{{method}} {{route}}"),
        unit="percentunit",
        thresholds=ERRORS,
        runbook="HighErrorRatio",
    ),
    time_series(
        "Duration by route, p95",
        "95 of 100 requests of a route were answered within this time.",
        Query(API.quantile(0.95, DURATION, by="method, route"), "{{method}} {{route}}"),
        unit="s",
        thresholds=SLOW,
        runbook="HighLatency",
    ),
    heatmap(
        "How durations spread",
        "How many requests took how long.",
        API.rate(f"{DURATION}_bucket", by="le"),
        unit="s",
    ),
)

STORES_ROW = row(
    "Stores and codes",
    time_series(
        "Requests by code",
        "Requests per second by the code that was sent.",
        Query(API.rate(REQUESTS, by="code"), "{{code}}"),
        unit="reqps",
        stacked=True,
    ),
    time_series(
        "Connections by instance",
        "Requests that are being answered. It rises while the rate does not: something is slow, or stuck.",
        Query(SCOPE.total(ACTIVE, by="instance"), "{{instance}}"),
        unit="short",
        thresholds=above(50, 200),
    ),
    table(
        "Stores",
        "Each store with its requests.",
        Column("Requests", API.rate(REQUESTS, by="storeId"), "reqps"),
        Column("Errors", API.share(REQUESTS, FAILED, by="storeId"), "percentunit", ERRORS),
        Column("p95", API.quantile(0.95, DURATION, by="storeId"), "s", SLOW),
    ),
)

DASHBOARD = dashboard(
    "tokpulse-api-health",
    "tokpulse: API health",
    "The API of tokpulse by route and store: rate, errors, duration, connections, and the health of what it needs.",
    NOW,
    ROUTES,
    STORES_ROW,
    row("Health", health.components(SCOPE)),
    tag="tokpulse",
    variables=[
        *SERVICE,
        STORE,
        values("route", "Route", "The template of a route.", STORES.series(REQUESTS)),
    ],
)
