"""zerostate, system health: components, requests, database, and what the machine still has."""

from __future__ import annotations

from monitoring.dashboards import health
from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import stat, time_series
from monitoring.dashboards.promql import or_zero
from monitoring.dashboards.thresholds import above, any_is_bad
from monitoring.dashboards.variables import SCOPE, instance, job

DURATION = "http_server_request_duration_seconds"
DATABASE = "db_client_operation_duration_seconds"
FAILED = 'http_response_status_code=~"5.."'
MEMORY = "MemoryExhausted"

NOW = row(
    "Now",
    stat(
        "Unhealthy components",
        "Unhealthy ones of: peer network, storage, payment channels, guild manager, WASM runtime and others.",
        f"count ({SCOPE.series('health_status')} == 3) or vector(0)",
        unit="short",
        thresholds=any_is_bad(),
        runbook="HealthComponentDown",
    ),
    stat(
        "Degraded components",
        "Components that are degraded: the service goes on without them.",
        f"count ({SCOPE.series('health_status')} == 2) or vector(0)",
        unit="short",
        thresholds=any_is_bad("orange"),
        runbook="HealthComponentDegraded",
    ),
    stat(
        "Errors",
        "Share of the requests that ended with a status of 500 or more.",
        SCOPE.share(f"{DURATION}_count", FAILED),
        unit="percentunit",
        thresholds=above(0.001, 0.01),
        runbook="HighErrorRatio",
    ),
    stat(
        "Duration, p99",
        "99 of 100 requests were answered within this time.",
        SCOPE.quantile(0.99, DURATION),
        unit="s",
        thresholds=above(0.25, 1),
        runbook="HighLatency",
    ),
    stat(
        "Memory",
        "Resident memory of all workers.",
        SCOPE.total("process_resident_memory_bytes"),
        unit="bytes",
        thresholds=above(400e6, 800e6),
        runbook=MEMORY,
    ),
    stat(
        "Processor time",
        "Cores that all workers use.",
        SCOPE.rate("process_cpu_seconds_total"),
        unit="cores",
        thresholds=above(0.8, 1.5),
    ),
)

COMPONENTS = row("Components", health.components(SCOPE), health.checks(SCOPE), health.check_durations(SCOPE))

REQUESTS = row(
    "Requests and database",
    time_series(
        "Requests by route",
        "Requests per second by route.",
        Query(SCOPE.rate(f"{DURATION}_count", by="http_route"), "{{http_route}}"),
        unit="reqps",
        stacked=True,
        width=8,
    ),
    time_series(
        "Queries by operation",
        "Queries of the database per second.",
        Query(SCOPE.rate(f"{DATABASE}_count", by="db_alias, db_operation_name"), "{{db_operation_name}}"),
        unit="ops",
        stacked=True,
        width=8,
    ),
    time_series(
        "Duration of queries, p95",
        "SQLite writes one after the other: a writer that waits for another shows here.",
        Query(
            SCOPE.quantile(0.95, DATABASE, by="db_alias, db_operation_name"),
            "{{db_operation_name}}",
        ),
        unit="s",
        thresholds=above(0.05, 0.5),
        width=8,
    ),
)

RESOURCE = row(
    "Resources",
    time_series(
        "Memory of workers",
        "Resident memory of each worker.",
        Query(SCOPE.total("process_resident_memory_bytes", by="instance, worker"), "{{instance}} {{worker}}"),
        unit="bytes",
        thresholds=above(400e6, 800e6),
        width=8,
        runbook=MEMORY,
    ),
    time_series(
        "Processor time of workers",
        "Cores that each worker uses.",
        Query(SCOPE.rate("process_cpu_seconds_total", by="instance, worker"), "{{instance}} {{worker}}"),
        unit="cores",
        thresholds=above(0.8, 0.95),
        width=8,
    ),
    time_series(
        "Open files of workers",
        "Share of the files and sockets that a worker may open.",
        Query(
            f"{SCOPE.total('process_open_fds', by='instance, worker')}\n"
            f"  / {SCOPE.total('process_max_fds', by='instance, worker')}",
            "{{instance}} {{worker}}",
        ),
        unit="percentunit",
        thresholds=above(0.7, 0.9),
        maximum=1,
        width=8,
        runbook="FileDescriptorsExhausted",
    ),
    time_series(
        "Migrations that wait",
        "Migrations of the database that are not applied: the code and the tables do not agree.",
        Query(SCOPE.highest("django_migrations_pending", by="db_alias"), "{{db_alias}}"),
        unit="short",
        thresholds=any_is_bad(),
        width=8,
    ),
    time_series(
        "Events",
        "What was recorded as an event, per second by name.",
        Query(SCOPE.rate("telemetry_events_total", by="event"), "{{event}}"),
        unit="ops",
        width=8,
    ),
    time_series(
        "Telemetry lost",
        "Log lines and spans per second that were dropped, and failures inside the telemetry.",
        Query(or_zero(SCOPE.rate("obs_dropped_total")), "dropped"),
        Query(or_zero(SCOPE.rate("obs_internal_errors_total")), "internal errors"),
        unit="ops",
        thresholds=any_is_bad(),
        width=8,
        runbook="TelemetryDropped",
    ),
)

DASHBOARD = dashboard(
    "zerostate-system-health",
    "zerostate: system health",
    "The components of zerostate, its requests, its database, and the resources that it uses.",
    NOW,
    COMPONENTS,
    REQUESTS,
    RESOURCE,
    tag="zerostate",
    variables=[job("zerostate_guild_total"), instance("zerostate_guild_total")],
)
