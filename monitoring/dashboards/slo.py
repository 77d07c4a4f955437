"""SLO: how much of the error budget is left, and how fast it burns, for availability and for latency."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Threshold

from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import bar_gauge, stat, time_series
from monitoring.dashboards.tables import Column, table
from monitoring.dashboards.thresholds import any_is_bad, below
from monitoring.dashboards.variables import SCOPE, choice, instance, job, value

DURATION = "http_server_request_duration_seconds"
COUNT = f"{DURATION}_count"
FAILED = 'http_response_status_code=~"5.."'
FAST = 'le="$latency"'
BUDGET = "(1 - $objective / 100)"
SLOW_BUDGET = "(1 - $latency_objective / 100)"
LEFT = below(0.5, 0.1)
# Each pair of windows with the rate at which it alerts: a page for the first two, a ticket for the others.
BURN_RATES = (("5m", "1h", 14.4), ("30m", "6h", 6.0), ("2h", "1d", 3.0), ("6h", "3d", 1.0))


def failed(window: str, by: str = "") -> str:
    """Write the share of requests that failed: 0 while none has."""
    return SCOPE.share(COUNT, FAILED, by=by, window=window)


def slow(window: str, by: str = "") -> str:
    """Write the share of requests that took longer than the bound, which must be a bucket's."""
    fast = SCOPE.rate(f"{DURATION}_bucket", FAST, by=by, window=window)
    return f"1 - {fast}\n  / ({SCOPE.rate(COUNT, by=by, window=window)} > 0)"


def left(share: str, budget: str) -> str:
    return f"1 - ({share})\n  / {budget}"


def burn(share: str, budget: str) -> str:
    return f"({share})\n  / {budget}"


def burn_panel(short: str, long: str, factor: float) -> object:
    return time_series(
        f"Burn rate, {short} and {long}",
        "How many times faster than the objective allows the budget is spent. An alert wants both windows above "
        f"{factor:g}: the long one says that it matters, the short one that it still goes on.",
        Query(burn(failed(short, "job"), BUDGET), f"{{{{job}}}} {short}"),
        Query(burn(failed(long, "job"), BUDGET), f"{{{{job}}}} {long}"),
        unit="short",
        thresholds=(Threshold(None, "green"), Threshold(factor, "red")),
        runbook="ErrorBudgetBurn",
    )


NOW = row(
    "Objectives over $window",
    stat(
        "Availability",
        "Share of the requests that did not end with a status of 500 or more.",
        f"1 - {failed('$window')}",
        unit="percentunit",
        thresholds=below(0.999, 0.99),
        width=6,
    ),
    stat(
        "Error budget left",
        "1: nothing is spent. 0: as many requests have failed as the objective allows. Below: the objective is missed.",
        left(failed("$window"), BUDGET),
        unit="percentunit",
        thresholds=LEFT,
        width=6,
        runbook="ErrorBudgetBurn",
    ),
    stat(
        "Fast enough",
        "Share of the requests that took no longer than `latency` seconds.",
        f"1 - ({slow('$window')})",
        unit="percentunit",
        thresholds=below(0.99, 0.95),
        width=6,
    ),
    stat(
        "Latency budget left",
        "As the error budget, for requests that took too long.",
        left(slow("$window"), SLOW_BUDGET),
        unit="percentunit",
        thresholds=LEFT,
        width=6,
        runbook="ErrorBudgetBurn",
    ),
)

SERVICES = row(
    "By service",
    table(
        "Services and their objectives",
        "Each service over the window: requests, failures, and what is left of both budgets.",
        Column("Requests", SCOPE.increase(COUNT, by="job", window="$window"), "short"),
        Column("Failed", failed("$window", "job"), "percentunit", any_is_bad("orange")),
        Column("Error budget left", left(failed("$window", "job"), BUDGET), "percentunit", LEFT),
        Column("Too slow", slow("$window", "job"), "percentunit", any_is_bad("orange")),
        Column("Latency budget left", left(slow("$window", "job"), SLOW_BUDGET), "percentunit", LEFT),
    ),
    bar_gauge(
        "What the error budget went for",
        "Routes by the part of all failures over the window that was theirs.",
        Query(
            f"topk(10, {SCOPE.increase(COUNT, FAILED, by='job, http_route', window='$window')})\n"
            f"  / scalar({SCOPE.increase(COUNT, FAILED, window='$window')} > 0)",
            "{{job}} {{http_route}}",
        ),
        unit="percentunit",
        thresholds=any_is_bad("orange"),
        maximum=1,
    ),
    time_series(
        "Requests that were too slow",
        "Share of the requests that took longer than `latency` seconds.",
        Query(slow("$__rate_interval", "job"), "{{job}}"),
        unit="percentunit",
        thresholds=any_is_bad("orange"),
        runbook="HighLatency",
    ),
)

BURNING = row("Burn rates", *(burn_panel(*pair) for pair in BURN_RATES))

DASHBOARD = dashboard(
    "obs-slo",
    "SLO",
    "Objectives for availability and latency: what is left of their budgets, and how fast they burn.",
    NOW,
    SERVICES,
    BURNING,
    tag="slo",
    variables=[
        job(COUNT),
        instance(COUNT),
        choice(
            "objective",
            "Objective, %",
            "How many of 100 requests must not fail.",
            *("99.9", "99", "99.5", "99.95", "99.99"),
        ),
        value(
            "le",
            "Latency, s",
            "What is fast enough; the bounds of the buckets are offered.",
            SCOPE.series(f"{DURATION}_bucket"),
            name="latency",
            first="0.25",
        ).regex("/^[0-9.]+$/"),
        choice(
            "latency_objective",
            "Latency objective, %",
            "How many of 100 requests must be fast.",
            *("99", "95", "99.5", "99.9"),
        ),
        choice(
            "window",
            "Window",
            "Over which time the budget is counted; Prometheus must keep metrics as long.",
            *("7d", "1d", "15d", "30d"),
        ),
    ],
    time_range="now-24h",
    refresh="1m",
)
