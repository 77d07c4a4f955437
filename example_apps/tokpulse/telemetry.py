"""What tokpulse tells of itself beyond the one line: its Observer, checks and metrics, all declared once."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

from example_apps.tokpulse import recommendations, storage
from example_apps.tokpulse.storage import Store
from obs_middleware import Observer

observer = Observer(
    service_name="tokpulse",
    metrics_path="/internal/metrics",
    metrics_token=os.environ.get("TOKPULSE_METRICS_TOKEN", "demo-metrics-token"),
)

WEBHOOKS = Counter(
    "tokpulse_webhook_processed",
    "Webhooks processed, by how it ended: ok, duplicate, failed.",
    ["topic", "storeId", "status"],
    registry=observer.registry,
)
WEBHOOK_DURATION = Histogram(
    "tokpulse_webhook_processing_duration_seconds",
    "Time to process a webhook.",
    ["topic", "storeId"],
    registry=observer.registry,
)
WIDGET_RENDER = Histogram(
    "tokpulse_widget_render_ms",
    "Time to render a widget on the server.",
    ["surface", "storeId"],
    buckets=(1, 2.5, 5, 10, 25, 50, 100, 250, 500),
    registry=observer.registry,
)
TENANT_EVENTS = Counter(
    "tokpulse_tenant_events",
    "What the stores caused.",
    ["storeId", "orgId", "eventType"],
    registry=observer.registry,
)


@observer.health.check("database")
def database() -> None:
    storage.ping()


@observer.health.check("audotics", critical=False, every_seconds=5.0)
async def audotics() -> None:
    """Without audotics we still serve, only with no recommendations: degraded, not down."""
    await recommendations.ping()


@contextmanager
def webhook_processing(topic: str, store: Store) -> Iterator[None]:
    """Time the processing of a webhook, and count the ones that raise."""
    with WEBHOOK_DURATION.labels(topic, store.id).time():
        try:
            yield
        except Exception:
            WEBHOOKS.labels(topic, store.id, "failed").inc()
            raise


def webhook_processed(topic: str, store: Store, *, is_new: bool) -> None:
    WEBHOOKS.labels(topic, store.id, "ok" if is_new else "duplicate").inc()
    TENANT_EVENTS.labels(store.id, store.org_id, "webhook").inc()
