"""zerostate, network overview: peers, connections, messages and bytes between them, and the guilds that they form."""

from __future__ import annotations

from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import heatmap, stat, time_series
from monitoring.dashboards.thresholds import above, any_is_bad, below
from monitoring.dashboards.variables import SCOPE, instance, job

MESSAGES = "zerostate_p2p_messages_total"
BYTES = "zerostate_p2p_bandwidth_bytes_total"
OPERATION = "zerostate_p2p_operation_duration_seconds"
FAILED = 'status="error"'

NOW = row(
    "Now",
    stat(
        "Peers connected",
        "Peers that answer. None: this node is alone, and tasks are announced to nobody.",
        SCOPE.highest("zerostate_p2p_peers", 'state="connected"'),
        unit="short",
        thresholds=below(1, 0.5),
        nothing="no network",
        runbook="NetworkPartition",
    ),
    stat(
        "Peers failed",
        "Peers that were known and do not answer.",
        SCOPE.highest("zerostate_p2p_peers", 'state="failed"'),
        unit="short",
        thresholds=any_is_bad(),
        nothing="no network",
        runbook="NetworkPartition",
    ),
    stat(
        "Messages that failed",
        "Share of the messages to peers that did not arrive.",
        SCOPE.share(MESSAGES, FAILED),
        unit="percentunit",
        thresholds=above(0.01, 0.1),
        runbook="PeerMessagesFailing",
    ),
    stat("Sent", "Bytes per second to peers.", SCOPE.rate(BYTES, 'direction="tx"'), unit="Bps"),
    stat("Received", "Bytes per second from peers.", SCOPE.rate(BYTES, 'direction="rx"'), unit="Bps"),
    stat(
        "Guilds",
        "Guilds that agents may join.",
        SCOPE.highest("zerostate_guild_total", 'state="active"'),
        unit="short",
        nothing="none",
    ),
)

PEERS = row(
    "Peers and connections",
    time_series(
        "Peers by state",
        "Connected: it answers. Discovered: another peer has named it. Failed: it does not answer.",
        Query(SCOPE.highest("zerostate_p2p_peers", by="state"), "{{state}}"),
        unit="short",
        runbook="NetworkPartition",
    ),
    time_series(
        "Connections by state",
        "Active: a message is on its way. Idle: kept open for the next one.",
        Query(SCOPE.total("zerostate_p2p_connections", by="state"), "{{state}}"),
        unit="short",
        stacked=True,
    ),
)

TRAFFIC = row(
    "Messages",
    time_series(
        "Messages by type",
        "Messages per second: gossip that peers pass on, requests, and responses to them.",
        Query(SCOPE.rate(MESSAGES, by="type, status"), "{{type}} {{status}}"),
        unit="ops",
        stacked=True,
    ),
    time_series(
        "Share of messages that failed, by type",
        "It is 0 while none has failed. All types at once: the network is cut. Requests alone: peers are overloaded.",
        Query(SCOPE.share(MESSAGES, FAILED, by="type"), "{{type}}"),
        unit="percentunit",
        thresholds=above(0.01, 0.1),
        runbook="PeerMessagesFailing",
    ),
    time_series(
        "Bandwidth",
        "Bytes per second that were sent and received.",
        Query(SCOPE.rate(BYTES, by="direction"), "{{direction}}"),
        unit="Bps",
    ),
    time_series(
        "Duration of operations, p95",
        "How long it takes to connect, to send and to receive.",
        Query(SCOPE.quantile(0.95, OPERATION, by="operation"), "{{operation}}"),
        unit="s",
        thresholds=above(0.5, 2),
    ),
    heatmap(
        "How operations spread",
        "How many operations took how long. A band at the top is time-outs.",
        SCOPE.rate(f"{OPERATION}_bucket", by="le"),
        unit="s",
    ),
    time_series(
        "Guilds by state",
        "Guilds by state, and how many were created per minute.",
        Query(SCOPE.highest("zerostate_guild_total", by="state"), "{{state}}"),
        Query(f"60 * {SCOPE.rate('zerostate_guild_creations_total')}", "created per minute"),
        unit="short",
    ),
)

DASHBOARD = dashboard(
    "zerostate-network-overview",
    "zerostate: network overview",
    "The peer network of zerostate: who is connected, what is sent, what does not arrive, and the guilds.",
    NOW,
    PEERS,
    TRAFFIC,
    tag="zerostate",
    variables=[job("zerostate_guild_total"), instance("zerostate_guild_total")],
)
