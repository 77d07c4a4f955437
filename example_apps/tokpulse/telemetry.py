"""What tokpulse tells of itself beyond the one line: its Observer, checks and metrics, all declared once."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from example_apps.tokpulse import storage
from example_apps.tokpulse.recommendations import AUDOTICS_URL
from example_apps.tokpulse.storage import Store
from obs_middleware import Observer
from obs_middleware.health.ready_made import disk_space, event_loop_lag, http_url

observer = Observer(
    service_name="tokpulse",
    metrics_prefix="tokpulse",
    metrics_path="/internal/metrics",
    metrics_token=os.environ.get("TOKPULSE_METRICS_TOKEN", "demo-metrics-token"),
)

# `storeId` is no snake_case, and `ms` no base unit: lint=False says that the shops' dashboards have these names.
WEBHOOKS = observer.metrics.counter(
    "webhook_processed",
    "Webhooks processed, by how it ended: ok, duplicate, failed.",
    ["topic", "storeId", "status"],
    lint=False,
)
WEBHOOK_DURATION = observer.metrics.histogram(
    "webhook_processing_duration_seconds", "Time to process a webhook.", ["topic", "storeId"], lint=False
)
REDELIVERY_RATE = observer.metrics.gauge(
    "webhook_redelivery_rate",
    "Share of the deliveries that had come before.",
    ["topic", "storeId"],
    multiprocess_mode="livemostrecent",  # all workers read one database, so the newest number is right
    lint=False,
)
WIDGET_RENDER = observer.metrics.histogram(
    "widget_render_ms",
    "Time to render a widget on the server.",
    ["surface", "storeId"],
    buckets=(1, 2.5, 5, 10, 25, 50, 100, 250, 500),
    lint=False,
)
WIDGET_ERRORS = observer.metrics.counter(
    "widget_errors", "Widgets that could not be rendered.", ["surface", "storeId", "errorType"], lint=False
)
API_REQUESTS = observer.metrics.counter(
    "api_requests", "Requests answered.", ["route", "method", "code", "storeId"], lint=False
)
API_DURATION = observer.metrics.histogram(
    "api_request_duration_seconds", "Time to answer a request.", ["route", "method", "storeId"], lint=False
)
API_ACTIVE = observer.metrics.gauge(
    "api_active_connections", "Requests that are being answered.", multiprocess_mode="livesum"
)
TENANT_EVENTS = observer.metrics.counter(
    "tenant_events", "What the stores caused.", ["storeId", "orgId", "eventType"], lint=False
)


@observer.metrics.on_collect
def compare_deliveries() -> None:
    """Ask the database before each scrape: a share can't be added up over workers."""
    for topic, store_id, share in storage.redelivered_shares():
        REDELIVERY_RATE.labels(topic, store_id).set(share)


observer.health.add("database", storage.ping, every_seconds=1, component_type="datastore")
observer.health.add("event_loop", event_loop_lag(), critical=False)
observer.health.add("disk", disk_space(str(storage.PATH.absolute().parent)), critical=False, every_seconds=30)
if AUDOTICS_URL:  # without it we still serve, only with no recommendations: degraded, not down
    observer.health.add("audotics", http_url(f"{AUDOTICS_URL}/health/live"), critical=False, every_seconds=5)


@contextmanager
def webhook_processing(topic: str, store: Store) -> Iterator[None]:
    """Time the processing of a webhook, and count the ones that raise."""
    with observer.metrics.timed(WEBHOOK_DURATION.labels(topic, store.id)):
        try:
            yield
        except Exception:
            WEBHOOKS.labels(topic, store.id, "failed").inc()
            raise


def webhook_processed(topic: str, store: Store, *, is_new: bool) -> None:
    WEBHOOKS.labels(topic, store.id, "ok" if is_new else "duplicate").inc()
    tenant_event(store, "webhook")


@contextmanager
def widget_rendering(surface: str, store: Store) -> Iterator[None]:
    """Time the rendering of a widget, and count the ones that raise."""
    started = time.perf_counter()
    try:
        yield
    except Exception as error:
        WIDGET_ERRORS.labels(surface, store.id, type(error).__name__).inc()
        raise
    WIDGET_RENDER.labels(surface, store.id).observe((time.perf_counter() - started) * 1000)
    tenant_event(store, "widget")


def tenant_event(store: Store, event_type: str) -> None:
    TENANT_EVENTS.labels(store.id, store.org_id, event_type).inc()
    observer.events.record(event_type, labels={"storeId": store.id, "orgId": store.org_id})
