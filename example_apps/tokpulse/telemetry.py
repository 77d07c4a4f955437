"""What tokpulse tells of itself beyond the one line: its Observer, checks and metrics, all declared once."""

import hashlib
import os
from functools import partial

from example_apps.tokpulse import queue, storage
from obs_middleware import Observer
from obs_middleware.health.ready_made import disk_space, event_loop_lag, http_url

observer = Observer(
    service_name="tokpulse",
    metrics_prefix="tokpulse",
    metrics_path="/internal/metrics",
    metrics_token=os.environ.get("TOKPULSE_METRICS_TOKEN", "demo-metrics-token"),
    # Web processes and workers of one queue are one service, whoever has started them: any page has all numbers.
    metrics_workers=f"tokpulse-{hashlib.sha256(bytes(storage.PATH)).hexdigest()[:12]}",
    tenant_label="store",
    tenants=storage.STORE_IDS,
)
metrics = observer.metrics
TOPICS = ("orders-paid", "orders-cancelled")

# `storeId` is no snake_case, and `ms` no base unit: lint=False says that the shops' dashboards have these names.
counter, histogram = partial(metrics.counter, lint=False), partial(metrics.histogram, lint=False)
# What the database knows, all processes read alike, so the newest number is right.
gauge = partial(metrics.gauge, lint=False, multiprocess_mode="livemostrecent")
in_ms = partial(histogram, buckets=(1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000))

WEBHOOKS = counter("webhook_processed", "Webhooks by how they ended.", ["topic", "storeId", "status"])
WEBHOOK_DURATION = histogram("webhook_processing_duration_seconds", "Its time.", ["topic", "storeId"])
QUEUE_DEPTH = gauge("webhook_queue_depth", "Webhooks that wait.", ["topic"])
REDELIVERY_RATE = gauge("webhook_redelivery_rate", "Share that had come before.", ["topic", "storeId"])
JOB_QUEUE_SIZE = gauge("job_queue_size", "Jobs that wait.", ["jobType"])
JOB_ATTEMPTS = counter("job_attempts", "Attempts: ok, retried or dead.", ["job", "status", "storeId"])
JOB_DURATION = histogram("job_processing_duration_seconds", "Time of an attempt.", ["job", "storeId"])
WIDGET_RENDER = in_ms("widget_render_ms", "Time to render a widget on the server.", ["surface", "storeId"])
WIDGET_ERRORS = counter("widget_errors", "Widgets that failed.", ["surface", "storeId", "errorType"])
WIDGET_LCP = in_ms("widget_lcp_proxy_ms", "Largest Contentful Paint in browsers.", ["surface", "storeId"])
API_REQUESTS = counter("api_requests", "Requests answered.", ["route", "method", "code", "storeId"])
API_DURATION = histogram("api_request_duration_seconds", "Time to answer.", ["route", "method", "storeId"])
API_ACTIVE = metrics.gauge("api_active_connections", "Requests under way.", multiprocess_mode="livesum")
TENANT_EVENTS = counter("tenant_events", "What the stores caused.", ["storeId", "orgId", "eventType"])
TENANT_THROTTLING = counter("tenant_throttling", "Requests refused.", ["storeId", "orgId", "reason"])
ASSIGNMENT = counter("assignment", "New visitors by variant.", ["experiment", "variant", "storeId"])
EXPOSURE = counter("exposure", "Variants shown.", ["experiment", "variant", "surface", "storeId"])
GUARDRAIL_BREACH = counter("guardrail_breach", "Variants paused.", ["experiment", "metric", "threshold"])

REDELIVERED = "SELECT topic, store_id, 1 - count(*) / total(times) FROM deliveries GROUP BY topic, store_id"


@metrics.on_collect
def ask_database() -> None:
    """Read before each scrape what can't be added up over processes."""
    for topic, store_id, share in storage.rows("deliveries", REDELIVERED):
        REDELIVERY_RATE.labels(topic, store_id).set(share)
    for job_type in queue.TYPES:
        JOB_QUEUE_SIZE.labels(job_type).set(queue.depth("type", job_type))
    for topic in TOPICS:
        QUEUE_DEPTH.labels(topic).set(queue.depth(f"type = '{queue.PROCESS}' AND topic", topic))


observer.health.add("database", storage.ping, every_seconds=1, component_type="datastore")
observer.health.add("event_loop", event_loop_lag(), critical=False)
observer.health.add("disk", disk_space(str(storage.PATH.parent)), critical=False, every_seconds=30)
if audotics_url := os.environ.get("AUDOTICS_URL"):  # without it we only recommend nothing: degraded, not down
    observer.health.add("audotics", http_url(f"{audotics_url}/health/live"), critical=False, every_seconds=5)


def webhook_ended(topic: str, store: storage.Store, status: str) -> None:
    WEBHOOKS.labels(topic, store.id, status).inc()
    tenant_event(store, "webhook")


def tenant_event(store: storage.Store, event_type: str) -> None:
    TENANT_EVENTS.labels(store.id, store.org_id, event_type).inc()
    observer.events.record(event_type, labels={"storeId": store.id, "orgId": store.org_id})
