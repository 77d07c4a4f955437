"""What utilityfog tells of itself beyond the one line: its Observer and metrics, all declared once."""

import os

from example_apps.utilityfog import storage
from obs_middleware import Observer
from obs_middleware.export import JsonFile, Textfile

observer = Observer(service_name="utilityfog")
if folder := os.environ.get("UTILITYFOG_EXPORTS"):  # for node-exporter, and for whoever reads JSON
    observer.exporters.add(Textfile(f"{folder}/utilityfog.prom"), JsonFile(f"{folder}/utilityfog.json"))

MESSAGES = observer.metrics.counter("coordination_messages", "Messages that reached a node.", ["kind"])
ACTIVE_NODES = observer.metrics.gauge(
    "coordination_active_nodes",
    "Nodes that are awake.",
    function=storage.count_active_nodes,
    multiprocess_mode="livemostrecent",  # all workers read one database, so the newest number is right
)
MESSAGE_LATENCY = observer.metrics.histogram(
    "coordination_message_latency_seconds", "Time until a message has reached all nodes."
)
RECEIVED = observer.metrics.counter("messages_received", "Messages that came in to be spread.", ["kind"])
SENT = observer.metrics.counter("messages_sent", "Messages that a node has handed to one below it.", ["kind"])
QUEUE_SIZE = observer.metrics.gauge(
    "message_queue_size", "Messages that have come in and are not spread yet.", multiprocess_mode="livesum"
)
PROCESSING_DURATION = observer.metrics.histogram(
    "message_processing_duration_seconds", "Time to process a message, its wait for a thread included."
)
