"""How a message spreads through the tree: from the root down, past every node that is awake."""

from opentelemetry import trace

from example_apps.utilityfog import storage, telemetry

KINDS = ("task-completed", "rebalance")
ROOT = 0

tracer = trace.get_tracer(__name__)


def spread(kind: str, subject: str) -> int:
    """Hand a message down from the root and count the nodes it reached; one asleep hides those below it."""
    with (
        tracer.start_as_current_span("coordination.spread", attributes={"message.kind": kind}) as span,
        telemetry.observer.metrics.timed(telemetry.MESSAGE_LATENCY),
    ):
        reached = awake_from(ROOT)
        storage.add_messages(reached, kind, subject)
        span.set_attribute("coordination.nodes", len(reached))
    telemetry.MESSAGES.labels(kind).inc(len(reached))
    telemetry.SENT.labels(kind).inc(max(0, len(reached) - 1))  # the root has its own from outside
    return len(reached)


def awake_from(node_id: int) -> list[int]:
    """Give the nodes that a message to this one would reach."""
    tree = storage.tree_of_active_nodes()
    reached, waiting = [], [node_id] if node_id in tree else []
    while waiting:
        reached.append(waiting.pop(0))
        waiting.extend(tree[reached[-1]])
    return reached
