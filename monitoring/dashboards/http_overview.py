"""HTTP overview: rate, errors, duration and saturation of all services, by route."""

from __future__ import annotations

from monitoring.dashboards import websockets
from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import heatmap, stat, time_series
from monitoring.dashboards.promql import Scope
from monitoring.dashboards.tables import Column, table
from monitoring.dashboards.thresholds import above
from monitoring.dashboards.variables import ABOUT_INSTANCE, INSTANCE, JOB, SCOPE, job, values

DURATION = "http_server_request_duration_seconds"
COUNT = f"{DURATION}_count"
FAILED = 'http_response_status_code=~"5.."'
REFUSED = 'http_response_status_code=~"4.."'
# A service may have websockets alone.
SERVED = '__name__=~"http_server_(request|websocket_connection)_duration_seconds_count"'
ROUTES = Scope((JOB, INSTANCE, 'http_route=~"$route"'))
ERRORS = above(0.001, 0.01)
SLOW = above(0.25, 1)

NOW = row(
    "Now",
    stat(
        "Requests", "Requests per second that were answered.", f"{ROUTES.rate(COUNT)}", unit="reqps", width=4
    ),
    stat(
        "Errors",
        "Share of the requests that ended with a status of 500 or more.",
        ROUTES.share(COUNT, FAILED),
        unit="percentunit",
        thresholds=ERRORS,
        runbook="HighErrorRatio",
    ),
    stat(
        "Refused",
        "Share of the requests that ended with a status from 400 to 499: often the caller's fault, sometimes ours.",
        ROUTES.share(COUNT, REFUSED),
        unit="percentunit",
        thresholds=above(0.1, 0.3),
    ),
    stat(
        "Duration, median",
        "Half of the requests were answered to the last byte within this time.",
        ROUTES.quantile(0.5, DURATION),
        unit="s",
        thresholds=SLOW,
    ),
    stat(
        "Duration, p99",
        "99 of 100 requests were answered to the last byte within this time.",
        ROUTES.quantile(0.99, DURATION),
        unit="s",
        thresholds=SLOW,
        runbook="HighLatency",
    ),
    stat(
        "Under way",
        "Requests that are being answered now, streams included.",
        SCOPE.total("http_server_active_requests"),
        unit="short",
        thresholds=above(50, 200),
    ),
)

RATE = row(
    "Rate",
    time_series(
        "Requests by route",
        "Requests per second by route. A path that no route has is counted under no route.",
        Query(ROUTES.rate(COUNT, by="job, http_route"), "{{job}} {{http_route}}"),
        unit="reqps",
    ),
    time_series(
        "Requests by status",
        "Requests per second by the status that was sent.",
        Query(ROUTES.rate(COUNT, by="http_response_status_code"), "{{http_response_status_code}}"),
        unit="reqps",
        stacked=True,
    ),
)

FAILURES = row(
    "Failures",
    time_series(
        "Error share by route",
        "Share of the requests of a route that ended with a status of 500 or more. It is 0 while none has failed.",
        Query(ROUTES.share(COUNT, FAILED, by="job, http_route"), "{{job}} {{http_route}}"),
        unit="percentunit",
        thresholds=ERRORS,
        runbook="HighErrorRatio",
    ),
    time_series(
        "Errors by kind",
        "Requests per second that did not end well: the exception, the status, or that the client has left.",
        Query(
            ROUTES.rate(COUNT, 'error_type!=""', by="job, http_route, error_type"),
            "{{job}} {{http_route}} {{error_type}}",
        ),
        unit="reqps",
        stacked=True,
    ),
    table(
        "Routes",
        "Each route with its rate, its errors and its durations.",
        Column("Requests", ROUTES.rate(COUNT, by="job, http_route"), "reqps"),
        Column("Errors", ROUTES.share(COUNT, FAILED, by="job, http_route"), "percentunit", ERRORS),
        Column("Median", ROUTES.quantile(0.5, DURATION, by="job, http_route"), "s", SLOW),
        Column("p99", ROUTES.quantile(0.99, DURATION, by="job, http_route"), "s", SLOW),
    ),
)

DURATIONS = row(
    "Durations",
    time_series(
        "Duration, all routes",
        "Time to the last byte of the response, over all routes that are chosen. Routes with buckets of their own "
        "must be looked at one by one.",
        Query(ROUTES.quantile(0.5, DURATION), "median"),
        Query(ROUTES.quantile(0.95, DURATION), "p95"),
        Query(ROUTES.quantile(0.99, DURATION), "p99"),
        unit="s",
        thresholds=SLOW,
    ),
    heatmap(
        "How durations spread",
        "How many requests took how long; two bands are two kinds of requests.",
        ROUTES.rate(f"{DURATION}_bucket", by="le"),
        unit="s",
        exemplars=True,
    ),
    time_series(
        "Duration by route, p95",
        "95 of 100 requests of a route were answered within this time.",
        Query(ROUTES.quantile(0.95, DURATION, by="job, http_route"), "{{job}} {{http_route}}"),
        unit="s",
        thresholds=SLOW,
        runbook="HighLatency",
    ),
    time_series(
        "Time to first byte by route, mean",
        "How long a client waits until a response begins. Far below the duration: a stream, or a big body.",
        Query(
            ROUTES.mean("http_server_time_to_first_byte_seconds", by="job, http_route"),
            "{{job}} {{http_route}}",
        ),
        unit="s",
        thresholds=SLOW,
    ),
)

SATURATION = row(
    "Saturation",
    time_series(
        "Requests under way",
        "Requests that are being answered. It rises while the rate does not: something is slow, or stuck.",
        Query(SCOPE.total("http_server_active_requests", by="job, instance"), "{{job}} {{instance}}"),
        unit="short",
        thresholds=above(50, 200),
        width=8,
    ),
    time_series(
        "Processor time",
        "Cores that a service uses, over all its workers. One Python process uses little more than one.",
        Query(SCOPE.rate("process_cpu_seconds_total", by="job, instance"), "{{job}} {{instance}}"),
        unit="cores",
        width=8,
    ),
    time_series(
        "Bytes in and out",
        "Bytes of request and response bodies per second.",
        Query(ROUTES.rate("http_server_request_body_size_bytes_sum", by="job"), "{{job}} in"),
        Query(ROUTES.rate("http_server_response_body_size_bytes_sum", by="job"), "{{job}} out"),
        unit="Bps",
        width=8,
    ),
)

DASHBOARD = dashboard(
    "obs-http-overview",
    "HTTP overview",
    "Rate, errors, duration and saturation of every service that obs-middleware observes, by route.",
    NOW,
    RATE,
    FAILURES,
    DURATIONS,
    SATURATION,
    websockets.row_of(ROUTES),
    tag="http",
    variables=[
        job(Scope((SERVED,)).series("")),
        values("instance", *ABOUT_INSTANCE, Scope((SERVED, JOB)).series("")),
        values("http_route", "Route", "The template of a route.", SCOPE.series("", SERVED), name="route"),
    ],
)
