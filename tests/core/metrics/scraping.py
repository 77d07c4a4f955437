"""What the tests of the metrics read: the page, the counts, the active requests."""

from __future__ import annotations

from obs_middleware import Observer
from tests.core.support import request

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


DURATION = "http_server_request_duration_seconds"


HISTOGRAMS = (
    DURATION,
    "http_server_time_to_first_byte_seconds",
    "http_server_request_body_size_bytes",
    "http_server_response_body_size_bytes",
)


LABELS = ("http_request_method", "http_route", "http_response_status_code", "error_type")


SAMPLED = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


def page(own: Observer, accept: str = "", accept_encoding: str = "") -> str:
    headers = {"accept": accept, "accept-encoding": accept_encoding}
    reply = own.gateway.reply(request(path="/metrics", headers=headers), "/metrics")
    assert reply.status == 200
    return reply.body.decode()


# What changes from one collection to the next by itself.
RESTLESS = (
    *("telemetry_collection_", "telemetry_metrics_count", "telemetry_series", "cpython_", "asyncio_"),
    "process_open_fds",
)


def without_telemetry(text: str) -> str:
    """Return a page without what it says of its own making."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not any(name in line for name in RESTLESS))


def counts(own: Observer, name: str = DURATION) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.get(label, "") for label in LABELS): sample.value
        for family in own.registry.collect()
        for sample in family.samples
        if sample.name == f"{name}_count"
    }


def active(own: Observer, method: str = "GET", scheme: str = "http") -> float | None:
    labels = {"http_request_method": method, "url_scheme": scheme}
    return own.registry.get_sample_value("http_server_active_requests", labels)


def value(own: Observer, name: str, **labels: str) -> float | None:
    """Return one sample's value."""
    return own.registry.get_sample_value(name, labels)
