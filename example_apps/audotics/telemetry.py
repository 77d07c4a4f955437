"""What audotics tells of itself beyond the one line: its Observer, checks and metrics, all declared once.

Each series of these metrics says its service, version, environment and instance.
"""

import os

from example_apps.audotics import storage
from obs_middleware import Observer
from obs_middleware.export import Pushgateway
from obs_middleware.health.ready_made import disk_space, http_url

ZEROSTATE_URL = os.environ.get("ZEROSTATE_URL", "")  # empty: we do not ask, audotics runs alone
PUSH_SECONDS = float(os.environ.get("AUDOTICS_PUSH_SECONDS", "15"))

observer = Observer(
    service_name="audotics",
    service_version="1.4.0",
    environment=os.environ.get("AUDOTICS_ENVIRONMENT", "development"),
    metric_names="both",  # http_requests_total{method,path,status} too: the dashboards from before go on
    metrics_default_labels="series",
)
observer.health.add("database", storage.ping, component_type="datastore")
observer.health.add("disk", disk_space(str(storage.PATH.absolute().parent)), critical=False, every_seconds=30)
if ZEROSTATE_URL:  # without its ranking we still recommend: degraded, not down
    observer.health.add(
        "zerostate", http_url(f"{ZEROSTATE_URL}/health/live"), critical=False, every_seconds=5
    )
if pushgateway := os.environ.get("AUDOTICS_PUSHGATEWAY"):  # each worker pushes what all have counted
    observer.exporters.add(Pushgateway(pushgateway, interval_seconds=PUSH_SECONDS))
    observer.health.add("pushgateway", http_url(f"{pushgateway}/-/ready"), critical=False, every_seconds=15)

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
