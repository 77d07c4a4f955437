"""utilityfog: the tree of nodes, the messages that it spreads, and the telemetry's own collections."""

from __future__ import annotations

from monitoring.dashboards import health
from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import heatmap, stat, time_series
from monitoring.dashboards.thresholds import above, below
from monitoring.dashboards.variables import SCOPE, instance, job

NODES = "coordination_active_nodes"
COORDINATED = "coordination_messages_total"
LATENCY = "coordination_message_latency_seconds"
SENT, RECEIVED = "messages_sent_total", "messages_received_total"
QUEUE = "message_queue_size"
PROCESSING = "message_processing_duration_seconds"
RUNS = "telemetry_collection_runs_total"
COLLECTION = "telemetry_collection_duration_seconds"
SLOW = above(0.25, 1)

NOW = row(
    "Now",
    stat(
        "Nodes awake",
        "Nodes that take part in coordination.",
        SCOPE.highest(NODES),
        unit="short",
        thresholds=below(5, 1),
        nothing="none",
    ),
    stat("Messages", "Messages per second that have reached a node.", SCOPE.rate(COORDINATED), unit="ops"),
    stat(
        "Latency, p95",
        "95 of 100 messages have reached all nodes within this time.",
        SCOPE.quantile(0.95, LATENCY),
        unit="s",
        thresholds=SLOW,
        runbook="LatencyAnomaly",
    ),
    stat(
        "Waiting",
        "Messages that have come in and are not spread yet.",
        SCOPE.total(QUEUE),
        unit="short",
        thresholds=above(50, 500),
        nothing="no queue",
    ),
    stat(
        "Collections",
        "Collections of the telemetry per minute. None: nobody scrapes, and nothing is exported.",
        f"60 * {SCOPE.rate(RUNS)}",
        unit="short",
        thresholds=below(1, 0.1),
        runbook="CollectionStopped",
    ),
    stat(
        "Collection, mean",
        "How long a collection takes.",
        SCOPE.mean(COLLECTION),
        unit="s",
        thresholds=above(0.5, 1),
        runbook="CollectionSlow",
    ),
)

TREE = row(
    "Coordination",
    time_series(
        "Messages by kind",
        "Messages per second that have reached a node.",
        Query(SCOPE.rate(COORDINATED, by="kind"), "{{kind}}"),
        unit="ops",
        stacked=True,
        width=8,
    ),
    time_series(
        "Latency",
        "Time until a message has reached all nodes.",
        Query(SCOPE.quantile(0.5, LATENCY), "median"),
        Query(SCOPE.quantile(0.95, LATENCY), "p95"),
        Query(SCOPE.quantile(0.99, LATENCY), "p99"),
        unit="s",
        thresholds=SLOW,
        width=8,
        runbook="LatencyAnomaly",
    ),
    heatmap(
        "How latencies spread",
        "How many messages took how long.",
        SCOPE.rate(f"{LATENCY}_bucket", by="le"),
        unit="s",
        width=8,
    ),
)

MESSAGES = row(
    "Messages between nodes",
    time_series(
        "Received and sent",
        "Messages per second that came in, and that nodes have handed on.",
        Query(SCOPE.rate(RECEIVED), "received"),
        Query(SCOPE.rate(SENT), "sent"),
        unit="ops",
        width=8,
    ),
    time_series(
        "Queue and nodes",
        "Messages that wait, beside the nodes that are awake.",
        Query(SCOPE.total(QUEUE), "waiting"),
        Query(SCOPE.highest(NODES), "nodes awake"),
        unit="short",
        width=8,
    ),
    time_series(
        "Processing time",
        "Time to process a message, its wait included.",
        Query(SCOPE.quantile(0.5, PROCESSING), "median"),
        Query(SCOPE.quantile(0.95, PROCESSING), "p95"),
        unit="s",
        thresholds=SLOW,
        width=8,
    ),
)

TELEMETRY = row(
    "Health and telemetry",
    health.components(SCOPE),
    time_series(
        "Events",
        "Events per second by name.",
        Query(SCOPE.rate("telemetry_events_total", by="event"), "{{event}}"),
        unit="ops",
    ),
    time_series(
        "Metrics and series",
        "How many metrics and series a collection finds.",
        Query(SCOPE.highest("telemetry_metrics_count"), "metrics"),
        Query(SCOPE.highest("telemetry_series"), "series"),
        unit="short",
    ),
)

DASHBOARD = dashboard(
    "utilityfog-overview",
    "utilityfog: nodes and messages",
    "The tree of nodes of utilityfog: who is awake, what is spread, how fast, and the collections of its telemetry.",
    NOW,
    TREE,
    MESSAGES,
    TELEMETRY,
    tag="utilityfog",
    variables=[job(NODES), instance(NODES)],
)
