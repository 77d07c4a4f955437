"""Service detail: one service, its requests with exemplars that lead to traces and logs, its errors and its health."""

from __future__ import annotations

from monitoring.dashboards import health
from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.links import explore_link
from monitoring.dashboards.panels import heatmap, stat, time_series
from monitoring.dashboards.promql import Scope, or_zero
from monitoring.dashboards.tables import Column, table
from monitoring.dashboards.thresholds import above, any_is_bad, below
from monitoring.dashboards.variables import INSTANCE, datasource, instance, one_job

DURATION = "http_server_request_duration_seconds"
COUNT = f"{DURATION}_count"
FAILED = 'http_response_status_code=~"5.."'
ONE = Scope(('job="$job"', INSTANCE))
ERRORS = above(0.001, 0.01)
SLOW = above(0.25, 1)

LOGS = explore_link("Logs of this service", "${logs}", {"expr": '{service_name="${job}"} | json'})
ERROR_LOGS = explore_link(
    "Errors in the logs", "${logs}", {"expr": '{service_name="${job}", level=~"ERROR|CRITICAL"} | json'}
)
TRACES = explore_link("Traces of this service", "${traces}", {"queryType": "search", "service": "${job}"})

NOW = row(
    "Now",
    stat(
        "Up",
        "Instances that Prometheus reaches.",
        ONE.total("up"),
        unit="short",
        thresholds=below(1, 0.5),
        runbook="TargetDown",
    ),
    stat("Requests", "Requests per second that were answered.", ONE.rate(COUNT), unit="reqps"),
    stat(
        "Errors",
        "Share of the requests that ended with a status of 500 or more.",
        ONE.share(COUNT, FAILED),
        unit="percentunit",
        thresholds=ERRORS,
        runbook="HighErrorRatio",
    ),
    stat(
        "Duration, p99",
        "99 of 100 requests were answered to the last byte within this time.",
        ONE.quantile(0.99, DURATION),
        unit="s",
        thresholds=SLOW,
        runbook="HighLatency",
    ),
    stat(
        "Workers",
        "Processes that serve, over all instances.",
        f"count ({ONE.series('process_start_time_seconds')})",
        unit="short",
    ),
    stat(
        "Youngest worker",
        "How long ago the youngest worker was started. Short again and again: workers die.",
        f"time() - max ({ONE.series('process_start_time_seconds')})",
        unit="s",
        runbook="RestartLoop",
    ),
)

REQUESTS = row(
    "Requests: a dot is one whose trace is kept, and leads to it",
    time_series(
        "Duration with exemplars",
        "Time to the last byte. Each dot is a request with a trace: follow its `trace_id`, then the logs of the trace.",
        Query(ONE.quantile(0.5, DURATION), "median"),
        Query(ONE.quantile(0.95, DURATION), "p95"),
        Query(ONE.quantile(0.99, DURATION), "p99", exemplars=True),
        unit="s",
        thresholds=SLOW,
        links=[TRACES, LOGS],
    ),
    heatmap(
        "How durations spread, with exemplars",
        "How many requests took how long. A dot far above the others is the request to look at.",
        ONE.rate(f"{DURATION}_bucket", by="le"),
        unit="s",
        exemplars=True,
    ),
    time_series(
        "Requests by route and status",
        "Requests per second by method, route and the status that was sent.",
        Query(
            ONE.rate(COUNT, by="http_request_method, http_route, http_response_status_code"),
            "{{http_request_method}} {{http_route}} {{http_response_status_code}}",
        ),
        unit="reqps",
        stacked=True,
        width=8,
        links=[LOGS],
    ),
    time_series(
        "Errors by kind",
        "Requests per second that failed with an exception or a status of 500 or more.",
        Query(
            or_zero(ONE.rate(COUNT, FAILED, by="http_route, error_type")),
            "{{http_route}} {{error_type}}",
        ),
        unit="reqps",
        thresholds=any_is_bad(),
        width=8,
        runbook="HighErrorRatio",
        links=[ERROR_LOGS],
    ),
    time_series(
        "Duration of failed requests, with exemplars",
        "Each dot is a request that failed, and leads to its trace. There is nothing while none fails.",
        Query(ONE.quantile(0.95, DURATION, FAILED, by="http_route"), "{{http_route}}", exemplars=True),
        unit="s",
        width=8,
        runbook="HighErrorRatio",
        links=[TRACES, ERROR_LOGS],
    ),
    table(
        "Slowest routes",
        "Routes by their 99th percentile.",
        Column("p99", ONE.quantile(0.99, DURATION, by="http_request_method, http_route"), "s", SLOW),
        Column("Mean", ONE.mean(DURATION, by="http_request_method, http_route"), "s", SLOW),
        Column("Requests", ONE.rate(COUNT, by="http_request_method, http_route"), "reqps"),
        Column(
            "Errors", ONE.share(COUNT, FAILED, by="http_request_method, http_route"), "percentunit", ERRORS
        ),
    ),
)

INSIDE = row(
    "Health and events",
    health.components(ONE),
    time_series(
        "Events",
        "What the service has recorded with `events.record`, per second by name.",
        Query(ONE.rate("telemetry_events_total", by="event"), "{{event}}"),
        unit="ops",
        width=8,
        links=[LOGS],
    ),
    time_series(
        "Processor time",
        "Cores by instance, over all its workers.",
        Query(ONE.rate("process_cpu_seconds_total", by="instance"), "{{instance}}"),
        unit="cores",
        width=8,
    ),
    time_series(
        "Memory",
        "Resident memory by instance, over all its workers.",
        Query(ONE.total("process_resident_memory_bytes", by="instance"), "{{instance}}"),
        unit="bytes",
        width=8,
    ),
)

DASHBOARD = dashboard(
    "obs-service-detail",
    "Service detail",
    "One service: its requests, with exemplars that lead to traces and logs, its errors, its health and its events.",
    NOW,
    REQUESTS,
    INSIDE,
    tag="http",
    variables=[
        datasource("traces", "jaeger", "Traces"),
        datasource("logs", "loki", "Logs"),
        one_job(COUNT),
        instance(COUNT),
    ],
    links=[TRACES, LOGS],
)
