"""What tokpulse tells of itself beyond the one line: its Observer, checks and metrics, all declared once."""

import hashlib
import os

from example_apps.tokpulse import queue, storage
from example_apps.tokpulse.queue import Topic
from example_apps.tokpulse.storage import Store
from obs_middleware import Observer
from obs_middleware.health.ready_made import disk_space, event_loop_lag, http_url

observer = Observer(
    service_name="tokpulse",
    metrics_prefix="tokpulse",
    metrics_path="/internal/metrics",
    metrics_token=os.environ.get("TOKPULSE_METRICS_TOKEN", "demo-metrics-token"),
    # Web processes and workers of one queue are one service, whoever has started them: any page has all numbers.
    metrics_workers=f"tokpulse-{hashlib.sha256(str(storage.PATH).encode()).hexdigest()[:12]}",
    tenant_label="store",
    tenants=[row[0] for row in storage.STORES],
)
metrics = observer.metrics

# `storeId` is no snake_case, and `ms` no base unit: lint=False says that the shops' dashboards have these names.
OF_WEBHOOK = ["topic", "storeId"]
WEBHOOKS = metrics.counter(
    "webhook_processed",
    "Webhooks by how they ended: ok, duplicate, failed, rejected (not signed).",
    [*OF_WEBHOOK, "status"],
    lint=False,
)
WEBHOOK_DURATION = metrics.histogram(
    "webhook_processing_duration_seconds", "Time to process a webhook.", OF_WEBHOOK, lint=False
)
# Of what the database knows: all processes read one, so the newest number is right.
QUEUE_DEPTH = metrics.gauge(
    "webhook_queue_depth", "Webhooks that wait.", ["topic"], multiprocess_mode="livemostrecent"
)
REDELIVERY_RATE = metrics.gauge(
    "webhook_redelivery_rate",
    "Share of the deliveries that had come before.",
    OF_WEBHOOK,
    multiprocess_mode="livemostrecent",
    lint=False,
)
JOB_QUEUE_SIZE = metrics.gauge(
    "job_queue_size", "Jobs that wait.", ["jobType"], multiprocess_mode="livemostrecent", lint=False
)
JOB_ATTEMPTS = metrics.counter(
    "job_attempts",
    "Attempts of jobs by how they ended: ok, retried, dead.",
    ["job", "status", "storeId"],
    lint=False,
)
JOB_DURATION = metrics.histogram(
    "job_processing_duration_seconds", "Time of an attempt.", ["job", "storeId"], lint=False
)
MS_BUCKETS = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)
WIDGET_RENDER = metrics.histogram(
    "widget_render_ms",
    "Time to render a widget on the server.",
    ["surface", "storeId"],
    buckets=MS_BUCKETS,
    lint=False,
)
WIDGET_ERRORS = metrics.counter(
    "widget_errors", "Widgets that could not be rendered.", ["surface", "storeId", "errorType"], lint=False
)
WIDGET_LCP = metrics.histogram(
    "widget_lcp_proxy_ms",
    "Largest Contentful Paint, as browsers have reported it.",
    ["surface", "storeId"],
    buckets=MS_BUCKETS,
    lint=False,
)
API_REQUESTS = metrics.counter(
    "api_requests", "Requests answered.", ["route", "method", "code", "storeId"], lint=False
)
API_DURATION = metrics.histogram(
    "api_request_duration_seconds", "Time to answer a request.", ["route", "method", "storeId"], lint=False
)
API_ACTIVE = metrics.gauge(
    "api_active_connections", "Requests that are being answered.", multiprocess_mode="livesum"
)
OF_TENANT = ["storeId", "orgId"]
TENANT_EVENTS = metrics.counter(
    "tenant_events", "What the stores caused.", [*OF_TENANT, "eventType"], lint=False
)
TENANT_THROTTLING = metrics.counter(
    "tenant_throttling",
    "Requests refused, because a store sends too many.",
    [*OF_TENANT, "reason"],
    lint=False,
)
OF_EXPERIMENT = ["experiment", "variant"]
ASSIGNMENT = metrics.counter(
    "assignment", "New visitors assigned to a variant.", [*OF_EXPERIMENT, "storeId"], lint=False
)
EXPOSURE = metrics.counter(
    "exposure", "Times that a variant was shown.", [*OF_EXPERIMENT, "surface", "storeId"], lint=False
)
GUARDRAIL_BREACH = metrics.counter(
    "guardrail_breach", "Times that a guardrail has paused a variant.", ["experiment", "metric", "threshold"]
)


@metrics.on_collect
def ask_database() -> None:
    """Read before each scrape what can't be added up over processes."""
    for topic, store_id, share in storage.redelivered_shares():
        REDELIVERY_RATE.labels(topic, store_id).set(share)
    waiting = queue.depths()
    for job_type in queue.TYPES:
        JOB_QUEUE_SIZE.labels(job_type).set(sum(waiting.get((job_type, topic.value), 0) for topic in Topic))
    for topic in Topic:
        QUEUE_DEPTH.labels(topic.value).set(waiting.get((queue.PROCESS, topic.value), 0))


observer.health.add("database", storage.ping, every_seconds=1, component_type="datastore")
observer.health.add("event_loop", event_loop_lag(), critical=False)
observer.health.add("disk", disk_space(str(storage.PATH.parent)), critical=False, every_seconds=30)
if AUDOTICS_URL := os.environ.get(
    "AUDOTICS_URL"
):  # without it we still serve, only with no recommendations: degraded, not down
    observer.health.add("audotics", http_url(f"{AUDOTICS_URL}/health/live"), critical=False, every_seconds=5)


def webhook_ended(topic: str, store: Store, status: str) -> None:
    WEBHOOKS.labels(topic, store.id, status).inc()
    tenant_event(store, "webhook")


def tenant_event(store: Store, event_type: str) -> None:
    TENANT_EVENTS.labels(store.id, store.org_id, event_type).inc()
    observer.events.record(event_type, labels={"storeId": store.id, "orgId": store.org_id})


def guardrail_breached(experiment: str, metric: str, threshold: float) -> None:
    GUARDRAIL_BREACH.labels(experiment, metric, f"{threshold:g}").inc()
    observer.events.record("guardrail_breach", labels={"experiment": experiment, "metric": metric})
