"""Hooks: what happens in the tree and in the checks becomes metrics and events of a TelemetryCollector."""

from example_apps.utilityfog import storage
from example_apps.utilityfog.collector import TelemetryCollector
from example_apps.utilityfog.tree import Tree
from obs_middleware import Observer
from obs_middleware.health import Change


def setup_coordination_hooks(collector: TelemetryCollector, tree: Tree) -> None:
    messages = collector.register_counter("coordination_messages", "Messages that reached a node.", ["kind"])
    latency = collector.register_histogram(
        "coordination_message_latency_seconds",
        "Time until a message has reached all nodes, and they have replied.",
    )

    def coordinated(kind: str, nodes: int, seconds: float) -> None:
        messages.labels(kind).inc(nodes)
        latency.observe(seconds)

    def active_nodes() -> int:
        return storage.NODES - len(
            storage.sleeping_nodes() | {n for n, node in tree.nodes.items() if node.has_failed}
        )

    collector.register_gauge("coordination_active_nodes", "Nodes that are awake and run.", active_nodes)
    tree.on("coordinated", coordinated)
    tree.on(
        "failed", lambda node, why: collector.record_event("node_failed", labels={"node": node, "why": why})
    )
    tree.on(
        "restarted", lambda node, waiting: collector.record_event("node_restarted", waiting, {"node": node})
    )


def setup_messaging_hooks(collector: TelemetryCollector, tree: Tree) -> None:
    sent = collector.register_counter("messages_sent", "Messages put into the inbox of a node.", ["kind"])
    received = collector.register_counter("messages_received", "Messages that a node took up.", ["kind"])
    processing = collector.register_histogram(
        "message_processing_duration_seconds", "Time of a node with a message, the nodes below included."
    )
    collector.register_gauge("message_queue_size", "Messages that wait in inboxes.", tree.waiting)
    tree.on("sent", lambda kind: sent.labels(kind).inc())
    tree.on("received", lambda kind: received.labels(kind).inc())
    tree.on("processed", processing.observe)


def setup_health_hooks(collector: TelemetryCollector, observer: Observer) -> None:
    """Have each change of a check exported at once: who reads the files should not wait for the next interval."""

    @observer.health.on_change
    def health_changed(change: Change) -> None:
        collector.export_now()
