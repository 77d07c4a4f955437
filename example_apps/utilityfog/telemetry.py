"""What utilityfog tells of itself beyond the one line: its Observer, check and metrics, all declared once."""

from prometheus_client import Counter, Gauge, Histogram

from example_apps.utilityfog import storage
from obs_middleware import Observer

observer = Observer(service_name="utilityfog")
observer.health.add("database", storage.ping)

MESSAGES = Counter(
    "coordination_messages", "Messages that reached a node.", ["kind"], registry=observer.registry
)
ACTIVE_NODES = Gauge("coordination_active_nodes", "Nodes that are awake.", registry=observer.registry)
MESSAGE_LATENCY = Histogram(
    "coordination_message_latency_seconds",
    "Time until a message has reached all nodes.",
    registry=observer.registry,
)
