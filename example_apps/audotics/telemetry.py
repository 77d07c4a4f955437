"""What audotics tells of itself beyond the one line: its Observer, check and metrics, all declared once.

Each series of these metrics says its service, version, environment and instance.
"""

import os

from example_apps.audotics import storage
from obs_middleware import Observer
from obs_middleware.export import Pushgateway

observer = Observer(
    service_name="audotics",
    service_version="1.4.0",
    environment=os.environ.get("AUDOTICS_ENVIRONMENT", "development"),
    metric_names="both",  # http_requests_total{method,path,status} too: the dashboards from before go on
    metrics_default_labels="series",
)
observer.health.add("database", storage.ping)
if pushgateway := os.environ.get("AUDOTICS_PUSHGATEWAY"):  # each worker pushes what all have counted
    observer.exporters.add(Pushgateway(pushgateway))

ACTIVE_USERS = observer.metrics.gauge(
    "active_users",
    "Listeners who played a song in the last five minutes.",
    function=storage.count_active_listeners,
    multiprocess_mode="livemostrecent",  # all workers read one database, so the newest number is right
)
SONG_PLAYS = observer.metrics.counter("song_plays", "Songs played.")
RECOMMENDATIONS = observer.metrics.counter("recommendations_generated", "Songs recommended.")
RECOMMENDATION_DURATION = observer.metrics.histogram(
    "recommendation_generation_duration_seconds", "Time to recommend."
)
RECOMMENDATION_ERRORS = observer.metrics.counter(
    "recommendation_errors", "Recommendations made without the ranking of zerostate."
)
