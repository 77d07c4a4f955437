"""zerostate, economic activity: channels, payments, settlements, and the reputation of those who are paid."""

from __future__ import annotations

from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import bar_gauge, stat, time_series
from monitoring.dashboards.thresholds import above, any_is_bad, below
from monitoring.dashboards.variables import SCOPE, instance, job

PAYMENTS = "zerostate_payments_total"
AMOUNT = "zerostate_payment_amount_units"
CHANNELS = "zerostate_channels"
SETTLEMENT = "zerostate_settlement_duration_seconds"
SETTLED = "zerostate_settlement_amount_units"
REPUTATION = "zerostate_reputation_tasks_total"
FAILED = 'status="failed"'
FAILURES = above(0.02, 0.1)

NOW = row(
    "Now",
    stat("Payments", "Payments per second that were tried.", SCOPE.rate(PAYMENTS), unit="ops"),
    stat(
        "Payments that failed",
        "Share of the payments that did not go through.",
        SCOPE.share(PAYMENTS, FAILED),
        unit="percentunit",
        thresholds=FAILURES,
        runbook="PaymentFailures",
    ),
    stat("Units paid", "Units per second that were paid.", SCOPE.rate(f"{AMOUNT}_sum"), unit="short"),
    stat(
        "Disputes",
        "Channels whose parties do not agree on the balance.",
        SCOPE.highest(CHANNELS, 'state="disputed"'),
        unit="short",
        thresholds=any_is_bad("orange"),
        nothing="none",
        runbook="PaymentFailures",
    ),
    stat(
        "Reputation",
        "Mean score of all agents, from 0 to 1.",
        SCOPE.highest("zerostate_reputation_score"),
        unit="percentunit",
        thresholds=below(0.8, 0.5),
        nothing="no agents",
        runbook="ReputationAnomaly",
    ),
    stat(
        "Blacklisted",
        "Agents that get no task for a while, because they have failed too often.",
        SCOPE.highest("zerostate_blacklisted_executors"),
        unit="short",
        thresholds=above(1, 3),
        nothing="none",
        runbook="ReputationAnomaly",
    ),
)

PAYING = row(
    "How payments go",
    time_series(
        "Payments by status",
        "Payments per second: those that went through, and those that failed.",
        Query(SCOPE.rate(PAYMENTS, by="status"), "{{status}}"),
        unit="ops",
        stacked=True,
        width=8,
    ),
    time_series(
        "Share of payments that failed",
        "It is 0 while none has failed.",
        Query(SCOPE.share(PAYMENTS, FAILED, by="job"), "{{job}}"),
        unit="percentunit",
        thresholds=FAILURES,
        width=8,
        runbook="PaymentFailures",
    ),
    time_series(
        "Amount of a payment",
        "Units of a payment that went through.",
        Query(SCOPE.quantile(0.5, AMOUNT), "median"),
        Query(SCOPE.quantile(0.95, AMOUNT), "p95"),
        Query(SCOPE.mean(AMOUNT), "mean"),
        unit="short",
        width=8,
    ),
)

CHANNEL = row(
    "Channels and settlements",
    time_series(
        "Channels by state",
        "Channels that are opened, active, closed or disputed.",
        Query(SCOPE.highest(CHANNELS, by="state"), "{{state}}"),
        unit="short",
    ),
    time_series(
        "Units in channels",
        "Units that the creators have put aside, and that the executors have earned and not been paid out.",
        Query(SCOPE.highest("zerostate_channel_balance_units", by="party"), "{{party}}"),
        unit="short",
        stacked=True,
    ),
    time_series(
        "Settlements",
        "How long it takes to settle a channel, and how often.",
        Query(SCOPE.quantile(0.5, SETTLEMENT), "median"),
        Query(SCOPE.quantile(0.95, SETTLEMENT), "p95"),
        unit="s",
        thresholds=above(0.5, 2),
    ),
    time_series(
        "Units settled",
        "Units per minute that settlements have paid out, and the settlements per minute.",
        Query(f"60 * {SCOPE.rate(f'{SETTLED}_sum')}", "units per minute"),
        Query(f"60 * {SCOPE.rate(f'{SETTLED}_count')}", "settlements per minute"),
        unit="short",
    ),
)

REPUTATIONS = row(
    "Reputation of agents",
    time_series(
        "Score",
        "Mean score of all agents. A sudden fall is an anomaly: one bad release, or an attack.",
        Query(SCOPE.highest("zerostate_reputation_score", by="job"), "{{job}}"),
        unit="percentunit",
        thresholds=below(0.8, 0.5),
        maximum=1,
        width=8,
        runbook="ReputationAnomaly",
    ),
    time_series(
        "Tasks that count for a reputation",
        "Tasks per second by result.",
        Query(SCOPE.rate(REPUTATION, by="result"), "{{result}}"),
        unit="ops",
        stacked=True,
        width=8,
    ),
    bar_gauge(
        "Results over the time range",
        "How many tasks have raised a reputation, and how many have lowered it.",
        Query(SCOPE.increase(REPUTATION, by="result"), "{{result}}"),
        unit="short",
        width=8,
    ),
)

DASHBOARD = dashboard(
    "zerostate-economic-activity",
    "zerostate: economic activity",
    "Payment channels, payments, settlements and reputation of zerostate.",
    NOW,
    PAYING,
    CHANNEL,
    REPUTATIONS,
    tag="zerostate",
    variables=[job("zerostate_guild_total"), instance("zerostate_guild_total")],
)
