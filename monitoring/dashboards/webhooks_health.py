"""tokpulse, webhooks health: what came in, how it ended, how long it took, what waits, what came again."""

from __future__ import annotations

from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import bar_gauge, heatmap, stat, time_series
from monitoring.dashboards.promql import Scope
from monitoring.dashboards.tables import Column, table
from monitoring.dashboards.thresholds import above
from monitoring.dashboards.tokpulse_variables import SERVICE, STORE, STORES
from monitoring.dashboards.variables import INSTANCE, JOB, values

PROCESSED = "tokpulse_webhook_processed_total"
DURATION = "tokpulse_webhook_processing_duration_seconds"
REDELIVERY = "tokpulse_webhook_redelivery_rate"
DEPTH = "tokpulse_webhook_queue_depth"
FAILED = 'status="failed"'
TOPIC = 'topic=~"$topic"'
WEBHOOKS = Scope((*STORES.matchers, TOPIC))
QUEUES = Scope((JOB, INSTANCE, TOPIC))
FAILURES = above(0.01, 0.05)
SLOW = above(0.5, 2)
AGAIN = above(0.05, 0.2)

NOW = row(
    "Now",
    stat("Processed", "Webhooks per second that were processed.", WEBHOOKS.rate(PROCESSED), unit="ops"),
    stat(
        "Failed",
        "Share of the webhooks whose processing has failed.",
        WEBHOOKS.share(PROCESSED, FAILED),
        unit="percentunit",
        thresholds=FAILURES,
        runbook="HighErrorRatio",
    ),
    stat(
        "Duration, median",
        "Half of the webhooks were processed within this time.",
        WEBHOOKS.quantile(0.5, DURATION),
        unit="s",
        thresholds=SLOW,
    ),
    stat(
        "Duration, p99",
        "99 of 100 webhooks were processed within this time.",
        WEBHOOKS.quantile(0.99, DURATION),
        unit="s",
        thresholds=SLOW,
    ),
    stat(
        "Waiting",
        "Webhooks that have come in and are not processed yet.",
        f"sum ({QUEUES.highest(DEPTH, by='topic')})",
        unit="short",
        thresholds=above(100, 1000),
        nothing="no queue",
    ),
    stat(
        "Delivered again",
        "Share of the deliveries that had come before, at the worst topic of a store.",
        WEBHOOKS.highest(REDELIVERY),
        unit="percentunit",
        thresholds=AGAIN,
        nothing="no deliveries",
    ),
)

FLOW = row(
    "Flow",
    time_series(
        "Webhooks by status",
        "Webhooks per second: ok, duplicate (it had come before), failed, rejected (no shop has signed it).",
        Query(WEBHOOKS.rate(PROCESSED, by="status"), "{{status}}"),
        unit="ops",
        stacked=True,
        width=8,
    ),
    time_series(
        "Share that failed, by topic",
        "It is 0 while none has failed.",
        Query(WEBHOOKS.share(PROCESSED, FAILED, by="topic"), "{{topic}}"),
        unit="percentunit",
        thresholds=FAILURES,
        width=8,
        runbook="HighErrorRatio",
    ),
    time_series(
        "Queue depth by topic",
        "Webhooks that wait. It rises steadily: the workers are too few, too slow, or gone.",
        Query(QUEUES.highest(DEPTH, by="topic"), "{{topic}}"),
        unit="short",
        thresholds=above(100, 1000),
        width=8,
    ),
)

TIME = row(
    "Duration and redelivery",
    time_series(
        "Duration by topic, p95",
        "95 of 100 webhooks of a topic were processed within this time.",
        Query(WEBHOOKS.quantile(0.95, DURATION, by="topic"), "{{topic}}"),
        unit="s",
        thresholds=SLOW,
        width=8,
    ),
    heatmap(
        "How durations spread",
        "How many webhooks took how long.",
        WEBHOOKS.rate(f"{DURATION}_bucket", by="le"),
        unit="s",
        width=8,
    ),
    bar_gauge(
        "Delivered again, by store",
        "Share of the deliveries that had come before. High: the platform did not get our answer in time.",
        Query(WEBHOOKS.highest(REDELIVERY, by="storeId, topic"), "{{storeId}} {{topic}}"),
        unit="percentunit",
        thresholds=AGAIN,
        maximum=1,
        width=8,
    ),
    table(
        "Stores",
        "Each store and topic with its webhooks.",
        Column("Webhooks", WEBHOOKS.rate(PROCESSED, by="storeId, topic"), "ops"),
        Column("Failed", WEBHOOKS.share(PROCESSED, FAILED, by="storeId, topic"), "percentunit", FAILURES),
        Column("p95", WEBHOOKS.quantile(0.95, DURATION, by="storeId, topic"), "s", SLOW),
        Column("Again", WEBHOOKS.highest(REDELIVERY, by="storeId, topic"), "percentunit", AGAIN),
    ),
)

DASHBOARD = dashboard(
    "tokpulse-webhooks-health",
    "tokpulse: webhooks health",
    "Webhooks of all shops: how many, how they ended, how long they took, what waits and what came again.",
    NOW,
    FLOW,
    TIME,
    tag="tokpulse",
    variables=[
        *SERVICE,
        STORE,
        values("topic", "Topic", "What a webhook tells of.", STORES.series(PROCESSED)),
    ],
)
