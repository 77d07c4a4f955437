"""audotics: plays, recommendations, listeners, and its requests under their classic names.

Its own series say their instance, so this dashboard chooses by environment and version, and not by what is scraped.
"""

from __future__ import annotations

from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import heatmap, stat, time_series
from monitoring.dashboards.promql import Scope, or_zero
from monitoring.dashboards.tables import Column, table
from monitoring.dashboards.thresholds import above, any_is_bad
from monitoring.dashboards.variables import JOB, job, values

PLAYS = "song_plays_total"
MADE = "recommendations_generated_total"
ERRORS = "recommendation_errors_total"
DURATION = "recommendation_generation_duration_seconds"
REQUESTS = "http_requests_total"
HTTP_DURATION = "http_request_duration_seconds"
SERVED = Scope((JOB,))
MUSIC = Scope((JOB, 'environment=~"$environment"', 'version=~"$version"'))
FAILED = 'status=~"5.."'
FAILURES = above(0.01, 0.05)
SLOW = above(0.25, 1)

NOW = row(
    "Now",
    stat(
        "Listeners",
        "Listeners who have played a song in the last minutes.",
        MUSIC.highest("active_users"),
        unit="short",
        nothing="none",
    ),
    stat("Plays", "Songs per second that were played.", MUSIC.rate(PLAYS), unit="ops"),
    stat("Recommendations", "Songs per second that were recommended.", MUSIC.rate(MADE), unit="ops"),
    stat(
        "Errors",
        "Recommendations per second that went wrong; 0 while none has.",
        or_zero(MUSIC.rate(ERRORS)),
        unit="ops",
        thresholds=any_is_bad("orange"),
    ),
    stat(
        "Time to recommend, p95",
        "95 of 100 recommendations were made within this time.",
        MUSIC.quantile(0.95, DURATION),
        unit="s",
        thresholds=SLOW,
    ),
    stat(
        "Failed requests",
        "Share of the requests that ended with a status of 500 or more.",
        SERVED.share(REQUESTS, FAILED),
        unit="percentunit",
        thresholds=above(0.001, 0.01),
        runbook="HighErrorRatio",
    ),
)

MUSIC_ROW = row(
    "Plays and recommendations",
    time_series(
        "Plays by version",
        "Songs per second that were played.",
        Query(MUSIC.rate(PLAYS, by="version, environment"), "{{version}} {{environment}}"),
        unit="ops",
        width=8,
    ),
    time_series(
        "Listeners by environment",
        "Listeners who have played a song in the last minutes.",
        Query(MUSIC.highest("active_users", by="environment"), "{{environment}}"),
        unit="short",
        width=8,
    ),
    time_series(
        "Recommendations and errors",
        "Songs per second that were recommended, and what went wrong.",
        Query(MUSIC.rate(MADE), "recommended"),
        Query(or_zero(MUSIC.rate(ERRORS)), "errors"),
        unit="ops",
        width=8,
    ),
    time_series(
        "Time to recommend",
        "The ranking of another service is part of it.",
        Query(MUSIC.quantile(0.5, DURATION), "median"),
        Query(MUSIC.quantile(0.95, DURATION), "p95"),
        Query(MUSIC.quantile(0.99, DURATION), "p99"),
        unit="s",
        thresholds=SLOW,
    ),
    heatmap(
        "How times to recommend spread",
        "How many recommendations took how long. Two bands: with and without the ranking.",
        MUSIC.rate(f"{DURATION}_bucket", by="le"),
        unit="s",
    ),
)

REQUEST = row(
    "Requests, under their classic names",
    time_series(
        "Requests by path",
        "Requests per second; a path is a route's template.",
        Query(SERVED.rate(REQUESTS, by="method, path"), "{{method}} {{path}}"),
        unit="reqps",
        stacked=True,
    ),
    time_series(
        "Duration by path, p95",
        "95 of 100 requests of a path were answered within this time.",
        Query(SERVED.quantile(0.95, HTTP_DURATION, by="method, path"), "{{method}} {{path}}"),
        unit="s",
        thresholds=SLOW,
        runbook="HighLatency",
    ),
    table(
        "Paths",
        "Each path with its requests.",
        Column("Requests", SERVED.rate(REQUESTS, by="method, path"), "reqps"),
        Column("Failed", SERVED.share(REQUESTS, FAILED, by="method, path"), "percentunit", FAILURES),
        Column("p95", SERVED.quantile(0.95, HTTP_DURATION, by="method, path"), "s", SLOW),
    ),
)

DASHBOARD = dashboard(
    "audotics-overview",
    "audotics: plays and recommendations",
    "What listeners play, what is recommended to them and how fast, and the requests under their classic names.",
    NOW,
    MUSIC_ROW,
    REQUEST,
    tag="audotics",
    variables=[
        job(PLAYS),
        values("environment", "Environment", "Where it runs.", SERVED.series(PLAYS)),
        values("version", "Version", "The release that runs.", SERVED.series(PLAYS)),
    ],
)
